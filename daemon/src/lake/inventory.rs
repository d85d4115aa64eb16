//! What the catalog says is in the lake: networks, coverage, files, hashes. Reads only.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use duckdb::Row;
use lake_core::{Hash32, LedgerRange, LedgerSeq};

use super::{
    LEDGERS_TABLE,
    catalog::{Catalog, full_path, meta, sqlite},
    coverage::RangeSet,
    ddl::{literal, qualified},
    dirs::FileName,
    error::LakeError,
    lineage::NETWORKS,
};

/// Ids of files that are listed in one go.
const FILE_PAGE: i64 = 10_000;

/// A network as the lake knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNetwork {
    /// Its name.
    pub name: String,
    /// Its passphrase.
    pub passphrase: String,
    /// Fingerprint of its tables, hex.
    pub fingerprint: String,
    /// Version of the program that added it.
    pub created_by: String,
    /// File with its row.
    pub file: PathBuf,
}

/// A registered file of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredFile {
    /// Schema: the network's name.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Full path.
    pub path: PathBuf,
    /// Rows in the file.
    pub rows: u64,
    /// Those of them that were deleted through SQL and are read no more.
    pub deleted: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Whether the newest snapshot has it; replaced files stay until they are cleaned up.
    pub live: bool,
}

impl RegisteredFile {
    /// Ledgers of the batches in it, as its name says; `None` for a file that this program did not write.
    pub fn named_range(&self) -> Option<LedgerRange> {
        named_range(&self.path)
    }

    /// Whether its table still shows rows of it.
    pub fn is_read(&self) -> bool {
        self.live && self.rows > self.deleted
    }
}

/// Ledgers of a file of our naming.
fn named_range(path: &Path) -> Option<LedgerRange> {
    FileName::parse(path.file_name()?.to_str()?).map(|name| name.range)
}

/// Header hashes of a stored ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredLink {
    /// Hash of the ledger.
    pub hash: Hash32,
    /// Hash of the ledger before it, as its header names it.
    pub previous_hash: Hash32,
}

/// Lowest and highest value of a column, by the id of the file.
pub(crate) type Ends = HashMap<i64, (String, String)>;

/// A live file of the ledgers table.
struct StoredFile {
    path: PathBuf,
    rows: u64,
    id: i64,
    has_deletes: bool,
}

impl StoredFile {
    /// Whether it holds every ledger of `range`, each once.
    fn is_whole(&self, range: LedgerRange) -> bool {
        !self.has_deletes && range.count() == self.rows
    }
}

impl Catalog {
    /// The networks of the lake; none when it is new.
    pub(crate) fn networks(&mut self) -> Result<Vec<StoredNetwork>, LakeError> {
        let exists = self.rows(
            "look for networks",
            &format!(
                "SELECT 1 FROM {} t JOIN {} s USING (schema_id) WHERE t.table_name = {} AND s.schema_name = 'main' \
                 AND t.end_snapshot IS NULL",
                meta("ducklake_table"),
                meta("ducklake_schema"),
                literal(NETWORKS.name)
            ),
            |_| Ok(()),
        )?;
        if exists.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT name, passphrase, fingerprint, created_by, filename FROM {}",
            qualified("main", NETWORKS.name)
        );
        self.rows("read the networks", &sql, |r| {
            Ok(StoredNetwork {
                name: r.get(0)?,
                passphrase: r.get(1)?,
                fingerprint: r.get(2)?,
                created_by: r.get(3)?,
                file: PathBuf::from(r.get::<_, String>(4)?),
            })
        })
    }

    /// The comment of a table, as the catalog holds it.
    pub(crate) fn comment(&mut self, schema: &str, table: &str) -> Result<Option<String>, LakeError> {
        let inner = format!(
            "SELECT g.value AS v FROM ducklake_schema s JOIN ducklake_table t ON t.schema_id = s.schema_id \
             JOIN ducklake_tag g ON g.object_id = t.table_id AND g.key = 'comment' \
             WHERE s.schema_name = {} AND t.table_name = {} AND s.end_snapshot IS NULL \
             AND t.end_snapshot IS NULL AND g.end_snapshot IS NULL",
            literal(schema),
            literal(table)
        );
        let found = self.rows("read a comment", &sqlite(&inner, "v"), |r| r.get(0))?;
        Ok(found.into_iter().next())
    }

    /// Which ledgers of a network are stored: from the names and row counts of our own files, from the statistics of
    /// others', from rows where neither tells.
    pub(crate) fn coverage(&mut self, network: &str) -> Result<RangeSet, LakeError> {
        let inner = format!(
            "SELECT s.path AS sp, s.path_is_relative AS sr, t.path AS tp, t.path_is_relative AS tr, f.path AS fp, \
             f.path_is_relative AS fr, f.record_count AS n, f.data_file_id AS id, \
             EXISTS (SELECT 1 FROM ducklake_delete_file d WHERE d.data_file_id = f.data_file_id \
             AND d.end_snapshot IS NULL) AS del \
             FROM ducklake_schema s JOIN ducklake_table t ON t.schema_id = s.schema_id \
             JOIN ducklake_data_file f ON f.table_id = t.table_id \
             WHERE s.schema_name = {} AND t.table_name = {} AND s.end_snapshot IS NULL \
             AND t.end_snapshot IS NULL AND f.end_snapshot IS NULL",
            literal(network),
            literal(LEDGERS_TABLE)
        );
        let data = self.dirs().data();
        let sql = sqlite(
            &inner,
            "sp, sr::BIGINT, tp, tr::BIGINT, fp, fr::BIGINT, n::BIGINT, id::BIGINT, del::BIGINT",
        );
        let files = self.rows("read the coverage", &sql, |r| {
            let file = StoredFile {
                path: path_of(&data, r)?,
                rows: r.get(6)?,
                id: r.get(7)?,
                has_deletes: r.get::<_, i64>(8)? != 0,
            };
            Ok(file)
        })?;
        let mut coverage = RangeSet::new();
        let mut stored = 0_u64;
        let mut others = Vec::new();
        for file in files {
            match named_range(&file.path).filter(|range| file.is_whole(*range)) {
                Some(range) => {
                    stored = stored.saturating_add(file.rows);
                    coverage.insert(range);
                }
                None => others.push(file),
            }
        }
        // A search in the statistics takes a second per million of rows.
        let statistics =
            if others.is_empty() { HashMap::new() } else { self.ends(network, LEDGERS_TABLE, "sequence")? };
        for file in others {
            let ends = statistics.get(&file.id).and_then(|(lo, hi)| {
                LedgerRange::new(lo.parse::<LedgerSeq>().ok()?, hi.parse::<LedgerSeq>().ok()?)
            });
            match ends.filter(|range| file.is_whole(*range)) {
                Some(range) => {
                    stored = stored.saturating_add(file.rows);
                    coverage.insert(range);
                }
                None => {
                    for range in self.rows_of_file(network, &file.path, ends)? {
                        stored = stored.saturating_add(range.count());
                        coverage.insert(range);
                    }
                }
            }
        }
        if stored != coverage.count() {
            let problem = format!(
                "network {network} has {stored} ledger rows for {} ledgers: some are stored twice",
                coverage.count()
            );
            return Err(LakeError::Untrue { path: self.dirs().catalog(), problem });
        }
        Ok(coverage)
    }

    /// Lowest and highest value of a column by file: one pass over the statistics, which have no index.
    pub(crate) fn ends(&mut self, network: &str, table: &str, column: &str) -> Result<Ends, LakeError> {
        let inner = format!(
            "SELECT st.data_file_id AS id, st.min_value AS lo, st.max_value AS hi FROM ducklake_file_column_stats st \
             WHERE (st.table_id, st.column_id) = (SELECT c.table_id, c.column_id FROM ducklake_schema s \
             JOIN ducklake_table t ON t.schema_id = s.schema_id \
             JOIN ducklake_column c ON c.table_id = t.table_id AND c.column_name = {} \
             WHERE s.schema_name = {} AND t.table_name = {} AND s.end_snapshot IS NULL \
             AND t.end_snapshot IS NULL AND c.end_snapshot IS NULL) \
             AND st.min_value IS NOT NULL AND st.max_value IS NOT NULL",
            literal(column),
            literal(network),
            literal(table)
        );
        let rows = self.rows("read statistics", &sqlite(&inner, "id::BIGINT, lo, hi"), |r| {
            Ok((r.get(0)?, (r.get(1)?, r.get(2)?)))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// The ledgers in one file of the ledgers table, one range per run of rows.
    /// None when the file cannot be read: its ledgers are not there then.
    fn rows_of_file(
        &mut self,
        network: &str,
        path: &Path,
        within: Option<LedgerRange>,
    ) -> Result<Vec<LedgerRange>, LakeError> {
        // Else DuckLake opens every file of the table.
        let within = within.map(|r| format!(" AND sequence BETWEEN {} AND {}", r.start(), r.end()));
        let sql = format!(
            "SELECT min(s)::UINTEGER, max(s)::UINTEGER FROM (SELECT sequence AS s, sequence - row_number() OVER \
             (ORDER BY sequence) AS g FROM {} WHERE filename = {}{}) GROUP BY g",
            qualified(network, LEDGERS_TABLE),
            literal(&path.to_string_lossy()),
            within.unwrap_or_default()
        );
        let ranges = self.rows("read the coverage from rows", &sql, |r| {
            Ok(LedgerRange::new(LedgerSeq::new(r.get(0)?), LedgerSeq::new(r.get(1)?)))
        });
        match ranges {
            Ok(ranges) => Ok(ranges.into_iter().flatten().collect()),
            Err(error) if error.is_locked() => Err(error),
            Err(error) => {
                tracing::warn!(path = %path.display(), error = %error, "a file of ledgers with deleted rows cannot be read");
                Ok(Vec::new())
            }
        }
    }

    /// Hashes of a stored ledger; `None` when it is not stored.
    pub(crate) fn stored_link(
        &mut self,
        network: &str,
        seq: LedgerSeq,
    ) -> Result<Option<StoredLink>, LakeError> {
        // DuckLake would search the statistics of all files, which takes seconds when there are many.
        let rows = match self.file_of(network, seq)? {
            Some(path) => {
                format!("read_parquet({}, hive_partitioning = false)", literal(&path.to_string_lossy()))
            }
            None => qualified(network, LEDGERS_TABLE),
        };
        let sql = format!("SELECT ledger_hash, previous_ledger_hash FROM {rows} WHERE sequence = {seq}");
        let found = self
            .rows("read a ledger's hashes", &sql, |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?)))?;
        let Some((hash, previous)) = found.into_iter().next() else { return Ok(None) };
        match (hash.parse(), previous.parse()) {
            (Ok(hash), Ok(previous_hash)) => Ok(Some(StoredLink { hash, previous_hash })),
            (Err(e), _) | (_, Err(e)) => Err(LakeError::Untrue {
                path: self.dirs().catalog(),
                problem: format!("network {network}: ledger {seq} has no readable hash: {e}"),
            }),
        }
    }

    /// The live file of our naming that holds a ledger; `None` when no name tells, or when rows of it were deleted.
    fn file_of(&mut self, network: &str, seq: LedgerSeq) -> Result<Option<PathBuf>, LakeError> {
        let inner = format!(
            "SELECT s.path AS sp, s.path_is_relative AS sr, t.path AS tp, t.path_is_relative AS tr, f.path AS fp, \
             f.path_is_relative AS fr FROM ducklake_schema s JOIN ducklake_table t ON t.schema_id = s.schema_id \
             JOIN ducklake_data_file f ON f.table_id = t.table_id \
             WHERE s.schema_name = {} AND t.table_name = {} AND s.end_snapshot IS NULL \
             AND t.end_snapshot IS NULL AND f.end_snapshot IS NULL \
             AND substr(f.path, 1, 10) <= '{seq:0>10}' AND substr(f.path, 12, 10) >= '{seq:0>10}' \
             AND NOT EXISTS (SELECT 1 FROM ducklake_delete_file d WHERE d.data_file_id = f.data_file_id \
             AND d.end_snapshot IS NULL)",
            literal(network),
            literal(LEDGERS_TABLE),
            seq = seq.get()
        );
        let data = self.dirs().data();
        let sql = sqlite(&inner, "sp, sr::BIGINT, tp, tr::BIGINT, fp, fr::BIGINT");
        let paths = self.rows("look for a ledger's file", &sql, |r| path_of(&data, r))?;
        Ok(paths.into_iter().find(|path| named_range(path).is_some_and(|range| range.contains(seq))))
    }

    /// Every file that the catalog names of a network, live or kept for older snapshots.
    pub(crate) fn files(&mut self, schema: &str) -> Result<Vec<RegisteredFile>, LakeError> {
        self.registered(&format!("s.schema_name = {}", literal(schema)))
    }

    /// The files of all networks whose ids are in the page from `id` on, and where the next page begins; `None` after the
    /// last. A page keeps the committer for less time than a commit.
    pub(crate) fn file_page(&mut self, id: i64) -> Result<(Vec<RegisteredFile>, Option<i64>), LakeError> {
        let next = id.saturating_add(FILE_PAGE);
        let page = self.registered(&format!("f.data_file_id >= {id} AND f.data_file_id < {next}"))?;
        Ok((page, (next < self.snapshot()?.next_file_id).then_some(next)))
    }

    fn registered(&mut self, condition: &str) -> Result<Vec<RegisteredFile>, LakeError> {
        let inner = format!(
            "SELECT s.path AS sp, s.path_is_relative AS sr, t.path AS tp, t.path_is_relative AS tr, f.path AS fp, \
             f.path_is_relative AS fr, f.record_count AS n, f.file_size_bytes AS b, s.schema_name AS sn, \
             t.table_name AS tn, f.end_snapshot IS NULL AND t.end_snapshot IS NULL AND s.end_snapshot IS NULL AS live, \
             coalesce((SELECT max(d.delete_count) FROM ducklake_delete_file d \
             WHERE d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL), 0) AS gone \
             FROM ducklake_data_file f JOIN ducklake_table t ON t.table_id = f.table_id \
             JOIN ducklake_schema s ON s.schema_id = t.schema_id WHERE {condition}"
        );
        let data = self.dirs().data();
        let sql = sqlite(
            &inner,
            "sp, sr::BIGINT, tp, tr::BIGINT, fp, fr::BIGINT, n::BIGINT, b::BIGINT, sn, tn, live::BIGINT, \
             gone::BIGINT",
        );
        self.rows("list the files", &sql, |r| {
            Ok(RegisteredFile {
                path: path_of(&data, r)?,
                rows: r.get(6)?,
                bytes: r.get(7)?,
                schema: r.get(8)?,
                table: r.get(9)?,
                live: r.get::<_, i64>(10)? != 0,
                deleted: r.get(11)?,
            })
        })
    }

    /// Ledgers of the files whose rows a network's tables show, but for `except`; `None` when a name does not tell.
    pub(crate) fn named_ranges(
        &mut self,
        network: &str,
        except: &str,
    ) -> Result<Option<Vec<LedgerRange>>, LakeError> {
        let inner = format!(
            "SELECT f.path AS fp FROM ducklake_schema s JOIN ducklake_table t ON t.schema_id = s.schema_id \
             JOIN ducklake_data_file f ON f.table_id = t.table_id WHERE s.schema_name = {} AND t.table_name <> {} \
             AND s.end_snapshot IS NULL AND t.end_snapshot IS NULL AND f.end_snapshot IS NULL \
             AND f.record_count > coalesce((SELECT max(d.delete_count) FROM ducklake_delete_file d \
             WHERE d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL), 0)",
            literal(network),
            literal(except)
        );
        let ranges = self.rows("read the names of files", &sqlite(&inner, "fp"), |r| {
            Ok(named_range(Path::new(&r.get::<_, String>(0)?)))
        })?;
        Ok(ranges.into_iter().collect())
    }

    /// Paths of files that left the catalog and wait for their deletion.
    pub(crate) fn leaving_paths(&mut self) -> Result<Vec<PathBuf>, LakeError> {
        let data = self.dirs().data();
        let sql = format!(
            "SELECT path, path_is_relative::BIGINT FROM {}",
            meta("ducklake_files_scheduled_for_deletion")
        );
        self.rows("list the files to be deleted", &sql, |r| {
            let (path, relative): (String, i64) = (r.get(0)?, r.get(1)?);
            Ok(if relative == 1 { data.join(path) } else { PathBuf::from(path) })
        })
    }
}

/// The full path from the first six columns of a row: path and relativity of schema, table and file.
fn path_of(data: &Path, r: &Row<'_>) -> duckdb::Result<PathBuf> {
    let text = |i: usize| r.get::<_, String>(i);
    let relative = |i: usize| r.get::<_, i64>(i).map(|v| v == 1);
    let (schema, table, file) = (text(0)?, text(2)?, text(4)?);
    Ok(full_path(data, [(&schema, relative(1)?), (&table, relative(3)?), (&file, relative(5)?)]))
}
