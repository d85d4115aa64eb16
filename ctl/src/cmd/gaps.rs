//! `lakectl gaps` and `lakectl repair`: what is missing, and jobs that fetch it.

use lake_proto::v1::{
    BackfillTarget, ListGapsRequest, StartBackfillRequest, Workers, backfill_target, backfill_target::Ledgers,
};

use super::backfill::known;
use crate::{
    args::{self, Connection, Output},
    client,
    exit::{Exit, Failure},
    output::{
        Out,
        backfill_json::{GapsJson, JobsJson},
        backfill_text,
    },
};

pub(crate) async fn list(connection: &Connection, args: args::Gaps) -> Result<Exit, Failure> {
    let mut client = client::backfills(connection).await?;
    let request = ListGapsRequest { network: args.network.unwrap_or_default() };
    let networks = client::answer(client.list_gaps(request)).await?.networks;
    let mut out = Out::stdout();
    match args.output {
        Output::Human => out.write(&backfill_text::gaps(&networks, out.width()))?,
        output @ (Output::Json | Output::Yaml) => out.value(output, &GapsJson::from(networks.as_slice()))?,
    }
    let complete = networks.iter().all(|network| network.gaps.is_empty());
    Ok(if complete { Exit::Done } else { Exit::Unhealthy })
}

pub(crate) async fn repair(connection: &Connection, args: args::Repair) -> Result<Exit, Failure> {
    let mut client = client::backfills(connection).await?;
    let request = ListGapsRequest { network: args.network.unwrap_or_default() };
    let networks = client::answer(client.list_gaps(request)).await?.networks;
    let workers = args.workers.map(|count| Workers { count: Some(count) });

    let mut jobs = Vec::new();
    let mut refusals = Vec::new();
    for network in networks.into_iter().filter(|network| !network.gaps.is_empty()) {
        let name = network.network;
        let ledgers = Some(Ledgers::Gaps(backfill_target::Gaps {}));
        let target = Some(BackfillTarget { network: name.clone(), ledgers });
        let request = StartBackfillRequest { target, workers, force: false };
        let started = client::measured_answer(client.start_backfill(request)).await;
        match started.and_then(|answer| known(answer.job)) {
            Ok(job) => jobs.push(job),
            Err(failure) => refusals.push(failure.about(&name)),
        }
    }

    let mut out = Out::stdout();
    match args.output {
        Output::Human if jobs.is_empty() && refusals.is_empty() => out.write("no gaps\n")?,
        Output::Human if jobs.is_empty() => {}
        Output::Human => out.write(&backfill_text::jobs(&jobs, out.style(), out.width()))?,
        output @ (Output::Json | Output::Yaml) => out.value(output, &JobsJson::from(jobs.as_slice()))?,
    }
    for refusal in &refusals {
        refusal.report();
    }
    Ok(refusals.first().map_or(Exit::Done, |refusal| refusal.exit))
}
