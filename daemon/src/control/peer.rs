//! Connections and who is at their other end. All may connect, so a connection is cheap to refuse: there are few of them
//! for others than the owners, and one on which nothing permitted was called ends soon.

use std::{
    future::ready,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::Connected;

use super::access::{Authority, Credentials};

/// Connections of all peers.
const CONNECTIONS: usize = 256;
/// Those of them that others than root and the daemon's user may hold.
const OTHERS_CONNECTIONS: usize = 128;
/// Life of a connection without a permitted call.
const PROBATION: Duration = Duration::from_secs(10);

/// Who is at the other end of a connection; an extension of each of its requests.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// User and primary group; `None` when the kernel does not tell.
    pub(super) credentials: Option<Credentials>,
    /// Process.
    pub(super) pid: Option<i32>,
    /// Whether something permitted was called.
    trusted: Arc<AtomicBool>,
}

impl Peer {
    fn new(stream: &UnixStream) -> Self {
        let told = stream.peer_cred().ok();
        Self {
            credentials: told.map(|told| Credentials { uid: told.uid(), gid: told.gid() }),
            pid: told.and_then(|told| told.pid()),
            trusted: Arc::default(),
        }
    }

    /// A peer with these credentials.
    #[cfg(test)]
    pub(super) fn of(uid: u32, gid: u32) -> Self {
        Self { credentials: Some(Credentials { uid, gid }), pid: Some(1), trusted: Arc::default() }
    }

    /// Lets the connection live on.
    pub(super) fn trust(&self) {
        self.trusted.store(true, Ordering::Relaxed);
    }

    /// Whether it was let live on.
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Relaxed)
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct PeerStream {
    stream: UnixStream,
    peer: Peer,
    probation: Option<Pin<Box<Sleep>>>,
    _places: Vec<OwnedSemaphorePermit>,
}

/// The connections of a socket, within their limits. One too many is closed at once.
pub(super) fn connections(
    listener: UnixListener,
    authority: Arc<Authority>,
) -> impl Stream<Item = io::Result<PeerStream>> {
    let all = Arc::new(Semaphore::new(CONNECTIONS));
    let others = Arc::new(Semaphore::new(OTHERS_CONNECTIONS));
    UnixListenerStream::new(listener).filter_map(move |stream| {
        ready(match stream {
            Ok(stream) => {
                let peer = Peer::new(&stream);
                let is_owner = peer.credentials.is_some_and(|peer| authority.is_owner(peer.uid));
                let wanted = if is_owner { vec![&all] } else { vec![&others, &all] };
                let places: Result<Vec<_>, _> =
                    wanted.into_iter().map(|places| Arc::clone(places).try_acquire_owned()).collect();
                match places {
                    Ok(places) => Some(Ok(PeerStream::new(stream, peer, places))),
                    Err(_) => {
                        tracing::debug!(peer = ?peer.credentials, "one connection too many was closed");
                        None
                    }
                }
            }
            Err(error) => Some(Err(error)),
        })
    })
}

impl PeerStream {
    fn new(stream: UnixStream, peer: Peer, places: Vec<OwnedSemaphorePermit>) -> Self {
        let probation = Some(Box::pin(tokio::time::sleep(PROBATION)));
        Self { stream, peer, probation, _places: places }
    }
}

impl Connected for PeerStream {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(probation) = &mut self.probation
            && probation.as_mut().poll(cx).is_ready()
        {
            if !self.peer.is_trusted() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.probation = None;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::access::SystemUsers;
    use nix::unistd::Uid;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// The connections of a socket whose daemon has this uid.
    fn listening(own: u32) -> (tempfile::TempDir, Pin<Box<dyn Stream<Item = io::Result<PeerStream>>>>) {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s")).unwrap();
        let authority = Arc::new(Authority::new(own, Arc::new(SystemUsers)));
        (directory, Box::pin(connections(listener, authority)))
    }

    #[tokio::test]
    async fn the_kernel_tells_who_connects() {
        let (directory, mut connections) = listening(0);
        let _client = UnixStream::connect(directory.path().join("s")).await.unwrap();
        let peer = connections.next().await.unwrap().unwrap().connect_info();
        assert_eq!(peer.credentials.unwrap().uid, Uid::effective().as_raw());
        assert_eq!(peer.pid, i32::try_from(std::process::id()).ok());
    }

    #[tokio::test]
    async fn one_connection_too_many_is_closed_and_a_free_place_is_used_again() {
        let (directory, mut connections) = listening(Uid::effective().as_raw());
        let path = directory.path().join("s");
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = UnixStream::connect(&path).await.unwrap();
            held.push((client, connections.next().await.unwrap().unwrap()));
        }
        let mut refused = UnixStream::connect(&path).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(50), connections.next()).await;
        assert!(waiting.is_err(), "the one too many is not handed on");
        assert_eq!(refused.read(&mut [0; 8]).await.unwrap(), 0, "it is closed");
        held.pop();
        let _client = UnixStream::connect(&path).await.unwrap();
        connections.next().await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_permitted_call_ends() {
        let (directory, mut connections) = listening(0);
        let mut client = UnixStream::connect(directory.path().join("s")).await.unwrap();
        let mut served = connections.next().await.unwrap().unwrap();
        client.write_all(b"garbage!").await.unwrap();
        served.read_exact(&mut [0; 8]).await.unwrap();
        let error = served.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_a_permitted_call_lives_on() {
        let (directory, mut connections) = listening(0);
        let mut client = UnixStream::connect(directory.path().join("s")).await.unwrap();
        let mut served = connections.next().await.unwrap().unwrap();
        served.connect_info().trust();
        let quiet = tokio::time::timeout(PROBATION * 2, served.read(&mut [0; 8])).await;
        assert!(quiet.is_err(), "{quiet:?}");
        client.write_all(b"still on").await.unwrap();
        served.read_exact(&mut [0; 8]).await.unwrap();
    }
}
