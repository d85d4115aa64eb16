//! `lakectl backfill watch`: a job until it is over, as a screen, as lines or as JSON.

mod screen;

use std::io::{self, IsTerminal};

use lake_proto::v1::{BackfillJob, BackfillState, WatchBackfillRequest, WatchBackfillResponse};
use tonic::Streaming;

use super::backfill;
use crate::{
    args::{self, Connection, Output},
    client,
    exit::{Exit, Failure},
    output::{Out, backfill_json::JobJson, backfill_text},
};
use screen::Screen;

pub(crate) async fn run(connection: &Connection, args: &args::JobWatch) -> Result<Exit, Failure> {
    let interval = prost_types::Duration::try_from(args.interval)
        .map_err(|error| Failure::new(Exit::Usage, "the interval is too long").because(error))?;
    let mut client = client::backfills(connection).await?;
    let request = WatchBackfillRequest { id: args.job.unwrap_or(0), interval: Some(interval) };
    let mut jobs = client::answer(client.watch_backfill(request)).await?;
    let mut out = Out::stdout();

    // Without a terminal to read keys from, a full screen could not be left.
    let full_screen = args.output == Output::Human && out.is_terminal() && io::stdin().is_terminal();
    if !full_screen {
        return lines(&mut jobs, args.output, &mut out).await;
    }
    let first = next(&mut jobs).await?;
    let (exit, last) = Screen::open(first, out.style(), client)?.run(&mut jobs).await?;
    // The screen is gone with what was on it.
    out.write(&backfill_text::job(&last, out.width()))?;
    Ok(exit)
}

/// One line or object per look.
async fn lines(
    jobs: &mut Streaming<WatchBackfillResponse>,
    output: Output,
    out: &mut Out,
) -> Result<Exit, Failure> {
    loop {
        let job = next(jobs).await?;
        match output {
            Output::Human => out.write(&format!("{}\n", backfill_text::line(&job)))?,
            output @ (Output::Json | Output::Yaml) => out.value(output, &JobJson::from(&job))?,
        }
        if let Some(exit) = end(&job) {
            return Ok(exit);
        }
    }
}

/// The next look at the job. An end without one comes from a daemon that stops.
async fn next(jobs: &mut Streaming<WatchBackfillResponse>) -> Result<BackfillJob, Failure> {
    match jobs.message().await.map_err(|status| Failure::rpc(&status))? {
        Some(answer) => backfill::known(answer.job),
        None => Err(Failure::new(Exit::Unavailable, "the daemon stopped answering before the job was over")
            .hint("the job goes on when the daemon runs again")),
    }
}

/// How a watch of this job ends; `None` while it may go on by itself or is only paused.
fn end(job: &BackfillJob) -> Option<Exit> {
    match job.state() {
        BackfillState::Finished if job.ledgers_parked == 0 && job.parked.is_empty() => Some(Exit::Done),
        BackfillState::Finished | BackfillState::Stopped | BackfillState::Cancelled => Some(Exit::Unhealthy),
        BackfillState::Unspecified | BackfillState::Running | BackfillState::Paused => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_job_with_all_of_it_stored_ends_well() {
        let end = |state, ledgers_parked| {
            let mut job = BackfillJob { ledgers_parked, ..BackfillJob::default() };
            job.set_state(state);
            end(&job)
        };
        assert_eq!(end(BackfillState::Finished, 0), Some(Exit::Done));
        assert_eq!(end(BackfillState::Finished, 64), Some(Exit::Unhealthy));
        assert_eq!(end(BackfillState::Stopped, 0), Some(Exit::Unhealthy));
        assert_eq!(end(BackfillState::Cancelled, 0), Some(Exit::Unhealthy));
        assert_eq!(end(BackfillState::Running, 64), None);
        assert_eq!(end(BackfillState::Paused, 0), None);
    }
}
