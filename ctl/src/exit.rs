//! How lakectl ends: the exit codes, and errors that say what happened, why, and what to do.

use std::{error::Error, io, process::ExitCode};

use tonic::Code;
use tonic_types::StatusExt;

/// The documented exit codes (those above 1 are of sysexits.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Not healthy: a network, the lake's coverage, or a job of which not all is known to be stored.
    Unhealthy = 1,
    /// Wrong usage, or a statement that is wrong or refused.
    Usage = 64,
    /// There is no such job, network or setting.
    NotFound = 66,
    /// The daemon cannot be reached or is too busy.
    Unavailable = 69,
    /// A failure inside.
    Internal = 70,
    /// Refused as things are: by other jobs, by the job's own state, or by the disk.
    Refused = 73,
    /// Reading or writing failed.
    Io = 74,
    /// Not permitted.
    Permission = 77,
    /// The configuration is not valid.
    Config = 78,
    /// Interrupted by a signal or Ctrl-C, as shells count it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why lakectl failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What happened; the first line of the report.
    pub(crate) message: String,
    /// Why, one per line.
    pub(crate) causes: Vec<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The reader of our output went away: nothing to say.
    quiet: bool,
}

impl Failure {
    /// A failure with its message.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), causes: Vec::new(), hint: None, quiet: false }
    }

    /// Adds why.
    pub(crate) fn because(mut self, cause: impl ToString) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which network the failure is about.
    pub(crate) fn about(self, network: &str) -> Self {
        Self { message: format!("{network}: {}", self.message), ..self }
    }

    /// Reading or writing failed. A closed pipe is no failure: `lakectl query ... | head` is fine.
    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { quiet: true, ..Self::new(Exit::Done, "") };
        }
        Self::new(Exit::Io, what).because(error)
    }

    /// An answer of the daemon that is an error.
    pub(crate) fn rpc(status: &tonic::Status) -> Self {
        // Only what went wrong on the way has a source: the daemon did not say that.
        if status.source().is_some() {
            return Self::new(Exit::Unavailable, "the connection to the daemon broke")
                .because(status.message())
                .hint("check that the daemon runs, then try again");
        }
        let (exit, hint) = match status.code() {
            Code::InvalidArgument | Code::OutOfRange => (Exit::Usage, None),
            Code::NotFound => (Exit::NotFound, None),
            Code::FailedPrecondition | Code::AlreadyExists => (Exit::Refused, None),
            Code::DeadlineExceeded => (Exit::Unavailable, None),
            Code::ResourceExhausted => (Exit::Unavailable, None),
            Code::Unavailable => (Exit::Unavailable, Some("check that the daemon runs, then try again")),
            Code::Unimplemented => {
                (Exit::Unavailable, Some("lakectl and the daemon differ in version: see `lakectl version`"))
            }
            Code::PermissionDenied | Code::Unauthenticated => (Exit::Permission, None),
            Code::Cancelled | Code::Aborted => (Exit::Internal, None),
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => {
                (Exit::Internal, Some("the daemon's log has more"))
            }
        };
        // The daemon knows better what helps than the code does.
        let told = status.get_details_error_info();
        let is_config = told.as_ref().is_some_and(|info| info.reason == "CONFIG_INVALID");
        let exit = if is_config { Exit::Config } else { exit };
        let told = told.and_then(|mut info| info.metadata.remove("what_to_do"));
        let hint = told.or_else(|| hint.map(str::to_owned));
        let mut lines = status.message().lines().map(str::to_owned);
        let message = lines.next().unwrap_or_else(|| format!("the daemon answered {}", status.code()));
        Self { exit, message, causes: lines.collect(), hint, quiet: false }
    }

    /// Prints the failure on stderr and gives its exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.quiet {
            eprint!("{}", self.text());
        }
        self.exit.into()
    }

    fn text(&self) -> String {
        let mut text = format!("lakectl: {}\n", self.message);
        for cause in &self.causes {
            text.push_str(&format!("  {cause}\n"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("what to do: {hint}\n"));
        }
        text
    }
}

/// Ends after clap's own message: help and version are fine, everything else is 64.
pub(crate) fn usage(message: &clap::Error) -> ExitCode {
    // Nothing is left to tell it to when this fails.
    drop(message.print());
    if message.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_message_cause_and_what_to_do() {
        let failure = Failure::new(Exit::Unavailable, "cannot reach the daemon")
            .because("connection refused")
            .hint("start it");
        assert_eq!(
            failure.text(),
            "lakectl: cannot reach the daemon\n  connection refused\nwhat to do: start it\n"
        );
    }

    #[test]
    fn a_closed_pipe_is_quiet() {
        let failure = Failure::io("cannot write", &io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(failure.quiet);
        assert_eq!(failure.exit, Exit::Done);
    }

    #[test]
    fn what_to_do_is_what_the_daemon_says() {
        let metadata = std::collections::HashMap::from([("what_to_do".to_owned(), "wait".to_owned())]);
        let details = tonic_types::ErrorDetails::with_error_info("BUSY", "lake.v1", metadata);
        let status = tonic::Status::with_error_details(Code::Unavailable, "too much\nof it", details);
        let failure = Failure::rpc(&status);
        assert_eq!(failure.text(), "lakectl: too much\n  of it\nwhat to do: wait\n");
    }

    #[test]
    fn codes_of_the_daemon_become_exit_codes() {
        let exit = |code| Failure::rpc(&tonic::Status::new(code, "x")).exit;
        assert_eq!(exit(Code::InvalidArgument), Exit::Usage);
        assert_eq!(exit(Code::NotFound), Exit::NotFound);
        assert_eq!(exit(Code::FailedPrecondition), Exit::Refused);
        assert_eq!(exit(Code::AlreadyExists), Exit::Refused);
        assert_eq!(exit(Code::Unavailable), Exit::Unavailable);
        assert_eq!(exit(Code::DeadlineExceeded), Exit::Unavailable);
        assert_eq!(exit(Code::PermissionDenied), Exit::Permission);
        assert_eq!(exit(Code::Internal), Exit::Internal);
        let broken = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(Failure::rpc(&tonic::Status::from_error(Box::new(broken))).exit, Exit::Unavailable);
    }
}
