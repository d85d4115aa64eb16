//! `lake.v1.BackfillService`: translation between the proto and [`Backfill`].

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::Stream;
use lake_core::{LedgerRange, LedgerSeq};
use lake_proto::v1::{self as pb, backfill_service_server::BackfillService, backfill_target, workers};
use prost_types::Timestamp;
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{status_code, ticks, translate::duration};
use crate::backfill::{Backfill, BackfillError, GapView, JobState, JobView, Plan, Span, Target, Workers};

/// Workers of a job that names none.
const DEFAULT_WORKERS: u32 = 4;

/// Answers from a [`Backfill`].
pub(super) struct Backfills {
    backfill: Option<Arc<Backfill>>,
    shutdown: CancellationToken,
}

impl Backfills {
    pub(super) fn new(backfill: Option<Arc<Backfill>>, shutdown: CancellationToken) -> Self {
        Self { backfill, shutdown }
    }

    fn jobs(&self) -> Result<&Arc<Backfill>, Status> {
        self.backfill.as_ref().ok_or_else(status_code::no_backfill)
    }
}

/// A running `WatchBackfill`.
struct Watch {
    backfill: Arc<Backfill>,
    id: u32,
    ticks: Interval,
    shutdown: CancellationToken,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<pb::WatchBackfillResponse, Status>, Option<Self>)> {
        tokio::select! {
            () = self.shutdown.cancelled() => Some((Err(status_code::stopping()), None)),
            _ = self.ticks.tick() => match self.backfill.get(self.id) {
                Ok(view) => {
                    let is_over = !matches!(view.record.state, JobState::Running | JobState::Paused);
                    let response = pb::WatchBackfillResponse { job: Some(job(&view)) };
                    Some((Ok(response), (!is_over).then_some(self)))
                }
                Err(error) => Some((Err(status_code::of_backfill(&error)), None)),
            },
        }
    }
}

fn refused(error: BackfillError) -> Status {
    status_code::of_backfill(&error)
}

#[tonic::async_trait]
impl BackfillService for Backfills {
    type WatchBackfillStream = Pin<Box<dyn Stream<Item = Result<pb::WatchBackfillResponse, Status>> + Send>>;

    async fn plan_backfill(
        &self,
        request: Request<pb::PlanBackfillRequest>,
    ) -> Result<Response<pb::PlanBackfillResponse>, Status> {
        let request = request.into_inner();
        let (network, target) = target(request.target)?;
        let workers = request.workers.map(asked_workers).transpose()?;
        let plan = self.jobs()?.plan(&network, target, workers).await.map_err(refused)?;
        Ok(Response::new(pb::PlanBackfillResponse { plan: Some(plan_of(&plan)) }))
    }

    async fn start_backfill(
        &self,
        request: Request<pb::StartBackfillRequest>,
    ) -> Result<Response<pb::StartBackfillResponse>, Status> {
        let request = request.into_inner();
        let (network, target) = target(request.target)?;
        let workers = request.workers.map_or(Ok(Workers::Fixed(DEFAULT_WORKERS)), asked_workers)?;
        let view = self.jobs()?.start(&network, target, workers, request.force).await.map_err(refused)?;
        Ok(Response::new(pb::StartBackfillResponse { job: Some(job(&view)) }))
    }

    async fn list_backfills(
        &self,
        request: Request<pb::ListBackfillsRequest>,
    ) -> Result<Response<pb::ListBackfillsResponse>, Status> {
        let network = request.into_inner().network;
        let views = self.jobs()?.list().map_err(refused)?;
        let of_network = views.iter().filter(|view| network.is_empty() || view.record.network == network);
        Ok(Response::new(pb::ListBackfillsResponse { jobs: of_network.map(job).collect() }))
    }

    async fn get_backfill(
        &self,
        request: Request<pb::GetBackfillRequest>,
    ) -> Result<Response<pb::GetBackfillResponse>, Status> {
        let view = self.jobs()?.get(request.into_inner().id).map_err(refused)?;
        Ok(Response::new(pb::GetBackfillResponse { job: Some(job(&view)) }))
    }

    async fn watch_backfill(
        &self,
        request: Request<pb::WatchBackfillRequest>,
    ) -> Result<Response<Self::WatchBackfillStream>, Status> {
        let request = request.into_inner();
        let backfill = self.jobs()?.clone();
        // The newest job is found once: the stream stays with it.
        let id = backfill.get(request.id).map_err(refused)?.record.id;
        let ticks = ticks::ticks(request.interval)?;
        let watch = Watch { backfill, id, ticks, shutdown: self.shutdown.clone() };
        let stream = futures::stream::unfold(Some(watch), |watch| async { watch?.next().await });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn pause_backfill(
        &self,
        request: Request<pb::PauseBackfillRequest>,
    ) -> Result<Response<pb::PauseBackfillResponse>, Status> {
        let view = self.jobs()?.pause(request.into_inner().id).await.map_err(refused)?;
        Ok(Response::new(pb::PauseBackfillResponse { job: Some(job(&view)) }))
    }

    async fn resume_backfill(
        &self,
        request: Request<pb::ResumeBackfillRequest>,
    ) -> Result<Response<pb::ResumeBackfillResponse>, Status> {
        let view = self.jobs()?.resume(request.into_inner().id).await.map_err(refused)?;
        Ok(Response::new(pb::ResumeBackfillResponse { job: Some(job(&view)) }))
    }

    async fn cancel_backfill(
        &self,
        request: Request<pb::CancelBackfillRequest>,
    ) -> Result<Response<pb::CancelBackfillResponse>, Status> {
        let view = self.jobs()?.cancel(request.into_inner().id).await.map_err(refused)?;
        Ok(Response::new(pb::CancelBackfillResponse { job: Some(job(&view)) }))
    }

    async fn set_backfill(
        &self,
        request: Request<pb::SetBackfillRequest>,
    ) -> Result<Response<pb::SetBackfillResponse>, Status> {
        let request = request.into_inner();
        let asked =
            request.workers.ok_or_else(|| status_code::bad_argument("workers: name a number or auto"))?;
        let view = self.jobs()?.set_workers(request.id, asked_workers(asked)?).map_err(refused)?;
        Ok(Response::new(pb::SetBackfillResponse { job: Some(job(&view)) }))
    }

    async fn list_gaps(
        &self,
        request: Request<pb::ListGapsRequest>,
    ) -> Result<Response<pb::ListGapsResponse>, Status> {
        let network = request.into_inner().network;
        let network = Some(network.as_str()).filter(|network| !network.is_empty());
        let views = self.jobs()?.gaps(network).await.map_err(refused)?;
        Ok(Response::new(pb::ListGapsResponse { networks: views.iter().map(gaps).collect() }))
    }
}

fn target(target: Option<pb::BackfillTarget>) -> Result<(String, Target), Status> {
    let target = target.ok_or_else(|| status_code::bad_argument("target: name a network and its ledgers"))?;
    let wanted = match target.ledgers {
        None => return Err(status_code::bad_argument("target: name a range, gaps or last")),
        Some(backfill_target::Ledgers::Gaps(_)) => Target::Gaps,
        Some(backfill_target::Ledgers::Last(0)) => {
            return Err(status_code::bad_argument("target: the last 0 ledgers are none"));
        }
        Some(backfill_target::Ledgers::Last(count)) => Target::Last(count),
        Some(backfill_target::Ledgers::Range(range)) => {
            let (first, last) = (LedgerSeq::new(range.first.max(2)), LedgerSeq::new(range.last));
            Target::Range(LedgerRange::new(first, last).ok_or_else(|| {
                status_code::bad_argument(format!("target: ledger {last} is before ledger {first}"))
            })?)
        }
    };
    Ok((target.network, wanted))
}

fn asked_workers(asked: pb::Workers) -> Result<Workers, Status> {
    match asked.count {
        Some(workers::Count::Fixed(count)) => Ok(Workers::Fixed(count)),
        Some(workers::Count::Auto(_)) => Ok(Workers::Auto),
        None => Err(status_code::bad_argument("workers: name a number or auto")),
    }
}

fn span(span: Span) -> pb::LedgerRange {
    pb::LedgerRange { first: span.first, last: span.last }
}

fn range(range: LedgerRange) -> pb::LedgerRange {
    span(range.into())
}

const fn time(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

fn job(view: &JobView) -> pb::BackfillJob {
    let (record, activity) = (&view.record, &view.activity);
    let wanted = record.wanted().count();
    let parked = record.parked().count();
    let left = wanted.saturating_sub(view.stored).saturating_sub(parked);
    let rate = activity.ledgers_per_second;
    let is_running = record.state == JobState::Running;
    let remaining = (is_running && rate > 0.0)
        .then(|| Duration::try_from_secs_f64(left as f64 / rate).ok().and_then(duration))
        .flatten();
    let count = match record.workers {
        Workers::Fixed(count) => workers::Count::Fixed(count),
        Workers::Auto => workers::Count::Auto(workers::Auto {}),
    };
    pb::BackfillJob {
        id: record.id,
        network: record.network.clone(),
        wanted: record.wanted.iter().copied().map(span).collect(),
        state: state(record.state).into(),
        reason: if record.reason.is_empty() { activity.waits_for.clone() } else { record.reason.clone() },
        workers: Some(pb::Workers { count: Some(count) }),
        active_workers: activity.workers,
        ledgers_wanted: wanted,
        ledgers_stored: view.stored,
        ledgers_parked: parked,
        parked: record
            .parked
            .iter()
            .map(|parked| pb::ParkedChunk {
                range: Some(span(parked.range)),
                reason: parked.reason.clone(),
                evidence: parked.evidence.clone().unwrap_or_default(),
                at: Some(time(parked.at)),
            })
            .collect(),
        active: activity
            .active
            .iter()
            .map(|(ledgers, done, retrying)| pb::ActiveChunk {
                range: Some(range(*ledgers)),
                done: *done,
                retrying: retrying.clone(),
            })
            .collect(),
        ledgers_per_second: rate,
        remaining,
        created_at: Some(time(record.created_at)),
        ended_at: record.ended_at.map(time),
        history: record
            .history
            .iter()
            .map(|event| pb::JobEvent { at: Some(time(event.at)), what: event.what.clone() })
            .collect(),
        limited_by: activity.limited_by.to_owned(),
        bytes_written: activity.bytes_written,
    }
}

const fn state(state: JobState) -> pb::BackfillState {
    match state {
        JobState::Running => pb::BackfillState::Running,
        JobState::Paused => pb::BackfillState::Paused,
        JobState::Finished => pb::BackfillState::Finished,
        JobState::Cancelled => pb::BackfillState::Cancelled,
        JobState::Stopped => pb::BackfillState::Stopped,
    }
}

fn plan_of(plan: &Plan) -> pb::BackfillPlan {
    pb::BackfillPlan {
        network: plan.network.clone(),
        missing: plan.missing.iter().copied().map(range).collect(),
        ledgers: plan.ledgers,
        stored: plan.stored,
        chunks: plan.chunks,
        objects: plan.objects,
        fetch_bytes: plan.fetch_bytes,
        xdr_bytes: plan.xdr_bytes,
        rows: plan.rows,
        disk_bytes: plan.disk_bytes,
        disk_free_bytes: plan.disk_free_bytes,
        times: plan
            .times
            .iter()
            .map(|(workers, time)| pb::PlanTime { workers: *workers, time: duration(*time) })
            .collect(),
        cost_usd: plan.cost,
        sampled_ledgers: plan.sampled,
    }
}

fn gaps(view: &GapView) -> pb::NetworkGaps {
    pb::NetworkGaps {
        network: view.network.clone(),
        first: view.ends.map(|(first, _)| first.get()),
        last: view.ends.map(|(_, last)| last.get()),
        gaps: view
            .gaps
            .iter()
            .map(|gap| pb::Gap {
                range: Some(range(gap.range)),
                reason: gap.reason.clone(),
                damaged: gap.damaged,
            })
            .collect(),
    }
}
