//! The daemon's metrics: one list ([`LIST`]), shown as Prometheus text ([`Listener`]) and sent by OTLP ([`Exporter`]).
//!
//! Both ask for the figures when they show them: nothing is counted for them alone, and nobody waits for them.

mod figures;
mod list;
mod listen;
mod otlp;
mod text;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

pub use figures::{Figures, NetworkFigures, ProcessFigures};
pub use list::{Kind, LIST, Metric, Sample, Value};
pub use listen::{ListenError, Listener};
pub use otlp::{Exporter, OtlpError};
pub use text::{CONTENT_TYPE, expose};

#[cfg(test)]
pub(crate) fn fixed() -> crate::status::Status {
    text::tests::figures().status
}

/// Gives the figures of this moment. It must be quick and must not wait for the committer.
pub trait FiguresSource: Send + Sync {
    /// The figures now.
    fn figures(&self) -> Figures;
}

/// How long figures are shown again: who asks more often costs nothing.
const FRESH: Duration = Duration::from_millis(250);

/// Figures, taken at most every [`FRESH`].
struct Recent {
    source: Arc<dyn FiguresSource>,
    last: Mutex<Option<(Instant, Arc<Figures>)>>,
}

impl Recent {
    fn new(source: Arc<dyn FiguresSource>) -> Self {
        Self { source, last: Mutex::default() }
    }

    fn get(&self) -> Arc<Figures> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, figures)) = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Arc::clone(figures);
        }
        let figures = Arc::new(self.source.figures());
        *last = Some((Instant::now(), Arc::clone(&figures)));
        figures
    }
}
