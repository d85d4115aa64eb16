//! Which files to merge: adjacent batches of one 10,000-ledger range, by size class, so that a row is rewritten
//! only a few times in its life. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use lake_core::{LedgerRange, ledger::RANGE_LEDGERS};

use super::{
    LEDGERS_TABLE, inventory::RegisteredFile, lineage::LINEAGE_TABLE, settings::MaintenanceSettings,
};

/// Files that become one file per table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MergeGroup {
    pub(crate) range: LedgerRange,
    /// Live files of each table, ascending by ledger.
    pub(crate) tables: BTreeMap<String, Vec<RegisteredFile>>,
    /// Batches that are joined.
    pub(crate) batches: usize,
}

/// The files of one batch, or of one earlier merge; of all batches of a merge that was cut off between two tables.
#[derive(Debug)]
struct Piece {
    range: LedgerRange,
    files: Vec<RegisteredFile>,
}

impl Piece {
    /// Whether rows were deleted through SQL: joining its files would bring them back. It waits to be stored anew.
    fn has_deletions(&self) -> bool {
        self.files.iter().any(|f| f.deleted > 0)
    }

    /// Whether a merge was cut off here: a table has several files.
    fn unfinished(&self) -> bool {
        let mut tables = HashSet::new();
        !self.files.iter().all(|f| tables.insert(f.table.as_str()))
    }
}

/// Joins files whose ranges overlap: normally those of one batch.
fn pieces(mut files: Vec<(LedgerRange, RegisteredFile)>) -> Vec<Piece> {
    files.sort_by_key(|(range, _)| *range);
    let mut pieces: Vec<Piece> = Vec::new();
    for (range, file) in files {
        match pieces.last_mut() {
            Some(piece) if piece.range.overlaps(range) => {
                let end = piece.range.end().max(range.end());
                piece.range = LedgerRange::new(piece.range.start(), end).unwrap_or(piece.range);
                piece.files.push(file);
            }
            _ => pieces.push(Piece { range, files: vec![file] }),
        }
    }
    pieces
}

/// Groups to merge now among the live files of one network, and how many files are smaller than the target.
pub(crate) fn plan(files: Vec<RegisteredFile>, settings: &MaintenanceSettings) -> (Vec<MergeGroup>, u64) {
    let mut per_table: HashMap<String, u64> = HashMap::new();
    let mut named = Vec::new();
    let mut small = 0_u64;
    for file in files.into_iter().filter(RegisteredFile::is_read) {
        let count = per_table.entry(file.table.clone()).or_default();
        *count = count.saturating_add(1);
        let Some(range) = file.named_range() else { continue };
        small = small.saturating_add(u64::from(
            file.table == LEDGERS_TABLE && range.count() < u64::from(RANGE_LEDGERS),
        ));
        named.push((range, file));
    }
    let crowded = per_table.values().any(|n| *n > settings.max_live_files);
    let (unfinished, whole): (Vec<Piece>, Vec<Piece>) =
        pieces(named).into_iter().filter(|p| !p.has_deletions()).partition(Piece::unfinished);
    let mut groups: Vec<MergeGroup> = unfinished.into_iter().filter_map(|p| group(vec![p])).collect();
    for run in runs(whole.into_iter()) {
        groups.extend(groups_of(run, settings, crowded));
    }
    (groups, small)
}

/// Cuts into runs of adjacent pieces within one 10,000-ledger range. A piece without its ledgers file, which
/// cannot be, is left alone.
fn runs(pieces: impl Iterator<Item = Piece>) -> Vec<Vec<Piece>> {
    let mut runs: Vec<Vec<Piece>> = Vec::new();
    for piece in pieces.filter(|p| p.files.iter().any(|f| f.table == LEDGERS_TABLE)) {
        let follows = |last: &Piece| {
            last.range.end().next() == Some(piece.range.start())
                && last.range.start().range_start() == piece.range.start().range_start()
        };
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(follows) => run.push(piece),
            _ => runs.push(vec![piece]),
        }
    }
    runs
}

fn groups_of(run: Vec<Piece>, settings: &MaintenanceSettings, crowded: bool) -> Vec<MergeGroup> {
    let fan_in = settings.merge_fan_in.max(2);
    // A range that is stored to its end gets its last form; so does everything when there are too many files.
    let ends = run.last().is_some_and(|p| p.range.end().next().is_none_or(|n| n.get() % RANGE_LEDGERS == 0));
    if ends || crowded {
        return chunks(run, settings);
    }
    let mut rest = run;
    for class in 0..=size_class(u64::from(RANGE_LEDGERS), fan_in) {
        let mut streaks: Vec<Vec<Piece>> = Vec::new();
        let mut open = false;
        let mut longest = 0;
        for piece in rest {
            let fits = size_class(piece.range.count(), fan_in) <= class;
            match streaks.last_mut() {
                Some(streak) if open && fits => streak.push(piece),
                _ => streaks.push(vec![piece]),
            }
            open = fits;
            longest = longest.max(streaks.last().map_or(0, Vec::len));
        }
        if longest >= fan_in {
            let long = streaks.into_iter().filter(|s| s.len() >= fan_in);
            return long.flat_map(|s| chunks(s, settings)).collect();
        }
        rest = streaks.into_iter().flatten().collect();
    }
    Vec::new()
}

/// 0 below `fan_in` ledgers, 1 below its square, and so on.
fn size_class(ledgers: u64, fan_in: usize) -> u32 {
    let base = u64::try_from(fan_in).unwrap_or(2).max(2);
    ledgers.max(1).ilog(base)
}

/// Groups whose largest table stays at about the target size, and whose swap stays short; single pieces are left
/// out.
fn chunks(run: Vec<Piece>, settings: &MaintenanceSettings) -> Vec<MergeGroup> {
    let mut groups = Vec::new();
    let mut chunk: Vec<Piece> = Vec::new();
    let mut sizes = HashMap::new();
    for piece in run {
        let mut grown = with(sizes, &piece);
        let crowded = chunk.len() >= settings.merge_swap_files.max(2);
        if crowded || grown.values().any(|size| *size > settings.target_file_bytes) {
            groups.extend(group(std::mem::take(&mut chunk)));
            grown = with(HashMap::new(), &piece);
        }
        sizes = grown;
        chunk.push(piece);
    }
    groups.extend(group(chunk));
    groups
}

/// Bytes per table with those of `piece`.
fn with(mut sizes: HashMap<String, u64>, piece: &Piece) -> HashMap<String, u64> {
    for file in &piece.files {
        let size = sizes.entry(file.table.clone()).or_default();
        *size = size.saturating_add(file.bytes);
    }
    sizes
}

fn group(pieces: Vec<Piece>) -> Option<MergeGroup> {
    if pieces.len() < 2 && !pieces.iter().any(Piece::unfinished) {
        return None;
    }
    let range = LedgerRange::new(pieces.first()?.range.start(), pieces.last()?.range.end())?;
    let batches = pieces.len();
    let mut tables: BTreeMap<String, Vec<RegisteredFile>> = BTreeMap::new();
    for file in pieces.into_iter().flat_map(|p| p.files) {
        tables.entry(file.table.clone()).or_default().push(file);
    }
    tables.contains_key(LINEAGE_TABLE).then_some(MergeGroup { range, tables, batches })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(table: &str, start: u32, end: u32, bytes: u64) -> RegisteredFile {
        let name = format!("{start:010}-{end:010}-00000000000000aa-000001.parquet");
        RegisteredFile {
            schema: "n".to_owned(),
            table: table.to_owned(),
            path: PathBuf::from(name),
            rows: u64::from(end - start + 1),
            bytes,
            deleted: 0,
            live: true,
        }
    }

    fn batches(ranges: impl IntoIterator<Item = (u32, u32)>) -> Vec<RegisteredFile> {
        let tables = [LEDGERS_TABLE, LINEAGE_TABLE];
        ranges.into_iter().flat_map(|(s, e)| tables.map(|t| file(t, s, e, 1000))).collect()
    }

    fn planned(files: Vec<RegisteredFile>, settings: &MaintenanceSettings) -> Vec<(u32, u32, usize)> {
        let groups = plan(files, settings).0;
        groups.iter().map(|g| (g.range.start().get(), g.range.end().get(), g.batches)).collect()
    }

    #[test]
    fn ten_small_batches_in_a_row_become_one() {
        let settings = MaintenanceSettings::default();
        assert_eq!(planned(batches((2..=10).map(|s| (s, s))), &settings), vec![]);
        assert_eq!(planned(batches((2..=11).map(|s| (s, s))), &settings), vec![(2, 11, 10)]);
        let with_gap = (2..=10).chain(12..=20).map(|s| (s, s));
        assert_eq!(planned(batches(with_gap), &settings), vec![]);
        let mixed = [(2, 1001)].into_iter().chain((1002..=1012).map(|s| (s, s)));
        assert_eq!(planned(batches(mixed), &settings), vec![(1002, 1012, 11)]);
    }

    #[test]
    fn no_group_crosses_a_range_and_a_finished_range_gets_its_last_form() {
        let settings = MaintenanceSettings::default();
        let files = batches([(9_000, 9_500), (9_501, 9_999), (10_000, 10_004), (10_005, 10_009)]);
        assert_eq!(planned(files, &settings), vec![(9_000, 9_999, 2)]);
    }

    #[test]
    fn a_swap_has_a_bounded_number_of_files() {
        let settings = MaintenanceSettings { merge_swap_files: 10, ..Default::default() };
        assert_eq!(
            planned(batches((2..=26).map(|s| (s, s))), &settings),
            vec![(2, 11, 10), (12, 21, 10), (22, 26, 5)]
        );
    }

    #[test]
    fn a_merge_that_was_cut_off_between_two_tables_is_finished_first() {
        let mut files = batches((2..=11).map(|s| (s, s)));
        files.retain(|f| f.table != LEDGERS_TABLE);
        files.push(file(LEDGERS_TABLE, 2, 11, 9_000));
        files.extend(batches((12..=14).map(|s| (s, s))));
        let (groups, _) = plan(files, &MaintenanceSettings::default());
        assert_eq!(groups.len(), 1);
        assert_eq!((groups[0].range.start().get(), groups[0].range.end().get()), (2, 11));
        assert_eq!((groups[0].tables[LEDGERS_TABLE].len(), groups[0].tables[LINEAGE_TABLE].len()), (1, 10));
    }

    #[test]
    fn too_many_files_are_merged_whatever_their_class_and_up_to_the_target() {
        let settings =
            MaintenanceSettings { max_live_files: 3, target_file_bytes: 3_500, ..Default::default() };
        let files = batches((0..8).map(|s| (s * 100 + 20_000, s * 100 + 20_099)));
        assert_eq!(
            planned(files, &settings),
            vec![(20_000, 20_299, 3), (20_300, 20_599, 3), (20_600, 20_799, 2)]
        );
    }
}
