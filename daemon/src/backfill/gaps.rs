//! What a network lacks, and why.

use lake_core::LedgerRange;

use super::{BackfillError, Gap, GapView, job::Record};
use crate::lake::{Damage, Lake, NetworkName, RangeSet};

/// Reads the lake again and tells what is missing and what is damaged, ascending.
pub(super) async fn view(
    lake: &Lake,
    network: &NetworkName,
    records: &[&Record],
) -> Result<GapView, BackfillError> {
    lake.refresh(network).await?;
    let coverage = lake.coverage(network)?;
    let leftovers = lake.watermark(network)?.borrow().leftovers.clone();
    let mut missing: RangeSet = coverage.gaps().into_iter().collect();
    missing.extend(leftovers.ranges());
    let once = match missing.is_empty() {
        true => RangeSet::new(),
        false => lake.once_stored(network).await.unwrap_or_else(|error| {
            tracing::warn!(%network, error = %error, "the lineage cannot tell why ledgers are missing");
            RangeSet::new()
        }),
    };
    let missing = missing.ranges().flat_map(|gap| whys(gap, records, &once));
    let mut gaps: Vec<Gap> = missing.map(|(range, reason)| Gap { range, reason, damaged: false }).collect();
    gaps.extend(lake.damage(network).iter().filter_map(|damage| damaged(damage, records)));
    gaps.sort_by(|a, b| (a.range, &a.reason).cmp(&(b.range, &b.reason)));
    Ok(GapView { network: network.to_string(), ends: coverage.first().zip(coverage.last()), gaps })
}

fn damaged(damage: &Damage, records: &[&Record]) -> Option<Gap> {
    let Damage { table, file, problem, .. } = damage;
    let range = damage.range()?;
    let file = file.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default();
    let what = by_jobs(range, records).unwrap_or_else(|| "`lakectl repair` stores them anew".to_owned());
    Some(Gap { range, reason: format!("damaged: table {table}: {file}{problem}; {what}"), damaged: true })
}

/// The parts of a gap that have different reasons, with them.
fn whys(gap: LedgerRange, records: &[&Record], once: &RangeSet) -> Vec<(LedgerRange, String)> {
    if let Some(reason) = by_jobs(gap, records) {
        return vec![(gap, reason)];
    }
    let never = once.missing(gap);
    let removed: RangeSet = std::iter::once(gap).collect();
    let removed = removed.without_all(&never.iter().copied().collect());
    let reason = |of: &'static str| move |range: LedgerRange| (range, of.to_owned());
    let removed = removed.ranges().map(reason(
        "removed by hand: the lineage says that they were stored; `lakectl repair` stores them anew",
    ));
    let never =
        never.into_iter().map(reason("never ingested, and no job wants them: `lakectl repair` fills it"));
    let mut all: Vec<_> = removed.chain(never).collect();
    all.sort();
    all
}

/// Why ledgers are missing, as far as jobs know.
fn by_jobs(gap: LedgerRange, records: &[&Record]) -> Option<String> {
    let parked = records.iter().find_map(|record| {
        let parked =
            record.parked.iter().find(|parked| parked.range.range().is_some_and(|r| r.overlaps(gap)))?;
        Some(format!("parked by job {}: {}", record.id, parked.reason))
    });
    let wanted = || {
        let wants = |record: &&&Record| record.state.is_open() && record.wanted().overlap(gap).is_some();
        let record = records.iter().find(wants)?;
        Some(format!("wanted by job {}, which is {}", record.id, record.state.word()))
    };
    parked.or_else(wanted)
}
