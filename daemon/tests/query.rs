//! The control socket from outside: a server with a stand-in status and the real query executor on a small
//! lake, asked by the generated client and by the real `lakectl`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail the test")]

#[path = "query/executor.rs"]
mod executor;
#[path = "query/socket.rs"]
mod socket;

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
