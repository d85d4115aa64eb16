//! `lakectl status`: one screen, or one JSON object; once, or again and again.

use lake_proto::v1::{GetStatusRequest, Status, WatchStatusRequest};

use crate::{
    args::{self, Connection, Output},
    client,
    exit::{Exit, Failure},
    output::{Out, status_json::StatusJson, status_screen},
};

pub(crate) async fn run(connection: &Connection, args: &args::Status) -> Result<Exit, Failure> {
    let mut client = client::control(connection).await?;
    let mut out = Out::stdout();
    if !args.watch {
        let answer = client::answer(client.get_status(GetStatusRequest {})).await?;
        show(&mut out, args.output, &answer.status.unwrap_or_default())?;
        return Ok(Exit::Done);
    }

    let interval = prost_types::Duration::try_from(args.interval)
        .map_err(|error| Failure::new(Exit::Usage, "the interval is too long").because(error))?;
    let request = WatchStatusRequest { interval: Some(interval) };
    let mut stream = client::answer(client.watch_status(request)).await?;
    while let Some(answer) = stream.message().await.map_err(|status| Failure::rpc(&status))? {
        if args.output == Output::Human {
            out.begin_screen()?;
        }
        show(&mut out, args.output, &answer.status.unwrap_or_default())?;
        out.end_screen()?;
    }
    Ok(Exit::Done)
}

fn show(out: &mut Out, output: Output, status: &Status) -> Result<(), Failure> {
    match output {
        Output::Human => out.write(&status_screen::text(status, out.style(), out.width())),
        output @ (Output::Json | Output::Yaml) => out.value(output, &StatusJson::from(status)),
    }
}
