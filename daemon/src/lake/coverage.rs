//! Which ledgers are stored and which are missing: a set of ledgers kept as disjoint ranges.
//!
//! Pure: fed by the catalog at start and by every commit afterwards.

use std::{collections::BTreeMap, fmt};

use lake_core::ledger::{LedgerRange, LedgerSeq};

impl Extend<LedgerRange> for RangeSet {
    fn extend<I: IntoIterator<Item = LedgerRange>>(&mut self, ranges: I) {
        ranges.into_iter().for_each(|range| self.insert(range));
    }
}

/// A set of ledgers as sorted, disjoint, never adjacent inclusive ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// Start of each range to its end.
    ranges: BTreeMap<LedgerSeq, LedgerSeq>,
}

impl RangeSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `range`, joining it with ranges that it overlaps or touches.
    pub fn insert(&mut self, range: LedgerRange) {
        let (mut start, mut end) = (range.start(), range.end());
        // Ranges that begin at or before the ledger after `end` may join; walk them from the right.
        let reach = end.next().unwrap_or(end);
        while let Some((&s, &e)) = self.ranges.range(..=reach).next_back() {
            let touches = e >= start || e.next() == Some(start);
            if !touches {
                break;
            }
            self.ranges.remove(&s);
            start = start.min(s);
            end = end.max(e);
        }
        self.ranges.insert(start, end);
    }

    /// Whether `seq` is in the set.
    pub fn contains(&self, seq: LedgerSeq) -> bool {
        self.range_of(seq).is_some()
    }

    /// Whether every ledger of `range` is in the set.
    pub fn covers(&self, range: LedgerRange) -> bool {
        self.range_of(range.start()).is_some_and(|r| r.contains(range.end()))
    }

    /// The stored range that holds `seq`.
    pub fn range_of(&self, seq: LedgerSeq) -> Option<LedgerRange> {
        let (&s, &e) = self.ranges.range(..=seq).next_back()?;
        LedgerRange::new(s, e).filter(|r| r.contains(seq))
    }

    /// The first ranges of the set that share a ledger with `range`, clipped to it.
    pub fn overlap(&self, range: LedgerRange) -> Option<LedgerRange> {
        let (&s, &e) = self.ranges.range(..=range.end()).next_back()?;
        let found = LedgerRange::new(s, e)?;
        if !found.overlaps(range) {
            return None;
        }
        LedgerRange::new(s.max(range.start()), e.min(range.end()))
    }

    /// The ranges in ascending order.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = LedgerRange> + '_ {
        self.ranges.iter().filter_map(|(&s, &e)| LedgerRange::new(s, e))
    }

    /// Holes between the first and the last ledger of the set, ascending.
    pub fn gaps(&self) -> Vec<LedgerRange> {
        match self.first().zip(self.last()).and_then(|(f, l)| LedgerRange::new(f, l)) {
            Some(whole) => self.missing(whole),
            None => Vec::new(),
        }
    }

    /// The ledgers of `wanted` that are not in the set, ascending.
    pub fn missing(&self, wanted: LedgerRange) -> Vec<LedgerRange> {
        let mut out = Vec::new();
        let mut next = Some(wanted.start());
        let from = self.range_of(wanted.start()).map_or(wanted.start(), LedgerRange::start);
        for (&s, &e) in self.ranges.range(from..=wanted.end()) {
            let Some(at) = next else { return out };
            if let Some(before) = s.previous().and_then(|p| LedgerRange::new(at, p)) {
                out.push(before);
            }
            next = e.next().map(|n| n.max(at));
        }
        if let Some(rest) = next.and_then(|at| LedgerRange::new(at, wanted.end())) {
            out.push(rest);
        }
        out
    }

    /// The set without the ledgers of `range`.
    #[must_use]
    pub fn without(&self, range: LedgerRange) -> Self {
        self.without_all(&Self::from_iter([range]))
    }

    /// The set without the ledgers of another.
    #[must_use]
    pub fn without_all(&self, other: &Self) -> Self {
        self.ranges().flat_map(|kept| other.missing(kept)).collect()
    }

    /// Lowest ledger of the set.
    pub fn first(&self) -> Option<LedgerSeq> {
        self.ranges.keys().next().copied()
    }

    /// Highest ledger of the set: the head.
    pub fn last(&self) -> Option<LedgerSeq> {
        self.ranges.values().next_back().copied()
    }

    /// Number of ledgers in the set.
    pub fn count(&self) -> u64 {
        self.ranges().map(LedgerRange::count).sum()
    }

    /// Whether no ledger is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.ranges().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            fmt::Display::fmt(&range, f)?;
        }
        Ok(())
    }
}

impl FromIterator<LedgerRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = LedgerRange>>(ranges: I) -> Self {
        let mut set = Self::new();
        for range in ranges {
            set.insert(range);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn range(start: u32, end: u32) -> LedgerRange {
        LedgerRange::new(LedgerSeq::new(start), LedgerSeq::new(end)).unwrap()
    }

    fn naive(ranges: &[(u32, u32)]) -> (RangeSet, BTreeSet<u32>) {
        let set = ranges.iter().map(|&(s, n)| range(s, s + n)).collect();
        (set, ranges.iter().flat_map(|&(s, n)| s..=s + n).collect())
    }

    proptest! {
        #[test]
        fn a_range_set_equals_a_plain_set(ranges in prop::collection::vec((0u32..120, 0u32..12), 0..16),
                                          want in (0u32..130, 0u32..40)) {
            let (set, model) = naive(&ranges);
            let wanted = range(want.0, want.0 + want.1);
            for seq in 0..150 {
                prop_assert_eq!(set.contains(LedgerSeq::new(seq)), model.contains(&seq));
            }
            prop_assert_eq!(set.count(), model.len() as u64);
            prop_assert_eq!(set.first().map(LedgerSeq::get), model.first().copied());
            prop_assert_eq!(set.last().map(LedgerSeq::get), model.last().copied());
            let missing: Vec<u32> = set.missing(wanted).iter().flat_map(|r| r.start().get()..=r.end().get()).collect();
            let expected: Vec<u32> = (want.0..=want.0 + want.1).filter(|s| !model.contains(s)).collect();
            prop_assert_eq!(missing, expected);
            prop_assert_eq!(set.covers(wanted), set.missing(wanted).is_empty());
            prop_assert_eq!(set.overlap(wanted).is_some(), (want.0..=want.0 + want.1).any(|s| model.contains(&s)));
            let ends: Vec<LedgerRange> = set.ranges().collect();
            prop_assert!(ends.windows(2).all(|w| w[0].end().get() + 1 < w[1].start().get()));
            let without: Vec<u32> = set.without(wanted).ranges().flat_map(|r| r.start().get()..=r.end().get()).collect();
            let left: Vec<u32> =
                model.iter().copied().filter(|s| !(want.0..=want.0 + want.1).contains(s)).collect();
            prop_assert_eq!(without, left);
            prop_assert_eq!(set.gaps().len(), ends.len().saturating_sub(1));
        }
    }

    #[test]
    fn the_ends_of_the_number_range_do_not_overflow() {
        let mut set = RangeSet::new();
        set.insert(range(u32::MAX - 1, u32::MAX));
        set.insert(range(0, 0));
        assert_eq!(set.gaps(), vec![range(1, u32::MAX - 2)]);
        assert!(set.missing(range(u32::MAX, u32::MAX)).is_empty());
        assert_eq!(set.missing(range(0, 5)), vec![range(1, 5)]);
        assert_eq!(set.to_string(), format!("0..0, {}..{}", u32::MAX - 1, u32::MAX));
    }
}
