//! The endpoint that a Prometheus scrapes: `GET /metrics` by HTTP/1.1 on loopback or on a Unix socket, nothing else.

use std::{convert::Infallible, fmt, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use super::{FiguresSource, Recent, text};
use crate::{
    config::MetricsAddress,
    control::{ControlError, ControlSocket, SocketFile},
};

/// Connections at once; a scraper needs one.
const CONNECTIONS: usize = 16;
/// Longest life of a connection: who has not read the answer by then is not going to.
const LIFE: Duration = Duration::from_secs(10);
/// Mode of a Unix socket: the daemon's user and group.
const MODE: u32 = 0o660;

/// Why nothing is listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address cannot be had.
    #[error("metrics.listen: cannot listen on {address}: {error}")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The Unix socket cannot be had.
    #[error("metrics.listen: {0}")]
    Unix(#[from] ControlError),
}

enum Socket {
    Tcp(TcpListener),
    /// The file is removed in the end.
    Unix(UnixListener, Option<SocketFile>),
}

/// The bound endpoint.
pub struct Listener {
    socket: Socket,
    place: String,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Listener {
    /// Binds the address.
    ///
    /// # Errors
    /// [`ListenError`].
    pub async fn bind(address: &MetricsAddress) -> Result<Self, ListenError> {
        match address {
            MetricsAddress::Tcp(address) => {
                let failed = |error| ListenError::Tcp { address: *address, error };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let place = format!("http://{}/metrics", listener.local_addr().map_err(failed)?);
                Ok(Self { socket: Socket::Tcp(listener), place })
            }
            MetricsAddress::Unix(path) => {
                let path: PathBuf = path.clone();
                let (listener, file) = ControlSocket::bind_as(&path, MODE).await?.into_parts();
                Ok(Self { socket: Socket::Unix(listener, file), place: format!("unix:{}", path.display()) })
            }
        }
    }

    /// Where it listens, in words.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Answers until `stop`.
    pub async fn serve(self, source: Arc<dyn FiguresSource>, stop: CancellationToken) {
        let recent = Arc::new(Recent::new(source));
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepted = stop.run_until_cancelled(self.accept()).await;
            let Some(accepted) = accepted else { return };
            let connection = match accepted {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::warn!(error = %error, "a connection for metrics was not accepted");
                    // Too many open files pass; asking at once would only burn the CPU.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let (recent, stop) = (Arc::clone(&recent), stop.clone());
            tokio::spawn(async move {
                let _place = place;
                let answered = tokio::time::timeout(LIFE, answer(connection, recent));
                // A scraper that goes away or is too slow asks again; there is nothing to tell.
                if let Some(Ok(Err(error))) = stop.run_until_cancelled(answered).await {
                    tracing::debug!(error = %error, "a connection for metrics failed");
                }
            });
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Connection>> {
        match &self.socket {
            Socket::Tcp(listener) => Ok(Box::new(listener.accept().await?.0)),
            Socket::Unix(listener, _file) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// What can be spoken over.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

async fn answer(connection: Box<dyn Connection>, recent: Arc<Recent>) -> hyper::Result<()> {
    let respond = service_fn(move |request: Request<Incoming>| {
        let response = respond(&request, &recent);
        async move { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(connection), respond).await
}

fn respond(request: &Request<Incoming>, recent: &Recent) -> Response<Full<Bytes>> {
    let plain = |status, kind: &'static str, text: String| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response.headers_mut().insert(
            CONTENT_TYPE,
            kind.parse().unwrap_or(hyper::header::HeaderValue::from_static("text/plain")),
        );
        response
    };
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "text/plain", "the metrics are at /metrics\n".to_owned());
    }
    match *request.method() {
        Method::GET | Method::HEAD => plain(StatusCode::OK, text::CONTENT_TYPE, text::expose(&recent.get())),
        _ => {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n".to_owned());
            refused.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
            refused
        }
    }
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
