//! `lakectl version`: both sides' versions; the daemon's only when it answers.

use lake_proto::v1::GetStatusRequest;
use serde::Serialize;

use crate::{
    args::{self, Connection, Output},
    client,
    exit::{Exit, Failure},
    output::Out,
};

/// The JSON of `lakectl version --output json`. Field names are stable.
#[derive(Debug, Serialize)]
struct VersionJson {
    /// Version of lakectl.
    lakectl: &'static str,
    /// Version of the daemon; null when it does not answer.
    daemon: Option<String>,
}

pub(crate) async fn run(connection: &Connection, args: &args::Version) -> Result<Exit, Failure> {
    let versions =
        VersionJson { lakectl: env!("CARGO_PKG_VERSION"), daemon: daemon_version(connection).await.ok() };
    let mut out = Out::stdout();
    match args.output {
        output @ (Output::Json | Output::Yaml) => out.value(output, &versions)?,
        Output::Human => {
            let daemon = versions.daemon.as_deref().unwrap_or("not reached");
            out.write(&format!("lakectl {}\nstellar-lake {daemon}\n", versions.lakectl))?;
        }
    }
    Ok(Exit::Done)
}

pub(super) async fn daemon_version(connection: &Connection) -> Result<String, Failure> {
    let mut client = client::control(connection).await?;
    let answer = client::answer(client.get_status(GetStatusRequest {})).await?;
    Ok(answer.status.and_then(|status| status.daemon).unwrap_or_default().version)
}
