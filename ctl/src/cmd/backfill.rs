//! `lakectl backfill`: starts jobs and steers them. Watching one is in [`super::watch`].

use lake_proto::v1::{
    BackfillJob, BackfillTarget, CancelBackfillRequest, GetBackfillRequest, ListBackfillsRequest,
    ListGapsRequest, PauseBackfillRequest, PlanBackfillRequest, ResumeBackfillRequest, SetBackfillRequest,
    StartBackfillRequest, Workers, backfill_service_client::BackfillServiceClient,
};
use tonic::transport::Channel;

use super::watch;
use crate::{
    args::{self, BackfillVerb, Connection, Output},
    client,
    exit::{Exit, Failure},
    output::{
        Out,
        backfill_json::{JobJson, JobsJson, PlanJson},
        backfill_text,
    },
};

pub(crate) async fn run(connection: &Connection, verb: BackfillVerb) -> Result<Exit, Failure> {
    match verb {
        BackfillVerb::Start(start) => self::start(connection, start).await,
        BackfillVerb::Watch(watch) => watch::run(connection, &watch).await,
        BackfillVerb::List(list) => self::list(connection, list).await,
        BackfillVerb::Show(args) => {
            let mut client = client::backfills(connection).await?;
            let job = show(&mut client, args.job).await?;
            let mut out = Out::stdout();
            match args.output {
                Output::Human => out.write(&backfill_text::job(&job, out.width()))?,
                output @ (Output::Json | Output::Yaml) => out.value(output, &JobJson::from(&job))?,
            }
            Ok(Exit::Done)
        }
        BackfillVerb::Pause(args) => {
            let mut client = client::backfills(connection).await?;
            print(&pause(&mut client, args.job).await?, args.output)
        }
        BackfillVerb::Resume(args) => {
            let mut client = client::backfills(connection).await?;
            print(&resume(&mut client, args.job).await?, args.output)
        }
        BackfillVerb::Cancel(args) => {
            let mut client = client::backfills(connection).await?;
            let request = CancelBackfillRequest { id: args.job };
            let answer = client::answer(client.cancel_backfill(request)).await?;
            print(&known(answer.job)?, args.output)
        }
        BackfillVerb::Set(args) => {
            let mut client = client::backfills(connection).await?;
            let workers = Workers { count: Some(args.workers) };
            print(&set(&mut client, args.job.job, workers).await?, args.job.output)
        }
    }
}

async fn start(connection: &Connection, args: args::Start) -> Result<Exit, Failure> {
    let ledgers = Some(args.ledgers()?);
    let mut client = client::backfills(connection).await?;
    let network = match args.network {
        Some(network) => network,
        None => only_network(&mut client).await?,
    };
    let target = Some(BackfillTarget { network, ledgers });
    let mut out = Out::stdout();
    let workers = args.workers.map(|count| Workers { count: Some(count) });

    if args.dry_run {
        let request = PlanBackfillRequest { target, workers };
        let answer = client::measured_answer(client.plan_backfill(request)).await?;
        let plan = answer.plan.ok_or_else(|| nothing_in("plan"))?;
        match args.output {
            Output::Human => out.write(&backfill_text::plan(&plan, out.width()))?,
            output @ (Output::Json | Output::Yaml) => out.value(output, &PlanJson::from(&plan))?,
        }
        return Ok(Exit::Done);
    }

    let request = StartBackfillRequest { target, workers, force: args.force };
    let answer = client::measured_answer(client.start_backfill(request)).await?;
    let job = known(answer.job)?;
    match args.output {
        Output::Human => {
            out.write(&format!(
                "{}\nwatch it: lakectl backfill watch {}\n",
                backfill_text::line(&job),
                job.id
            ))?;
        }
        output @ (Output::Json | Output::Yaml) => out.value(output, &JobJson::from(&job))?,
    }
    Ok(Exit::Done)
}

async fn list(connection: &Connection, args: args::JobList) -> Result<Exit, Failure> {
    let mut client = client::backfills(connection).await?;
    let request = ListBackfillsRequest { network: args.network.unwrap_or_default() };
    let jobs = client::answer(client.list_backfills(request)).await?.jobs;
    let mut out = Out::stdout();
    match args.output {
        Output::Human => out.write(&backfill_text::jobs(&jobs, out.style(), out.width()))?,
        output @ (Output::Json | Output::Yaml) => out.value(output, &JobsJson::from(jobs.as_slice()))?,
    }
    Ok(Exit::Done)
}

/// The network that is meant when none is named.
pub(super) async fn only_network(client: &mut BackfillServiceClient<Channel>) -> Result<String, Failure> {
    let request = ListGapsRequest { network: String::new() };
    let networks = client::answer(client.list_gaps(request)).await?.networks;
    let mut names: Vec<_> = networks.into_iter().map(|network| network.network).collect();
    match (names.pop(), names.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            names.push(last);
            Err(Failure::new(Exit::Usage, format!("which network? There are {}", names.join(", ")))
                .hint("choose one with --network"))
        }
        (None, _) => Err(Failure::new(Exit::NotFound, "no networks are configured")),
    }
}

/// Asks for a job.
async fn show(client: &mut BackfillServiceClient<Channel>, id: u32) -> Result<BackfillJob, Failure> {
    known(client::answer(client.get_backfill(GetBackfillRequest { id })).await?.job)
}

/// Pauses a job.
pub(super) async fn pause(
    client: &mut BackfillServiceClient<Channel>,
    id: u32,
) -> Result<BackfillJob, Failure> {
    known(client::answer(client.pause_backfill(PauseBackfillRequest { id })).await?.job)
}

/// Resumes a job.
pub(super) async fn resume(
    client: &mut BackfillServiceClient<Channel>,
    id: u32,
) -> Result<BackfillJob, Failure> {
    known(client::answer(client.resume_backfill(ResumeBackfillRequest { id })).await?.job)
}

/// Changes the workers of a job.
pub(super) async fn set(
    client: &mut BackfillServiceClient<Channel>,
    id: u32,
    workers: Workers,
) -> Result<BackfillJob, Failure> {
    let request = SetBackfillRequest { id, workers: Some(workers) };
    known(client::answer(client.set_backfill(request)).await?.job)
}

/// The job of an answer, which must hold one.
pub(super) fn known(job: Option<BackfillJob>) -> Result<BackfillJob, Failure> {
    job.ok_or_else(|| nothing_in("job"))
}

fn nothing_in(what: &str) -> Failure {
    Failure::new(Exit::Internal, format!("the answer holds no {what}"))
        .hint("lakectl and the daemon may differ in version: see `lakectl version`")
}

fn print(job: &BackfillJob, output: Output) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    match output {
        Output::Human => out.write(&format!("{}\n", backfill_text::line(job)))?,
        output @ (Output::Json | Output::Yaml) => out.value(output, &JobJson::from(job))?,
    }
    Ok(Exit::Done)
}
