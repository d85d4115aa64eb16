//! Compares a lake with the model and reports all differences, not the first.

use std::{collections::BTreeMap, fmt};

use lake_sim::LedgerTruth;
use serde::Deserialize;

use crate::{
    lake::LakeReader,
    model::{FIRST, Model},
    rows::{self, Cells, Comparison},
};

/// Rows of operations that one query fetches, about.
const CHUNK: usize = 30_000;
/// Differences that are printed; all are counted.
const PRINTED: usize = 40;

/// What does not agree.
#[derive(Debug, Default)]
pub struct Differences {
    found: Vec<String>,
    count: u64,
}

impl Differences {
    fn add(&mut self, difference: String) {
        self.count += 1;
        if self.found.len() < PRINTED {
            self.found.push(difference);
        }
    }

    fn check<T: PartialEq + fmt::Debug>(&mut self, what: impl fmt::Display, found: T, expected: T) {
        if found != expected {
            self.add(format!("{what}: the lake has {found:?}, the truth is {expected:?}"));
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Fails unless there are none.
    ///
    /// # Panics
    /// With the first differences and the number of all.
    pub fn assert_none(&self, when: &str) {
        assert!(self.count == 0, "{when}: {} differences\n{self}", self.count);
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.found {
            writeln!(f, "  {difference}")?;
        }
        Ok(())
    }
}

/// Compares everything that a network has in the lake, from its first ledger on without a gap: sums, coverage and lineage
/// of all its ledgers, and cell by cell the ledgers that this model did not compare before. Gives the last ledger and all
/// differences.
///
/// # Panics
/// When the lake cannot be read.
pub fn compare(lake: &LakeReader, network: &str, model: &mut Model) -> (u32, Differences) {
    let (stretches, mut differences) = compare_stretches(lake, network, model);
    (without_gap(network, &stretches, &mut differences), differences)
}

/// The same of a network that may have gaps: gives first and last ledger of each stretch without one.
///
/// # Panics
/// When the lake cannot be read.
pub fn compare_stretches(
    lake: &LakeReader,
    network: &str,
    model: &mut Model,
) -> (Vec<(u32, u32)>, Differences) {
    lake.run("BEGIN TRANSACTION").expect("a reader can begin a transaction");
    let mut differences = Differences::default();
    let stretches = counts(lake, network, model, &mut differences);
    loop {
        let chunk = model.take(&stretches, CHUNK);
        if chunk.is_empty() {
            break;
        }
        // Ledgers between two stretches of the chunk were compared before, or are not there.
        for stretch in chunk.chunk_by(|a, b| a.seq.next() == Some(b.seq)) {
            details(lake, network, stretch, &mut differences);
        }
    }
    lake.run("COMMIT").expect("a reader can end its transaction");
    (stretches, differences)
}

/// Compares sums, coverage and lineage only, of a network without a gap.
///
/// # Panics
/// When the lake cannot be read.
pub fn compare_counts(lake: &LakeReader, network: &str, model: &mut Model) -> (u32, Differences) {
    lake.run("BEGIN TRANSACTION").expect("a reader can begin a transaction");
    let mut differences = Differences::default();
    let stretches = counts(lake, network, model, &mut differences);
    lake.run("COMMIT").expect("a reader can end its transaction");
    (without_gap(network, &stretches, &mut differences), differences)
}

/// There is one stretch at most, from the first ledger on. Gives its last ledger; 0 when there is none.
fn without_gap(network: &str, stretches: &[(u32, u32)], out: &mut Differences) -> u32 {
    let last = stretches.last().map_or(0, |(_, last)| *last);
    let expected = if stretches.is_empty() { Vec::new() } else { vec![(FIRST, last)] };
    out.check(format!("{network}: stored ledgers"), stretches, &expected);
    last
}

fn counts(lake: &LakeReader, network: &str, model: &mut Model, out: &mut Differences) -> Vec<(u32, u32)> {
    let Some((_, _, rows)) = lake.coverage(network).expect("the ledgers table can be read") else {
        return Vec::new();
    };
    let stretches = lake.stretches(network).expect("the ledgers table can be read");
    let row = |table: &str, columns: &[&str]| -> Vec<u64> {
        let texts: Vec<String> = columns.iter().map(|column| format!("({column})::VARCHAR")).collect();
        let sql = format!("SELECT {} FROM lake.{network}.{table}", texts.join(", "));
        let rows = lake.texts(&sql, columns.len()).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let cells = rows.into_iter().flatten().flatten();
        cells.map(|cell| cell.parse().expect("counts and sums are not negative")).collect()
    };
    let truth = model.sum(&stretches);
    // Rows that are read, and not only counted by the catalog.
    let transactions = row(
        "transactions_row_v2",
        &[
            "count(transaction_id)",
            "count(*) FILTER (successful)",
            "coalesce(sum(fee_charged), 0)",
            "count(DISTINCT transaction_id)",
        ],
    );
    let operations = row("operations_row_v2", &["count(operation_id)", "count(DISTINCT operation_id)"]);
    out.check(format!("{network}: rows of ledgers {stretches:?}"), rows, truth.ledgers);
    let fees = u64::try_from(truth.fees).expect("fees are not negative");
    let expected = [truth.transactions, truth.successful, fees, truth.transactions];
    out.check(
        format!("{network}: transactions, successful ones, fees, distinct ones"),
        transactions.as_slice(),
        &expected,
    );
    out.check(
        format!("{network}: operations, distinct ones"),
        operations.as_slice(),
        &[truth.operations, truth.operations],
    );
    let sql = format!(
        "SELECT count(*) FROM (SELECT sequence s, previous_ledger_hash p, lag(sequence) OVER (ORDER BY sequence) b, \
         lag(ledger_hash) OVER (ORDER BY sequence) h FROM lake.{network}.ledgers_row_v2) WHERE s = b + 1 AND p <> h"
    );
    let broken: i64 = lake.value(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    out.check(format!("{network}: broken links"), broken, 0);
    lineage(lake, network, &stretches, out);
    files(lake, network, out);
    stretches
}

#[derive(Deserialize)]
struct LineageFile {
    rows: u64,
}

/// The lineage rows of batches, but for those whose ledgers were stored anew later, lie side by side over the coverage
/// and add up to the tables' rows.
fn lineage(lake: &LakeReader, network: &str, stretches: &[(u32, u32)], out: &mut Differences) {
    let sql = format!(
        "SELECT range_start::VARCHAR, range_end::VARCHAR, rows::VARCHAR, files FROM lake.{network}._lineage \
         l WHERE kind IN ('ingest', 'replace') AND NOT EXISTS (FROM lake.{network}._lineage r \
         WHERE r.kind = 'replace' AND r.sealed_at > l.sealed_at AND l.range_start BETWEEN r.range_start AND r.range_end) \
         ORDER BY range_start"
    );
    let batches = lake.texts(&sql, 4).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut told: Vec<(u32, u32)> = Vec::new();
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for batch in &batches {
        let cell = |index: usize| batch.get(index).cloned().flatten().unwrap_or_default();
        let (start, end): (u32, u32) = (cell(0).parse().unwrap_or(0), cell(1).parse().unwrap_or(0));
        match told.last_mut() {
            Some((_, last)) if start <= *last => {
                out.add(format!(
                    "{network}: _lineage: {start}..{end} begins before {last}, where another batch ends"
                ));
            }
            Some((_, last)) if start == *last + 1 => *last = end,
            Some(_) | None => told.push((start, end)),
        }
        let files: BTreeMap<String, LineageFile> = match serde_json::from_str(&cell(3)) {
            Ok(files) => files,
            Err(error) => {
                out.add(format!("{network}: _lineage of {start}..{end}: files {:?}: {error}", cell(3)));
                continue;
            }
        };
        let sum: u64 = files.values().map(|f| f.rows).sum();
        out.check(format!("{network}: _lineage of {start}..{end}: rows"), cell(2).parse().unwrap_or(0), sum);
        for (table, file) in files {
            *sums.entry(table).or_default() += file.rows;
        }
    }
    out.check(format!("{network}: _lineage: ledgers of all batches"), stretches, &told);
    for table in ["ledgers_row_v2", "transactions_row_v2", "operations_row_v2"] {
        let rows: u64 = lake
            .value(&format!("SELECT count(*) FROM lake.{network}.{table}"))
            .unwrap_or_else(|error| panic!("{table}: {error}"));
        out.check(
            format!("{network}: {table}: rows of the table against _lineage"),
            rows,
            sums.get(table).copied().unwrap_or_default(),
        );
    }
}

/// Every file that the catalog names exists, below the lake's own path.
fn files(lake: &LakeReader, network: &str, out: &mut Differences) {
    let files = lake.live_files(network).unwrap_or_else(|error| panic!("files of {network}: {error}"));
    if files.is_empty() {
        out.add(format!("{network}: the catalog names no files"));
    }
    for (path, relative) in files {
        if !relative {
            out.add(format!("{}: its path is not stored relative to the lake", path.display()));
        }
        if !path.is_file() {
            out.add(format!("{}: the catalog names it and it is not there", path.display()));
        }
    }
}

fn details(lake: &LakeReader, network: &str, chunk: &[LedgerTruth], out: &mut Differences) {
    let (Some(first), Some(last)) = (chunk.first(), chunk.last()) else { return };
    let range = (first.seq.get(), last.seq.get());
    let ledgers = chunk.iter().map(rows::ledger).collect();
    table(lake, network, &rows::LEDGERS, range, ledgers, out);
    let transactions = chunk.iter().flat_map(|l| {
        l.transactions.iter().zip(1..).map(|(tx, order)| rows::transaction(l.seq.get(), order, tx))
    });
    table(lake, network, &rows::TRANSACTIONS, range, transactions.collect(), out);
    let operations =
        chunk.iter().flat_map(|l| l.operations.iter().map(|op| rows::operation(l.seq.get(), op)));
    table(lake, network, &rows::OPERATIONS, range, operations.collect(), out);
}

fn table(
    lake: &LakeReader,
    network: &str,
    comparison: &Comparison,
    (first, last): (u32, u32),
    expected: Vec<Cells>,
    out: &mut Differences,
) {
    let name = comparison.table;
    let columns: Vec<String> =
        comparison.columns.iter().map(|(_, sql)| format!("({sql})::VARCHAR")).collect();
    let sql = format!(
        "SELECT {} FROM lake.{network}.{name} WHERE {} BETWEEN {first} AND {last} ORDER BY {}",
        columns.join(", "),
        comparison.ledger,
        comparison.order
    );
    let found = lake.texts(&sql, columns.len()).unwrap_or_else(|error| panic!("{sql}: {error}"));
    out.check(format!("{network}.{name}: rows of ledgers {first} to {last}"), found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        if found == expected {
            continue;
        }
        let key: Vec<&str> = expected.iter().take(3).map(|c| c.as_deref().unwrap_or("NULL")).collect();
        for ((column, _), (found, expected)) in comparison.columns.iter().zip(found.iter().zip(expected)) {
            out.check(format!("{network}.{name} {}: {column}", key.join(" ")), found, expected);
        }
    }
}
