//! Which stored ledgers have no rows in tables that were added after they were stored. The lineage tells: every
//! batch says which tables its version wrote, empty ones included.

use std::{collections::BTreeMap, sync::Arc};

use lake_core::{LedgerRange, LedgerSeq, schema::TableSpec};

use super::{
    LEDGERS_TABLE,
    batch::{NetworkName, OnlyTables},
    catalog::{Catalog, sqlite},
    coverage::RangeSet,
    ddl::{literal, qualified},
    dirs::FileName,
    encode::Encoder,
    error::LakeError,
    lineage::LINEAGE,
    open::Lake,
};

/// Ledgers of small files that are completed in one go.
const JOINED_LEDGERS: u64 = 1_000;

/// Stored ledgers that some tables know nothing of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The tables, in the order of the documentation.
    pub tables: Vec<&'static str>,
    /// The ledgers.
    pub ledgers: RangeSet,
}

impl Lacking {
    /// What still lacks after rows of `tables` were added to the ledgers of `range`.
    pub(crate) fn without(all: &[Self], range: LedgerRange, tables: &[&'static str]) -> Vec<Self> {
        let mut left: Vec<Self> = Vec::new();
        for lacking in all {
            for table in &lacking.tables {
                let ledgers = if tables.contains(table) {
                    lacking.ledgers.without(range)
                } else {
                    lacking.ledgers.clone()
                };
                add(&mut left, table, ledgers);
            }
        }
        left
    }
}

impl Lake {
    /// Ranges whose stored ledgers lack tables, with those tables, ascending. No range reaches over the end of a
    /// stored file that is larger than a few batches, so that merging the new files with the old ones stays small.
    ///
    /// # Errors
    /// [`LakeError::UnknownNetwork`], or what the catalog says.
    pub fn incomplete(&self, network: &NetworkName) -> Result<Vec<(LedgerRange, OnlyTables)>, LakeError> {
        let lacking = self.lacking(network)?;
        if lacking.is_empty() {
            return Ok(Vec::new());
        }
        let schema = network.to_string();
        let files = self.ask(move |committer| committer.catalog.files(&schema))?;
        let mut stored: Vec<LedgerRange> = files
            .iter()
            .filter(|file| file.live && file.table == LEDGERS_TABLE)
            .filter_map(|file| FileName::parse(file.path.file_name()?.to_str()?))
            .map(|name| name.range)
            .collect();
        stored.sort_unstable();
        let stored = joined(&stored);
        let mut all = Vec::new();
        for Lacking { tables, ledgers } in lacking.iter() {
            let only: OnlyTables = tables.as_slice().into();
            for range in &stored {
                let missing = ledgers.ranges().filter_map(|lacks| lacks.intersection(*range));
                all.extend(missing.map(|range| (range, Arc::clone(&only))));
            }
        }
        all.sort_by_key(|(range, _)| *range);
        Ok(all)
    }
}

/// Adjacent files together, up to [`JOINED_LEDGERS`] and within one 10,000-ledger range.
fn joined(files: &[LedgerRange]) -> Vec<LedgerRange> {
    let mut joined: Vec<LedgerRange> = Vec::new();
    for file in files {
        let larger = joined.last().and_then(|last| {
            let both = LedgerRange::new(last.start(), file.end())?;
            let near = last.end().next() == Some(file.start())
                && last.start().range_start() == file.start().range_start();
            (near && both.count() <= JOINED_LEDGERS).then_some(both)
        });
        match (larger, joined.last_mut()) {
            (Some(both), Some(last)) => *last = both,
            (Some(_) | None, _) => joined.push(*file),
        }
    }
    joined
}

/// Adds a table to those that lack the same ledgers.
fn add(all: &mut Vec<Lacking>, table: &'static str, ledgers: RangeSet) {
    if ledgers.is_empty() {
        return;
    }
    match all.iter_mut().find(|lacking| lacking.ledgers == ledgers) {
        Some(lacking) => lacking.tables.push(table),
        None => all.push(Lacking { tables: vec![table], ledgers }),
    }
}

/// A row of the lineage: its range, and the tables of the version that wrote it.
type Written = (LedgerRange, Vec<String>);

impl Catalog {
    /// What of the coverage the tables of this program lack; nothing when all was written by their set.
    pub(crate) fn lacking(
        &mut self,
        encoder: &Encoder,
        network: &str,
        coverage: &RangeSet,
    ) -> Result<Vec<Lacking>, LakeError> {
        if coverage.is_empty() || !self.has_other_sets(network, &encoder.fingerprint)? {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT range_start::UINTEGER, range_end::UINTEGER, table_set FROM {} WHERE kind <> 'merge'",
            qualified(network, LINEAGE.name)
        );
        let rows: Vec<(u32, u32, String)> =
            self.rows("read the lineage", &sql, |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
        let written: Option<Vec<Written>> = rows
            .into_iter()
            .map(|(start, end, tables)| {
                let range = LedgerRange::new(LedgerSeq::new(start), LedgerSeq::new(end))?;
                Some((range, serde_json::from_str(&tables).ok()?))
            })
            .collect();
        let written = written.ok_or_else(|| LakeError::Untrue {
            path: self.dirs().catalog(),
            problem: format!("network {network}: a row of the lineage cannot be read"),
        })?;
        Ok(lacking(encoder.specs, coverage, &written))
    }

    /// Whether a batch of another table set may be in the lineage.
    fn has_other_sets(&mut self, network: &str, own: &str) -> Result<bool, LakeError> {
        // Older sets have fewer tables: where all were made at once there was none, and no statistics are searched.
        let inner = format!(
            "SELECT count(DISTINCT t.begin_snapshot) AS n FROM ducklake_schema s \
             JOIN ducklake_table t ON t.schema_id = s.schema_id WHERE s.schema_name = {} \
             AND s.end_snapshot IS NULL AND t.end_snapshot IS NULL",
            literal(network)
        );
        let made: Vec<i64> =
            self.rows("look for tables that came later", &sqlite(&inner, "n::BIGINT"), |r| r.get(0))?;
        if made.iter().all(|snapshots| *snapshots <= 1) {
            return Ok(false);
        }
        let inner = format!(
            "SELECT f.data_file_id AS id FROM ducklake_schema s JOIN ducklake_table t ON t.schema_id = s.schema_id \
             JOIN ducklake_data_file f ON f.table_id = t.table_id WHERE s.schema_name = {} AND t.table_name = {} \
             AND s.end_snapshot IS NULL AND t.end_snapshot IS NULL AND f.end_snapshot IS NULL",
            literal(network),
            literal(LINEAGE.name)
        );
        let files: Vec<i64> =
            self.rows("look for older table sets", &sqlite(&inner, "id::BIGINT"), |r| r.get(0))?;
        let ends = self.ends(network, LINEAGE.name, "fingerprint")?;
        let is_own = |id: &i64| ends.get(id).is_some_and(|(lo, hi)| lo == own && hi == own);
        Ok(!files.iter().all(is_own))
    }
}

/// The ledgers of `coverage` that no batch wrote with a table in its set, tables with the same ledgers together.
fn lacking(specs: &[&'static TableSpec], coverage: &RangeSet, written: &[Written]) -> Vec<Lacking> {
    let mut all: Vec<Lacking> = Vec::new();
    let mut has: BTreeMap<&str, RangeSet> = BTreeMap::new();
    for (range, tables) in written {
        for table in tables {
            has.entry(table).or_default().insert(*range);
        }
    }
    let none = RangeSet::new();
    for spec in specs {
        let stored = has.get(spec.name).unwrap_or(&none);
        let ledgers: RangeSet = coverage.ranges().flat_map(|range| stored.missing(range)).collect();
        add(&mut all, spec.name, ledgers);
    }
    all
}
