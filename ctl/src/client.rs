//! Finds the daemon's socket and connects to it.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use lake_proto::v1::{
    backfill_service_client::BackfillServiceClient, config_service_client::ConfigServiceClient,
    control_service_client::ControlServiceClient, doctor_service_client::DoctorServiceClient,
    event_service_client::EventServiceClient, maintenance_service_client::MaintenanceServiceClient,
    network_service_client::NetworkServiceClient, query_service_client::QueryServiceClient,
    verify_service_client::VerifyServiceClient,
};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use crate::{
    args::Connection,
    exit::{Exit, Failure},
};

/// Where the service listens when systemd runs it.
const SYSTEM_SOCKET: &str = "/run/stellar-lake/control.sock";

/// Below `$XDG_RUNTIME_DIR` for a daemon of the user's own.
const USER_SOCKET: &str = "stellar-lake/control.sock";

/// Longest wait for an answer that should come at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for an answer that has to wait for commits.
const SLOW_TIMEOUT: Duration = Duration::from_secs(130);

/// Longest wait for an answer that the daemon measures a sample of a source for.
const MEASURE_TIMEOUT: Duration = Duration::from_secs(300);

/// Largest message that is read, in bytes: four parts of a query's answer.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// A client of the control service.
pub(crate) async fn control(connection: &Connection) -> Result<ControlServiceClient<Channel>, Failure> {
    let channel = connect(&socket_path(connection)).await?;
    Ok(ControlServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// A client of the query service.
pub(crate) async fn queries(connection: &Connection) -> Result<QueryServiceClient<Channel>, Failure> {
    let channel = connect(&socket_path(connection)).await?;
    Ok(QueryServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// A client of the backfill service.
pub(crate) async fn backfills(connection: &Connection) -> Result<BackfillServiceClient<Channel>, Failure> {
    let channel = connect(&socket_path(connection)).await?;
    Ok(BackfillServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// A client of the network service.
pub(crate) async fn networks(connection: &Connection) -> Result<NetworkServiceClient<Channel>, Failure> {
    let channel = connect(&socket_path(connection)).await?;
    Ok(NetworkServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// A client of the config service.
pub(crate) async fn config(connection: &Connection) -> Result<ConfigServiceClient<Channel>, Failure> {
    let channel = connect(&socket_path(connection)).await?;
    Ok(ConfigServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// A client of the doctor service.
pub(crate) async fn doctor(connection: &Connection) -> Result<DoctorServiceClient<Channel>, Failure> {
    let channel = connect(&socket_path(connection)).await?;
    Ok(DoctorServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// A client of the event service.
pub(crate) async fn events(connection: &Connection) -> Result<EventServiceClient<Channel>, Failure> {
    let channel = connect(&socket_path(connection)).await?;
    Ok(EventServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// A client of the maintenance service.
pub(crate) async fn maintenance(
    connection: &Connection,
) -> Result<MaintenanceServiceClient<Channel>, Failure> {
    let channel = connect(&socket_path(connection)).await?;
    Ok(MaintenanceServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// A client of the verify service.
pub(crate) async fn verifies(connection: &Connection) -> Result<VerifyServiceClient<Channel>, Failure> {
    let channel = connect(&socket_path(connection)).await?;
    Ok(VerifyServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// Waits for a quick answer.
pub(crate) async fn answer<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, Failure> {
    answer_within(ANSWER_TIMEOUT, call).await
}

/// Waits for an answer that has to wait for commits.
pub(crate) async fn slow_answer<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, Failure> {
    answer_within(SLOW_TIMEOUT, call).await
}

/// Waits for an answer that the daemon has to measure something for.
pub(crate) async fn measured_answer<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, Failure> {
    answer_within(MEASURE_TIMEOUT, call).await
}

async fn answer_within<T>(
    limit: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(Failure::rpc(&status)),
        Err(_elapsed) => Err(Failure::new(
            Exit::Unavailable,
            format!("the daemon did not answer within {} s", limit.as_secs()),
        )
        .hint("it may hang: see its log")),
    }
}

/// The socket that was asked for, or the first of the usual ones that exists.
fn socket_path(connection: &Connection) -> PathBuf {
    if let Some(path) = &connection.socket {
        return path.clone();
    }
    let system = PathBuf::from(SYSTEM_SOCKET);
    let user = std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|directory| !directory.is_empty())
        .map(|directory| Path::new(&directory).join(USER_SOCKET));
    match user {
        Some(user) if !system.exists() => user,
        Some(_) | None => system,
    }
}

async fn connect(path: &Path) -> Result<Channel, Failure> {
    let socket = path.to_owned();
    let connector = tower::service_fn(move |_uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    // The name is never looked up: the connector above is the whole way.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .map_err(|error| unreachable(path, &error))
}

fn unreachable(path: &Path, error: &(dyn Error + 'static)) -> Failure {
    let mut cause = Some(error);
    let mut reason = None;
    while let Some(error) = cause {
        reason = error.downcast_ref::<io::Error>().or(reason);
        cause = error.source();
    }
    let kind = reason.map(io::Error::kind);
    let message = format!("cannot reach the daemon at {}", path.display());
    let because = reason.map_or_else(|| error.to_string(), io::Error::to_string);
    if kind == Some(io::ErrorKind::PermissionDenied) {
        return Failure::new(Exit::Permission, message)
            .because(because)
            .hint("the folders above the socket must let you pass: run lakectl as the daemon's user, or name another socket");
    }
    let hint = match kind {
        Some(io::ErrorKind::NotFound) => {
            "start the daemon, or name its socket with --socket or LAKECTL_SOCKET"
        }
        _ => "check that the daemon runs",
    };
    Failure::new(Exit::Unavailable, message).because(because).hint(hint)
}
