//! Logs: structured, to the journal under systemd and to standard error elsewhere. Standard output is for data only.

use std::io::{self, IsTerminal, Stderr, Write};

use tracing::{Level, Metadata};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    fmt::MakeWriter,
    layer::{Layered, SubscriberExt},
    registry::Registry,
    reload,
    util::SubscriberInitExt,
};

use crate::{
    config::{LogFormat, LogSettings, log_filter},
    event::{self, Event},
};

/// Before the names of all fields but the standard ones: `LAKE_NETWORK`, `LAKE_JOB`, `LAKE_ERROR`.
const PREFIX: &str = "LAKE";

/// What the lines pass first.
type Base = Layered<reload::Layer<EnvFilter, Registry>, Registry>;

/// The level of the log, which can change while lines are written.
#[derive(Clone, Debug)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// Logs at this level, or by this filter, from now on.
    ///
    /// # Errors
    /// What is wrong with it; nothing is changed then.
    pub fn set(&self, text: &str) -> Result<(), String> {
        let filter = log_filter(text)?;
        self.0.reload(filter).map_err(|error| format!("the log is gone: {error}"))
    }
}

/// Starts logging.
///
/// # Errors
/// A level that is not one, or a journal that cannot be reached although it was asked for.
pub fn start(settings: &LogSettings) -> Result<LogLevel, String> {
    let filter = log_filter(&settings.level).map_err(|error| format!("log.level: {error}"))?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter).with(layers(settings.format)?);
    registry.try_init().map_err(|e| format!("logging was started twice: {e}"))?;
    Ok(LogLevel(handle))
}

/// Where lines go. Without a journal, lines that systemd reads carry their priorities.
fn layers(format: LogFormat) -> Result<Box<dyn Layer<Base> + Send + Sync>, String> {
    let managed = std::env::var_os("JOURNAL_STREAM").is_some();
    let stderr = tracing_subscriber::fmt::layer()
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false);
    Ok(match (format, managed) {
        (LogFormat::Journald, _) => journal().map_err(|e| format!("the journal cannot be reached: {e}"))?,
        (LogFormat::Json, _) => stderr.with_writer(io::stderr).json().boxed(),
        (LogFormat::Auto, true) => match journal() {
            Ok(journal) => journal,
            Err(_) => stderr.with_writer(Prioritised).without_time().with_level(false).boxed(),
        },
        (LogFormat::Text, _) | (LogFormat::Auto, false) => stderr.with_writer(io::stderr).boxed(),
    })
}

/// One layer for each event with an id, and one for all other lines: an id is a fixed field of its layer.
fn journal() -> io::Result<Box<dyn Layer<Base> + Send + Sync>> {
    let is_event = |meta: &Metadata<'_>| event::ALL.iter().any(|event| event.target == meta.target());
    let mut layers = vec![plain()?.with_filter(filter_fn(move |meta| !is_event(meta))).boxed()];
    for Event { target, message_id } in event::ALL {
        let layer = plain()?.with_custom_fields([("MESSAGE_ID", message_id)]);
        layers.push(layer.with_filter(filter_fn(move |meta| meta.target() == *target)).boxed());
    }
    Ok(layers.boxed())
}

fn plain() -> io::Result<tracing_journald::Layer> {
    Ok(tracing_journald::layer()?.with_field_prefix(Some(PREFIX.to_owned())).with_priority_mappings(
        PriorityMappings {
            error: Priority::Error,
            warn: Priority::Warning,
            info: Priority::Informational,
            debug: Priority::Debug,
            trace: Priority::Debug,
        },
    ))
}

/// Standard error with priorities as sd-daemon(3) has them: `<4>` before a warning.
struct Prioritised;

/// Writes one line after its priority.
struct Prefixed {
    prefix: &'static [u8],
    to: Stderr,
}

impl<'a> MakeWriter<'a> for Prioritised {
    type Writer = Prefixed;

    fn make_writer(&'a self) -> Prefixed {
        Prefixed { prefix: b"<6>", to: io::stderr() }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Prefixed {
        Prefixed { prefix: prefix(*meta.level()), to: io::stderr() }
    }
}

const fn prefix(level: Level) -> &'static [u8] {
    match level {
        Level::ERROR => b"<3>",
        Level::WARN => b"<4>",
        Level::INFO => b"<6>",
        Level::DEBUG | Level::TRACE => b"<7>",
    }
}

impl Write for Prefixed {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    /// The line comes as a whole.
    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        let mut whole = Vec::with_capacity(line.len() + self.prefix.len());
        whole.extend_from_slice(self.prefix);
        whole.extend_from_slice(line);
        self.to.write_all(&whole)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
