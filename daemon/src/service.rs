//! The service manager's side: readiness, status line, watchdog and signals. Without systemd all of it is silent.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Whether the manager was told that the service answers.
static READY: AtomicBool = AtomicBool::new(false);

/// Messages that wait for a manager which does not read.
const WAITING: usize = 64;

enum Message {
    Ready,
    Status(String),
    /// With the monotonic time of its beginning.
    Reloading,
    /// With the time that the stop may take.
    Stopping(Duration),
    /// What is being done takes up to so long yet.
    Extend(Duration),
    Alive,
}

/// Tells the service manager, without waiting for it: its socket blocks when it does not read, and that must not stop us.
fn notify(message: Message) {
    static TELLER: OnceLock<Option<SyncSender<Message>>> = OnceLock::new();
    let Some(teller) = TELLER.get_or_init(teller) else { return };
    match teller.try_send(message) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => tracing::debug!("the service manager does not listen"),
        Err(TrySendError::Disconnected(_)) => tracing::warn!("the service manager cannot be told"),
    }
}

/// The thread that tells; none without a manager.
fn teller() -> Option<SyncSender<Message>> {
    std::env::var_os("NOTIFY_SOCKET")?;
    let (sender, messages) = sync_channel(WAITING);
    let tell = move || {
        for message in messages {
            let told = match &message {
                Message::Ready => sd_notify::notify(&[NotifyState::Ready]),
                Message::Status(line) => sd_notify::notify(&[NotifyState::Status(line)]),
                Message::Reloading => NotifyState::monotonic_usec_now()
                    .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
                Message::Stopping(time) => {
                    sd_notify::notify(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros(*time))])
                }
                Message::Extend(time) => sd_notify::notify(&[NotifyState::ExtendTimeoutUsec(micros(*time))]),
                Message::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
            };
            if let Err(error) = told {
                tracing::warn!(error = %error, "the service manager was not told");
            }
        }
    };
    match thread::Builder::new().name("tell-manager".to_owned()).spawn(tell) {
        Ok(_) => Some(sender),
        Err(error) => {
            tracing::warn!(error = %error, "the service manager cannot be told");
            None
        }
    }
}

/// The service answers from now on.
pub fn ready() {
    READY.store(true, Ordering::Relaxed);
    notify(Message::Ready);
}

/// The configuration is being read again. Not told before [`ready`], which ends it: the manager would take that for the end
/// of the start.
pub fn reloading() {
    if READY.load(Ordering::Relaxed) {
        notify(Message::Reloading);
    }
}

/// The configuration was read again, well or not.
pub fn reloaded() {
    if READY.load(Ordering::Relaxed) {
        notify(Message::Ready);
    }
}

/// The SIGHUPs from now on.
///
/// # Errors
/// When the handler cannot be installed.
pub fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// One line for `systemctl status`.
pub fn status(line: &str) {
    notify(Message::Status(line.to_owned()));
}

/// The service is stopping, and may need so long for it, whatever the unit allows.
pub fn stopping(deadline: Duration) {
    notify(Message::Stopping(deadline));
}

/// What is being done, a start or a stop, goes on for up to so long, whatever the unit allows.
pub fn extend(time: Duration) {
    notify(Message::Extend(time));
}

/// Microseconds as the manager wants them; an hour and more is as good as for ever.
fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// Still alive.
pub fn alive() {
    notify(Message::Alive);
}

/// After which silence the service manager ends us; `None` when it does not watch.
pub fn watchdog_limit() -> Option<Duration> {
    sd_notify::watchdog_enabled()
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
