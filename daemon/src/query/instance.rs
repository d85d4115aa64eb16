//! The second instance of DuckDB: in memory, the lake attached read-only, nothing else within reach.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use duckdb::{Config, Connection};

use super::error::QueryError;

/// How queries run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuerySettings {
    /// The catalog file of the lake, canonical.
    pub catalog: PathBuf,
    /// The directory of the lake's data files, canonical.
    pub data_dir: PathBuf,
    /// Directory of the extension files. It must be the same files that the writer loads: two copies of
    /// SQLite in one process break each other's locks.
    pub extension_dir: PathBuf,
    /// Memory of the instance, in bytes, for all queries together.
    pub memory_limit_bytes: u64,
    /// Threads of the instance, at least 1.
    pub threads: u32,
    /// Queries that run at once, at least 1.
    pub max_concurrent: usize,
    /// Queries that may wait for a turn.
    pub max_waiting: usize,
    /// Longest time of one query, its wait included.
    pub timeout: Duration,
    /// Most rows of one answer.
    pub max_rows: u64,
}

impl QuerySettings {
    /// Settings for the lake in a directory, with modest limits: 512 MB, 2 threads, 4 queries at once and 16
    /// waiting, 60 seconds, 10 million rows.
    pub fn for_lake(lake: &Path, extension_dir: &Path) -> Self {
        Self {
            catalog: lake.join("catalog.sqlite"),
            data_dir: lake.join("data"),
            extension_dir: extension_dir.to_owned(),
            memory_limit_bytes: 512 * 1024 * 1024,
            threads: 2,
            max_concurrent: 4,
            max_waiting: 16,
            timeout: Duration::from_secs(60),
            max_rows: 10_000_000,
        }
    }
}

/// Opens the instance. Fails when the catalog or an extension is missing.
pub(super) fn open(settings: &QuerySettings) -> Result<Connection, QueryError> {
    let failed = |step: &'static str| {
        move |source: duckdb::Error| QueryError::Open { step, catalog: settings.catalog.clone(), source }
    };
    let catalog = literal("catalog path", &settings.catalog)?;
    let data_dir = literal("data directory", &settings.data_dir)?;
    let extensions = literal("extension directory", &settings.extension_dir)?;

    let connection = config(settings)
        .and_then(Connection::open_in_memory_with_flags)
        .map_err(failed("open an instance of DuckDB"))?;
    for extension in ["sqlite_scanner", "ducklake"] {
        connection
            .execute_batch(&format!("LOAD '{extensions}/{extension}.duckdb_extension'"))
            .map_err(failed("load the extensions"))?;
    }
    connection
        .execute_batch(&format!(
            "ATTACH 'ducklake:sqlite:{catalog}' AS lake (READ_ONLY, META_BUSY_TIMEOUT 5000)"
        ))
        .map_err(failed("attach the lake read-only"))?;
    // The order matters: the last two lines make all others final.
    connection
        .execute_batch(&format!(
            "SET GLOBAL TimeZone = 'UTC';
             SET GLOBAL enable_external_file_cache = false;
             SET GLOBAL allowed_directories = ['{data_dir}/'];
             SET GLOBAL enable_external_access = false;
             SET GLOBAL lock_configuration = true;"
        ))
        .map_err(failed("lock the settings"))?;
    Ok(connection)
}

fn config(settings: &QuerySettings) -> Result<Config, duckdb::Error> {
    Config::default()
        .with("threads", settings.threads.max(1).to_string())?
        .with("memory_limit", format!("{}B", settings.memory_limit_bytes))?
        // Queries that do not fit in memory fail: nothing is spilled into a directory of the daemon.
        .with("temp_directory", "")?
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?
        .with("allow_community_extensions", "false")
}

/// A path as the inside of a SQL string.
fn literal(what: &'static str, path: &Path) -> Result<String, QueryError> {
    let plain = |text: &&str| !text.chars().any(|c| c == '\'' || c.is_control());
    path.to_str()
        .filter(plain)
        .map(|text| text.trim_end_matches('/').to_owned())
        .ok_or_else(|| QueryError::BadPath { what, path: path.to_owned() })
}
