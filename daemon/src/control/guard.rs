//! What every call passes before its handler: the peer's permission, a place among the running calls, a deadline, and for
//! changing calls a line in the log with who called what.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http_body_util::{BodyExt, Full, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{
    Status,
    body::Body,
    codegen::{
        Bytes, Service,
        http::{Request, Response},
    },
};
use tower::Layer;

use super::{
    MAX_REQUEST_BYTES,
    access::{Access, Authority, Credentials},
    peer::Peer,
    reason::{Reason, refuse},
    rpcs::{self, Permission, Rpc},
};

/// Calls of all peers that run at once, streams included.
const CALLS: usize = 256;
/// Those of them that others than root and the daemon's user may run.
const OTHERS_CALLS: usize = 192;
/// The frame before a message: whether it is compressed, and its length (gRPC over HTTP/2, "Length-Prefixed-Message").
const FRAME_BYTES: usize = 5;

/// Guards all services of a server.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    authority: Arc<Authority>,
    calls: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Gate {
    pub(super) fn new(authority: Arc<Authority>) -> Self {
        let (calls, others) = (Semaphore::new(CALLS), Semaphore::new(OTHERS_CALLS));
        Self { authority, calls: Arc::new(calls), others: Arc::new(others) }
    }

    /// Lets a request pass, with the places that it takes, or says why not.
    async fn admit(
        &self,
        rpc: &'static Rpc,
        request: Request<Body>,
    ) -> Result<(Request<Body>, Vec<OwnedSemaphorePermit>), Status> {
        let unknown = || refuse(Reason::UnknownPeer, "the system does not tell who calls");
        let peer = request.extensions().get::<Peer>().cloned().ok_or_else(unknown)?;
        let credentials = peer.credentials.ok_or_else(unknown)?;
        let access = self.authority.access(credentials).await.map_err(|error| {
            tracing::warn!(uid = credentials.uid, error = %error, "the user database cannot be read");
            refuse(
                Reason::UserDatabase,
                format!("the groups of user {} cannot be read: {error}", credentials.uid),
            )
        })?;
        if access.granted < Some(rpc.permission) {
            tracing::debug!(
                uid = credentials.uid,
                gid = credentials.gid,
                rpc = rpc.path,
                "a call was refused"
            );
            return Err(self.denied(rpc, credentials, &access));
        }
        peer.trust();
        let places = self.places(credentials.uid)?;
        match rpc.permission {
            Permission::Read => Ok((request, places)),
            Permission::Change => Ok((logged(rpc, &peer, credentials, request).await?, places)),
        }
    }

    fn places(&self, uid: u32) -> Result<Vec<OwnedSemaphorePermit>, Status> {
        let wanted =
            if self.authority.is_owner(uid) { vec![&self.calls] } else { vec![&self.others, &self.calls] };
        wanted
            .into_iter()
            .map(|places| Arc::clone(places).try_acquire_owned())
            .collect::<Result<_, _>>()
            .map_err(|_full| refuse(Reason::TooManyCalls, "too many calls are running"))
    }

    /// The refusal names the groups that would help, or says that they are not there.
    fn denied(&self, rpc: &Rpc, peer: Credentials, access: &Access) -> Status {
        use super::access::{ADMIN_GROUP, READ_GROUP};
        let (what, groups): (_, &[(&str, bool)]) = match rpc.permission {
            Permission::Read => {
                ("look or query", &[(READ_GROUP, access.read_group), (ADMIN_GROUP, access.admin_group)])
            }
            Permission::Change => ("change anything", &[(ADMIN_GROUP, access.admin_group)]),
        };
        let who = if access.name == peer.uid.to_string() {
            format!("user {}", peer.uid)
        } else {
            format!("user {} (uid {})", access.name, peer.uid)
        };
        let names: Vec<&str> = groups.iter().map(|(name, _)| *name).collect();
        let names = names.join(" or ");
        let own = self.authority.own();
        if groups.iter().any(|(_, exists)| *exists) {
            refuse(Reason::NotInGroup, format!("{who} may not {what}: not a member of {names}"))
        } else {
            refuse(
                Reason::NoGroup,
                format!(
                    "{who} may not {what}: there is no group {names} on this machine, so only root and uid {own} may"
                ),
            )
        }
    }
}

/// Logs a changing call with its arguments, which are read for that and handed on.
async fn logged(
    rpc: &Rpc,
    peer: &Peer,
    credentials: Credentials,
    request: Request<Body>,
) -> Result<Request<Body>, Status> {
    let (head, body) = request.into_parts();
    let bytes = Limited::new(body, MAX_REQUEST_BYTES + FRAME_BYTES)
        .collect()
        .await
        .map_err(|error| refuse(Reason::BadRequest, format!("the request cannot be read: {error}")))?
        .to_bytes();
    let arguments = match bytes.get(FRAME_BYTES..).map(rpc.arguments) {
        Some(Ok(arguments)) => arguments,
        Some(Err(_)) | None => {
            return Err(refuse(Reason::BadRequest, "the request is not the message it should be"));
        }
    };
    tracing::info!(
        rpc = rpc.path,
        uid = credentials.uid,
        gid = credentials.gid,
        pid = peer.pid,
        arguments,
        "a changing call"
    );
    Ok(Request::from_parts(head, Body::new(Full::new(bytes))))
}

impl<S> Layer<S> for Gate {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { gate: self.clone(), inner }
    }
}

/// The services behind a [`Gate`].
#[derive(Clone, Debug)]
pub(super) struct Guard<S> {
    gate: Gate,
    inner: S,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        // The one that is ready is called; the clone takes its place.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let gate = self.gate.clone();
        Box::pin(async move {
            // Not asked who it is: what is not in the list is served to nobody.
            let Some(rpc) = rpcs::find(request.uri().path()) else {
                let path = request.uri().path();
                return Ok(refuse(Reason::UnknownCall, format!("there is no call {path}")).into_http());
            };
            let answer = async {
                match gate.admit(rpc, request).await {
                    Ok((request, places)) => Ok(holding(inner.call(request).await?, places)),
                    Err(refusal) => Ok(refusal.into_http()),
                }
            };
            match tokio::time::timeout(rpc.deadline, answer).await {
                Ok(answer) => answer,
                Err(_) => {
                    let limit = rpc.deadline.as_secs();
                    Ok(refuse(Reason::Deadline, format!("no answer within {limit} s")).into_http())
                }
            }
        })
    }
}

/// An answer that keeps its places until all of it is sent or given up.
fn holding(answer: Response<Body>, places: Vec<OwnedSemaphorePermit>) -> Response<Body> {
    answer.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _held: &[OwnedSemaphorePermit] = &places;
            frame.map_data(|data: Bytes| data)
        }))
    })
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
