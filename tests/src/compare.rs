//! Compares a lake with the model and reports all differences, not the first.

use std::{collections::BTreeMap, fmt};

use lake_sim::LedgerTruth;
use serde::Deserialize;

use crate::{
    lake::LakeReader,
    model::{Counts, FIRST, Model},
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

/// Compares everything that a network has in the lake: sums, coverage and lineage of all its ledgers, and cell by cell
/// the ledgers that this model did not compare before. Gives the last ledger and all differences.
///
/// # Panics
/// When the lake cannot be read.
pub fn compare(lake: &LakeReader, network: &str, model: &mut Model) -> (u32, Differences) {
    lake.run("BEGIN TRANSACTION").expect("a reader can begin a transaction");
    let mut differences = Differences::default();
    let last = counts(lake, network, model, &mut differences);
    loop {
        let chunk = model.take(last, CHUNK);
        if chunk.is_empty() {
            break;
        }
        details(lake, network, &chunk, &mut differences);
    }
    lake.run("COMMIT").expect("a reader can end its transaction");
    (last, differences)
}

/// Compares sums, coverage and lineage only.
///
/// # Panics
/// When the lake cannot be read.
pub fn compare_counts(lake: &LakeReader, network: &str, model: &mut Model) -> (u32, Differences) {
    lake.run("BEGIN TRANSACTION").expect("a reader can begin a transaction");
    let mut differences = Differences::default();
    let last = counts(lake, network, model, &mut differences);
    lake.run("COMMIT").expect("a reader can end its transaction");
    (last, differences)
}

fn counts(lake: &LakeReader, network: &str, model: &mut Model, out: &mut Differences) -> u32 {
    let Some((first, last, rows)) = lake.coverage(network).expect("the ledgers table can be read") else {
        return 0;
    };
    let n = |sql: String| -> i64 { lake.value(&sql).unwrap_or_else(|error| panic!("{sql}: {error}")) };
    let table = |name: &str| format!("lake.{network}.{name}");
    out.check(format!("{network}: first ledger"), first, FIRST);
    let distinct = n(format!("SELECT count(DISTINCT sequence) FROM {}", table("ledgers_row_v2")));
    out.check(
        format!("{network}: distinct ledgers up to {last}"),
        distinct,
        i64::from(last) - i64::from(FIRST) + 1,
    );
    let truth = model.counts(last);
    let found = Counts {
        ledgers: rows,
        transactions: unsigned(n(format!("SELECT count(*) FROM {}", table("transactions_row_v2")))),
        successful: unsigned(n(format!(
            "SELECT count(*) FILTER (successful) FROM {}",
            table("transactions_row_v2")
        ))),
        operations: unsigned(n(format!("SELECT count(*) FROM {}", table("operations_row_v2")))),
        fees: n(format!(
            "SELECT coalesce(sum(fee_charged), 0)::BIGINT FROM {}",
            table("transactions_row_v2")
        )),
    };
    out.check(format!("{network}: sums up to ledger {last}"), found, truth);
    for (name, key) in [("transactions_row_v2", "transaction_id"), ("operations_row_v2", "operation_id")] {
        let distinct = unsigned(n(format!("SELECT count(DISTINCT {key}) FROM {}", table(name))));
        let rows = unsigned(n(format!("SELECT count(*) FROM {}", table(name))));
        out.check(format!("{network}: distinct rows of {name}"), distinct, rows);
    }
    let broken = n(format!(
        "SELECT count(*) FROM (SELECT previous_ledger_hash p, lag(ledger_hash) OVER (ORDER BY sequence) h FROM {}) \
         WHERE p <> h",
        table("ledgers_row_v2")
    ));
    out.check(format!("{network}: broken links"), broken, 0);
    lineage(lake, network, (first, last), out);
    files(lake, network, out);
    last
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).expect("a count is not negative")
}

#[derive(Deserialize)]
struct LineageFile {
    rows: u64,
}

/// The lineage rows of batches, but for those whose ledgers were stored anew later, lie side by side over the coverage
/// and add up to the tables' rows.
fn lineage(lake: &LakeReader, network: &str, (first, last): (u32, u32), out: &mut Differences) {
    let sql = format!(
        "SELECT range_start::VARCHAR, range_end::VARCHAR, rows::VARCHAR, files FROM lake.{network}._lineage \
         l WHERE kind IN ('ingest', 'replace') AND NOT EXISTS (FROM lake.{network}._lineage r \
         WHERE r.kind = 'replace' AND r.sealed_at > l.sealed_at AND l.range_start BETWEEN r.range_start AND r.range_end) \
         ORDER BY range_start"
    );
    let batches = lake.texts(&sql, 4).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut next = u64::from(first);
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for batch in &batches {
        let cell = |index: usize| batch.get(index).cloned().flatten().unwrap_or_default();
        let (start, end): (u64, u64) = (cell(0).parse().unwrap_or(0), cell(1).parse().unwrap_or(0));
        out.check(format!("{network}: _lineage: a batch begins after the one before"), start, next);
        next = end + 1;
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
    out.check(format!("{network}: _lineage: end of the last batch"), next, u64::from(last) + 1);
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
