//! A reader of a lake as any user's process would be: DuckDB in memory, the lake attached read-only.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use duckdb::{Config, Connection, types::FromSql};

use crate::bins::extension_dir;

/// A lake opened for reading.
#[derive(Debug)]
pub struct LakeReader {
    connection: Connection,
    path: PathBuf,
}

impl LakeReader {
    /// Opens the lake in this folder.
    ///
    /// # Errors
    /// DuckDB's words.
    pub fn open(lake: &Path) -> duckdb::Result<Self> {
        Self::attach(lake, "READ_ONLY, ")
    }

    /// Opens the lake as a user would who changes it by hand, with DuckLake's own defaults.
    ///
    /// # Errors
    /// DuckDB's words.
    pub fn open_writing(lake: &Path) -> duckdb::Result<Self> {
        Self::attach(lake, "")
    }

    fn attach(lake: &Path, mode: &str) -> duckdb::Result<Self> {
        let path = lake.canonicalize().unwrap_or_else(|_| lake.to_owned());
        let config = Config::default()
            .with("autoinstall_known_extensions", "false")?
            .with("autoload_known_extensions", "false")?
            .with("memory_limit", "512MB")?
            .with("threads", "1")?;
        let connection = Connection::open_in_memory_with_flags(config)?;
        let extensions = extension_dir();
        connection.execute_batch(&format!(
            "LOAD '{0}/sqlite_scanner.duckdb_extension'; LOAD '{0}/ducklake.duckdb_extension'; \
             ATTACH 'ducklake:sqlite:{1}/catalog.sqlite' AS lake ({mode}META_BUSY_TIMEOUT 10000); USE lake; \
             SET TimeZone = 'UTC';",
            extensions.display(),
            path.display()
        ))?;
        Ok(Self { connection, path })
    }

    /// The lake's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs statements.
    ///
    /// # Errors
    /// DuckDB's words.
    pub fn run(&self, sql: &str) -> duckdb::Result<()> {
        self.connection.execute_batch(sql)
    }

    /// The one value that a query gives.
    ///
    /// # Errors
    /// DuckDB's words.
    pub fn value<T: FromSql>(&self, sql: &str) -> duckdb::Result<T> {
        self.connection.query_row(sql, [], |row| row.get(0))
    }

    /// All rows of a query whose `columns` columns are texts or NULL.
    ///
    /// # Errors
    /// DuckDB's words.
    pub fn texts(&self, sql: &str, columns: usize) -> duckdb::Result<Vec<Vec<Option<String>>>> {
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?;
        rows.collect()
    }

    /// Lowest and highest ledger and the number of rows in a network's ledgers table; `None` when it is empty or not
    /// there yet.
    ///
    /// # Errors
    /// DuckDB's words.
    pub fn coverage(&self, network: &str) -> duckdb::Result<Option<(u32, u32, u64)>> {
        let known: i64 = self.value(&format!(
            "SELECT count(*) FROM information_schema.tables WHERE table_catalog = 'lake' \
             AND table_schema = '{network}' AND table_name = 'ledgers_row_v2'"
        ))?;
        if known == 0 {
            return Ok(None);
        }
        self.connection.query_row(
            &format!("SELECT min(sequence), max(sequence), count(*) FROM lake.{network}.ledgers_row_v2"),
            [],
            |row| {
                let (low, high): (Option<u32>, Option<u32>) = (row.get(0)?, row.get(1)?);
                let count: u64 = row.get(2)?;
                Ok(low.zip(high).map(|(low, high)| (low, high, count)))
            },
        )
    }

    /// First and last ledger of every stretch of ledgers in a network's ledgers table, ascending.
    ///
    /// # Errors
    /// DuckDB's words.
    pub fn stretches(&self, network: &str) -> duckdb::Result<Vec<(u32, u32)>> {
        if self.coverage(network)?.is_none() {
            return Ok(Vec::new());
        }
        let mut statement = self.connection.prepare(&format!(
            "SELECT min(s), max(s) FROM (SELECT s, s - row_number() OVER (ORDER BY s) AS g FROM \
             (SELECT DISTINCT sequence::BIGINT AS s FROM lake.{network}.ledgers_row_v2)) GROUP BY g ORDER BY 1"
        ))?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    /// All files that the catalog knows in any way: of the newest snapshot, of older ones, or about to be deleted.
    ///
    /// # Errors
    /// DuckDB's words.
    pub fn known_files(&self) -> duckdb::Result<HashSet<PathBuf>> {
        let path = |file: &str| {
            format!(
                "SELECT CASE WHEN f.path_is_relative THEN s.path || t.path || f.path ELSE f.path END \
                 FROM __ducklake_metadata_lake.{file} f JOIN __ducklake_metadata_lake.ducklake_table t USING (table_id) \
                 JOIN __ducklake_metadata_lake.ducklake_schema s USING (schema_id)"
            )
        };
        let sql = format!(
            "{} UNION ALL {} UNION ALL SELECT path FROM __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion",
            path("ducklake_data_file"),
            path("ducklake_delete_file")
        );
        let data = self.path.join("data");
        Ok(self.texts(&sql, 1)?.into_iter().flatten().flatten().map(|path| data.join(path)).collect())
    }

    /// Parquet files that the catalog names for the current snapshot, and whether each path is stored relative.
    ///
    /// # Errors
    /// DuckDB's words.
    pub fn live_files(&self, network: &str) -> duckdb::Result<Vec<(PathBuf, bool)>> {
        let sql = format!(
            "SELECT s.path || t.path || f.path, (f.path_is_relative AND t.path_is_relative AND s.path_is_relative)::VARCHAR \
             FROM __ducklake_metadata_lake.ducklake_data_file f \
             JOIN __ducklake_metadata_lake.ducklake_table t USING (table_id) \
             JOIN __ducklake_metadata_lake.ducklake_schema s USING (schema_id) \
             WHERE f.end_snapshot IS NULL AND t.end_snapshot IS NULL AND s.end_snapshot IS NULL \
             AND s.schema_name = '{network}' ORDER BY 1"
        );
        let rows = self.texts(&sql, 2)?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let mut cells = row.into_iter();
                let path = cells.next().flatten().unwrap_or_default();
                let relative = cells.next().flatten().as_deref() == Some("true");
                (self.path.join("data").join(path), relative)
            })
            .collect())
    }
}
