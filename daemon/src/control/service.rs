//! `lake.v1.ControlService`: status and health.

use std::{pin::Pin, sync::Arc};

use futures::Stream;
use lake_proto::v1::{
    GetHealthRequest, GetHealthResponse, GetStatusRequest, GetStatusResponse, WatchStatusRequest,
    WatchStatusResponse, control_service_server::ControlService,
};
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{status_code, ticks, translate};
use crate::status::StatusSource;

/// Answers from a [`StatusSource`].
pub(super) struct Control {
    status: Arc<dyn StatusSource>,
    shutdown: CancellationToken,
}

impl Control {
    pub(super) fn new(status: Arc<dyn StatusSource>, shutdown: CancellationToken) -> Self {
        Self { status, shutdown }
    }
}

/// A running `WatchStatus`. Each status is taken when the transport asks for it, so nothing piles up.
struct Watch {
    status: Arc<dyn StatusSource>,
    ticks: Interval,
    shutdown: CancellationToken,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<WatchStatusResponse, Status>, Option<Self>)> {
        tokio::select! {
            () = self.shutdown.cancelled() => Some((Err(status_code::stopping()), None)),
            _ = self.ticks.tick() => {
                let status = Some(translate::status(&self.status.status()));
                Some((Ok(WatchStatusResponse { status }), Some(self)))
            }
        }
    }
}

#[tonic::async_trait]
impl ControlService for Control {
    type WatchStatusStream = Pin<Box<dyn Stream<Item = Result<WatchStatusResponse, Status>> + Send>>;

    async fn get_status(
        &self,
        _request: Request<GetStatusRequest>,
    ) -> Result<Response<GetStatusResponse>, Status> {
        let status = Some(translate::status(&self.status.status()));
        Ok(Response::new(GetStatusResponse { status }))
    }

    async fn watch_status(
        &self,
        request: Request<WatchStatusRequest>,
    ) -> Result<Response<Self::WatchStatusStream>, Status> {
        let ticks = ticks::ticks(request.into_inner().interval)?;
        let watch = Watch { status: self.status.clone(), ticks, shutdown: self.shutdown.clone() };
        let stream = futures::stream::unfold(Some(watch), |watch| async { watch?.next().await });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get_health(
        &self,
        request: Request<GetHealthRequest>,
    ) -> Result<Response<GetHealthResponse>, Status> {
        let asked = request.into_inner().network;
        let status = self.status.status();
        let networks: Vec<_> = status
            .networks
            .iter()
            .filter(|network| asked.is_empty() || network.name == asked)
            .map(translate::health)
            .collect();
        if networks.is_empty() && !asked.is_empty() {
            let names: Vec<String> = status.networks.iter().map(|network| network.name.clone()).collect();
            return Err(status_code::no_such_network(&asked, &names));
        }
        let healthy = networks.iter().all(|network| network.reason.is_empty());
        Ok(Response::new(GetHealthResponse { state: translate::health_state(healthy).into(), networks }))
    }
}
