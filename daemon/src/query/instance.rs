//! The second instance of DuckDB: in memory, the lake attached read-only, nothing else within reach.
//!
//! It is the second line of defence only. DuckDB itself lets a statement write below the data directory, create
//! temporary tables and read the catalog file (whose path counts as allowed once it is attached): those are
//! `gate`'s to refuse.

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

/// Opens the instance and loads the extensions. Fails when one is missing. A tenth of a second of CPU: DuckDB checks what
/// they are signed with.
pub(super) fn load(settings: &QuerySettings) -> Result<Connection, QueryError> {
    let failed = |step: &'static str| {
        move |source: duckdb::Error| QueryError::Open { step, catalog: settings.catalog.clone(), source }
    };
    let extensions = literal("extension directory", &settings.extension_dir)?;

    let connection = config(settings)
        .and_then(Connection::open_in_memory_with_flags)
        .map_err(failed("open an instance of DuckDB"))?;
    for extension in ["sqlite_scanner", "ducklake"] {
        connection
            .execute_batch(&format!("LOAD '{extensions}/{extension}.duckdb_extension'"))
            .map_err(failed("load the extensions"))?;
    }
    Ok(connection)
}

/// Attaches the lake to a loaded instance and locks it. Fails when the catalog is missing.
pub(super) fn attach(connection: &Connection, settings: &QuerySettings) -> Result<(), QueryError> {
    let failed = |step: &'static str| {
        move |source: duckdb::Error| QueryError::Open { step, catalog: settings.catalog.clone(), source }
    };
    let catalog = literal("catalog path", &settings.catalog)?;
    let data_dir = literal("data directory", &settings.data_dir)?;
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
        .map_err(failed("lock the settings"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The second line of defence: what the instance itself refuses, were the gate ever wrong.
    #[test]
    fn the_instance_alone_cannot_write_the_lake_nor_leave_it() {
        let extensions = std::env::var_os("DUCKDB_LIB_DIR").expect("cargo sets DUCKDB_LIB_DIR");
        let extensions = fs::canonicalize(extensions).expect("DuckDB's files are fetched by `make deps`");
        let lake = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(lake.path()).unwrap();
        fs::create_dir(root.join("data")).unwrap();
        let (shown, library) = (root.display(), extensions.display());
        Connection::open_in_memory()
            .unwrap()
            .execute_batch(&format!(
                "LOAD '{library}/sqlite_scanner.duckdb_extension';
                 LOAD '{library}/ducklake.duckdb_extension';
                 ATTACH 'ducklake:sqlite:{shown}/catalog.sqlite' AS lake
                     (DATA_PATH '{shown}/data/', META_JOURNAL_MODE 'WAL');
                 CREATE TABLE lake.main.t AS SELECT 1 AS i;"
            ))
            .unwrap();

        let settings = QuerySettings::for_lake(&root, &extensions);
        let root_instance = load(&settings).unwrap();
        attach(&root_instance, &settings).unwrap();
        let connection = root_instance.try_clone().unwrap();
        connection.execute_batch("USE lake; BEGIN TRANSACTION READ ONLY; SELECT * FROM t; ROLLBACK").unwrap();
        let refused = [
            "INSERT INTO lake.main.t VALUES (2)",
            "CREATE TABLE lake.main.u (i INTEGER)",
            "DROP TABLE lake.main.t",
            "ATTACH '/tmp/stellar-lake-must-not-exist.db' AS x",
            "COPY (SELECT 1) TO '/tmp/stellar-lake-must-not-exist.csv'",
            "SELECT * FROM read_text('/etc/passwd')",
            "SELECT * FROM '/etc/passwd'",
            "SET memory_limit = '1TB'",
            "SET enable_external_access = true",
            "SET GLOBAL temp_directory = '/tmp'",
            "INSTALL httpfs",
            "LOAD httpfs",
        ];
        for sql in refused {
            assert!(connection.execute_batch(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn a_path_with_a_quote_is_refused_before_it_reaches_sql() {
        let settings = QuerySettings::for_lake(Path::new("/tmp/o'clock"), Path::new("/x'x"));
        assert!(matches!(load(&settings), Err(QueryError::BadPath { .. })));
        let connection = Connection::open_in_memory().unwrap();
        assert!(matches!(attach(&connection, &settings), Err(QueryError::BadPath { .. })));
    }
}
