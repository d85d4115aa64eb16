//! The terminal while a job fills it: keys, calls that keys start, and giving the terminal back.

use std::{io, pin::Pin};

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use lake_proto::v1::{
    BackfillJob, WatchBackfillResponse, Workers, backfill_service_client::BackfillServiceClient,
    workers::Count,
};
use ratatui::DefaultTerminal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_stream::StreamExt;
use tonic::{Streaming, transport::Channel};

use super::{super::backfill, end, next};
use crate::{
    args::MAX_WORKERS,
    exit::{Exit, Failure},
    output::{
        Style,
        watch_screen::{self, View},
    },
};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// Leave the screen.
    Leave(Exit),
    /// Steer the job.
    Steer(Steer),
}

/// How a key steers the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Steer {
    Pause,
    Resume,
    Workers(u32),
}

/// A call that a key started: the screen goes on while the daemon answers.
type Call = Pin<Box<dyn Future<Output = Result<BackfillJob, Failure>>>>;

/// The terminal while a job fills it; given back however this ends.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    view: View,
    style: Style,
    client: BackfillServiceClient<Channel>,
    call: Option<Call>,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn open(
        job: BackfillJob,
        style: Style,
        client: BackfillServiceClient<Channel>,
    ) -> Result<Self, Failure> {
        let terminal = ratatui::try_init().map_err(|error| {
            give_back();
            unusable(&error)
        })?;
        let view = View { job, notice: String::new() };
        Ok(Self { terminal, view, style, client, call: None })
    }

    /// Shows the job until it is over, or a key or a signal ends it. Gives the last look at it.
    pub(super) async fn run(
        mut self,
        jobs: &mut Streaming<WatchBackfillResponse>,
    ) -> Result<(Exit, BackfillJob), Failure> {
        let mut events = EventStream::new();
        let mut signals = Signals::new().map_err(|error| unusable(&error))?;
        let mut drawn = None;
        let exit = loop {
            if let Some(exit) = end(&self.view.job) {
                break exit;
            }
            if drawn.as_ref() != Some(&self.view) {
                self.terminal
                    .draw(|frame| watch_screen::draw(frame, &self.view, self.style))
                    .map_err(|error| unusable(&error))?;
                drawn = Some(self.view.clone());
            }
            tokio::select! {
                job = next(jobs) => self.view.job = job?,
                answer = answer(&mut self.call) => self.answered(answer),
                event = events.next() => match event {
                    Some(Ok(Event::Key(event))) => match key(event, &self.view.job) {
                        Some(Key::Leave(exit)) => break exit,
                        Some(Key::Steer(steer)) => self.steer(steer),
                        None => {}
                    },
                    Some(Ok(Event::Resize(_, _))) => drawn = None,
                    Some(Ok(Event::FocusGained | Event::FocusLost | Event::Mouse(_) | Event::Paste(_))) => {}
                    Some(Err(error)) => return Err(unusable(&error)),
                    None => return Err(Failure::new(Exit::Io, "the terminal went away")),
                },
                () = signals.any() => break Exit::Interrupted,
            }
        };
        Ok((exit, self.view.job.clone()))
    }

    /// Begins a call, one at a time.
    fn steer(&mut self, steer: Steer) {
        if self.call.is_some() {
            "still waiting for the daemon's last answer".clone_into(&mut self.view.notice);
            return;
        }
        let id = self.view.job.id;
        let mut client = self.client.clone();
        self.view.notice = match steer {
            Steer::Pause => "pausing".to_owned(),
            Steer::Resume => "resuming".to_owned(),
            Steer::Workers(workers) => format!("asking for {workers} workers"),
        };
        self.call = Some(Box::pin(async move {
            match steer {
                Steer::Pause => backfill::pause(&mut client, id).await,
                Steer::Resume => backfill::resume(&mut client, id).await,
                Steer::Workers(workers) => {
                    let workers = Workers { count: Some(Count::Fixed(workers)) };
                    backfill::set(&mut client, id, workers).await
                }
            }
        }));
    }

    fn answered(&mut self, answer: Result<BackfillJob, Failure>) {
        self.call = None;
        match answer {
            Ok(job) => {
                self.view.job = job;
                self.view.notice.clear();
            }
            Err(failure) => self.view.notice = failure.message,
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    // A terminal that cannot be given back is gone: nothing is left to tell it to.
    drop(ratatui::try_restore());
}

/// The answer to the call under way; never comes when there is none.
async fn answer(call: &mut Option<Call>) -> Result<BackfillJob, Failure> {
    match call {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}

/// The signals that would end the process with the terminal still taken.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// What a key means for this job. Who leaves early has not seen it stored: that is no success. Raw terminals send Ctrl-C as a key.
#[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has more keys than we use")]
fn key(event: KeyEvent, job: &BackfillJob) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        return (event.code == KeyCode::Char('c')).then_some(Key::Leave(Exit::Interrupted));
    }
    match event.code {
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Leave(Exit::Unhealthy)),
        KeyCode::Char('p') => Some(Key::Steer(Steer::Pause)),
        KeyCode::Char('r') => Some(Key::Steer(Steer::Resume)),
        KeyCode::Char('+' | '=') => more(job, 1),
        KeyCode::Char('-') => more(job, -1),
        _ => None,
    }
}

/// So many more workers than were asked for, or than are at work when they are automatic.
fn more(job: &BackfillJob, by: i32) -> Option<Key> {
    let now = match job.workers.and_then(|workers| workers.count) {
        Some(Count::Fixed(asked)) => asked,
        Some(Count::Auto(_)) | None => job.active_workers,
    };
    let wanted = now.saturating_add_signed(by).clamp(1, MAX_WORKERS);
    (wanted != now).then_some(Key::Steer(Steer::Workers(wanted)))
}

fn unusable(error: &io::Error) -> Failure {
    Failure::io("cannot use the terminal", error).hint("send the output through `| cat` for plain lines")
}

#[cfg(test)]
mod tests {
    use lake_proto::v1::workers::Auto;

    use super::*;

    fn press(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    fn with_workers(count: Count, active_workers: u32) -> BackfillJob {
        BackfillJob {
            workers: Some(Workers { count: Some(count) }),
            active_workers,
            ..BackfillJob::default()
        }
    }

    #[test]
    fn keys_steer_the_job_or_leave_it() {
        let job = with_workers(Count::Fixed(10), 3);
        let of = |code| key(press(code), &job);
        assert_eq!(of(KeyCode::Char('q')), Some(Key::Leave(Exit::Unhealthy)));
        assert_eq!(of(KeyCode::Char('p')), Some(Key::Steer(Steer::Pause)));
        assert_eq!(of(KeyCode::Char('r')), Some(Key::Steer(Steer::Resume)));
        assert_eq!(of(KeyCode::Char('+')), Some(Key::Steer(Steer::Workers(11))));
        assert_eq!(of(KeyCode::Char('-')), Some(Key::Steer(Steer::Workers(9))));
        assert_eq!(of(KeyCode::Char('c')), None);
        assert_eq!(of(KeyCode::F(1)), None);
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(key(control_c, &job), Some(Key::Leave(Exit::Interrupted)));
        let released = KeyEvent::new_with_kind(KeyCode::Char('p'), KeyModifiers::NONE, KeyEventKind::Release);
        assert_eq!(key(released, &job), None);
    }

    #[test]
    fn workers_stay_within_their_bounds_and_automatic_ones_start_from_those_at_work() {
        let of = |code, job| key(press(KeyCode::Char(code)), &job);
        assert_eq!(of('-', with_workers(Count::Fixed(1), 1)), None);
        assert_eq!(of('+', with_workers(Count::Fixed(64), 9)), None);
        let auto = with_workers(Count::Auto(Auto {}), 7);
        assert_eq!(of('+', auto), Some(Key::Steer(Steer::Workers(8))));
    }
}
