//! Holds a stream of made-up ledgers to a rate, or lets it run flat out.

use std::time::Duration;

use futures::{StreamExt, stream::BoxStream};
use lake_core::RawLedger;
use tokio::{sync::mpsc, time};
use tokio_stream::wrappers::ReceiverStream;

use super::SourceError;

/// Ledgers that wait between the maker and the pipeline.
const AHEAD: usize = 8;

/// Runs `make` on a thread of its own until it says `None` or nobody listens, and paces what it makes.
pub(super) fn paced(
    name: &str,
    ledgers_per_second: Option<f64>,
    mut make: impl FnMut() -> Option<Result<RawLedger, SourceError>> + Send + 'static,
) -> BoxStream<'static, Result<RawLedger, SourceError>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        while let Some(ledger) = make() {
            let last = ledger.is_err();
            if sender.blocking_send(ledger).is_err() || last {
                break;
            }
        }
    });
    if let Err(error) = spawned {
        let error =
            SourceError::Io { path: name.into(), doing: "start the thread that makes ledgers", error };
        return futures::stream::once(async { Err(error) }).boxed();
    }
    let stream = ReceiverStream::new(receiver);
    match ledgers_per_second {
        None => stream.boxed(),
        Some(rate) => {
            let period = Duration::from_secs_f64(1.0 / rate).max(Duration::from_micros(1));
            let mut ticks = time::interval(period);
            // A stall is not made up for by a burst: a network does not close ledgers faster afterwards.
            ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
            let ticks = futures::stream::unfold(ticks, |mut ticks| async move {
                ticks.tick().await;
                Some(((), ticks))
            });
            ticks.zip(stream).map(|((), ledger)| ledger).boxed()
        }
    }
}
