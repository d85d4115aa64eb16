//! Storing ledgers anew: which range can be replaced as a whole, and which files leave their tables for it.
//!
//! A file holds whole batches, and merged files of different tables end at different ledgers. Ledgers can only be
//! replaced together with all others that share a file with them.

use std::collections::BTreeMap;

use lake_core::{LedgerRange, LedgerSeq, schema::TableSpec};

use super::{
    batch::NetworkName,
    catalog::{Catalog, Removal, sqlite},
    committer::Committer,
    coverage::RangeSet,
    damage::{Damage, Proven},
    ddl::literal,
    encode::Encoder,
    error::LakeError,
    history::read_lineage,
    inventory::RegisteredFile,
    lineage::{LINEAGE, LINEAGE_TABLE},
    open::Lake,
};

/// A file whose rows a table shows, with the ledgers that it belongs to.
#[derive(Clone, Debug)]
pub struct Held {
    /// The file.
    pub file: RegisteredFile,
    /// Ledgers of the batches in it: by its name, or by its statistics when others wrote it.
    pub range: LedgerRange,
}

/// What a network's tables hold apart from whole ledgers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) coverage: RangeSet,
    /// Ledgers without a row of their own in files of which other rows are read.
    pub(crate) leftovers: RangeSet,
}

impl Lake {
    /// The smallest range around `range` that no file of any table reaches out of, the lineage's included: the ledgers
    /// that must be replaced together. It never leaves the 10,000-ledger range, because no file does.
    ///
    /// # Errors
    /// What the catalog says.
    pub fn closure(&self, network: &NetworkName, range: LedgerRange) -> Result<LedgerRange, LakeError> {
        Ok(close(&self.held(network)?, range))
    }

    /// All files whose rows the tables of a network show, the lineage's included.
    ///
    /// # Errors
    /// What the catalog says.
    pub fn held(&self, network: &NetworkName) -> Result<Vec<Held>, LakeError> {
        let (network, encoder) = (network.clone(), self.encoder.clone());
        self.ask(move |committer| committer.catalog.held(&encoder, network.as_str()))
    }

    /// The tables of every network.
    pub fn specs(&self) -> &'static [&'static TableSpec] {
        self.encoder.specs
    }

    /// The closures of all `ranges`, ascending; those that meet are one.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn closures(
        &self,
        network: &NetworkName,
        ranges: Vec<LedgerRange>,
    ) -> Result<Vec<LedgerRange>, LakeError> {
        let (network, encoder) = (network.clone(), self.encoder.clone());
        let held =
            self.ask_async(move |committer| committer.catalog.held(&encoder, network.as_str())).await?;
        Ok(closures(&held, ranges))
    }

    /// Reads again what is stored of a network: others may have deleted rows through SQL.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn refresh(&self, network: &NetworkName) -> Result<(), LakeError> {
        let network = network.clone();
        self.ask_async(move |committer| committer.refresh(&network)).await
    }

    /// Stored ledgers that are known to be damaged, and ledgers that some tables still hold rows of although the
    /// ledgers themselves are gone: what can only be stored in place of the rest.
    ///
    /// # Errors
    /// [`LakeError::UnknownNetwork`].
    pub fn unsound(&self, network: &NetworkName) -> Result<RangeSet, LakeError> {
        let mut unsound = self.damage.ranges(network);
        unsound.extend(self.watermark(network)?.borrow().leftovers.ranges());
        Ok(unsound)
    }

    /// Stored ledgers that are not known to be damaged.
    ///
    /// # Errors
    /// [`LakeError::UnknownNetwork`].
    pub fn sound(&self, network: &NetworkName) -> Result<RangeSet, LakeError> {
        Ok(self.coverage(network)?.without_all(&self.damage.ranges(network)))
    }

    /// Known damage of a network.
    pub fn damage(&self, network: &NetworkName) -> Vec<Damage> {
        self.damage.of(network)
    }

    /// Notes damage, and forgets what was proven to be none. Durable when it returns.
    ///
    /// # Errors
    /// What the disk says.
    pub fn note_damage(
        &self,
        network: &NetworkName,
        proven: Proven,
        found: Vec<Damage>,
    ) -> Result<(), LakeError> {
        self.damage.replace(network, proven, found)
    }

    /// Ledgers that were stored at some time, by the lineage.
    ///
    /// # Errors
    /// What the catalog says, and what is wrong with the files of the lineage.
    pub async fn once_stored(&self, network: &NetworkName) -> Result<RangeSet, LakeError> {
        let network = network.clone();
        self.ask_async(move |committer| committer.catalog.once_stored(network.as_str())).await
    }
}

impl Committer {
    /// The files that leave their tables when the ledgers of `range` are stored anew. The lineage keeps its history,
    /// but for files of it that cannot be read.
    pub(super) fn removals(
        &mut self,
        network: &NetworkName,
        range: LedgerRange,
    ) -> Result<Vec<Removal>, LakeError> {
        let encoder = self.encoder.clone();
        let held = self.catalog.held(&encoder, network.as_str())?;
        let mut removals: BTreeMap<&'static str, Removal> = BTreeMap::new();
        for Held { file, range: of_file } in held.into_iter().filter(|held| held.range.overlaps(range)) {
            let inside = range.intersection(of_file) == Some(of_file);
            if file.table == LINEAGE_TABLE {
                if !inside || read_lineage(&file.path).is_ok() {
                    continue;
                }
                tracing::warn!(%network, path = %file.path.display(), "lineage that cannot be read is given up");
            } else if !inside {
                let network = network.to_string();
                return Err(LakeError::NotClosed { network, range, reaches: of_file });
            }
            let spec = known_table(&encoder, &file.table).ok_or_else(|| LakeError::BadBatch {
                network: network.to_string(),
                range,
                table: file.table.clone(),
                reason: "this version does not know the table".to_owned(),
            })?;
            let removal = removals.entry(spec.name).or_insert(Removal {
                table: spec.name,
                paths: Vec::new(),
                ledgers: Some((spec.ledger_column, range)),
                rows: 0,
            });
            removal.rows = removal.rows.saturating_add(file.rows.saturating_sub(file.deleted));
            removal.paths.push(file.path);
        }
        Ok(removals.into_values().collect())
    }

    /// Reads coverage and what goes with it from the catalog and tells everyone.
    pub(crate) fn refresh(&mut self, network: &NetworkName) -> Result<(), LakeError> {
        let stored = self.catalog.stored(&self.encoder, network.as_str())?;
        let lacking = self.catalog.lacking(&self.encoder, network.as_str(), &stored.coverage)?;
        self.refreshed(network, stored, lacking);
        Ok(())
    }
}

impl Catalog {
    /// Coverage and leftovers of a network. Deletions that others made through SQL are made plain first.
    pub(crate) fn stored(&mut self, encoder: &Encoder, network: &str) -> Result<Stored, LakeError> {
        self.settle(network)?;
        let coverage = self.coverage(network)?;
        let ranges = match self.named_ranges(network, LINEAGE_TABLE)? {
            Some(ranges) => ranges,
            None => {
                let held = self.held(encoder, network)?;
                held.iter().filter(|held| held.file.table != LINEAGE_TABLE).map(|held| held.range).collect()
            }
        };
        let mut leftovers = RangeSet::new();
        for range in ranges.into_iter().filter(|range| !coverage.covers(*range)) {
            leftovers.extend(coverage.missing(range));
        }
        Ok(Stored { coverage, leftovers })
    }

    /// A client with DuckLake's defaults keeps small deletions in rows of the catalog, where neither statistics nor the
    /// replacing of files see them: turns them into delete files.
    fn settle(&mut self, network: &str) -> Result<(), LakeError> {
        let names = "SELECT name AS n FROM sqlite_master WHERE type = 'table' \
                     AND (name LIKE 'ducklake_inlined_delete_%' OR name LIKE 'ducklake_inlined_data_%') \
                     AND name <> 'ducklake_inlined_data_tables'";
        let names: Vec<String> = self.rows("look for inlined rows", &sqlite(names, "n"), |r| r.get(0))?;
        let mut found = false;
        for name in names {
            let inner = format!("SELECT count(*) AS n FROM {name}");
            let counts: Vec<i64> =
                self.rows("count inlined rows", &sqlite(&inner, "n::BIGINT"), |r| r.get(0))?;
            found |= counts.iter().any(|count| *count > 0);
        }
        if found {
            tracing::info!(network, "others changed rows of the lake through SQL: settling their changes");
            let sql =
                format!("CALL ducklake_flush_inlined_data('lake', schema_name => {})", literal(network));
            self.execute("settle inlined rows", &sql)?;
        }
        Ok(())
    }

    /// The files whose rows the tables of a network show. A file of others whose ledgers are unknown is left out.
    pub(crate) fn held(&mut self, encoder: &Encoder, network: &str) -> Result<Vec<Held>, LakeError> {
        let files = self.files(network)?;
        let mut held = Vec::with_capacity(files.len());
        for file in files.into_iter().filter(RegisteredFile::is_read) {
            let range = match file.named_range() {
                Some(range) => Some(range),
                None => self.range_by_statistics(encoder, &file)?,
            };
            match range {
                Some(range) => held.push(Held { file, range }),
                None => {
                    tracing::warn!(path = %file.path.display(), "a file of others; its ledgers are not known")
                }
            }
        }
        Ok(held)
    }

    fn range_by_statistics(
        &mut self,
        encoder: &Encoder,
        file: &RegisteredFile,
    ) -> Result<Option<LedgerRange>, LakeError> {
        let Some((spec, name)) = known_table(encoder, &file.table).zip(file.path.file_name()) else {
            return Ok(None);
        };
        let inner = format!(
            "SELECT st.min_value AS lo, st.max_value AS hi FROM ducklake_schema s \
             JOIN ducklake_table t ON t.schema_id = s.schema_id JOIN ducklake_data_file f ON f.table_id = t.table_id \
             JOIN ducklake_column c ON c.table_id = t.table_id AND c.end_snapshot IS NULL AND c.column_name = {} \
             JOIN ducklake_file_column_stats st ON st.data_file_id = f.data_file_id AND st.column_id = c.column_id \
             WHERE s.schema_name = {} AND t.table_name = {} AND f.path LIKE {}",
            literal(spec.ledger_column),
            literal(&file.schema),
            literal(spec.name),
            literal(&format!("%{}", name.to_string_lossy()))
        );
        let ends: Vec<(Option<String>, Option<String>)> =
            self.rows("read statistics", &sqlite(&inner, "lo, hi"), |r| Ok((r.get(0)?, r.get(1)?)))?;
        let seq = |text: &Option<String>| text.as_ref()?.parse::<LedgerSeq>().ok();
        Ok(ends.first().and_then(|(lo, hi)| LedgerRange::new(seq(lo)?, seq(hi)?)))
    }

    /// Ledgers that some batch in the lineage stored.
    fn once_stored(&mut self, network: &str) -> Result<RangeSet, LakeError> {
        let sql = format!(
            "SELECT range_start::UINTEGER, range_end::UINTEGER FROM {} WHERE kind <> 'merge'",
            super::ddl::qualified(network, LINEAGE_TABLE)
        );
        let rows = self.rows("read the lineage", &sql, |r| {
            Ok(LedgerRange::new(LedgerSeq::new(r.get(0)?), LedgerSeq::new(r.get(1)?)))
        })?;
        Ok(rows.into_iter().flatten().collect())
    }
}

fn known_table(encoder: &Encoder, name: &str) -> Option<&'static TableSpec> {
    encoder.specs.iter().copied().chain([&LINEAGE]).find(|spec| spec.name == name)
}

/// Widens `range` until no file reaches out of it.
fn close(held: &[Held], range: LedgerRange) -> LedgerRange {
    let mut closed = range;
    loop {
        let wider =
            held.iter().map(|held| held.range).filter(|file| file.overlaps(closed)).fold(closed, join);
        if wider == closed {
            return closed;
        }
        closed = wider;
    }
}

fn join(a: LedgerRange, b: LedgerRange) -> LedgerRange {
    LedgerRange::new(a.start().min(b.start()), a.end().max(b.end())).unwrap_or(a)
}

fn closures(held: &[Held], ranges: Vec<LedgerRange>) -> Vec<LedgerRange> {
    let mut closed: Vec<LedgerRange> = ranges.into_iter().map(|range| close(held, range)).collect();
    closed.sort_unstable();
    let mut all: Vec<LedgerRange> = Vec::new();
    for range in closed {
        match all.last_mut() {
            // Closures that meet are the same, or one lies in the other.
            Some(last) if last.overlaps(range) => *last = join(*last, range),
            Some(_) | None => all.push(range),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(start: u32, end: u32) -> LedgerRange {
        LedgerRange::new(LedgerSeq::new(start), LedgerSeq::new(end)).unwrap()
    }

    fn held(ranges: &[(u32, u32)]) -> Vec<Held> {
        let file = RegisteredFile {
            schema: "n".to_owned(),
            table: "t".to_owned(),
            path: "x".into(),
            rows: 1,
            deleted: 0,
            bytes: 1,
            live: true,
        };
        ranges.iter().map(|(start, end)| Held { file: file.clone(), range: range(*start, *end) }).collect()
    }

    #[test]
    fn a_closure_follows_files_that_reach_over_its_ends() {
        let files = held(&[(2, 10), (11, 20), (5, 15), (21, 30), (40, 50)]);
        assert_eq!(close(&files, range(3, 3)), range(2, 20));
        assert_eq!(close(&files, range(25, 26)), range(21, 30));
        assert_eq!(close(&files, range(32, 35)), range(32, 35));
        assert_eq!(
            closures(&files, vec![range(31, 33), range(12, 12), range(3, 3)]),
            [range(2, 20), range(31, 33)]
        );
    }

    proptest! {
        /// No file straddles an end, the range is inside, and nothing smaller would do.
        #[test]
        fn a_closure_is_closed_and_as_small_as_can_be(
            files in prop::collection::vec((0_u32..100, 0_u32..20), 0..20), start in 0_u32..110, length in 0_u32..10,
        ) {
            let files: Vec<(u32, u32)> = files.into_iter().map(|(start, length)| (start, start + length)).collect();
            let wanted = range(start, start + length);
            let closed = close(&held(&files), wanted);
            prop_assert!(closed.intersection(wanted) == Some(wanted));
            for (start, end) in &files {
                let file = range(*start, *end);
                prop_assert!(!file.overlaps(closed) || closed.intersection(file) == Some(file));
            }
            let is_end = |seq: u32| files.iter().any(|(start, end)| *start == seq || *end == seq);
            prop_assert!(closed.start() == wanted.start() || is_end(closed.start().get()));
            prop_assert!(closed.end() == wanted.end() || is_end(closed.end().get()));
        }
    }
}
