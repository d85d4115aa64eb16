//! Which stored ledgers have no rows in tables that were added after they were stored. The lineage tells: every
//! batch says which tables its version wrote, empty ones included.

use std::collections::BTreeMap;

use lake_core::{LedgerRange, LedgerSeq, schema::TableSpec};

use super::{
    catalog::{Catalog, sqlite},
    coverage::RangeSet,
    ddl::{literal, qualified},
    encode::Encoder,
    error::LakeError,
    lineage::LINEAGE,
};

/// Stored ledgers that some tables know nothing of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The tables, in the order of the documentation.
    pub tables: Vec<&'static str>,
    /// The ledgers.
    pub ledgers: RangeSet,
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

    /// Whether a batch of another table set is in the lineage: from the statistics of its files.
    fn has_other_sets(&mut self, network: &str, own: &str) -> Result<bool, LakeError> {
        let inner = format!(
            "SELECT 1 AS found FROM ducklake_schema s JOIN ducklake_table t ON t.schema_id = s.schema_id \
             JOIN ducklake_column c ON c.table_id = t.table_id AND c.column_name = 'fingerprint' \
             JOIN ducklake_data_file f ON f.table_id = t.table_id \
             LEFT JOIN ducklake_file_column_stats st ON st.table_id = t.table_id \
             AND st.column_id = c.column_id AND st.data_file_id = f.data_file_id \
             WHERE s.schema_name = {} AND t.table_name = {} AND s.end_snapshot IS NULL \
             AND t.end_snapshot IS NULL AND c.end_snapshot IS NULL AND f.end_snapshot IS NULL \
             AND NOT (coalesce(st.min_value, '') = {own} AND coalesce(st.max_value, '') = {own}) LIMIT 1",
            literal(network),
            literal(LINEAGE.name),
            own = literal(own)
        );
        let found = self.rows("look for older table sets", &sqlite(&inner, "found::BIGINT"), |_| Ok(()))?;
        Ok(!found.is_empty())
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
        if ledgers.is_empty() {
            continue;
        }
        match all.iter_mut().find(|lacking| lacking.ledgers == ledgers) {
            Some(lacking) => lacking.tables.push(spec.name),
            None => all.push(Lacking { tables: vec![spec.name], ledgers }),
        }
    }
    all
}
