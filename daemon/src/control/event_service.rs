//! `lake.v1.EventService`: the stream of what happens.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use futures::Stream;
use lake_proto::v1::{self as pb, event_service_server::EventService};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::status_code;
use crate::feed::{Event, Feed, Kind};

/// Events that are fetched at a time.
const PAGE: usize = 64;

/// Answers from a [`Feed`].
pub(super) struct Events {
    feed: Option<Arc<Feed>>,
    shutdown: CancellationToken,
}

impl Events {
    pub(super) fn new(feed: Option<Arc<Feed>>, shutdown: CancellationToken) -> Self {
        Self { feed, shutdown }
    }
}

/// A running `WatchEvents`. Events are fetched when the transport asks for them, so nothing piles up for it.
struct Watch {
    feed: Arc<Feed>,
    page: VecDeque<Arc<Event>>,
    seen: u64,
    network: String,
    shutdown: CancellationToken,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<pb::WatchEventsResponse, Status>, Option<Self>)> {
        loop {
            while let Some(event) = self.page.pop_front() {
                self.seen = event.sequence;
                if self.network.is_empty() || event.what.network == self.network {
                    return Some((
                        Ok(pb::WatchEventsResponse { event: Some(translated(&event)) }),
                        Some(self),
                    ));
                }
            }
            let seen = self.seen;
            match self.feed.after(seen, PAGE) {
                Ok(page) => self.page.extend(page),
                Err(gone) => return Some((Err(status_code::too_slow(&gone)), None)),
            }
            if self.page.is_empty() {
                tokio::select! {
                    () = self.shutdown.cancelled() => return Some((Err(status_code::stopping()), None)),
                    () = self.feed.wait(seen) => {}
                }
            }
        }
    }
}

fn translated(event: &Event) -> pb::Event {
    let (first_ledger, last_ledger) = event.what.ledgers.unwrap_or_default();
    let kind = match event.what.kind {
        Kind::Ledgers => pb::EventKind::Ledgers,
        Kind::Gap => pb::EventKind::Gap,
        Kind::Error => pb::EventKind::Error,
        Kind::Job => pb::EventKind::Job,
        Kind::Network => pb::EventKind::Network,
        Kind::Reload => pb::EventKind::Reload,
    };
    pb::Event {
        sequence: event.sequence,
        at: Some(event.at.into()),
        kind: kind.into(),
        network: event.what.network.clone(),
        first_ledger,
        last_ledger,
        job: event.what.job.unwrap_or_default(),
        text: event.what.text.clone(),
    }
}

#[tonic::async_trait]
impl EventService for Events {
    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<pb::WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        request: Request<pb::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let feed = self.feed.clone().ok_or_else(status_code::no_events)?;
        let pb::WatchEventsRequest { since, network } = request.into_inner();
        let seen = since.unwrap_or_else(|| feed.newest());
        let page = feed.after(seen, PAGE).map_err(|gone| status_code::events_gone(&gone))?.into();
        let watch = Watch { feed, page, seen, network, shutdown: self.shutdown.clone() };
        let stream = futures::stream::unfold(Some(watch), |watch| async { watch?.next().await });
        Ok(Response::new(Box::pin(stream)))
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tonic::Code;
    use tonic_types::StatusExt;

    use super::*;
    use crate::feed::Happening;

    const REST: usize = 3;

    async fn watching(
        feed: &Arc<Feed>,
        since: Option<u64>,
        network: &str,
    ) -> Result<<Events as EventService>::WatchEventsStream, Status> {
        let events = Events::new(Some(Arc::clone(feed)), CancellationToken::new());
        let request = pb::WatchEventsRequest { since, network: network.to_owned() };
        events.watch_events(Request::new(request)).await.map(Response::into_inner)
    }

    fn tell(feed: &Feed, network: &str) {
        feed.tell(Happening { network: network.to_owned(), ..Happening::new(Kind::Network, "x") });
    }

    fn reason(status: &Status) -> (Code, String) {
        (status.code(), status.get_details_error_info().unwrap().reason)
    }

    #[tokio::test]
    async fn a_reader_resumes_and_chooses_a_network() {
        let feed = Arc::new(Feed::small(16));
        tell(&feed, "a");
        tell(&feed, "b");
        let mut live = watching(&feed, None, "").await.unwrap();
        let mut all = watching(&feed, Some(0), "").await.unwrap();
        let mut of_b = watching(&feed, Some(100), "b").await.unwrap();
        tell(&feed, "b");
        let sequence = |got: Option<Result<pb::WatchEventsResponse, Status>>| {
            got.unwrap().unwrap().event.unwrap().sequence
        };
        assert_eq!(sequence(live.next().await), 102);
        assert_eq!(
            [sequence(all.next().await), sequence(all.next().await), sequence(all.next().await)],
            [100, 101, 102]
        );
        assert_eq!([sequence(of_b.next().await), sequence(of_b.next().await)], [101, 102]);
    }

    #[tokio::test]
    async fn a_reader_that_is_too_slow_is_dropped_and_told_why() {
        let feed = Arc::new(Feed::small(PAGE + REST));
        tell(&feed, "a");
        let mut slow = watching(&feed, Some(0), "").await.unwrap();
        (0..3 * PAGE).for_each(|_| tell(&feed, "a"));
        assert!(slow.next().await.unwrap().is_ok(), "what was fetched before");
        let status = slow.next().await.unwrap().unwrap_err();
        assert_eq!(reason(&status), (Code::ResourceExhausted, "TOO_SLOW".to_owned()));
        assert!(slow.next().await.is_none());
    }

    #[tokio::test]
    async fn what_is_not_kept_any_more_cannot_be_resumed() {
        let feed = Arc::new(Feed::small(2));
        (0..5).for_each(|_| tell(&feed, "a"));
        for since in [100, 7, 999] {
            let status = watching(&feed, Some(since), "").await.err().unwrap();
            assert_eq!(reason(&status), (Code::OutOfRange, "EVENTS_GONE".to_owned()), "{since}");
        }
    }

    #[tokio::test]
    async fn a_stop_ends_the_stream() {
        let shutdown = CancellationToken::new();
        let events = Events::new(Some(Arc::new(Feed::small(2))), shutdown.clone());
        let request = Request::new(pb::WatchEventsRequest::default());
        let mut stream = events.watch_events(request).await.unwrap().into_inner();
        shutdown.cancel();
        let status = stream.next().await.unwrap().unwrap_err();
        assert_eq!(reason(&status), (Code::Unavailable, "STOPPING".to_owned()));
    }
}
