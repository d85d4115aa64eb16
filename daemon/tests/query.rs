//! The control socket from outside: a server with a stand-in status and the real query executor on a small
//! lake, asked by the generated client and by the real `lakectl`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail the test")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use duckdb::Connection;
use hyper_util::rt::TokioIo;
use lake_proto::v1::{
    ExecuteRequest, GetHealthRequest, GetStatusRequest, HealthState, WatchStatusRequest,
    control_service_client::ControlServiceClient, execute_response::Part,
    query_service_client::QueryServiceClient,
};
use stellar_lake::{
    control::{self, ControlSocket},
    query::{QueryError, QueryExecutor, QueryRequest, QuerySettings},
    status::{
        DaemonStatus, LastError, MaintenanceStatus, NetworkState, NetworkStatus, QueueStatus, Status,
        StatusSource, rss_bytes,
    },
};
use tempfile::TempDir;
use tokio::{net::UnixStream, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

/// Runs until something stops it: far more rows than any machine counts in a test.
const ENDLESS: &str = "SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(10000000) b(i)";

fn extension_dir() -> PathBuf {
    let directory =
        std::env::var_os("DUCKDB_LIB_DIR").expect("cargo sets DUCKDB_LIB_DIR: run by `make test`");
    fs::canonicalize(directory).expect("DuckDB's files are fetched by `make deps`")
}

/// A lake of ten ledgers, and the connection that wrote it.
struct Lake {
    directory: TempDir,
    writer: Connection,
}

impl Lake {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(directory.path()).unwrap();
        fs::create_dir(root.join("data")).unwrap();
        let (root, extensions) = (root.display(), extension_dir());
        let extensions = extensions.display();
        let writer = Connection::open_in_memory().unwrap();
        writer
            .execute_batch(&format!(
                "LOAD '{extensions}/sqlite_scanner.duckdb_extension';
                 LOAD '{extensions}/ducklake.duckdb_extension';
                 ATTACH 'ducklake:sqlite:{root}/catalog.sqlite' AS lake (DATA_PATH '{root}/data/',
                     DATA_INLINING_ROW_LIMIT 0, META_JOURNAL_MODE 'WAL', META_BUSY_TIMEOUT 5000);
                 CREATE SCHEMA lake.mainnet;
                 CREATE TABLE lake.mainnet.ledgers_row_v2 (sequence BIGINT, closed_at TIMESTAMP, hash VARCHAR);
                 COMMENT ON TABLE lake.mainnet.ledgers_row_v2 IS 'One row per ledger';
                 CREATE VIEW lake.mainnet.newest AS
                     SELECT max(sequence) AS sequence FROM lake.mainnet.ledgers_row_v2;"
            ))
            .unwrap();
        let lake = Self { directory, writer };
        lake.add_ledgers(1, 10);
        lake
    }

    fn add_ledgers(&self, first: u32, last: u32) {
        self.writer
            .execute_batch(&format!(
                "INSERT INTO lake.mainnet.ledgers_row_v2
                 SELECT i, TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND, sha256(i::VARCHAR)
                 FROM range({first}, {last} + 1) t(i)"
            ))
            .unwrap();
    }

    fn root(&self) -> PathBuf {
        fs::canonicalize(self.directory.path()).unwrap()
    }

    fn settings(&self) -> QuerySettings {
        let settings = QuerySettings::for_lake(&self.root(), &extension_dir());
        QuerySettings { memory_limit_bytes: 256 * 1024 * 1024, timeout: Duration::from_secs(60), ..settings }
    }

    fn executor(&self) -> QueryExecutor {
        QueryExecutor::open(self.settings()).unwrap()
    }

    /// Every file of the lake and its content, but SQLite's shared memory, which readers may touch.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.to_string_lossy().ends_with("-shm") {
                    files.insert(path.clone(), fs::read(path).unwrap());
                }
            }
        }
        files
    }
}

fn request(sql: &str) -> QueryRequest {
    QueryRequest { sql: sql.to_owned(), ..QueryRequest::default() }
}

/// Runs a statement to its end and gives the number of rows, and whether there were more.
async fn run(executor: &QueryExecutor, request: QueryRequest) -> Result<(u64, bool), QueryError> {
    let mut rows = executor.execute(request, CancellationToken::new()).await?;
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        count += u64::try_from(batch?.num_rows()).unwrap();
    }
    let end = rows.end().unwrap();
    assert_eq!(end.rows, count);
    Ok((count, end.truncated))
}

async fn rows_of(executor: &QueryExecutor, sql: &str) -> u64 {
    run(executor, request(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}")).0
}

async fn error_of(executor: &QueryExecutor, sql: &str) -> QueryError {
    run(executor, request(sql)).await.expect_err(sql)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_statement_sees_the_newest_snapshot() {
    let lake = Lake::new();
    let executor = lake.executor();
    assert_eq!(rows_of(&executor, "FROM mainnet.ledgers_row_v2").await, 10);
    lake.add_ledgers(11, 15);
    assert_eq!(rows_of(&executor, "FROM lake.mainnet.ledgers_row_v2").await, 15);
    assert_eq!(rows_of(&executor, "FROM mainnet.ledgers_row_v2 WHERE sequence > 14").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_answer_keeps_its_snapshot_while_the_lake_grows() {
    let lake = Lake::new();
    let executor = lake.executor();
    let sql = "SELECT a.sequence FROM mainnet.ledgers_row_v2 a, range(5000)";
    let mut rows = executor.execute(request(sql), CancellationToken::new()).await.unwrap();
    lake.add_ledgers(11, 20);
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        count += batch.unwrap().num_rows();
    }
    assert_eq!(count, 50_000);
}

/// Mistake D42 of the reference.
#[tokio::test(flavor = "multi_thread")]
async fn harmless_statements_run() {
    let lake = Lake::new();
    let executor = lake.executor();
    let harmless = [
        ("SELECT sequence AS created_at, 'DELETE FROM x; DROP TABLE y' AS t FROM mainnet.ledgers_row_v2", 10),
        ("WITH a AS (FROM mainnet.ledgers_row_v2) SELECT * FROM a JOIN A b USING (sequence)", 10),
        ("FROM mainnet.newest", 1),
        ("VALUES (1), (2)", 2),
        ("EXPLAIN SELECT * FROM mainnet.ledgers_row_v2", 1),
        (" /* x */ explain analyze SELECT count(*) FROM mainnet.ledgers_row_v2 -- ;", 1),
        ("DESCRIBE mainnet.ledgers_row_v2", 3),
        ("SUMMARIZE mainnet.ledgers_row_v2", 3),
        ("SHOW ALL TABLES", 2),
        ("SHOW TABLES FROM lake.mainnet", 2),
        ("SELECT comment FROM duckdb_tables() WHERE comment = 'One row per ledger'", 1),
        ("SELECT * FROM information_schema.tables WHERE table_name = 'newest'", 1),
        ("SELECT count(*) FROM mainnet.ledgers_row_v2 AT (VERSION => 2)", 1),
        ("SELECT unnest(range(3)), list_sum([1, 2]), '{\"a\": 1}'->>'a', now() > '2020-01-01'", 3),
        ("SELECT current_user, current_date, pg_typeof(1)", 1),
        ("SELECT sequence FROM mainnet.ledgers_row_v2 ORDER BY hash LIMIT 3", 3),
    ];
    for (sql, rows) in harmless {
        assert_eq!(rows_of(&executor, sql).await, rows, "{sql}");
    }
}

/// Mistake D42 of the reference.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_statements_are_refused_and_change_nothing() {
    let lake = Lake::new();
    let executor = lake.executor();
    rows_of(&executor, "FROM mainnet.ledgers_row_v2").await;
    let before = lake.files();
    let root = lake.root();
    let root = root.display();
    let with_paths = [
        format!("COPY (SELECT 1) TO '{root}/data/x.csv'"),
        format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{root}/data/x.csv'"),
        format!("ATTACH '{root}/data/x.db'"),
        format!("ATTACH '{root}/catalog.sqlite' AS c (TYPE sqlite)"),
        format!("SELECT * FROM sqlite_scan('{root}/catalog.sqlite', 'ducklake_snapshot')"),
        format!("SELECT * FROM read_blob('{root}/catalog.sqlite')"),
        format!("SELECT * FROM read_text('{root}/catalog.sqlite')"),
        format!("SELECT * FROM read_parquet('{root}/data/mainnet/ledgers_row_v2/*.parquet')"),
        format!("FROM '{root}/data/mainnet/ledgers_row_v2/*.parquet'"),
    ];
    let plain = [
        "SELECT 1; DROP TABLE mainnet.ledgers_row_v2",
        "DROP TABLE mainnet.ledgers_row_v2 -- SELECT",
        "COPY (SELECT 1) TO '/tmp/stellar-lake-must-not-exist'",
        "CREATE TABLE memory.main.t AS SELECT 1",
        "CREATE TEMP TABLE t AS SELECT 1",
        "INSERT INTO mainnet.ledgers_row_v2 (sequence) VALUES (99)",
        "WITH a AS (INSERT INTO mainnet.ledgers_row_v2 (sequence) VALUES (9) RETURNING *) FROM a",
        "CALL ducklake_expire_snapshots('lake', older_than => now())",
        "SELECT * FROM ducklake_expire_snapshots('lake', older_than => now())",
        "SELECT * FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
        "SELECT * FROM ducklake_snapshots('lake')",
        "SELECT * FROM sqlite_query('lake', 'SELECT 1')",
        "FROM read_csv('/etc/passwd')",
        "FROM '/etc/passwd'",
        "FROM __ducklake_metadata_lake.ducklake_snapshot",
        "FROM __ducklake_metadata_lake.main.ducklake_snapshot",
        "FROM duckdb_settings()",
        "FROM duckdb_settings",
        "FROM sqlite_master",
        "FROM temp.main.t",
        "PRAGMA database_list",
        "SET memory_limit = '1TB'",
        "LOAD httpfs",
        "USE memory",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "COMMIT",
        "SELECT sleep_ms(100000)",
        "SELECT write_log('x')",
        "SELECT getvariable('x'), current_setting('memory_limit')",
        "SELECT $1",
    ];
    for sql in with_paths.iter().map(String::as_str).chain(plain) {
        let error = error_of(&executor, sql).await;
        assert!(matches!(error, QueryError::Refused(_)), "{sql}: {error:?}");
    }
    assert!(lake.files() == before, "a refused statement changed the lake's files");
    assert!(!Path::new("/tmp/stellar-lake-must-not-exist").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_statement_is_the_callers_error_and_says_what_exists() {
    let lake = Lake::new();
    let executor = lake.executor();
    let error = error_of(&executor, "SELECT no_such FROM mainnet.ledgers_row_v2").await;
    assert!(matches!(&error, QueryError::Wrong { message } if message.contains("no_such")), "{error:?}");
    let error = error_of(&executor, "FROM ledgers_row_v2").await;
    assert!(error.to_string().contains("did you mean mainnet.ledgers_row_v2?"), "{error}");
    let error = error_of(&executor, "SELECT 'x'::INTEGER").await;
    assert!(matches!(error, QueryError::Wrong { .. }), "{error:?}");
    for lossy in ["SELECT 1::UHUGEINT", "SELECT '01'::BIT", "SELECT '12:00:00+02'::TIMETZ"] {
        let error = error_of(&executor, lossy).await;
        assert!(error.to_string().contains("cast it to VARCHAR"), "{lossy}: {error}");
    }
    // A failure after the first rows must come as an error too, not as an end.
    let late = "SELECT CASE WHEN i = 99999 THEN error('late') ELSE i::VARCHAR END FROM range(100000) t(i)";
    let error = error_of(&executor, late).await;
    assert!(error.to_string().contains("late"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_out_of_time_is_stopped_and_leaves_the_executor_usable() {
    let lake = Lake::new();
    let executor = lake.executor();
    let timeout = Some(Duration::from_millis(300));
    let started = Instant::now();
    let error = run(&executor, QueryRequest { timeout, ..request(ENDLESS) }).await.unwrap_err();
    assert!(matches!(error, QueryError::TimedOut { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(rows_of(&executor, "SELECT 1").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_beyond_the_places_are_refused_and_a_dropped_one_frees_its_place() {
    let lake = Lake::new();
    let settings = QuerySettings { max_concurrent: 1, max_waiting: 0, ..lake.settings() };
    let executor = QueryExecutor::open(settings).unwrap();
    let sql = "SELECT a.i FROM range(10000000) a(i), range(10000000) b(i)";
    let mut rows = executor.execute(request(sql), CancellationToken::new()).await.unwrap();
    rows.next().await.unwrap().unwrap();

    let error = error_of(&executor, "SELECT 1").await;
    assert!(matches!(error, QueryError::Busy { running: 1, waiting: 0 }), "{error:?}");
    drop(rows);
    let started = Instant::now();
    while let Err(error) = run(&executor, request("SELECT 1")).await {
        assert!(matches!(error, QueryError::Busy { .. }), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(20), "the place is not given back");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_stops_a_running_query() {
    let lake = Lake::new();
    let executor = lake.executor();
    let shutdown = CancellationToken::new();
    let query = tokio::spawn({
        let (executor, shutdown) = (executor.clone(), shutdown.clone());
        async move { executor.execute(request(ENDLESS), shutdown).await.map(|_rows| ()) }
    });
    shutdown.cancel();
    let error = query.await.unwrap().unwrap_err();
    assert!(matches!(error, QueryError::Stopping), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_out_of_memory_fails_alone() {
    let lake = Lake::new();
    let executor = lake.executor();
    let sql = "SELECT list(i::VARCHAR || repeat('x', 100)) FROM range(5000000) t(i)";
    let error = error_of(&executor, sql).await;
    assert!(matches!(error, QueryError::OutOfMemory { .. }), "{error:?}");
    assert_eq!(rows_of(&executor, "SELECT 1").await, 1);
}

/// Mistake D43 of the reference.
#[tokio::test(flavor = "multi_thread")]
async fn rows_end_at_the_limit_and_say_so() {
    let lake = Lake::new();
    let executor = lake.executor();
    let limited = |rows| QueryRequest { max_rows: Some(rows), ..request("FROM range(10000)") };
    assert_eq!(run(&executor, limited(3000)).await.unwrap(), (3000, true));
    assert_eq!(run(&executor, limited(2048)).await.unwrap(), (2048, true));
    assert_eq!(run(&executor, limited(10_000)).await.unwrap(), (10_000, false));
}

#[test]
fn a_lake_that_is_not_there_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let settings = QuerySettings::for_lake(directory.path(), &extension_dir());
    let error = QueryExecutor::open(settings).unwrap_err();
    assert!(error.to_string().contains("attach the lake"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "opening must create nothing");
}

/// A status that a test can change.
struct StandIn(Mutex<Status>);

impl StandIn {
    fn new() -> Self {
        let mainnet = NetworkStatus {
            name: "mainnet".to_owned(),
            state: NetworkState::Following,
            source: "simulated, dense".to_owned(),
            first_ledger: Some(1),
            last_ledger: Some(10),
            tip: Some(12),
            ledgers_per_second: 2.5,
            ..NetworkStatus::default()
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Self(Mutex::new(Status {
            daemon: DaemonStatus {
                version: "9.9.9".to_owned(),
                pid: std::process::id(),
                started_at: at,
                lake_path: "/lake".to_owned(),
                rss_bytes: rss_bytes(),
            },
            networks: vec![mainnet],
            queue: QueueStatus { capacity: 64, submitted: 20, written: 20, ..QueueStatus::default() },
            maintenance: MaintenanceStatus::default(),
            taken_at: at,
        }))
    }

    fn stop(&self, reason: &str) {
        let mut status = self.0.lock().unwrap();
        let at = status.taken_at;
        let network = &mut status.networks[0];
        network.state = NetworkState::Stopped { reason: reason.to_owned() };
        network.last_error = Some(LastError { message: reason.to_owned(), at });
    }
}

impl StatusSource for StandIn {
    fn status(&self) -> Status {
        self.0.lock().unwrap().clone()
    }
}

/// A server on a socket of its own.
struct Server {
    lake: Lake,
    socket: PathBuf,
    status: Arc<StandIn>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), control::ControlError>>,
}

impl Server {
    async fn start() -> Self {
        let lake = Lake::new();
        let socket = lake.root().join("control.sock");
        let (status, shutdown) = (Arc::new(StandIn::new()), CancellationToken::new());
        let bound = ControlSocket::bind(&socket).await.unwrap();
        let executor = Some(lake.executor());
        let task = tokio::spawn(control::serve_on(
            bound,
            status.clone(),
            executor,
            control::History::default(),
            shutdown.clone(),
        ));
        Self { lake, socket, status, shutdown, task }
    }

    async fn channel(&self) -> Channel {
        let socket = self.socket.clone();
        let connector = tower::service_fn(move |_uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        Endpoint::from_static("http://localhost").connect_with_connector(connector).await.unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task).await.expect("it stops").unwrap().unwrap();
        assert!(!self.socket.exists(), "the socket file is removed");
    }

    /// Runs lakectl; `None`, loudly, when it is not built.
    async fn lakectl(&self, args: &[&str]) -> Option<Output> {
        lakectl(&self.socket, args, "").await
    }
}

async fn lakectl(socket: &Path, args: &[&str], stdin: &str) -> Option<Output> {
    // target/<profile>/deps/<this test> has lakectl two levels up.
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().unwrap().parent().unwrap().join("lakectl");
    if !binary.exists() {
        eprintln!("SKIPPED: {} is missing, lakectl is not tested: cargo build -p lakectl", binary.display());
        return None;
    }
    let mut command = Command::new(binary);
    command.args(args).env("LAKECTL_SOCKET", socket).env_remove("NO_COLOR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let stdin = stdin.to_owned();
    let run = move || {
        let mut child = command.spawn().unwrap();
        // It may end without reading.
        drop(std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin.as_bytes()));
        child.wait_with_output().unwrap()
    };
    Some(tokio::task::spawn_blocking(run).await.unwrap())
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Mistakes D41, D43 of the reference.
#[tokio::test(flavor = "multi_thread")]
async fn status_watch_and_health_come_from_the_status_source() {
    let server = Server::start().await;
    let mut client = ControlServiceClient::new(server.channel().await);
    let status = client.get_status(GetStatusRequest {}).await.unwrap().into_inner().status.unwrap();
    assert_eq!(status.daemon.unwrap().version, "9.9.9");
    assert_eq!(status.networks[0].lag_ledgers, Some(2));

    let health = client.get_health(GetHealthRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.state(), HealthState::Serving);
    let nobody = GetHealthRequest { network: "nobody".to_owned() };
    assert_eq!(client.get_health(nobody).await.unwrap_err().code(), Code::NotFound);

    let interval = Some(Duration::from_millis(100).try_into().unwrap());
    let mut watch = client.watch_status(WatchStatusRequest { interval }).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().unwrap().status.is_some());
    server.status.stop("ledger 11 does not link");
    let health = client.get_health(GetHealthRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.state(), HealthState::NotServing);
    assert_eq!(health.networks[0].reason, "stopped: ledger 11 does not link");

    // An open stream does not hold up the end, and is told why it ends.
    server.shutdown.cancel();
    let end = loop {
        match watch.message().await {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
    drop((watch, client));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_does_not_hold_up_the_end() {
    let server = Server::start().await;
    let silent = UnixStream::connect(&server.socket).await.unwrap();
    let mut client = ControlServiceClient::new(server.channel().await);
    client.get_status(GetStatusRequest {}).await.unwrap();
    server.stop().await;
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_streams_arrow_and_ends_with_a_summary() {
    let server = Server::start().await;
    let mut client = QueryServiceClient::new(server.channel().await);
    let sql = "SELECT i, repeat('x', 1000) AS x FROM range(20000) t(i)".to_owned();
    let request = ExecuteRequest { sql, ..ExecuteRequest::default() };
    let mut parts = client.execute(request).await.unwrap().into_inner();
    let (mut bytes, mut summary, mut count) = (Vec::new(), None, 0);
    while let Some(part) = parts.message().await.unwrap() {
        assert!(summary.is_none(), "nothing follows the summary");
        match part.part.unwrap() {
            Part::ArrowIpc(part) => {
                count += 1;
                bytes.extend_from_slice(&part);
            }
            Part::Summary(last) => summary = Some(last),
        }
    }
    assert!(count > 5, "{count} parts");
    let reader = arrow_ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 20_000);
    assert_eq!(summary.unwrap().rows, 20_000);

    let code = |sql: &str| {
        let mut client = client.clone();
        let timeout = Some(Duration::from_millis(500).try_into().unwrap());
        let request = ExecuteRequest { sql: sql.to_owned(), max_rows: 0, timeout };
        async move { client.execute(request).await.unwrap_err().code() }
    };
    assert_eq!(code("DROP TABLE x").await, Code::InvalidArgument);
    assert_eq!(code("SELECT no_such").await, Code::InvalidArgument);
    assert_eq!(code(ENDLESS).await, Code::DeadlineExceeded);
    drop((parts, client));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lakectl_shows_status_and_health_with_documented_exit_codes() {
    let server = Server::start().await;
    let Some(output) = server.lakectl(&["status"]).await else { return server.stop().await };
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let screen = stdout(&output);
    assert!(screen.contains("mainnet  following  1..10            12    2        2.5"), "{screen}");
    assert!(screen.contains("submitted 20"), "{screen}");

    let output = server.lakectl(&["status", "--output", "json"]).await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["networks"][0]["state"], "following");
    assert_eq!(json["networks"][0]["lag_ledgers"], 2);
    assert_eq!(json["daemon"]["started_at"], "2023-11-14T22:13:20Z");

    let output = server.lakectl(&["health"]).await.unwrap();
    assert_eq!((output.status.code(), stdout(&output).lines().next()), (Some(0), Some("healthy")));
    server.status.stop("disk full");
    let output = server.lakectl(&["health", "--output", "json"]).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["networks"][0]["reason"], "stopped: disk full");

    let output = server.lakectl(&["version"]).await.unwrap();
    assert!(stdout(&output).contains("stellar-lake 9.9.9"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lakectl_prints_every_type_right_in_every_format() {
    let server = Server::start().await;
    let sql = "SELECT 9223372036854775807 AS big, 170141183460469231731687303715884105727::HUGEINT AS huge,
        1.50::DECIMAL(10, 2) AS money, TIMESTAMP '2024-01-02 03:04:05.000006' AS at,
        [TIMESTAMPTZ '2024-01-02 03:04:05+02'][1] AS zoned, NULL AS nothing, 'NaN'::DOUBLE AS nan,
        0.1::DOUBLE AS tenth, [1, NULL] AS list, [TIMESTAMPTZ '2024-01-01 00:00:00+00'] AS zones, {'a': 'x\"y', 'b': [true]} AS struct, MAP {'k': 1} AS map,
        DATE '2024-02-29' AS day, 'é, \"q\"' AS text, '' AS empty, '\\xAB'::BLOB AS blob,
        'b'::ENUM('a', 'b') AS word, '00000000-0000-0000-0000-000000000001'::UUID AS uuid";
    let Some(output) = server.lakectl(&["query", sql, "--format", "ndjson"]).await else {
        return server.stop().await;
    };
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let expected = concat!(
        r#"{"big":9223372036854775807,"huge":170141183460469231731687303715884105727,"money":1.50,"#,
        r#""at":"2024-01-02T03:04:05.000006","zoned":"2024-01-02T01:04:05Z","nothing":null,"nan":"NaN","#,
        r#""tenth":0.1,"list":[1,null],"zones":["2024-01-01T00:00:00Z"],"struct":{"a":"x\"y","b":[true]},"map":{"k":1},"day":"2024-02-29","#,
        r#""text":"é, \"q\"","empty":"","blob":"ab","word":"b","#,
        r#""uuid":"00000000-0000-0000-0000-000000000001"}"#,
        "\n"
    );
    assert_eq!(stdout(&output), expected);

    let output = server.lakectl(&["query", sql, "--format", "csv"]).await.unwrap();
    let expected = concat!(
        "big,huge,money,at,zoned,nothing,nan,tenth,list,zones,struct,map,day,text,empty,blob,word,uuid\n",
        "9223372036854775807,170141183460469231731687303715884105727,1.50,2024-01-02T03:04:05.000006,",
        r#"2024-01-02T01:04:05Z,,NaN,0.1,"[1,null]","[""2024-01-01T00:00:00Z""]","{""a"":""x\""y"",""b"":[true]}","{""k"":1}","#,
        r#"2024-02-29,"é, ""q""","",ab,b,00000000-0000-0000-0000-000000000001"#,
        "\n"
    );
    assert_eq!(stdout(&output), expected);

    let output = server.lakectl(&["query", sql, "--format", "json"]).await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["big"], i64::MAX);
    let output = server.lakectl(&["query", sql]).await.unwrap();
    assert!(stdout(&output).contains("NULL"), "{}", stdout(&output));
    let output = server.lakectl(&["query", "FROM range(0)", "--format", "json"]).await.unwrap();
    assert_eq!(stdout(&output), "[]\n");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lakectl_tells_what_is_wrong_and_exits_as_documented() {
    let server = Server::start().await;
    let Some(output) = server.lakectl(&["query", "DROP TABLE mainnet.ledgers_row_v2"]).await else {
        return server.stop().await;
    };
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).starts_with("lakectl: DROP is refused"), "{}", stderr(&output));

    let output = server.lakectl(&["query"]).await.unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    let output = server.lakectl(&["--help"]).await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("Exit codes:"));

    let sql = "SELECT max(sequence) AS m\nFROM mainnet.ledgers_row_v2;\n";
    let output = lakectl(&server.socket, &["query", "-", "--format", "csv"], sql).await.unwrap();
    assert_eq!(stdout(&output), "m\n10\n", "{}", stderr(&output));
    let args = ["query", "FROM range(9)", "--format", "csv", "--max-rows", "2"];
    let output = server.lakectl(&args).await.unwrap();
    assert_eq!(stdout(&output), "range\n0\n1\n");
    assert!(stderr(&output).contains("only the first 2 rows"), "{}", stderr(&output));

    let missing = server.lake.root().join("missing.sock");
    let output = lakectl(&missing, &["health"], "").await.unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(stderr(&output).contains("what to do: start the daemon"), "{}", stderr(&output));
    server.stop().await;
}

#[tokio::test]
async fn lakectl_schema_needs_no_daemon_and_its_sql_makes_the_tables_that_its_json_describes() {
    let nowhere = Path::new("/nowhere/control.sock");
    let run = async |args: &[&str]| lakectl(nowhere, args, "").await;
    let Some(output) = run(&["schema", "--format", "sql", "--network", "testnet"]).await else { return };
    let plain = Connection::open_in_memory().unwrap();
    plain.execute_batch(&String::from_utf8(output.stdout).unwrap()).unwrap();
    let output = run(&["schema", "--format", "json"]).await.unwrap();
    let tables: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let mut described = 0;
    for table in &tables {
        let columns = table["columns"].as_array().unwrap();
        for column in columns {
            let found: (String, bool, String) = plain
                .query_row(
                    "SELECT data_type, is_nullable, comment FROM duckdb_columns() \
                     WHERE schema_name = 'testnet' AND table_name = ? AND column_name = ?",
                    [table["name"].as_str().unwrap(), column["name"].as_str().unwrap()],
                    |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
                )
                .unwrap();
            assert_eq!(found.0, column["type"], "{column}");
            assert_eq!(found.1, column["nullable"], "{column}");
            assert_eq!(found.2, column["doc"], "{column}");
            described += 1;
        }
        if let Some(view) = table["state"]["view"].as_str() {
            let as_of = table["state"]["as_of"].as_str().unwrap();
            let sql = format!("SELECT count(*) FROM testnet.{view}, testnet.{as_of}(5)");
            assert_eq!(plain.query_row(&sql, [], |r| r.get::<_, i64>(0)).unwrap(), 0, "{sql}");
        }
    }
    assert!(described > 300, "{described}");
    let output = run(&["schema", "ledgers_row_v2"]).await.unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("## ledgers_row_v2\n"));
    let output = run(&["schema", "ledger_row_v2"]).await.unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8(output.stderr).unwrap().contains("did you mean ledgers_row_v2?"));
}
