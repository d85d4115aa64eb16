//! The services that every gRPC tool knows: health (grpc.health.v1) of the daemon and of each network, and reflection (v1, and
//! v1alpha for older tools).

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::Stream;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    FILE_DESCRIPTOR_SET as HEALTH_DESCRIPTORS, HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus, health_server::Health,
};
use tonic_reflection::server::Builder;

use super::{status_code, translate};
use crate::status::StatusSource;

/// How often a watched health is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers from a [`StatusSource`]. The empty name is the daemon with all its networks, the name of a network that network.
#[derive(Clone)]
pub(super) struct Healths {
    status: Arc<dyn StatusSource>,
    shutdown: CancellationToken,
}

impl Healths {
    pub(super) fn new(status: Arc<dyn StatusSource>, shutdown: CancellationToken) -> Self {
        Self { status, shutdown }
    }

    /// `None` for a name that is not known.
    fn serving(&self, name: &str) -> Option<ServingStatus> {
        let networks = self.status.status().networks;
        let mut asked = networks.iter().filter(|network| name.is_empty() || network.name == name).peekable();
        if asked.peek().is_none() && !name.is_empty() {
            return None;
        }
        let healthy = asked.all(|network| translate::health(network).reason.is_empty());
        Some(if healthy { ServingStatus::Serving } else { ServingStatus::NotServing })
    }
}

/// A running `Watch`: tells the state at once, then each change.
struct Watch {
    healths: Healths,
    name: String,
    told: Option<ServingStatus>,
    ticks: Interval,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Option<Self>)> {
        loop {
            tokio::select! {
                () = self.healths.shutdown.cancelled() => return Some((Err(status_code::stopping()), None)),
                _ = self.ticks.tick() => {}
            }
            // A name that is not known yet may be, later (health.proto).
            let now = self.healths.serving(&self.name).unwrap_or(ServingStatus::ServiceUnknown);
            if self.told != Some(now) {
                self.told = Some(now);
                return Some((Ok(HealthCheckResponse { status: now.into() }), Some(self)));
            }
        }
    }
}

#[tonic::async_trait]
impl Health for Healths {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let name = request.into_inner().service;
        let unknown = || {
            let networks = self.status.status().networks;
            let names: Vec<String> = networks.into_iter().map(|network| network.name).collect();
            status_code::no_such_network(&name, &names)
        };
        let status = self.serving(&name).ok_or_else(unknown)?;
        Ok(Response::new(HealthCheckResponse { status: status.into() }))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut ticks = tokio::time::interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watch = Watch { healths: self.clone(), name: request.into_inner().service, told: None, ticks };
        let stream = futures::stream::unfold(Some(watch), |watch| async { watch?.next().await });
        Ok(Response::new(Box::pin(stream)))
    }
}

/// What reflection tells of: our services, health and itself.
pub(super) fn described<'b>() -> Builder<'b> {
    Builder::configure()
        .register_encoded_file_descriptor_set(lake_proto::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(HEALTH_DESCRIPTORS)
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;
    use crate::status::{NetworkState, NetworkStatus, Status as Figures};

    struct Two(std::sync::Mutex<NetworkState>);

    impl StatusSource for Two {
        fn status(&self) -> Figures {
            let mut figures = crate::metrics::fixed();
            let state = self.0.lock().unwrap().clone();
            figures.networks = vec![
                NetworkStatus {
                    name: "good".to_owned(),
                    state: NetworkState::Following,
                    ..NetworkStatus::default()
                },
                NetworkStatus { name: "other".to_owned(), state, ..NetworkStatus::default() },
            ];
            figures
        }
    }

    fn stopped() -> NetworkState {
        NetworkState::Stopped { reason: "no".to_owned() }
    }

    async fn check(healths: &Healths, service: &str) -> Result<i32, tonic::Code> {
        let request = Request::new(HealthCheckRequest { service: service.to_owned() });
        healths.check(request).await.map(|answer| answer.into_inner().status).map_err(|status| status.code())
    }

    #[tokio::test]
    async fn each_network_and_all_of_it_have_a_health() {
        let source = Arc::new(Two(std::sync::Mutex::new(stopped())));
        let healths = Healths::new(source.clone(), CancellationToken::new());
        let (yes, no) = (ServingStatus::Serving.into(), ServingStatus::NotServing.into());
        assert_eq!(check(&healths, "good").await, Ok(yes));
        assert_eq!(check(&healths, "other").await, Ok(no));
        assert_eq!(check(&healths, "").await, Ok(no));
        assert_eq!(check(&healths, "third").await, Err(tonic::Code::NotFound));
        *source.0.lock().unwrap() = NetworkState::Following;
        assert_eq!(check(&healths, "").await, Ok(yes));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watcher_is_told_each_change() {
        let source = Arc::new(Two(std::sync::Mutex::new(stopped())));
        let healths = Healths::new(source.clone(), CancellationToken::new());
        let of = |service: &str| Request::new(HealthCheckRequest { service: service.to_owned() });
        let mut stream = healths.watch(of("other")).await.unwrap().into_inner();
        let mut unknown = healths.watch(of("third")).await.unwrap().into_inner();
        assert_eq!(stream.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        assert_eq!(unknown.next().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
        *source.0.lock().unwrap() = NetworkState::Following;
        assert_eq!(stream.next().await.unwrap().unwrap().status(), ServingStatus::Serving);
        healths.shutdown.cancel();
        assert_eq!(stream.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
    }
}
