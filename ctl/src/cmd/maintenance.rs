//! `lakectl maintenance`: what the timer did, and doing it now.

use lake_proto::v1::{GetMaintenanceRequest, MaintenanceWork, RunMaintenanceRequest};
use serde::Serialize;

use crate::{
    args::{Connection, MaintenanceVerb, Output},
    client,
    exit::{Exit, Failure},
    output::{Out, human},
};

/// The JSON of both verbs. Field names are stable.
#[derive(Debug, Serialize)]
struct WorkJson {
    runs: u64,
    failures: u64,
    merged_files: u64,
    created_files: u64,
    rewritten_bytes: u64,
    expired_snapshots: u64,
    deleted_files: u64,
    wal_checkpoints: u64,
}

/// The JSON of `lakectl maintenance status`. Field names are stable.
#[derive(Debug, Serialize)]
struct StatusJson {
    /// RFC 3339; null before the first run.
    last_run_at: Option<String>,
    /// Null when nothing went wrong.
    last_error: Option<String>,
    /// Null when there is no write-ahead log.
    wal_bytes: Option<u64>,
    /// Since the daemon started.
    work: WorkJson,
}

pub(crate) async fn run(connection: &Connection, verb: MaintenanceVerb) -> Result<Exit, Failure> {
    let mut client = client::maintenance(connection).await?;
    let mut out = Out::stdout();
    match verb {
        MaintenanceVerb::Run(args) => {
            let answer = client::slow_answer(client.run_maintenance(RunMaintenanceRequest {})).await?;
            let work = answer.work.unwrap_or_default();
            match args.output {
                Output::Human => out.write(&text(&work))?,
                output @ (Output::Json | Output::Yaml) => out.value(output, &json(&work))?,
            }
        }
        MaintenanceVerb::Status(args) => {
            let answer = client::answer(client.get_maintenance(GetMaintenanceRequest {})).await?;
            let work = answer.work.unwrap_or_default();
            let last_run_at = answer.last_run_at.map(|at| human::moment(Some(&at)));
            let last_error = Some(answer.last_error).filter(|error| !error.is_empty());
            match args.output {
                Output::Human => {
                    let last = last_run_at.as_deref().unwrap_or("never");
                    out.push(&text(&work))?;
                    out.push(&format!("last run           {last}\n"))?;
                    out.push(&format!("last error         {}\n", last_error.as_deref().unwrap_or("none")))?;
                    out.flush()?;
                }
                output @ (Output::Json | Output::Yaml) => {
                    let wal_bytes = answer.wal_bytes;
                    out.value(output, &StatusJson { last_run_at, last_error, wal_bytes, work: json(&work) })?;
                }
            }
        }
    }
    Ok(Exit::Done)
}

fn text(work: &MaintenanceWork) -> String {
    format!(
        "runs               {}, {} failed\nfiles              {} merged into {}, {} deleted\nsnapshots          {} \
         expired\nWAL checkpoints    {}\n",
        work.runs,
        work.failures,
        work.merged_files,
        work.created_files,
        work.deleted_files,
        work.expired_snapshots,
        work.wal_checkpoints
    )
}

const fn json(work: &MaintenanceWork) -> WorkJson {
    WorkJson {
        runs: work.runs,
        failures: work.failures,
        merged_files: work.merged_files,
        created_files: work.created_files,
        rewritten_bytes: work.rewritten_bytes,
        expired_snapshots: work.expired_snapshots,
        deleted_files: work.deleted_files,
        wal_checkpoints: work.wal_checkpoints,
    }
}
