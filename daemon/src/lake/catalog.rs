//! The DuckLake catalog: the one read-write DuckDB instance of a lake, and every statement sent to it.
//!
//! Lives on the committer thread. Reads DuckLake's own tables, never writes them by hand.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use duckdb::{Config, Connection, Row};

use lake_core::LedgerRange;

use crate::fail_point::Point;

use super::{
    batch::SealedFile,
    ddl::{ident, literal, qualified},
    dirs::LakeDirs,
    encode::now_micros,
    error::LakeError,
};

/// Schema under which DuckLake shows its own tables.
pub(crate) const META: &str = "__ducklake_metadata_lake";

/// What is being done when files leave a table.
pub(crate) const REPLACE: &str = "replace files";

/// What the instance is opened with.
#[derive(Clone, Debug)]
pub(crate) struct CatalogSettings {
    pub(crate) extensions: Vec<PathBuf>,
    pub(crate) memory_bytes: u64,
}

/// The state of the catalog that a commit is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) id: i64,
    pub(crate) next_file_id: i64,
}

/// What one transaction changes in the files of a network.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    pub(crate) schema: &'a str,
    /// What is run before the files change hands: the making of tables and views.
    pub(crate) statements: &'a [String],
    /// Files that leave their table.
    pub(crate) remove: &'a [Removal],
    /// Files that join theirs.
    pub(crate) add: &'a [SealedFile],
}

/// Files of one table to be replaced.
#[derive(Debug)]
pub(crate) struct Removal {
    pub(crate) table: &'static str,
    pub(crate) paths: Vec<PathBuf>,
    /// The table's ledger column and the ledgers of these files. Without it DuckLake opens every file of the table.
    pub(crate) ledgers: Option<(&'static str, LedgerRange)>,
    /// Rows in them: what the statement must say it removed.
    pub(crate) rows: u64,
}

/// How a change ended when it did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing was stored.
    Refused(LakeError),
    /// COMMIT failed, or its check did, and the catalog does not say what is stored.
    Unknown(LakeError),
}

/// The instance.
#[derive(Debug)]
pub(crate) struct Catalog {
    dirs: LakeDirs,
    settings: CatalogSettings,
    /// When it was opened, by the wall clock in microseconds and by the steady one.
    opened: (i64, Instant),
    /// Where data files are looked for; the lake's own folder unless set.
    data: Option<PathBuf>,
    /// `None` after an instance broke, until the next use.
    connection: Option<Connection>,
    /// Names of DuckDB's optimizers; empty until they are needed.
    optimizers: String,
}

impl Catalog {
    /// Opens the instance and attaches the lake, creating the catalog when it is new.
    pub(crate) fn open(dirs: LakeDirs, settings: CatalogSettings) -> Result<Self, LakeError> {
        let mut catalog = Self {
            dirs,
            settings,
            opened: (now_micros(), Instant::now()),
            data: None,
            connection: None,
            optimizers: String::new(),
        };
        catalog.connection()?;
        Ok(catalog)
    }

    /// Microseconds since the Unix epoch by which things are old enough to be deleted. A wall clock that jumps ahead makes
    /// nothing older, so nothing goes that a reader still needs.
    pub(crate) fn now_for_ages(&self) -> i64 {
        let (wall, steady) = self.opened;
        let passed = i64::try_from(steady.elapsed().as_micros()).unwrap_or(i64::MAX);
        now_micros().min(wall.saturating_add(passed))
    }

    /// The directories.
    pub(crate) fn dirs(&self) -> &LakeDirs {
        &self.dirs
    }

    /// Closes the instance; the next use opens a fresh one.
    pub(crate) fn recycle(&mut self) {
        self.connection = None;
    }

    /// Opens the lake anew with its data files looked for in another folder, or in its own.
    pub(crate) fn use_data(&mut self, data: Option<PathBuf>) {
        self.data = data;
        self.recycle();
    }

    fn connection(&mut self) -> Result<&Connection, LakeError> {
        if self.connection.is_none() {
            let opened = connect(&self.dirs, &self.settings, self.data.as_deref())
                .map_err(|e| LakeError::catalog("attach the lake", self.dirs.catalog(), e))?;
            self.connection = Some(opened);
        }
        self.connection.as_ref().ok_or(LakeError::Closed)
    }

    fn error(&self, action: &'static str, error: impl std::fmt::Display) -> LakeError {
        LakeError::catalog(action, self.dirs.catalog(), error)
    }

    /// Runs statements, draining results.
    pub(crate) fn execute(&mut self, action: &'static str, sql: &str) -> Result<(), LakeError> {
        let result = self.connection()?.execute_batch(sql);
        result.map_err(|e| self.error(action, e))
    }

    /// Runs one query in a transaction of its own and maps its rows.
    pub(crate) fn rows<T>(
        &mut self,
        action: &'static str,
        sql: &str,
        map: impl FnMut(&Row<'_>) -> duckdb::Result<T>,
    ) -> Result<Vec<T>, LakeError> {
        let connection = self.connection()?;
        // `sqlite_query` needs the transaction: its SQLite handle lives from prepare to execute only inside one.
        let query = || {
            connection.execute_batch("BEGIN TRANSACTION READ ONLY")?;
            connection.prepare(sql)?.query_map([], map)?.collect::<duckdb::Result<Vec<T>>>()
        };
        let result = query();
        self.rollback();
        result.map_err(|e| self.error(action, e))
    }

    /// The newest snapshot.
    pub(crate) fn snapshot(&mut self) -> Result<Snapshot, LakeError> {
        let sql = sqlite(
            "SELECT snapshot_id, next_file_id FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1",
            "snapshot_id::BIGINT, next_file_id::BIGINT",
        );
        let rows = self
            .rows("read the snapshot", &sql, |r| Ok(Snapshot { id: r.get(0)?, next_file_id: r.get(1)? }))?;
        rows.into_iter().next().ok_or_else(|| self.error("read the snapshot", "the catalog has none"))
    }

    /// Ends a failed transaction. An instance that cannot even do that is replaced.
    fn rollback(&mut self) {
        let Some(connection) = &self.connection else { return };
        if let Err(error) = connection.execute_batch("ROLLBACK")
            && !error.to_string().contains("no transaction is active")
        {
            tracing::warn!(error = %error, "rollback failed, opening the catalog again");
            self.recycle();
        }
    }

    /// Protocol 2 and 5: removes and registers files in one transaction, then checks that the catalog shows it.
    pub(crate) fn apply(&mut self, change: &Change<'_>) -> Result<Snapshot, Failure> {
        if !change.remove.is_empty() {
            return self.transact(change);
        }
        // Long lists of values are what DuckLake writes, and nothing in them can be planned better: without its
        // optimizers a commit takes DuckDB a fifth less time. What removes files reads tables, and needs them.
        let none = format!("SET GLOBAL disabled_optimizers = {}", literal(&self.optimizers()?));
        self.execute("set up a commit", &none).map_err(Failure::Refused)?;
        let result = self.transact(change);
        if let Err(error) = self.execute("end a commit", "RESET GLOBAL disabled_optimizers") {
            tracing::warn!(error = %error, "settings of a commit are kept, opening the catalog again");
            self.recycle();
        }
        result
    }

    /// Names of DuckDB's optimizers, separated by commas.
    fn optimizers(&mut self) -> Result<String, Failure> {
        if self.optimizers.is_empty() {
            let sql = "SELECT string_agg(name, ',') FROM duckdb_optimizers()";
            let names = self.rows("list the optimizers", sql, |r| r.get(0)).map_err(Failure::Refused)?;
            self.optimizers = names.into_iter().next().unwrap_or_default();
        }
        Ok(self.optimizers.clone())
    }

    fn transact(&mut self, change: &Change<'_>) -> Result<Snapshot, Failure> {
        let before = self.snapshot().map_err(Failure::Refused)?;
        let replaces = !change.remove.is_empty();
        Point::BeforeBegin.pass();
        self.execute("begin", "BEGIN").map_err(Failure::Refused)?;
        if let Err(error) = self.stage(change) {
            self.rollback();
            return Err(Failure::Refused(error));
        }
        if replaces { Point::ReplaceBeforeCommit } else { Point::BeforeCommit }.pass();
        if let Err(error) = self.execute("commit", "COMMIT") {
            self.rollback();
            return self.resolve(change, before, error);
        }
        if replaces { Point::ReplaceAfterCommit } else { Point::AfterCommit }.pass();
        // A commit that cannot be checked may still be stored.
        let after = self.snapshot().map_err(Failure::Unknown)?;
        let missing = self.unregistered(change, before).map_err(Failure::Unknown)?;
        if after.id <= before.id || !missing.is_empty() {
            let problem = format!(
                "snapshot {} follows {}, and of {} files {} are not registered as they should be: {}",
                after.id,
                before.id,
                change.add.len(),
                missing.len(),
                missing.join(", ")
            );
            return Err(Failure::Unknown(LakeError::Untrue { path: self.dirs.catalog(), problem }));
        }
        Ok(after)
    }

    /// The statements between BEGIN and COMMIT.
    fn stage(&mut self, change: &Change<'_>) -> Result<(), LakeError> {
        for statement in change.statements {
            self.execute("make tables and views", statement)?;
        }
        for removal in change.remove {
            let names: Vec<String> = removal.paths.iter().map(|p| literal(&p.to_string_lossy())).collect();
            let ledgers = removal.ledgers.map(|(column, range)| {
                format!(" AND {} BETWEEN {} AND {}", ident(column), range.start(), range.end())
            });
            let sql = format!(
                "DELETE FROM {} WHERE filename IN ({}){}",
                qualified(change.schema, removal.table),
                names.join(", "),
                ledgers.unwrap_or_default()
            );
            let result = self.connection()?.execute(&sql, []);
            let deleted = result.map_err(|e| self.error(REPLACE, e))?;
            if u64::try_from(deleted).ok() != Some(removal.rows) {
                let reason = format!(
                    "{deleted} rows of {} are in the files to be replaced, {} were expected",
                    removal.table, removal.rows
                );
                return Err(self.error(REPLACE, reason));
            }
        }
        for (index, file) in change.add.iter().enumerate() {
            if index > 0 {
                Point::BetweenRegistrations.pass();
            }
            let sql = format!(
                "CALL ducklake_add_data_files('lake', {}, {}, schema => {}, hive_partitioning => false)",
                literal(file.table),
                literal(&file.path.to_string_lossy()),
                literal(change.schema)
            );
            self.execute("register a file", &sql)?;
        }
        Ok(())
    }

    /// COMMIT said no: the catalog says whether it happened all the same.
    fn resolve(
        &mut self,
        change: &Change<'_>,
        before: Snapshot,
        error: LakeError,
    ) -> Result<Snapshot, Failure> {
        let missing = match self.unregistered(change, before) {
            Ok(missing) => missing,
            Err(unreadable) => {
                tracing::warn!(error = %unreadable, "catalog cannot be read after a failed commit");
                self.recycle();
                match self.unregistered(change, before) {
                    Ok(missing) => missing,
                    Err(_) => return Err(Failure::Unknown(error)),
                }
            }
        };
        if missing.len() == change.add.len() {
            return Err(Failure::Refused(error));
        }
        if !missing.is_empty() {
            let problem = format!("a failed commit left a part: {} are missing", missing.join(", "));
            return Err(Failure::Unknown(LakeError::Untrue { path: self.dirs.catalog(), problem }));
        }
        tracing::warn!(error = %error, "commit reported an error but is in the catalog");
        self.snapshot().map_err(Failure::Unknown)
    }

    /// Files of `change` that were not registered after `before`, with a relative path and all their rows.
    fn unregistered(&mut self, change: &Change<'_>, before: Snapshot) -> Result<Vec<String>, LakeError> {
        let inner = format!(
            "SELECT t.table_name AS t, f.path AS p, f.path_is_relative AS rel, f.record_count AS n \
             FROM ducklake_data_file f JOIN ducklake_table t ON t.table_id = f.table_id AND t.end_snapshot IS NULL \
             WHERE f.data_file_id >= {} AND f.end_snapshot IS NULL",
            before.next_file_id
        );
        let registered: Vec<(String, String, i64, i64)> =
            self.rows("check a commit", &sqlite(&inner, "t, p, rel::BIGINT, n::BIGINT"), |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))
            })?;
        let known = |file: &SealedFile| {
            let name = file.path.file_name().map(|n| n.to_string_lossy().into_owned());
            let rows = i64::try_from(file.rows).ok();
            registered.iter().any(|(table, path, relative, n)| {
                table == file.table && Some(path) == name.as_ref() && *relative == 1 && Some(*n) == rows
            })
        };
        Ok(change.add.iter().filter(|f| !known(f)).map(|f| f.path.display().to_string()).collect())
    }
}

/// A query that SQLite itself runs, with its indexes: DuckDB's scan would read the whole table.
pub(crate) fn sqlite(inner: &str, columns: &str) -> String {
    format!("SELECT {columns} FROM sqlite_query({}, {})", literal(META), literal(inner))
}

/// A fresh in-memory instance with the lake attached as `lake`.
fn connect(dirs: &LakeDirs, settings: &CatalogSettings, data: Option<&Path>) -> duckdb::Result<Connection> {
    let config = Config::default()
        .with("memory_limit", format!("{}B", settings.memory_bytes))?
        .with("threads", "1")?
        .with("enable_external_file_cache", "false")?
        .with("autoinstall_known_extensions", "false")?
        .with("autoload_known_extensions", "false")?;
    let connection = Connection::open_in_memory_with_flags(config)?;
    load(&connection, &settings.extensions)?;
    let catalog = format!("ducklake:sqlite:{}", dirs.catalog().display());
    let data = format!("{}/", data.unwrap_or(&dirs.data()).display());
    // The data path is given anew each time, so that a lake can be moved while it is closed.
    connection.execute_batch(&format!(
        "ATTACH {} AS lake (DATA_PATH {}, OVERRIDE_DATA_PATH true, META_JOURNAL_MODE 'WAL', \
         META_BUSY_TIMEOUT 5000, DATA_INLINING_ROW_LIMIT 0)",
        literal(&catalog),
        literal(&data)
    ))?;
    connection.execute_batch("USE lake")?;
    Ok(connection)
}

/// Loads the extensions from their files.
pub(crate) fn load(connection: &Connection, extensions: &[PathBuf]) -> duckdb::Result<()> {
    extensions
        .iter()
        .try_for_each(|file| connection.execute_batch(&format!("LOAD {}", literal(&file.to_string_lossy()))))
}

/// `META."table"`.
pub(crate) fn meta(table: &str) -> String {
    format!("{META}.{}", ident(table))
}

/// Full path of a registered file.
pub(crate) fn full_path(data: &Path, parts: [(&str, bool); 3]) -> PathBuf {
    // Schema, table and file: each relative to the one before, or absolute.
    parts.iter().fold(
        data.to_path_buf(),
        |base, (part, relative)| {
            if *relative { base.join(part) } else { PathBuf::from(part) }
        },
    )
}
