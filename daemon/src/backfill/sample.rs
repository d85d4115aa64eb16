//! How large ledgers are, here and there: a few of them, read from the source.

use futures::TryStreamExt;
use lake_core::{LedgerRange, LedgerSeq, RawLedger};

use crate::{
    class::Class,
    source::{Source, SourceError},
};

/// Places that are looked at.
const PLACES: u64 = 12;

/// Ledgers that are read at each.
const LEDGERS: u32 = 4;

/// A few ledgers from places spread evenly over `missing`. Places whose ledgers are corrupt or not there are passed over:
/// what they hold up is their own chunks, the rest must be planned.
pub(super) async fn ledgers(
    source: &dyn Source,
    missing: &[LedgerRange],
) -> Result<Vec<(LedgerSeq, Vec<RawLedger>)>, SourceError> {
    let mut all = Vec::new();
    for range in places(missing) {
        let ledgers = source.ledgers(range.start(), Some(range.end()));
        match ledgers.try_collect::<Vec<_>>().await {
            Ok(ledgers) => all.push((range.start(), ledgers)),
            Err(error) if error.class() == Class::Corrupt || matches!(error, SourceError::Missing { .. }) => {
                tracing::warn!(range = %range, error = %error, "left out of the sample");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Short ranges spread evenly over the ledgers of `missing`.
fn places(missing: &[LedgerRange]) -> Vec<LedgerRange> {
    let total: u64 = missing.iter().map(|range| range.count()).sum();
    let mut places = Vec::new();
    let (mut passed, mut next) = (0, 0);
    for range in missing {
        let end = passed + range.count();
        while next < end {
            let offset = u32::try_from(next - passed).unwrap_or(u32::MAX);
            let start = LedgerSeq::new(range.start().get().saturating_add(offset));
            let last = LedgerSeq::new(start.get().saturating_add(LEDGERS - 1)).min(range.end());
            places.extend(LedgerRange::new(start, last));
            next += total.div_ceil(PLACES).max(u64::from(LEDGERS));
        }
        passed = end;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spread_and_inside() {
        let range = |start, end| LedgerRange::new(LedgerSeq::new(start), LedgerSeq::new(end)).unwrap();
        let missing = [range(2, 1_000), range(5_000, 5_000), range(60_000, 70_000)];
        let places = places(&missing);
        assert!((8..=14).contains(&places.len()), "{places:?}");
        for place in &places {
            assert!(missing.iter().any(|m| m.contains(place.start()) && m.contains(place.end())), "{place}");
        }
        assert_eq!(super::places(&[range(7, 8)]), [range(7, 8)]);
    }
}
