//! Waiting for something that is seen from outside: asked again and again until a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How often is asked.
const PAUSE: Duration = Duration::from_millis(20);

/// What one look showed.
#[derive(Debug)]
pub enum Until<T> {
    /// It is there.
    Done(T),
    /// Not yet; what is there instead, for the message of a missed deadline.
    NotYet(String),
}

/// Asks until the answer is [`Until::Done`].
///
/// # Panics
/// When the deadline passes; the message has the last answer.
pub fn until<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Until<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        match look() {
            Until::Done(value) => return value,
            Until::NotYet(seen) if Instant::now() >= end => {
                panic!("{what}: not within {} s; last seen: {seen}", deadline.as_secs())
            }
            Until::NotYet(_) => thread::sleep(PAUSE),
        }
    }
}
