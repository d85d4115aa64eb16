//! How often a stream tells: the interval that a caller asks for.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};
use tonic::Status;

use super::status_code;

/// Pause between two messages of a stream unless the caller names one.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// Shortest pause: a watcher must not keep the daemon busy.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The moments of a stream's messages.
///
/// # Errors
/// `INVALID_ARGUMENT` for an interval that is not longer than 0.
pub(super) fn ticks(asked: Option<prost_types::Duration>) -> Result<Interval, Status> {
    let interval = match asked {
        None => DEFAULT_INTERVAL,
        Some(asked) => Duration::try_from(asked)
            .ok()
            .filter(|asked| !asked.is_zero())
            .ok_or_else(|| status_code::bad_duration("interval"))?,
    };
    let mut ticks = tokio::time::interval(interval.max(MIN_INTERVAL));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(ticks)
}
