//! A backfill service with canned answers on a temporary socket, and the real `lakectl` run against it.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    path::PathBuf,
    pin::Pin,
    process::{Command, Output},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lake_proto::v1::{
    backfill_service_server::{BackfillService, BackfillServiceServer},
    workers::Count,
    *,
};
use prost_types::Timestamp;
use tempfile::TempDir;
use tokio::{net::UnixListener, runtime::Runtime};
use tokio_stream::{Stream, StreamExt, wrappers::UnixListenerStream};
use tonic::{Request, Response, Status};

/// Longest wait for something that should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the service answers and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) networks: Vec<NetworkGaps>,
    pub(crate) jobs: Vec<BackfillJob>,
    pub(crate) plan: Option<BackfillPlan>,
    /// What a watch shows, one after the other; the last one stays when `held`.
    pub(crate) looks: Vec<BackfillJob>,
    /// Whether a watch stays open after the last look.
    pub(crate) held: bool,
    /// Starts of this network are refused.
    pub(crate) busy: String,
    pub(crate) planned: Vec<BackfillTarget>,
    pub(crate) started: Vec<StartBackfillRequest>,
    /// Other calls, in words.
    pub(crate) calls: Vec<String>,
}

#[derive(Debug, Default)]
struct Shared {
    books: Mutex<Books>,
    called: Condvar,
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, words: String) {
        self.books().calls.push(words);
        self.called.notify_all();
    }

    fn job(&self, id: u32) -> Result<BackfillJob, Status> {
        let newest = self.books().jobs.iter().map(|job| job.id).max().unwrap_or_default();
        let id = if id == 0 { newest } else { id };
        let found = self.books().jobs.iter().find(|job| job.id == id).cloned();
        found.ok_or_else(|| Status::not_found(format!("there is no job {id}")))
    }

    fn turn(&self, id: u32, state: BackfillState) -> Result<BackfillJob, Status> {
        let job = self.job(id)?;
        if job.state() == BackfillState::Cancelled {
            return Err(Status::failed_precondition(format!("job {id} is cancelled")));
        }
        self.change(id, |job| job.set_state(state));
        self.job(id)
    }

    fn change(&self, id: u32, change: impl FnOnce(&mut BackfillJob)) {
        if let Some(job) = self.books().jobs.iter_mut().find(|job| job.id == id) {
            change(job);
        }
    }
}

/// A running service.
#[derive(Debug)]
pub(crate) struct Stub {
    shared: Arc<Shared>,
    directory: TempDir,
    _runtime: Runtime,
}

impl Stub {
    /// Serves these answers.
    pub(crate) fn serve(books: Books) -> Self {
        let directory = TempDir::new().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let shared = Arc::new(Shared { books: Mutex::new(books), called: Condvar::new() });
        let service = BackfillServiceServer::new(Service(Arc::clone(&shared)));
        // Bound before this returns: nobody comes too early.
        let listener = {
            let _guard = runtime.enter();
            UnixListener::bind(directory.path().join("control.sock")).unwrap()
        };
        let server = tonic::transport::Server::builder().add_service(service);
        runtime.spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
        Self { shared, directory, _runtime: runtime }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.shared.books()
    }

    /// lakectl with these words, split at blanks.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lakectl"));
        command.arg("--socket").arg(self.socket()).args(line.split_whitespace()).env_remove("NO_COLOR");
        command
    }

    /// Runs lakectl to its end.
    pub(crate) fn ctl(&self, line: &str) -> Ran {
        Ran::from(self.command(line).output().unwrap())
    }

    /// Waits until the service was called so.
    pub(crate) fn wait_for_call(&self, words: &str) {
        let called = |books: &mut Books| !books.calls.iter().any(|call| call == words);
        let (books, waited) = self.shared.called.wait_timeout_while(self.books(), PATIENCE, called).unwrap();
        assert!(!waited.timed_out(), "no {words:?}, but {:?}", books.calls);
    }
}

/// How lakectl ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it ends by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Its output, when it went well.
    pub(crate) fn done(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }

    /// Its output as JSON, when it went well.
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.done()).unwrap()
    }

    /// Its words on stderr, when it ended with this code and without data.
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (code, ""), "{}", self.stderr);
        self.stderr
    }
}

pub(crate) fn range(first: u32, last: u32) -> LedgerRange {
    LedgerRange { first, last }
}

pub(crate) fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_700_000_000 + seconds, nanos: 123_000_000 })
}

pub(crate) fn fixed(workers: u32) -> Option<Workers> {
    Some(Workers { count: Some(Count::Fixed(workers)) })
}

/// Job 3: three quarters of mainnet's ledgers 1 to 60,000.
pub(crate) fn job() -> BackfillJob {
    BackfillJob {
        id: 3,
        network: "mainnet".to_owned(),
        wanted: vec![range(1, 60_000)],
        state: BackfillState::Running.into(),
        workers: fixed(10),
        active_workers: 8,
        ledgers_wanted: 60_000,
        ledgers_stored: 45_000,
        ledgers_parked: 64,
        parked: vec![ParkedChunk {
            range: Some(range(129, 192)),
            reason: "ledger 130:\nno such object".to_owned(),
            evidence: "/lake/quarantine/130".to_owned(),
            at: at(60),
        }],
        active: vec![
            ActiveChunk { range: Some(range(45_001, 45_512)), done: 300, retrying: String::new() },
            ActiveChunk { range: Some(range(45_513, 46_024)), done: 0, retrying: "503 slow down".to_owned() },
        ],
        ledgers_per_second: 123.45,
        remaining: Some(prost_types::Duration { seconds: 121, nanos: 500_000_000 }),
        created_at: at(0),
        history: vec![
            JobEvent { at: at(0), what: "started with 4 workers".to_owned() },
            JobEvent { at: at(30), what: "10 workers".to_owned() },
        ],
        limited_by: "source".to_owned(),
        bytes_written: 5 * 1024 * 1024 * 1024,
        ..BackfillJob::default()
    }
}

/// Job 3 in its end.
pub(crate) fn ended(state: BackfillState, parked: u64) -> BackfillJob {
    BackfillJob {
        state: state.into(),
        ledgers_stored: 60_000 - parked,
        ledgers_parked: parked,
        parked: Vec::new(),
        active: Vec::new(),
        active_workers: 0,
        remaining: None,
        ended_at: at(500),
        ..job()
    }
}

/// A network with these gaps between ledgers 1 and 1,000.
pub(crate) fn network(name: &str, gaps: &[(u32, u32)]) -> NetworkGaps {
    let gap = |&(first, last): &(u32, u32)| Gap {
        range: Some(range(first, last)),
        reason: "removed".to_owned(),
        damaged: false,
    };
    NetworkGaps {
        network: name.to_owned(),
        first: Some(1),
        last: Some(1_000),
        gaps: gaps.iter().map(gap).collect(),
    }
}

struct Service(Arc<Shared>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl BackfillService for Service {
    type WatchBackfillStream = Pin<Box<dyn Stream<Item = Result<WatchBackfillResponse, Status>> + Send>>;

    async fn plan_backfill(&self, request: Request<PlanBackfillRequest>) -> Answer<PlanBackfillResponse> {
        let mut books = self.0.books();
        books.planned.extend(request.into_inner().target);
        Ok(Response::new(PlanBackfillResponse { plan: books.plan.clone() }))
    }

    async fn start_backfill(&self, request: Request<StartBackfillRequest>) -> Answer<StartBackfillResponse> {
        let request = request.into_inner();
        let target = request.target.clone().unwrap_or_default();
        let mut books = self.0.books();
        books.started.push(request.clone());
        if target.network == books.busy {
            return Err(Status::already_exists("job 7 wants ledgers 5..9\nuntil it is over"));
        }
        if !request.force && books.plan.as_ref().is_some_and(|plan| plan.disk_bytes > plan.disk_free_bytes) {
            return Err(Status::failed_precondition("the disk is too small"));
        }
        let id = u32::try_from(books.started.len()).unwrap();
        let job = BackfillJob { id, network: target.network, workers: request.workers, ..job() };
        Ok(Response::new(StartBackfillResponse { job: Some(job) }))
    }

    async fn list_backfills(&self, request: Request<ListBackfillsRequest>) -> Answer<ListBackfillsResponse> {
        let network = request.into_inner().network;
        let books = self.0.books();
        let jobs = books.jobs.iter().filter(|job| network.is_empty() || job.network == network);
        Ok(Response::new(ListBackfillsResponse { jobs: jobs.cloned().collect() }))
    }

    async fn get_backfill(&self, request: Request<GetBackfillRequest>) -> Answer<GetBackfillResponse> {
        let job = self.0.job(request.into_inner().id)?;
        Ok(Response::new(GetBackfillResponse { job: Some(job) }))
    }

    async fn watch_backfill(
        &self,
        request: Request<WatchBackfillRequest>,
    ) -> Answer<Self::WatchBackfillStream> {
        let request = request.into_inner();
        let interval = request.interval.unwrap_or_default();
        self.0.job(request.id)?;
        self.0.call(format!("watch {} every {} s {} ns", request.id, interval.seconds, interval.nanos));
        let looks = self.0.books().looks.clone();
        let looks = tokio_stream::iter(looks).map(|job| Ok(WatchBackfillResponse { job: Some(job) }));
        Ok(Response::new(if self.0.books().held {
            Box::pin(looks.chain(tokio_stream::pending()))
        } else {
            Box::pin(looks)
        }))
    }

    async fn pause_backfill(&self, request: Request<PauseBackfillRequest>) -> Answer<PauseBackfillResponse> {
        let id = request.into_inner().id;
        let job = self.0.turn(id, BackfillState::Paused)?;
        self.0.call(format!("pause {id}"));
        Ok(Response::new(PauseBackfillResponse { job: Some(job) }))
    }

    async fn resume_backfill(
        &self,
        request: Request<ResumeBackfillRequest>,
    ) -> Answer<ResumeBackfillResponse> {
        let id = request.into_inner().id;
        let job = self.0.turn(id, BackfillState::Running)?;
        self.0.call(format!("resume {id}"));
        Ok(Response::new(ResumeBackfillResponse { job: Some(job) }))
    }

    async fn cancel_backfill(
        &self,
        request: Request<CancelBackfillRequest>,
    ) -> Answer<CancelBackfillResponse> {
        let id = request.into_inner().id;
        let job = self.0.turn(id, BackfillState::Cancelled)?;
        self.0.call(format!("cancel {id}"));
        Ok(Response::new(CancelBackfillResponse { job: Some(job) }))
    }

    async fn set_backfill(&self, request: Request<SetBackfillRequest>) -> Answer<SetBackfillResponse> {
        let request = request.into_inner();
        self.0.change(request.id, |job| job.workers = request.workers);
        let job = self.0.job(request.id)?;
        self.0.call(format!("set {} {:?}", request.id, request.workers.and_then(|workers| workers.count)));
        Ok(Response::new(SetBackfillResponse { job: Some(job) }))
    }

    async fn list_gaps(&self, request: Request<ListGapsRequest>) -> Answer<ListGapsResponse> {
        let name = request.into_inner().network;
        let networks = self.0.books().networks.clone();
        let networks: Vec<_> =
            networks.into_iter().filter(|network| name.is_empty() || network.network == name).collect();
        if networks.is_empty() && !name.is_empty() {
            return Err(Status::not_found(format!("there is no network {name}")));
        }
        Ok(Response::new(ListGapsResponse { networks }))
    }
}
