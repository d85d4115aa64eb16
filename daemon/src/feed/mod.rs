//! What happens in the daemon, numbered: a bounded ring that many read, each at its own pace. Nothing is kept for a reader, so
//! a slow one costs nothing: once what it has not read is gone, it is told so.

mod differences;
mod watch;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch as channel;

pub use watch::{Watched, watch};

/// Events that are kept.
const KEPT: usize = 4096;
/// Events that a process may number in each second of its life, so that those of the next one are larger.
const PER_SECOND: u64 = 1_000_000;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ledgers were committed.
    Ledgers,
    /// Ledgers are missing that were not missing before, or are not any more.
    Gap,
    /// Something went wrong.
    Error,
    /// A backfill job.
    Job,
    /// A network came, went or changed its state.
    Network,
    /// The configuration was read again.
    Reload,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// What it is about.
    pub kind: Kind,
    /// The network; empty when it is about none.
    pub network: String,
    /// First and last ledger.
    pub ledgers: Option<(u32, u32)>,
    /// The backfill job.
    pub job: Option<u32>,
    /// For people.
    pub text: String,
}

impl Happening {
    /// Without network, ledgers and job.
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, network: String::new(), ledgers: None, job: None, text: text.into() }
    }
}

/// What happened, with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Larger than those of all earlier events, those of earlier processes included.
    pub sequence: u64,
    /// When it was told.
    pub at: SystemTime,
    /// What happened.
    pub what: Happening,
}

/// Some events after the number that was asked for are not kept any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("events after {since} are not kept any more: the oldest is {oldest}, the next will be {next}")]
pub struct Gone {
    /// What was asked for.
    pub since: u64,
    /// The oldest that is kept, or the next one.
    pub oldest: u64,
    /// The number of the next event.
    pub next: u64,
}

/// The ring.
#[derive(Debug)]
pub struct Feed {
    ring: Mutex<Ring>,
    next: channel::Sender<u64>,
    kept: usize,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    next: u64,
}

impl Default for Feed {
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::beginning(since.as_secs().saturating_mul(PER_SECOND).saturating_add(1), KEPT)
    }
}

impl Feed {
    fn beginning(first: u64, kept: usize) -> Self {
        let ring = Ring { events: VecDeque::new(), next: first };
        Self { ring: Mutex::new(ring), next: channel::Sender::new(first), kept }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all readers what happened; never waits for one.
    pub fn tell(&self, what: Happening) {
        let mut ring = self.lock();
        let sequence = ring.next;
        ring.next = sequence.saturating_add(1);
        if ring.events.len() >= self.kept {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::new(Event { sequence, at: SystemTime::now(), what }));
        let next = ring.next;
        drop(ring);
        self.next.send_replace(next);
    }

    /// The number of the newest event, or the one before the first.
    pub fn newest(&self) -> u64 {
        self.lock().next.saturating_sub(1)
    }

    /// At most `count` events after `since`, oldest first; 0 means the oldest that is kept.
    ///
    /// # Errors
    /// [`Gone`], also for a number that no event had yet.
    pub fn after(&self, since: u64, count: usize) -> Result<Vec<Arc<Event>>, Gone> {
        let ring = self.lock();
        let oldest = ring.events.front().map_or(ring.next, |event| event.sequence);
        if since > 0 && (since.saturating_add(1) < oldest || since >= ring.next) {
            return Err(Gone { since, oldest, next: ring.next });
        }
        let skipped = usize::try_from(since.saturating_add(1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        Ok(ring.events.iter().skip(skipped).take(count).cloned().collect())
    }

    /// Waits until there is an event after `since`.
    pub async fn wait(&self, since: u64) {
        let mut next = self.next.subscribe();
        // The sender lives as long as `self`.
        next.wait_for(|next| *next > since.saturating_add(1)).await.ok();
    }

    /// A feed for tests of its readers.
    #[cfg(test)]
    pub(crate) fn small(kept: usize) -> Self {
        Self::beginning(100, kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(feed: &Feed, texts: &[&str]) {
        texts.iter().for_each(|text| feed.tell(Happening::new(Kind::Error, *text)));
    }

    fn texts(events: &[Arc<Event>]) -> Vec<(u64, &str)> {
        events.iter().map(|event| (event.sequence, event.what.text.as_str())).collect()
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let feed = Feed::small(3);
        assert_eq!(feed.newest(), 99);
        assert!(feed.after(0, 9).unwrap().is_empty());
        assert!(feed.after(99, 9).unwrap().is_empty());
        told(&feed, &["a", "b", "c"]);
        assert_eq!(texts(&feed.after(0, 9).unwrap()), [(100, "a"), (101, "b"), (102, "c")]);
        assert_eq!(texts(&feed.after(99, 2).unwrap()), [(100, "a"), (101, "b")]);
        assert_eq!(texts(&feed.after(101, 9).unwrap()), [(102, "c")]);
        assert!(feed.after(102, 9).unwrap().is_empty());
    }

    #[test]
    fn what_is_gone_is_not_passed_over() {
        let feed = Feed::small(2);
        told(&feed, &["a", "b", "c", "d"]);
        assert_eq!(feed.after(100, 9), Err(Gone { since: 100, oldest: 102, next: 104 }));
        assert_eq!(texts(&feed.after(101, 9).unwrap()), [(102, "c"), (103, "d")]);
        assert_eq!(texts(&feed.after(0, 9).unwrap()), [(102, "c"), (103, "d")]);
        // A number of another daemon.
        assert_eq!(feed.after(104, 9), Err(Gone { since: 104, oldest: 102, next: 104 }));
    }

    #[test]
    fn numbers_grow_over_restarts() {
        let feed = Feed::default();
        assert!(feed.newest() > 1_600_000_000 * PER_SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_waits_for_the_next_event() {
        let feed = Arc::new(Feed::small(2));
        let waiting = Arc::clone(&feed);
        let waited = tokio::spawn(async move { waiting.wait(99).await });
        tokio::task::yield_now().await;
        assert!(!waited.is_finished());
        told(&feed, &["a"]);
        waited.await.unwrap();
        feed.wait(99).await;
    }
}
