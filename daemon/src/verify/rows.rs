//! Counts: what the ledgers say of their transactions, operations and events, and what the lineage says of each batch.

use lake_core::{LedgerRange, tables};

use super::{Kind, headers::Facts, unit::Unit};
use crate::lake::{LEDGERS_TABLE, LINEAGE_TABLE, Told};

/// No batch.
const NOBODY: usize = usize::MAX;

/// What a ledger says of the rows of a table: the number of those that it counts, exactly or at most.
type Says = (&'static str, fn(&Facts) -> Option<i64>, bool);

const SAYS: [Says; 4] = [
    (tables::transactions::SPEC.name, |facts| facts.transactions, true),
    (tables::operations::SPEC.name, |facts| facts.operations, true),
    (tables::contract_events::SPEC.name, |facts| facts.events, true),
    // Keys of TTLs are counted too and have no rows.
    (tables::evicted_keys::SPEC.name, |facts| Some(facts.evicted.unwrap_or(0)), false),
];

impl Unit {
    /// Compares the rows of every ledger and of every batch with what was told of them.
    pub(super) fn counts(&mut self) {
        self.doubled();
        for (table, says, is_exact) in SAYS {
            self.per_ledger(table, says, is_exact);
        }
        self.per_batch();
    }

    /// No ledger has two rows.
    fn doubled(&mut self) {
        let Some(counts) = self.counts.get(LEDGERS_TABLE) else { return };
        let twice = counts.all.iter().enumerate().filter(|(_, count)| **count > 1);
        let problems = twice.map(|(index, count)| (index, format!("it has {count} rows"))).collect();
        self.found_of_ledgers(Kind::Rows, LEDGERS_TABLE, problems);
    }

    fn per_ledger(&mut self, table: &'static str, says: fn(&Facts) -> Option<i64>, is_exact: bool) {
        let Some(counts) = self.counts.get(table) else { return };
        let mut problems = Vec::new();
        for (index, (found, facts)) in counts.counted.iter().zip(&self.facts).enumerate() {
            let Some(said) = facts.as_ref().and_then(says) else { continue };
            let seq = self.seq(index);
            let is_known = !counts.unknown.contains(seq) && !self.lacks(table, index);
            let found = i64::from(*found);
            if is_known && (found > said || is_exact && found < said) {
                problems.push((index, format!("it has {found} rows, its ledger says {said}")));
            }
        }
        self.found_of_ledgers(Kind::Rows, table, problems);
    }

    /// Whether a table was added after the ledger was stored.
    fn lacks(&self, table: &str, index: usize) -> bool {
        let seq = self.seq(index);
        self.lacking.iter().any(|lacking| lacking.tables.contains(&table) && lacking.ledgers.contains(seq))
    }

    /// Every batch has as many rows as it wrote. Of several that wrote the same ledgers the newest counts.
    fn per_batch(&mut self) {
        let mut found = Vec::new();
        for spec in self.specs {
            let Some(counts) = self.counts.get(spec.name) else { continue };
            let writers = self.writers(spec.name);
            for (told, place) in self.told.iter().zip(0_usize..) {
                // A batch of which only a part is looked at, or still there, cannot be counted.
                let Some(ledgers) = self.whole(told) else { continue };
                let written = writers.get(ledgers.clone()).unwrap_or_default();
                let is_known = counts.unknown.overlap(told.range).is_none();
                if !told.is_batch || !is_known || written.iter().any(|writer| *writer != place) {
                    continue;
                }
                let rows: u64 = counts.all.get(ledgers).into_iter().flatten().map(|n| u64::from(*n)).sum();
                let wrote = told.files.get(spec.name).map_or(0, |file| file.rows);
                if rows != wrote && !self.is_found(spec.name, told.range) {
                    let problem = format!("the batch has {rows} rows, {wrote} were written");
                    found.push((told.range, spec.name, problem));
                }
            }
            if spec.name == LEDGERS_TABLE {
                found.extend(self.untold(&writers).into_iter().map(|range| {
                    (range, LINEAGE_TABLE, "no row of the lineage tells of these ledgers".to_owned())
                }));
            }
        }
        for (range, table, problem) in found {
            let kind = if table == LINEAGE_TABLE { Kind::Lineage } else { Kind::Rows };
            self.found(kind, range, table, None, problem);
        }
    }

    /// For each ledger the newest batch that wrote a table.
    fn writers(&self, table: &str) -> Vec<usize> {
        let mut writers = vec![NOBODY; self.facts.len()];
        for (told, place) in self.told.iter().zip(0_usize..) {
            if !told.is_batch || !told.tables.iter().any(|name| name == table) {
                continue;
            }
            let Some(part) = told.range.intersection(self.range) else { continue };
            let (start, end) = (self.index(part.start().get().into()), self.index(part.end().get().into()));
            let Some(part) = start.zip(end).and_then(|(start, end)| writers.get_mut(start..=end)) else {
                continue;
            };
            part.fill(place);
        }
        writers
    }

    /// The places of a batch's ledgers; `None` when some are outside of the unit.
    fn whole(&self, told: &Told) -> Option<std::ops::RangeInclusive<usize>> {
        Some(self.index(told.range.start().get().into())?..=self.index(told.range.end().get().into())?)
    }

    /// Whether something is known to be wrong with these ledgers of a table already.
    fn is_found(&self, table: &str, range: LedgerRange) -> bool {
        self.findings.iter().any(|finding| finding.table == table && finding.range.overlaps(range))
    }

    /// Stored ledgers that nobody wrote.
    fn untold(&self, writers: &[usize]) -> Vec<LedgerRange> {
        let mut untold: Vec<LedgerRange> = Vec::new();
        for (index, writer) in writers.iter().enumerate() {
            let seq = self.seq(index);
            let is_stored = self.facts.get(index).is_some_and(Option::is_some);
            if *writer != NOBODY
                || !is_stored
                || self.is_found(LINEAGE_TABLE, LedgerRange::new(seq, seq).unwrap_or(self.range))
            {
                continue;
            }
            match untold.last_mut() {
                Some(last) if last.end().next() == Some(seq) => {
                    *last = LedgerRange::new(last.start(), seq).unwrap_or(*last);
                }
                Some(_) | None => untold.extend(LedgerRange::new(seq, seq)),
            }
        }
        untold
    }
}
