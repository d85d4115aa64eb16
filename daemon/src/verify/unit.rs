//! The ledgers of one 10,000-ledger range: its files, what the lineage tells of them, and what was found.

use std::{collections::BTreeMap, path::Path};

use lake_core::{LedgerRange, LedgerSeq, schema::TableSpec, tables};

use super::{Finding, Kind, Lacks, Tally, columns, headers::Facts};
use crate::lake::{Held, LEDGERS_TABLE, LINEAGE_TABLE, RangeSet, Told, ToldFile, read_lineage};

/// Rows of a table per ledger of the unit.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) all: Vec<u32>,
    /// Those that the ledgers' own count counts.
    pub(super) counted: Vec<u32>,
    /// Ledgers of files that could not be read: nothing is known of their rows.
    pub(super) unknown: RangeSet,
}

/// What is looked at, and what was seen.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) range: LedgerRange,
    pub(super) specs: &'static [&'static TableSpec],
    /// Files that are what the lineage says, by table, ascending.
    pub(super) good: BTreeMap<&'static str, Vec<Held>>,
    pub(super) told: Vec<Told>,
    pub(super) counts: BTreeMap<&'static str, Counts>,
    pub(super) facts: Vec<Option<Facts>>,
    pub(super) lacking: Lacks,
    pub(super) findings: Vec<Finding>,
    pub(super) tally: Tally,
    files: Vec<Held>,
}

impl Unit {
    pub(super) fn new(
        range: LedgerRange,
        specs: &'static [&'static TableSpec],
        mut files: Vec<Held>,
        lacking: Lacks,
    ) -> Self {
        files.sort_by_key(|held| held.range);
        let ledgers = usize::try_from(range.count()).unwrap_or_default();
        let counts = || Counts { all: vec![0; ledgers], counted: vec![0; ledgers], unknown: RangeSet::new() };
        Self {
            range,
            specs,
            good: BTreeMap::new(),
            told: Vec::new(),
            counts: specs.iter().map(|spec| (spec.name, counts())).collect(),
            facts: std::iter::repeat_with(|| None).take(ledgers).collect(),
            lacking,
            findings: Vec::new(),
            tally: Tally::default(),
            files,
        }
    }

    /// Place of a ledger in what is kept per ledger; `None` outside of the unit.
    pub(super) fn index(&self, seq: i64) -> Option<usize> {
        let seq = u32::try_from(seq).ok().map(LedgerSeq::new).filter(|seq| self.range.contains(*seq))?;
        usize::try_from(seq.get() - self.range.start().get()).ok()
    }

    /// The ledger at a place.
    pub(super) fn seq(&self, index: usize) -> LedgerSeq {
        let offset = u32::try_from(index).unwrap_or(u32::MAX);
        LedgerSeq::new(self.range.start().get().saturating_add(offset))
    }

    /// Notes what storing the ledgers anew mends.
    pub(super) fn found(
        &mut self,
        kind: Kind,
        range: LedgerRange,
        table: &str,
        file: Option<&Path>,
        problem: impl Into<String>,
    ) {
        self.findings.push(Finding {
            kind,
            range,
            table: table.to_owned(),
            file: file.map(Path::to_path_buf),
            problem: problem.into(),
            heals: true,
        });
    }

    /// Notes problems of single ledgers: those of ledgers in a row are one finding.
    pub(super) fn found_of_ledgers(&mut self, kind: Kind, table: &str, problems: Vec<(usize, String)>) {
        let mut runs: Vec<(LedgerSeq, LedgerSeq, String)> = Vec::new();
        for (index, problem) in problems {
            let seq = self.seq(index);
            match runs.last_mut() {
                Some((_, last, _)) if last.next() == Some(seq) || *last == seq => *last = seq,
                Some(_) | None => runs.push((seq, seq, format!("ledger {seq}: {problem}"))),
            }
        }
        for (first, last, mut problem) in runs {
            let Some(range) = LedgerRange::new(first, last) else { continue };
            if range.count() > 1 {
                problem.push_str(&format!(", and the {} ledgers after it", range.count() - 1));
            }
            self.found(kind, range, table, None, problem);
        }
    }

    /// Ledgers that are not stored.
    pub(super) fn gaps(&mut self, coverage: &RangeSet) {
        for gap in coverage.missing(self.range) {
            self.found(Kind::Gap, gap, LEDGERS_TABLE, None, "the ledgers are not stored");
        }
    }

    /// Reads what the lineage tells of these ledgers.
    pub(super) fn lineage(&mut self) {
        let files: Vec<Held> =
            self.files.iter().filter(|held| held.file.table == LINEAGE_TABLE).cloned().collect();
        for held in files {
            self.tally.files += 1;
            match read_lineage(&held.file.path) {
                Ok(told) => self.told.extend(told.into_iter().filter(|told| told.range.overlaps(self.range))),
                Err(problem) => {
                    self.found(Kind::Lineage, held.range, LINEAGE_TABLE, Some(&held.file.path), problem);
                }
            }
        }
        self.told.sort_by_key(|told| told.sealed_at);
    }

    /// Hashes every file and counts its rows.
    pub(super) fn files(&mut self, stop: &dyn Fn() -> bool) {
        let files: Vec<Held> =
            self.files.iter().filter(|held| held.file.table != LINEAGE_TABLE).cloned().collect();
        for held in files {
            if stop() {
                return;
            }
            let spec = self.specs.iter().copied().find(|spec| spec.name == held.file.table);
            let result = match spec {
                Some(spec) => self.file(spec, &held, stop),
                None => Err((Kind::File, "this version does not know the table".to_owned())),
            };
            if let Err((kind, problem)) = result {
                if let Some(counts) = self.counts.get_mut(held.file.table.as_str()) {
                    counts.unknown.insert(held.range);
                }
                self.found(kind, held.range, &held.file.table, Some(&held.file.path), problem);
            }
        }
    }

    fn file(
        &mut self,
        spec: &'static TableSpec,
        held: &Held,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), (Kind, String)> {
        let of_file = |problem: String| (Kind::File, problem);
        let file = &held.file;
        if file.deleted > 0 {
            let problem = format!("{} of its {} rows were deleted through SQL", file.deleted, file.rows);
            return Err((Kind::Rows, problem));
        }
        if file.named_range().is_none() {
            return Err((Kind::Rows, "its rows were written through SQL".to_owned()));
        }
        let hashed = columns::hash(&file.path, stop).map_err(|error| {
            let is_missing = error.kind() == std::io::ErrorKind::NotFound;
            of_file(if is_missing { "is missing".to_owned() } else { format!("cannot be read ({error})") })
        })?;
        let Some((sha256, bytes)) = hashed else { return Ok(()) };
        self.tally.files += 1;
        self.tally.bytes += bytes;
        if bytes != file.bytes {
            return Err(of_file(format!("has {bytes} bytes instead of {}", file.bytes)));
        }
        let told: Vec<ToldFile> = self.told_of(file.table.as_str(), &file.path);
        if told.is_empty() {
            self.tally.unhashed += 1;
        }
        if let Some(other) = told.iter().find(|told| told.sha256 != sha256) {
            return Err(of_file(format!("has SHA-256 {sha256}, written was {}", other.sha256)));
        }
        if let Some(other) = told.iter().find(|told| told.rows != file.rows) {
            return Err((Kind::Rows, format!("has {} rows, written were {}", file.rows, other.rows)));
        }
        let rows = self.read(spec, held).map_err(of_file)?;
        if rows != file.rows {
            return Err((Kind::Rows, format!("holds {rows} rows, the catalog says {}", file.rows)));
        }
        self.tally.rows += rows;
        self.good.entry(spec.name).or_default().push(held.clone());
        Ok(())
    }

    /// What the rows of the lineage tell of a file.
    fn told_of(&self, table: &str, path: &Path) -> Vec<ToldFile> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let files = self.told.iter().filter_map(|told| told.files.get(table));
        files.filter(|file| file.name == name).cloned().collect()
    }

    /// Reads what is needed of a file's rows; gives their number.
    fn read(&mut self, spec: &'static TableSpec, held: &Held) -> Result<u64, String> {
        if spec.name == LEDGERS_TABLE {
            return self.read_headers(spec, held);
        }
        let is_events = spec.name == tables::contract_events::SPEC.name;
        let mut wanted = vec![spec.ledger_column];
        wanted.extend(is_events.then_some("event_id"));
        let mut count = 0;
        for rows in columns::reader(spec, &held.file.path, Some(&wanted))? {
            let rows = rows.map_err(|e| format!("cannot be read ({e})"))?;
            let ledgers = columns::numbers(&rows, spec.ledger_column).ok_or("has no ledger column")?;
            let ids = columns::texts(&rows, "event_id");
            for (row, seq) in ledgers.values().iter().enumerate() {
                count += 1;
                let is_diagnostic = columns::text(ids, row).is_some_and(|id| id.contains("-d"));
                self.count(spec.name, *seq, held, !is_diagnostic)?;
            }
        }
        Ok(count)
    }

    /// Counts a row.
    pub(super) fn count(
        &mut self,
        table: &str,
        seq: i64,
        held: &Held,
        is_counted: bool,
    ) -> Result<(), String> {
        let is_inside = u32::try_from(seq).is_ok_and(|seq| held.range.contains(LedgerSeq::new(seq)));
        if !is_inside {
            return Err(format!("holds a row of ledger {seq}, outside of its own {}", held.range));
        }
        if let Some((index, counts)) = self.index(seq).zip(self.counts.get_mut(table)) {
            let add = |counts: &mut Vec<u32>| {
                if let Some(count) = counts.get_mut(index) {
                    *count += 1;
                }
            };
            add(&mut counts.all);
            if is_counted {
                add(&mut counts.counted);
            }
        }
        Ok(())
    }
}
