//! Which ledgers are to be fetched, cut into chunks. Pure.

use lake_core::{LedgerRange, LedgerSeq, RawLedger, ledger::RANGE_LEDGERS};

use crate::lake::RangeSet;

/// How ledgers are cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRules {
    /// Bytes of XDR that a chunk aims at: its files then have their final size.
    pub bytes: u64,
    /// Ledgers that a chunk has at least: a commit costs the same for one as for thousands.
    pub min_ledgers: u32,
    /// Bytes of XDR that are enough for a chunk with fewer ledgers.
    pub min_bytes: u64,
    /// Ledgers per object of the source: chunks begin where an object begins.
    pub align: u32,
    /// Chunks that there should be at least, so that all workers have some.
    pub min_chunks: u32,
}

/// Steps in which the bytes of a 10,000-ledger range are added up.
const STEPS: u32 = 128;

/// Bytes of XDR per ledger, sampled here and there.
#[derive(Clone, Debug, Default)]
pub struct Density {
    /// Ledger and bytes, ascending.
    samples: Vec<(LedgerSeq, u64)>,
}

impl Density {
    /// Density known from samples.
    pub fn new(mut samples: Vec<(LedgerSeq, u64)>) -> Self {
        samples.sort_unstable();
        Self { samples }
    }

    /// Density of some ledgers read here and there: the first of each place, and all of them.
    pub(super) fn of(samples: &[(LedgerSeq, Vec<RawLedger>)]) -> Self {
        let mean = |ledgers: &[RawLedger]| {
            let bytes: usize = ledgers.iter().map(|ledger| ledger.xdr.len()).sum();
            bytes as u64 / (ledgers.len() as u64).max(1)
        };
        Self::new(samples.iter().map(|(at, ledgers)| (*at, mean(ledgers))).collect())
    }

    /// Bytes of a ledger near `seq`, at least 1: those of the nearest sample.
    pub fn at(&self, seq: LedgerSeq) -> u64 {
        let nearest = self.samples.iter().min_by_key(|(at, _)| at.get().abs_diff(seq.get()));
        nearest.map_or(1, |(_, bytes)| (*bytes).max(1))
    }

    /// Bytes of all ledgers of `ranges`.
    pub fn total(&self, ranges: &[LedgerRange]) -> u64 {
        let pieces = ranges.iter().flat_map(|range| range.within_ranges()).flat_map(|piece| {
            // In steps that are finer than the samples even where there is one range only.
            let mut steps = Vec::new();
            cut(piece, piece.end().get().abs_diff(piece.start().get()) / STEPS + 1, 1, &mut steps);
            steps
        });
        pieces.map(|piece| self.at(middle(piece)).saturating_mul(piece.count())).fold(0, u64::saturating_add)
    }
}

/// The ledgers of `wanted` that `covered` lacks, ascending.
pub(super) fn missing(wanted: &RangeSet, covered: &RangeSet) -> Vec<LedgerRange> {
    wanted.ranges().flat_map(|range| covered.missing(range)).collect()
}

/// The ledgers of `missing` that are in `unsound`, cut where the 10,000-ledger ranges end: what is stored anew.
pub(super) fn anew(missing: &[LedgerRange], unsound: &RangeSet) -> Vec<LedgerRange> {
    let of = |range: &LedgerRange| -> Vec<LedgerRange> {
        let range = *range;
        unsound.ranges().filter_map(|unsound| unsound.intersection(range)).collect()
    };
    missing.iter().flat_map(of).flat_map(LedgerRange::within_ranges).collect()
}

/// Cuts `missing` into chunks: in order, without overlap, each within one 10,000-ledger range, so that no file straddles
/// two.
pub(super) fn chunks(missing: &[LedgerRange], density: &Density, rules: ChunkRules) -> Vec<LedgerRange> {
    let bytes = density.total(missing) / u64::from(rules.min_chunks.max(1));
    let bytes = bytes.clamp(1, rules.bytes.max(1));
    let mut all = Vec::new();
    for piece in missing.iter().flat_map(|range| range.within_ranges()) {
        let per_ledger = density.at(middle(piece));
        let least = u64::from(rules.min_ledgers).min(rules.min_bytes / per_ledger).max(1);
        let most = (bytes / per_ledger).clamp(least, u64::from(RANGE_LEDGERS).max(least));
        let parts = piece.count().div_ceil(most);
        let size = piece.count().div_ceil(parts);
        cut(piece, u32::try_from(size).unwrap_or(RANGE_LEDGERS), rules.align.max(1), &mut all);
    }
    all
}

/// Cuts one piece into chunks of about `size` ledgers that end where an object of the source ends.
fn cut(piece: LedgerRange, size: u32, align: u32, all: &mut Vec<LedgerRange>) {
    let mut start = piece.start().get();
    loop {
        let end = start.saturating_add(size - 1);
        // The last ledger of the object that holds `end`.
        let end = (end - end % align).saturating_add(align - 1).min(piece.end().get());
        all.extend(LedgerRange::new(LedgerSeq::new(start), LedgerSeq::new(end)));
        if end >= piece.end().get() {
            return;
        }
        start = end + 1;
    }
}

fn middle(range: LedgerRange) -> LedgerSeq {
    let (start, end) = (range.start().get(), range.end().get());
    LedgerSeq::new(start + (end - start) / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(start: u32, end: u32) -> LedgerRange {
        LedgerRange::new(LedgerSeq::new(start), LedgerSeq::new(end)).unwrap()
    }

    fn set(ranges: &[(u32, u32)]) -> RangeSet {
        let mut set = RangeSet::new();
        ranges.iter().for_each(|(start, length)| set.insert(range(*start, start + length)));
        set
    }

    const RULES: ChunkRules =
        ChunkRules { bytes: 1 << 20, min_ledgers: 10, min_bytes: 1 << 30, align: 1, min_chunks: 1 };

    #[test]
    fn dense_ledgers_make_short_chunks_and_sparse_ones_whole_ranges() {
        let density = Density::new(vec![(LedgerSeq::new(5_000), 100), (LedgerSeq::new(25_000), 10_000)]);
        let chunks = chunks(&[range(2, 29_999)], &density, RULES);
        assert_eq!(chunks[0], range(2, 9_999));
        assert!(chunks.len() > 90, "{}", chunks.len());
        assert!(chunks.iter().all(|c| density.at(middle(*c)) * c.count() <= RULES.bytes + 10_000));
    }

    #[test]
    fn all_samples_of_a_range_count() {
        let samples = (0..10).map(|n| (LedgerSeq::new(n * 1_000 + 500), if n == 2 { 9_100 } else { 100 }));
        let total = Density::new(samples.collect()).total(&[range(2, 9_999)]) as f64;
        assert!((0.9..1.1).contains(&(total / 1e7)), "{total}");
    }

    #[test]
    fn few_ledgers_are_shared_out_among_the_workers() {
        let density = Density::new(vec![(LedgerSeq::new(1), 100)]);
        let rules = ChunkRules { min_chunks: 4, min_ledgers: 1_000, ..RULES };
        assert_eq!(chunks(&[range(10_000, 19_999)], &density, rules).len(), 4);
        let few = ChunkRules { min_ledgers: 6_000, ..rules };
        assert_eq!(chunks(&[range(10_000, 19_999)], &density, few).len(), 2);
        let enough = ChunkRules { min_bytes: 100_000, ..few };
        assert_eq!(chunks(&[range(10_000, 19_999)], &density, enough).len(), 4);
    }

    #[test]
    fn chunks_end_where_objects_end() {
        let density = Density::new(vec![(LedgerSeq::new(1), 1 << 14)]);
        let all = chunks(&[range(70, 9_000)], &density, ChunkRules { align: 64, ..RULES });
        for pair in all.windows(2) {
            assert_eq!(pair[1].start().get() % 64, 0, "{pair:?}");
        }
    }

    #[test]
    fn the_last_ledger_of_all_can_be_wanted() {
        let last = range(u32::MAX - 5, u32::MAX);
        assert_eq!(chunks(&[last], &Density::default(), ChunkRules { align: 64, ..RULES }), [last]);
    }

    fn ranges() -> impl Strategy<Value = Vec<(u32, u32)>> {
        prop::collection::vec((2_u32..60_000, 0_u32..15_000), 0..8)
    }

    proptest! {
        /// Every ledger that is wanted and not covered is in one chunk, and no other ledger is in any.
        #[test]
        fn a_plan_is_exact_and_its_chunks_tile(
            wanted in ranges(), covered in ranges(), align in 1_u32..200, bytes in 1_u64..100_000_000,
            min_ledgers in 1_u32..5_000, min_chunks in 1_u32..50,
            samples in prop::collection::vec((2_u32..80_000, 1_u64..2_000_000), 0..5),
        ) {
            let (wanted, covered) = (set(&wanted), set(&covered));
            let samples = samples.into_iter().map(|(at, bytes)| (LedgerSeq::new(at), bytes)).collect();
            let rules = ChunkRules { bytes, min_ledgers, min_bytes: bytes / 3, align, min_chunks };
            let chunks = chunks(&missing(&wanted, &covered), &Density::new(samples), rules);
            for pair in chunks.windows(2) {
                prop_assert!(pair[0].end() < pair[1].start());
            }
            let mut planned = RangeSet::new();
            for chunk in &chunks {
                prop_assert_eq!(chunk.start().range_start(), chunk.end().range_start());
                planned.insert(*chunk);
            }
            let count: u64 = chunks.iter().map(|chunk| chunk.count()).sum();
            prop_assert_eq!(planned.count(), count);
            for at in (0..80_000).step_by(7) {
                let seq = LedgerSeq::new(at);
                prop_assert_eq!(planned.contains(seq), wanted.contains(seq) && !covered.contains(seq), "{}", at);
            }
        }
    }
}
