//! Every row made again from the source's ledgers and compared with the stored one, but for the stamps of the run.

use std::{collections::BTreeMap, mem};

use arrow_array::{ArrayRef, RecordBatch, cast::AsArray};
use futures::StreamExt;
use lake_core::{LedgerRange, LedgerSeq, decode, schema::TableSpec, tables::transactions::RAW_XDR};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use tokio::runtime::Handle;

use super::{Finding, Kind, columns, unit::Unit};
use crate::{
    lake::{Held, LEDGERS_TABLE, RangeSet},
    pipeline::{NetworkTask, RowSettings, Shared},
};

/// Bytes of rows that are made before they are compared.
const WINDOW_BYTES: usize = 1 << 20;

/// Columns that say when and by which run a row was made.
const STAMPS: [&str; 3] = ["ingestion_timestamp", "era_id", "version_label"];

/// The stored rows of a table, in order.
struct Stored {
    spec: &'static TableSpec,
    files: std::vec::IntoIter<Held>,
    open: Option<ParquetRecordBatchReader>,
    rows: Option<(RecordBatch, usize)>,
}

/// The first row that differs: its ledger and how.
type Difference = (LedgerSeq, String);

impl Stored {
    fn new(spec: &'static TableSpec, files: Vec<Held>) -> Self {
        Self { spec, files: files.into_iter(), open: None, rows: None }
    }

    /// The next rows that were not taken yet.
    fn peek(&mut self) -> Result<Option<(&RecordBatch, usize)>, String> {
        while self.rows.as_ref().is_none_or(|(rows, at)| *at >= rows.num_rows()) {
            let next = self.open.as_mut().and_then(Iterator::next);
            match next {
                Some(rows) => self.rows = Some((rows.map_err(|e| format!("cannot be read ({e})"))?, 0)),
                None => {
                    let Some(held) = self.files.next() else { return Ok(None) };
                    self.open = Some(columns::reader(self.spec, &held.file.path, None)?);
                }
            }
        }
        Ok(self.rows.as_ref().map(|(rows, at)| (rows, *at)))
    }

    fn advance(&mut self, count: usize) {
        if let Some((_, at)) = &mut self.rows {
            *at += count;
        }
    }

    /// Passes over the rows of ledgers before `seq`.
    fn skip_to(&mut self, seq: LedgerSeq) -> Result<(), String> {
        let column = self.spec.ledger_column;
        while let Some((rows, at)) = self.peek()? {
            let ledgers = columns::numbers(rows, column).ok_or("has no ledger column")?;
            let before = ledgers.values().iter().skip(at).take_while(|l| **l < i64::from(seq.get())).count();
            let is_all = at + before == rows.num_rows();
            self.advance(before);
            if !is_all {
                break;
            }
        }
        Ok(())
    }

    /// Compares the rows made of the ledgers of `window` with the next stored ones.
    fn compare(&mut self, made: &RecordBatch, window: LedgerRange) -> Result<(), Difference> {
        let broken = |seq: LedgerSeq| move |problem: String| (seq, problem);
        let column = self.spec.ledger_column;
        let mut done = 0;
        while done < made.num_rows() {
            let seq = ledger(made, column, done).unwrap_or(window.start());
            let Some((rows, at)) = self.peek().map_err(broken(seq))? else {
                return Err((seq, "rows of the source are missing".to_owned()));
            };
            let count = (rows.num_rows() - at).min(made.num_rows() - done);
            let (stored, expected) = (rows.slice(at, count), made.slice(done, count));
            if let Some(column) = different(&stored, &expected) {
                return Err(first_difference(self.spec, &stored, &expected, column, window));
            }
            self.advance(count);
            done += count;
        }
        // What is left of these ledgers is too much.
        if let Some((rows, at)) = self.peek().map_err(broken(window.end()))?
            && let Some(seq) = ledger(rows, column, at).filter(|seq| *seq <= window.end())
        {
            return Err((seq, "there are rows that the source does not make".to_owned()));
        }
        Ok(())
    }
}

fn ledger(rows: &RecordBatch, column: &str, row: usize) -> Option<LedgerSeq> {
    let ledgers = columns::numbers(rows, column)?;
    let value = ledgers.values().get(row)?;
    u32::try_from(*value).ok().map(LedgerSeq::new)
}

/// Place of the first column that differs in some row.
fn different(stored: &RecordBatch, made: &RecordBatch) -> Option<usize> {
    let schema = made.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    names.zip(stored.columns().iter().zip(made.columns())).position(|(name, (stored, made))| {
        let is_same =
            stored.as_ref() == made.as_ref() || RAW_XDR.contains(&name) && same_or_left_out(stored, made);
        !STAMPS.contains(&name) && !is_same
    })
}

/// Whether a column of raw XDR holds what was made, or nothing where the lake was told to leave it out.
fn same_or_left_out(stored: &ArrayRef, made: &ArrayRef) -> bool {
    let (Some(stored), Some(made)) = (stored.as_string_opt::<i32>(), made.as_string_opt::<i32>()) else {
        return false;
    };
    stored.iter().zip(made).all(|(stored, made)| stored.is_none() || stored == made)
}

fn first_difference(
    spec: &TableSpec,
    stored: &RecordBatch,
    made: &RecordBatch,
    column: usize,
    window: LedgerRange,
) -> Difference {
    let row =
        (0..made.num_rows()).find(|row| different(&stored.slice(*row, 1), &made.slice(*row, 1)).is_some());
    let row = row.unwrap_or_default();
    let column = different(&stored.slice(row, 1), &made.slice(row, 1)).unwrap_or(column);
    let name = spec.columns.get(column).map_or("", |column| column.name);
    let seq = ledger(made, spec.ledger_column, row).unwrap_or(window.start());
    (seq, format!("a row differs from the source's in {name}"))
}

/// Compares all stored rows of the unit's ledgers with those made from the source: the first difference of each table.
pub(super) fn compare(
    unit: &mut Unit,
    shared: &Shared,
    task: &NetworkTask,
    coverage: &RangeSet,
    stop: &dyn Fn() -> bool,
) {
    let unit_range: RangeSet = std::iter::once(unit.range).collect();
    let gone: RangeSet = coverage.missing(unit.range).into_iter().collect();
    for range in unit_range.without_all(&gone).ranges() {
        let mut stored = tables(unit, range);
        if let Err((seq, table, problem, heals)) = run(unit, shared, task, range, &mut stored, stop) {
            let Some(range) = LedgerRange::new(seq, seq) else { continue };
            unit.findings.push(Finding {
                kind: Kind::Source,
                range,
                table: table.to_owned(),
                file: None,
                problem,
                heals,
            });
        }
    }
}

/// The tables whose rows of `range` can be compared: all files are good, and none is lacking.
fn tables(unit: &Unit, range: LedgerRange) -> BTreeMap<&'static str, Stored> {
    let lacks = |table: &str| {
        let lacking = unit.lacking.iter().filter(|lacking| lacking.tables.contains(&table));
        lacking.flat_map(|lacking| lacking.ledgers.ranges()).any(|ledgers| ledgers.overlaps(range))
    };
    let is_known =
        |table: &str| unit.counts.get(table).is_some_and(|counts| counts.unknown.overlap(range).is_none());
    let comparable = unit.specs.iter().copied().filter(|spec| is_known(spec.name) && !lacks(spec.name));
    comparable
        .map(|spec| {
            let files = unit.good.get(spec.name).cloned().unwrap_or_default();
            let files = files.into_iter().filter(|held| held.range.overlaps(range)).collect();
            (spec.name, Stored::new(spec, files))
        })
        .collect()
}

/// A problem that ends the comparison of a range: ledger, table, what, and whether storing anew mends it.
type Ended = (LedgerSeq, &'static str, String, bool);

fn run(
    unit: &mut Unit,
    shared: &Shared,
    task: &NetworkTask,
    range: LedgerRange,
    stored: &mut BTreeMap<&'static str, Stored>,
    stop: &dyn Fn() -> bool,
) -> Result<(), Ended> {
    let unreadable = |seq: LedgerSeq, problem: String| (seq, LEDGERS_TABLE, problem, false);
    for (table, stored) in stored.iter_mut() {
        stored.skip_to(range.start()).map_err(|problem| (range.start(), *table, problem, true))?;
    }
    let mut stream = task.source.ledgers(range.start(), Some(range.end()));
    let (handle, mut start) = (Handle::current(), range.start());
    // Whatever the setting is now: rows of other days may have it.
    let rows = RowSettings { raw_xdr: true, ..shared.rows.clone() };
    let mut set = rows.tables();
    let mut next = Some(range.start());
    while let Some(seq) = next.filter(|seq| *seq <= range.end()) {
        if stop() {
            return Ok(());
        }
        let raw = match handle.block_on(stream.next()) {
            Some(Ok(raw)) => raw,
            Some(Err(error)) => return Err(unreadable(seq, format!("the source cannot be read: {error}"))),
            None => return Err(unreadable(seq, "the source ended before it".to_owned())),
        };
        let failed = |error: String| unreadable(seq, format!("the source's ledger is refused: {error}"));
        let ledger = decode::decode(&raw, &task.network).map_err(|error| failed(error.to_string()))?;
        set.extract(&ledger).map_err(|error| failed(error.to_string()))?;
        next = seq.next();
        if set.bytes() < WINDOW_BYTES && seq < range.end() {
            continue;
        }
        let Some(window) = LedgerRange::new(start, seq) else { break };
        start = seq.next().unwrap_or(seq);
        for (spec, made) in mem::replace(&mut set, rows.tables()).finish() {
            let Some(table) = stored.get_mut(spec.name) else { continue };
            unit.tally.compared += made.num_rows() as u64;
            if let Err((seq, problem)) = table.compare(&made, window) {
                // What follows of this table would differ too.
                stored.remove(spec.name);
                if let Some(range) = LedgerRange::new(seq, seq) {
                    unit.found(Kind::Source, range, spec.name, None, problem);
                }
            }
        }
    }
    Ok(())
}
