//! `lakectl query`: one statement in, rows out, as they come.

use std::io::Read;

use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::ArrowError;
use lake_proto::v1::{ExecuteRequest, QuerySummary, execute_response::Part};

use crate::{
    args::{self, Connection, Format},
    client,
    exit::{Exit, Failure},
    output::{Out, rows::Rows},
};

/// Rows of a table for people when --max-rows says nothing.
const TABLE_ROWS: u64 = 1000;

pub(crate) async fn run(connection: &Connection, args: args::Query) -> Result<Exit, Failure> {
    let sql = if args.sql == "-" { read_stdin()? } else { args.sql };
    let timeout = args
        .timeout
        .map(prost_types::Duration::try_from)
        .transpose()
        .map_err(|error| Failure::new(Exit::Usage, "the timeout is too long").because(error))?;
    let table_rows = (args.format == Format::Table).then_some(TABLE_ROWS);
    let max_rows = args.max_rows.or(table_rows).unwrap_or(0);

    let mut client = client::queries(connection).await?;
    let request = ExecuteRequest { sql, max_rows, timeout };
    let mut parts = client.execute(request).await.map_err(|status| Failure::rpc(&status))?.into_inner();

    let mut out = Out::stdout();
    let mut decoder = StreamDecoder::new();
    let mut rows: Option<Rows> = None;
    let mut summary = None;
    while let Some(part) = parts.message().await.map_err(|status| Failure::rpc(&status))? {
        match part.part {
            Some(Part::ArrowIpc(bytes)) => {
                let mut bytes = Buffer::from(bytes);
                while let Some(batch) = decoder.decode(&mut bytes).map_err(unreadable)? {
                    let rows = begin(&mut rows, &decoder, args.format, &mut out)?;
                    rows.batch(&batch, &mut out)?;
                }
                begin_when_known(&mut rows, &decoder, args.format, &mut out)?;
            }
            Some(Part::Summary(last)) => summary = Some(last),
            None => {}
        }
    }
    decoder.finish().map_err(unreadable)?;
    let summary = summary.ok_or_else(cut_off)?;
    begin(&mut rows, &decoder, args.format, &mut out)?.end(&mut out)?;
    note_truncation(&summary);
    Ok(Exit::Done)
}

/// Prints the beginning as soon as the schema is there, also when no row follows.
fn begin_when_known(
    rows: &mut Option<Rows>,
    decoder: &StreamDecoder,
    format: Format,
    out: &mut Out,
) -> Result<(), Failure> {
    if decoder.schema().is_some() {
        begin(rows, decoder, format, out)?;
    }
    Ok(())
}

fn begin<'a>(
    rows: &'a mut Option<Rows>,
    decoder: &StreamDecoder,
    format: Format,
    out: &mut Out,
) -> Result<&'a mut Rows, Failure> {
    if let Some(rows) = rows {
        return Ok(rows);
    }
    let schema = decoder.schema().ok_or_else(cut_off)?;
    Ok(rows.insert(Rows::begin(format, &schema, out)?))
}

fn read_stdin() -> Result<String, Failure> {
    let mut sql = String::new();
    std::io::stdin()
        .read_to_string(&mut sql)
        .map_err(|error| Failure::io("cannot read the statement from standard input", &error))?;
    Ok(sql)
}

fn note_truncation(summary: &QuerySummary) {
    if summary.truncated {
        eprintln!("lakectl: only the first {} rows: ask for more with --max-rows", summary.rows);
    }
}

fn cut_off() -> Failure {
    Failure::new(Exit::Internal, "the answer ended early").hint("try again; the daemon's log has more")
}

fn unreadable(error: ArrowError) -> Failure {
    Failure::new(Exit::Internal, "the answer cannot be read")
        .because(error)
        .hint("lakectl and the daemon may differ in version: see `lakectl version`")
}
