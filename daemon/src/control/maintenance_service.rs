//! `lake.v1.MaintenanceService`: what maintenance did, and doing it now.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use lake_proto::v1::{self as pb, maintenance_service_server::MaintenanceService};
use tonic::{Request, Response, Status};

use super::status_code;
use crate::lake::{Lake, MaintenanceStats};

/// How often a run that was asked for is looked at.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers from a [`Lake`].
pub(super) struct Maintains {
    lake: Option<Arc<Lake>>,
}

impl Maintains {
    pub(super) fn new(lake: Option<Arc<Lake>>) -> Self {
        Self { lake }
    }

    fn lake(&self) -> Result<Arc<Lake>, Status> {
        self.lake.clone().ok_or_else(status_code::no_maintenance)
    }
}

/// What was done after `before`.
fn work(before: &MaintenanceStats, now: &MaintenanceStats) -> pb::MaintenanceWork {
    let since = |of: fn(&MaintenanceStats) -> u64| of(now).saturating_sub(of(before));
    pb::MaintenanceWork {
        runs: since(|stats| stats.runs),
        failures: since(|stats| stats.failures),
        merged_files: since(|stats| stats.merged_files),
        created_files: since(|stats| stats.created_files),
        rewritten_bytes: since(|stats| stats.rewritten_bytes),
        expired_snapshots: since(|stats| stats.expired_snapshots),
        deleted_files: since(|stats| stats.deleted_files),
        wal_checkpoints: since(|stats| stats.wal_checkpoints),
    }
}

#[tonic::async_trait]
impl MaintenanceService for Maintains {
    async fn get_maintenance(
        &self,
        _request: Request<pb::GetMaintenanceRequest>,
    ) -> Result<Response<pb::GetMaintenanceResponse>, Status> {
        let lake = self.lake()?;
        let stats = lake.maintenance_stats();
        let wall = |then: Instant| SystemTime::now().checked_sub(then.elapsed());
        Ok(Response::new(pb::GetMaintenanceResponse {
            work: Some(work(&MaintenanceStats::default(), &stats)),
            last_run_at: stats.last_run_at.and_then(wall).map(Into::into),
            last_error: stats.last_error.map(|(_, error)| error).unwrap_or_default(),
            wal_bytes: lake.wal_bytes(),
        }))
    }

    async fn run_maintenance(
        &self,
        _request: Request<pb::RunMaintenanceRequest>,
    ) -> Result<Response<pb::RunMaintenanceResponse>, Status> {
        let lake = self.lake()?;
        let before = lake.maintenance_stats();
        let asked = lake.ask_maintenance();
        let mut now = lake.maintenance_stats();
        while now.answered < asked {
            tokio::time::sleep(PAUSE).await;
            now = lake.maintenance_stats();
        }
        match now.last_error.as_ref().filter(|_| now.failures > before.failures) {
            Some((_, error)) => Err(status_code::maintenance_failed(error)),
            None => Ok(Response::new(pb::RunMaintenanceResponse { work: Some(work(&before, &now)) })),
        }
    }
}
