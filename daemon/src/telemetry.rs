//! Logs: structured, to journald under systemd and to standard error elsewhere. Standard output is for data only.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{LogFormat, LogSettings};

/// Starts logging.
///
/// # Errors
/// A level that is not one, or a journal that cannot be reached although it was asked for.
pub fn start(settings: &LogSettings) -> Result<(), String> {
    let filter = EnvFilter::try_new(&settings.level)
        .map_err(|e| format!("log.level: `{}` is not a level or filter such as info: {e}", settings.level))?;
    let registry = tracing_subscriber::registry().with(filter);
    let journal = match settings.format {
        LogFormat::Journald => true,
        LogFormat::Auto => std::env::var_os("JOURNAL_STREAM").is_some(),
        LogFormat::Text | LogFormat::Json => false,
    };
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false);
    let started = if journal {
        let layer = tracing_journald::layer().map_err(|e| format!("the journal cannot be reached: {e}"))?;
        registry.with(layer).try_init()
    } else if settings.format == LogFormat::Json {
        registry.with(stderr.json()).try_init()
    } else {
        registry.with(stderr).try_init()
    };
    started.map_err(|e| format!("logging was started twice: {e}"))
}
