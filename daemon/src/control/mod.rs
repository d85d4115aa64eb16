//! The control plane: gRPC `lake.v1` on a Unix socket.
//!
//! Thin translation only: `status` knows the daemon, `query` knows SQL, this knows the proto and the socket.
//! Nothing but a Unix socket is ever listened on.

mod access;
mod backfill_service;
mod config_service;
mod doctor_service;
mod error;
mod event_service;
mod guard;
mod inherited;
mod maintenance_service;
mod network_service;
mod peer;
mod query_service;
mod reason;
mod rpcs;
mod service;
mod socket;
mod standard;
mod status_code;
mod ticks;
mod translate;
mod verify_service;

use std::{path::Path, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use lake_proto::v1::{
    backfill_service_server::BackfillServiceServer, config_service_server::ConfigServiceServer,
    control_service_server::ControlServiceServer, doctor_service_server::DoctorServiceServer,
    event_service_server::EventServiceServer, maintenance_service_server::MaintenanceServiceServer,
    network_service_server::NetworkServiceServer, query_service_server::QueryServiceServer,
    verify_service_server::VerifyServiceServer,
};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::pb::health_server::HealthServer;

use crate::{
    backfill::Backfill, feed::Feed, lake::Lake, networks::Networks, query::QueryExecutor, reload::Reloader,
    status::StatusSource, verify::Verifier,
};
use access::Authority;
use backfill_service::Backfills;
use config_service::ConfigCalls;
use doctor_service::DoctorCalls;
use event_service::Events;
use guard::Gate;
use maintenance_service::Maintains;
use network_service::NetworkCalls;
use peer::PeerStream;
use query_service::Queries;
use service::Control;
use standard::Healths;
use verify_service::Verifies;

pub use error::ControlError;
pub use inherited::InheritedSocket;
pub use socket::ControlSocket;
pub(crate) use socket::SocketFile;

/// Largest request that is read, in bytes: a statement and some air.
const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// Longest wait for open connections once the daemon stops.
const GRACE: Duration = Duration::from_secs(3);

/// How long after the last accepted connection its first call may come.
const SETTLING: Duration = Duration::from_millis(200);

/// Calls that one connection may have open at once.
const CALLS_PER_CONNECTION: u32 = 32;

/// What is served beside status and queries.
#[derive(Debug, Default)]
pub struct Served {
    /// Fills the lake.
    pub backfill: Option<Arc<Backfill>>,
    /// Proves it.
    pub verifier: Option<Arc<Verifier>>,
    /// Its networks.
    pub networks: Option<Arc<Networks>>,
    /// What happens.
    pub feed: Option<Arc<Feed>>,
    /// The lake, for its maintenance.
    pub lake: Option<Arc<Lake>>,
    /// Its configuration.
    pub reloader: Option<Arc<Reloader>>,
}

/// Binds a socket at `path` and serves until `shutdown`; see [`ControlSocket::bind`] and [`serve_on`].
///
/// # Errors
/// Every [`ControlError`].
pub async fn serve(
    path: &Path,
    status: Arc<dyn StatusSource>,
    query: Option<QueryExecutor>,
    shutdown: CancellationToken,
) -> Result<(), ControlError> {
    serve_on(ControlSocket::bind(path).await?, status, query, Served::default(), shutdown).await
}

/// Serves on a bound socket until `shutdown`, then ends open streams with UNAVAILABLE, stops running queries,
/// waits for the calls to end (not for ever: a client may never end its own) and removes the socket file. Calls of
/// what is `None` answer UNAVAILABLE.
///
/// # Errors
/// [`ControlError::Serve`].
pub async fn serve_on(
    socket: ControlSocket,
    status: Arc<dyn StatusSource>,
    query: Option<QueryExecutor>,
    served: Served,
    shutdown: CancellationToken,
) -> Result<(), ControlError> {
    let (listener, file) = socket.into_parts();
    let place = file.as_ref().map_or_else(|| "the inherited socket".into(), |file| file.path().to_owned());
    let undescribed = |error| ControlError::Describe { path: place.clone(), source: error };
    let reflection = standard::described().build_v1().map_err(undescribed)?;
    let older_reflection = standard::described().build_v1alpha().map_err(undescribed)?;
    let health = HealthServer::new(Healths::new(status.clone(), shutdown.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let control = ControlServiceServer::new(Control::new(status, shutdown.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let queries = QueryServiceServer::new(Queries::new(query, shutdown.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let backfills = BackfillServiceServer::new(Backfills::new(served.backfill, shutdown.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let verifies = VerifyServiceServer::new(Verifies::new(served.verifier, shutdown.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let networks = NetworkServiceServer::new(NetworkCalls::new(served.networks))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let doctor = DoctorServiceServer::new(DoctorCalls::new(served.reloader.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let config = ConfigServiceServer::new(ConfigCalls::new(served.reloader))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let events = EventServiceServer::new(Events::new(served.feed, shutdown.clone()))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let maintenance = MaintenanceServiceServer::new(Maintains::new(served.lake))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let authority = Arc::new(Authority::system());
    let serving = Server::builder()
        .layer(Gate::new(authority.clone()))
        .max_concurrent_streams(CALLS_PER_CONNECTION)
        .add_service(control)
        .add_service(queries)
        .add_service(backfills)
        .add_service(verifies)
        .add_service(networks)
        .add_service(config)
        .add_service(doctor)
        .add_service(events)
        .add_service(maintenance)
        .add_service(health)
        .add_service(reflection)
        .add_service(older_reflection)
        .serve_with_incoming_shutdown(
            accepted(listener, authority, shutdown.clone()),
            settled(shutdown.clone()),
        );
    let given_up = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let served = tokio::select! {
        served = serving => served,
        () = given_up => {
            tracing::warn!("control connections were still open when the daemon stopped");
            Ok(())
        }
    };
    drop(file);
    served.map_err(|source| ControlError::Serve { path: place, source })
}

/// Connections until `shutdown`. Those that come later wait in the socket, for the next process if it is inherited.
fn accepted(
    listener: UnixListener,
    authority: Arc<Authority>,
    shutdown: CancellationToken,
) -> impl Stream<Item = std::io::Result<PeerStream>> {
    peer::connections(listener, authority).take_until(shutdown.cancelled_owned()).chain(stream::pending())
}

/// A moment after `shutdown`: a connection that was accepted in the last instant is served, not cut off in its handshake.
async fn settled(shutdown: CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(SETTLING).await;
}
