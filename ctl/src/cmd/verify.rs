//! `lakectl verify`: proves what is stored; findings as they come, a summary last.

use std::io::{self, IsTerminal};

use lake_proto::v1::{VerifyRequest, VerifyTally, verify_response::Part};

use crate::{
    args::{self, Connection, Output},
    client,
    exit::{Exit, Failure},
    output::{Out, verify},
};

pub(crate) async fn run(connection: &Connection, args: args::Verify) -> Result<Exit, Failure> {
    let network = match args.network {
        Some(network) => network,
        None => {
            let mut gaps = client::backfills(connection).await?;
            super::backfill::only_network(&mut gaps).await?
        }
    };
    let archive = args.archive.map(placed).transpose()?;
    let request = VerifyRequest {
        network,
        from: args.from,
        to: args.to,
        against_source: args.against_source,
        archive: archive.unwrap_or_default(),
    };
    let mut client = client::verifies(connection).await?;
    let mut parts = client::answer(client.verify(request)).await?;
    let mut out = Out::stdout();
    let is_shown = args.output == Output::Human && io::stderr().is_terminal();
    while let Some(part) = parts.message().await.map_err(|status| Failure::rpc(&status))? {
        let Some(part) = part.part else { continue };
        match (&part, args.output) {
            (_, output @ (Output::Json | Output::Yaml)) => {
                out.value(output, &verify::PartJson::from(&part))?
            }
            (Part::Progress(tally), Output::Human) => show(is_shown, tally),
            (Part::Finding(finding), Output::Human) => {
                clear(is_shown);
                out.write(&format!("{}\n", verify::finding(finding)))?;
            }
            (Part::Summary(tally), Output::Human) => {
                clear(is_shown);
                out.write(&verify::summary(tally))?;
            }
        }
        if let Part::Summary(tally) = part {
            return Ok(if tally.findings == 0 { Exit::Done } else { Exit::Unhealthy });
        }
    }
    Err(Failure::new(Exit::Unavailable, "the check ended early")
        .hint("the daemon may be stopping: try again"))
}

/// The archive as the daemon finds it, which has another working directory.
fn placed(archive: String) -> Result<String, Failure> {
    if archive.contains("://") {
        return Ok(archive);
    }
    let path =
        std::path::absolute(&archive).map_err(|error| Failure::io("cannot find the archive", &error))?;
    Ok(path.display().to_string())
}

/// Progress goes where it is in nobody's way.
fn show(is_shown: bool, tally: &VerifyTally) {
    if is_shown {
        eprint!("\r\x1b[K{}", verify::progress(tally));
    }
}

fn clear(is_shown: bool) {
    if is_shown {
        eprint!("\r\x1b[K");
    }
}
