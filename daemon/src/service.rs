//! The service manager's side: readiness, status line, watchdog and signals. Without systemd all of it is silent.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

/// Tells the service manager; a manager that cannot be reached is logged, not fatal.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %error, "the service manager was not told");
    }
}

/// The service answers from now on.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    notify(&[NotifyState::Status(line)]);
}

/// The service is stopping.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Still alive.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How often the service manager wants to hear that we live; `None` when it does not watch.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 3)
}

/// Waits for SIGTERM or SIGINT and names the one that came.
///
/// # Errors
/// When the handlers cannot be installed.
pub async fn stop_signal() -> std::io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}
