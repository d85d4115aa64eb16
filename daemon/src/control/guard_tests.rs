#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use std::{
    io::{self, Write},
    sync::Mutex,
};

use lake_proto::v1 as pb;
use prost::Message;
use tonic::Code;
use tonic_types::StatusExt;

use super::*;
use crate::control::access::tests::{Book, book, without_groups};

const OWN: u32 = 500;
const ROOT: u32 = 0;
const ADMIN: u32 = 1000;
const READER: u32 = 1001;
const STRANGER: u32 = 1003;
const LOOK: &str = "/lake.v1.ControlService/GetStatus";
const PAUSE: &str = "/lake.v1.BackfillService/PauseBackfill";

/// A service that keeps the bytes that it gets.
#[derive(Clone, Default)]
struct Inner {
    got: Arc<Mutex<Vec<Bytes>>>,
    hangs: bool,
}

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let this = self.clone();
        Box::pin(async move {
            let bytes = request.into_body().collect().await.unwrap().to_bytes();
            this.got.lock().unwrap().push(bytes);
            if this.hangs {
                std::future::pending::<()>().await;
            }
            // Empty answers are over at once, and take no place.
            Ok(Response::new(Body::new(Full::new(Bytes::from_static(b"answer")))))
        })
    }
}

struct Guarded {
    guard: Guard<Inner>,
    inner: Inner,
}

fn guarded_by(book: Book) -> Guarded {
    let inner = Inner::default();
    let gate = Gate::new(Arc::new(Authority::new(OWN, Arc::new(book))));
    Guarded { guard: gate.layer(inner.clone()), inner }
}

fn frame(message: &impl Message) -> Bytes {
    let bytes = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    frame.extend(bytes);
    frame.into()
}

impl Guarded {
    async fn call_as(&mut self, peer: Peer, path: &str, body: Bytes) -> Result<Response<Body>, Status> {
        let mut request = Request::new(Body::new(Full::new(body)));
        *request.uri_mut() = path.parse().unwrap();
        request.extensions_mut().insert(peer);
        let answer = self.guard.call(request).await.unwrap();
        match Status::from_header_map(answer.headers()) {
            Some(status) => Err(status),
            None => Ok(answer),
        }
    }

    async fn call(&mut self, uid: u32, path: &str) -> Result<Response<Body>, Status> {
        self.call_as(Peer::of(uid, uid), path, frame(&pb::PauseBackfillRequest { id: 7 })).await
    }

    fn calls(&self) -> usize {
        self.inner.got.lock().unwrap().len()
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn each_call_is_for_those_that_the_list_names() {
    let mut guarded = guarded_by(book());
    for rpc in rpcs::RPCS {
        let changes = rpc.permission == Permission::Change;
        for (uid, may) in
            [(ROOT, true), (OWN, true), (ADMIN, true), (READER, !changes), (STRANGER, false), (65_534, false)]
        {
            let before = guarded.calls();
            // An empty message is a valid one of every kind.
            let answer = guarded.call_as(Peer::of(uid, uid), rpc.path, frame(&())).await;
            assert_eq!(answer.is_ok(), may, "{} by {uid}: {answer:?}", rpc.path);
            assert_eq!(guarded.calls() - before, usize::from(may), "{} by {uid}", rpc.path);
        }
    }
}

#[tokio::test]
async fn a_refusal_names_the_user_and_the_group() {
    let mut guarded = guarded_by(book());
    let status = guarded.call(READER, PAUSE).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "NOT_IN_GROUP"));
    assert_eq!(status.message(), "user ron (uid 1001) may not change anything: not a member of lake-admin");
    let status = guarded.call(STRANGER, LOOK).await.unwrap_err();
    assert_eq!(
        status.message(),
        "user eve (uid 1003) may not look or query: not a member of lake-read or lake-admin"
    );
    let status = guarded.call(77, LOOK).await.unwrap_err();
    assert!(status.message().starts_with("user 77 may not"), "{}", status.message());
}

#[tokio::test]
async fn without_the_groups_the_refusal_says_so() {
    let mut guarded = guarded_by(without_groups());
    let status = guarded.call(ADMIN, PAUSE).await.unwrap_err();
    assert_eq!(reason(&status), "NO_GROUP");
    assert_eq!(
        status.message(),
        "user ann (uid 1000) may not change anything: there is no group lake-admin on this machine, \
         so only root and uid 500 may"
    );
    guarded.call(OWN, PAUSE).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_looked_up_is_not_let_in() {
    let mut guarded = guarded_by(book());
    let status = guarded.call(666, LOOK).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "USER_DATABASE"));
    let mut nobody = Peer::of(0, 0);
    nobody.credentials = None;
    let status = guarded.call_as(nobody, LOOK, frame(&())).await.unwrap_err();
    assert_eq!(reason(&status), "UNKNOWN_PEER");
    assert_eq!(guarded.calls(), 0);
}

#[tokio::test]
async fn a_call_that_is_not_listed_is_served_to_nobody() {
    let mut guarded = guarded_by(book());
    for path in ["/lake.v1.ControlService/Forgotten", "/", "/lake.v1.ControlService/GetStatus/"] {
        let status = guarded.call(ROOT, path).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "UNKNOWN_CALL"));
    }
    assert_eq!(guarded.calls(), 0);
}

#[tokio::test]
async fn only_a_permitted_call_lets_a_connection_live() {
    let mut guarded = guarded_by(book());
    for (uid, path, lives) in [(STRANGER, LOOK, false), (READER, PAUSE, false), (READER, LOOK, true)] {
        let peer = Peer::of(uid, uid);
        drop(guarded.call_as(peer.clone(), path, frame(&())).await);
        assert_eq!(peer.is_trusted(), lives, "{uid} {path}");
    }
}

/// A log that is read by the test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_changing_call_is_logged_with_who_and_what_and_its_bytes_are_handed_on() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let mut guarded = guarded_by(book());
    guarded.call(ADMIN, PAUSE).await.unwrap();
    guarded.call(ADMIN, LOOK).await.unwrap();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "looking is not logged: {text}");
    let fields = &lines.first().unwrap()["fields"];
    assert_eq!(fields["rpc"], PAUSE);
    assert_eq!((fields["uid"].as_u64(), fields["gid"].as_u64()), (Some(1000), Some(1000)));
    assert_eq!(fields["pid"], 1);
    assert_eq!(fields["arguments"], "PauseBackfillRequest { id: 7 }");
    let sent = frame(&pb::PauseBackfillRequest { id: 7 });
    assert_eq!(*guarded.inner.got.lock().unwrap(), [sent.clone(), sent]);
}

#[tokio::test]
async fn a_changing_call_that_cannot_be_told_is_not_made() {
    let mut guarded = guarded_by(book());
    let torn = Bytes::from_static(&[0, 0, 0, 0, 9, 0xff]);
    for body in [torn, Bytes::new(), vec![0; MAX_REQUEST_BYTES + FRAME_BYTES + 1].into()] {
        let status = guarded.call_as(Peer::of(ROOT, ROOT), PAUSE, body).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "BAD_REQUEST"));
    }
    assert_eq!(guarded.calls(), 0);
}

#[tokio::test]
async fn calls_have_places_and_some_are_kept_for_the_owners() {
    let mut guarded = guarded_by(book());
    let mut running = Vec::new();
    for _ in 0..OTHERS_CALLS {
        running.push(guarded.call(READER, LOOK).await.unwrap());
    }
    let status = guarded.call(ADMIN, LOOK).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "TOO_MANY_CALLS"));
    for _ in OTHERS_CALLS..CALLS {
        running.push(guarded.call(ROOT, LOOK).await.unwrap());
    }
    assert_eq!(reason(&guarded.call(ROOT, LOOK).await.unwrap_err()), "TOO_MANY_CALLS");
    // A place is free again when an answer is given up.
    running.swap_remove(0);
    guarded.call(READER, LOOK).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_given_up() {
    let mut guarded = guarded_by(book());
    guarded.guard.inner.hangs = true;
    let status = guarded.call(READER, LOOK).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE"));
    assert_eq!(status.message(), "no answer within 10 s");
    guarded.guard.inner.hangs = false;
    guarded.call(READER, LOOK).await.unwrap();
}
