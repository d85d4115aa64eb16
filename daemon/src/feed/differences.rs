//! What happened between two looks at the daemon.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use lake_core::LedgerRange;

use super::{Happening, Kind};
use crate::{
    backfill::{JobState, Record},
    lake::RangeSet,
};

/// What a look sees.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) networks: BTreeMap<String, NetworkView>,
    pub(super) jobs: BTreeMap<u32, Record>,
}

/// A network as a look sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct NetworkView {
    /// Stored ledgers.
    pub(super) stored: Arc<RangeSet>,
    /// Its state in a word.
    pub(super) state: &'static str,
    /// The last thing that went wrong.
    pub(super) error: Option<(Instant, String)>,
}

/// All that happened, network by network, then job by job.
pub(super) fn differences(before: &View, now: &View) -> Vec<Happening> {
    let mut out = Vec::new();
    for (name, network) in &now.networks {
        match before.networks.get(name) {
            Some(old) => of_network(name, old, network, &mut out),
            None => out.push(about(name, Kind::Network, None, format!("{name} was added"))),
        }
    }
    for name in before.networks.keys().filter(|name| !now.networks.contains_key(*name)) {
        out.push(about(name, Kind::Network, None, format!("{name} was removed")));
    }
    for (id, job) in &now.jobs {
        of_job(*id, before.jobs.get(id), job, &mut out);
    }
    out
}

fn about(network: &str, kind: Kind, ledgers: Option<LedgerRange>, text: String) -> Happening {
    let ledgers = ledgers.map(|range| (range.start().get(), range.end().get()));
    Happening { network: network.to_owned(), ledgers, ..Happening::new(kind, text) }
}

fn of_network(name: &str, old: &NetworkView, new: &NetworkView, out: &mut Vec<Happening>) {
    if let Some((at, error)) = &new.error
        && old.error.as_ref().is_none_or(|(before, _)| before != at)
    {
        out.push(about(name, Kind::Error, None, format!("{name}: {error}")));
    }
    for range in new.stored.without_all(&old.stored).ranges() {
        let text = format!("{name}: ledgers {range} committed");
        out.push(about(name, Kind::Ledgers, Some(range), text));
    }
    let gaps = |view: &NetworkView| view.stored.gaps().into_iter().collect::<RangeSet>();
    let (were, are) = (gaps(old), gaps(new));
    for range in are.without_all(&were).ranges() {
        out.push(about(name, Kind::Gap, Some(range), format!("{name}: ledgers {range} are missing")));
    }
    // Filled, not gone with the ledgers around them.
    for range in were.without_all(&are).ranges().filter(|range| new.stored.covers(*range)) {
        out.push(about(
            name,
            Kind::Gap,
            Some(range),
            format!("{name}: ledgers {range} are not missing any more"),
        ));
    }
    if old.state != new.state {
        let text = format!("{name}: {}, was {}", new.state, old.state);
        out.push(about(name, Kind::Network, None, text));
    }
}

fn of_job(id: u32, old: Option<&Record>, new: &Record, out: &mut Vec<Happening>) {
    // The history is cut at its old end: what is new stands after the newest that was there.
    let newest = old.and_then(|old| old.history.last());
    let known = newest.and_then(|newest| new.history.iter().rposition(|event| event == newest));
    for event in new.history.iter().skip(known.map_or(0, |known| known + 1)) {
        let text = format!("backfill job {id} of {}: {}", new.network, event.what);
        let kind = if new.state == JobState::Stopped { Kind::Error } else { Kind::Job };
        out.push(Happening { job: Some(id), ..about(&new.network, kind, None, text) });
    }
}

#[cfg(test)]
mod tests {
    use lake_core::LedgerSeq;

    use super::*;
    use crate::backfill::{Event, Workers};

    fn range(first: u32, last: u32) -> LedgerRange {
        LedgerRange::new(LedgerSeq::new(first), LedgerSeq::new(last)).unwrap()
    }

    fn stored(ranges: &[(u32, u32)]) -> View {
        let stored: RangeSet = ranges.iter().map(|(first, last)| range(*first, *last)).collect();
        let network = NetworkView { stored: Arc::new(stored), state: "following", error: None };
        View { networks: BTreeMap::from([("a".to_owned(), network)]), jobs: BTreeMap::new() }
    }

    /// Kind, ledgers and text of an event.
    type Seen = (Kind, Option<(u32, u32)>, String);

    fn seen(before: &View, now: &View) -> Vec<Seen> {
        let happenings = differences(before, now).into_iter();
        happenings.map(|happening| (happening.kind, happening.ledgers, happening.text)).collect()
    }

    #[test]
    fn ledgers_and_gaps_are_told_by_range() {
        assert!(seen(&stored(&[(2, 9)]), &stored(&[(2, 9)])).is_empty());
        assert_eq!(
            seen(&stored(&[(2, 9)]), &stored(&[(2, 12), (20, 21)])),
            [
                (Kind::Ledgers, Some((10, 12)), "a: ledgers 10..12 committed".to_owned()),
                (Kind::Ledgers, Some((20, 21)), "a: ledgers 20..21 committed".to_owned()),
                (Kind::Gap, Some((13, 19)), "a: ledgers 13..19 are missing".to_owned()),
            ]
        );
        let filled = seen(&stored(&[(2, 9), (20, 21)]), &stored(&[(2, 21)]));
        assert_eq!(
            filled.last().map(|(kind, ledgers, _)| (*kind, *ledgers)),
            Some((Kind::Gap, Some((10, 19))))
        );
    }

    #[test]
    fn networks_come_go_change_and_fail() {
        let (none, one) = (View::default(), stored(&[]));
        assert_eq!(seen(&none, &one), [(Kind::Network, None, "a was added".to_owned())]);
        assert_eq!(seen(&one, &none), [(Kind::Network, None, "a was removed".to_owned())]);
        let mut failed = one.clone();
        let network = failed.networks.get_mut("a").unwrap();
        (network.state, network.error) = ("retrying", Some((Instant::now(), "no disk".to_owned())));
        assert_eq!(
            seen(&one, &failed),
            [
                (Kind::Error, None, "a: no disk".to_owned()),
                (Kind::Network, None, "a: retrying, was following".to_owned()),
            ]
        );
        assert!(seen(&failed, &failed).is_empty());
    }

    #[test]
    fn what_happens_to_a_job_is_told_once() {
        let event = |at, what: &str| Event { at, what: what.to_owned() };
        let record = |history: Vec<Event>| Record {
            id: 7,
            network: "a".to_owned(),
            wanted: Vec::new(),
            workers: Workers::Auto,
            state: JobState::Running,
            reason: String::new(),
            parked: Vec::new(),
            created_at: 1,
            ended_at: None,
            history,
        };
        let view = |history| View { networks: BTreeMap::new(), jobs: BTreeMap::from([(7, record(history))]) };
        let (none, one) = (View::default(), view(vec![event(1, "started")]));
        let two = view(vec![event(1, "started"), event(2, "paused")]);
        let cut = view(vec![event(2, "paused"), event(3, "went on")]);
        let texts = |before: &View, now: &View| {
            differences(before, now).into_iter().map(|told| (told.job, told.text)).collect::<Vec<_>>()
        };
        assert_eq!(texts(&none, &one), [(Some(7), "backfill job 7 of a: started".to_owned())]);
        assert_eq!(texts(&one, &two), [(Some(7), "backfill job 7 of a: paused".to_owned())]);
        assert_eq!(texts(&two, &cut), [(Some(7), "backfill job 7 of a: went on".to_owned())]);
        assert!(texts(&cut, &cut).is_empty());
    }
}
