//! Why a call was refused, as a stable code for programs: `google.rpc.ErrorInfo` in the details of a status.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Domain of the codes.
const DOMAIN: &str = "lake.v1";

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $code:ident, $hint:literal;)*) => {
        /// Why a call was refused. The texts are stable; `packaging/doc/control.md` lists them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Reason { $($(#[$doc])* $name),* }

        impl Reason {
            /// All of them.
            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The stable text.
            pub(super) const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The status code that goes with it.
            pub(super) const fn code(self) -> Code {
                match self { $(Self::$name => Code::$code),* }
            }

            /// What to do about it.
            pub(super) const fn hint(self) -> &'static str {
                match self { $(Self::$name => $hint),* }
            }
        }
    };
}

reasons! {
    /// The peer is in no group that may call this.
    NotInGroup = "NOT_IN_GROUP", PermissionDenied,
        "ask an administrator to add the user to the group (usermod -aG GROUP USER); it counts within seconds";
    /// The machine lacks the groups.
    NoGroup = "NO_GROUP", PermissionDenied,
        "make the groups (systemd-sysusers, groupadd), or call as root or as the daemon's user";
    /// The kernel does not tell who calls.
    UnknownPeer = "UNKNOWN_PEER", Unauthenticated, "call over the Unix socket of this machine";
    /// The user database cannot be read.
    UserDatabase = "USER_DATABASE", Unavailable, "check the user database (getent passwd, getent group); root may always call";
    /// More calls are running than may.
    TooManyCalls = "TOO_MANY_CALLS", ResourceExhausted, "end calls that are not needed, then try again";
    /// The answer took too long.
    Deadline = "DEADLINE", DeadlineExceeded, "see what the daemon is busy with: lakectl status";
    /// No such call.
    UnknownCall = "UNKNOWN_CALL", Unimplemented, "client and daemon differ in version: see lakectl version";
    /// The bytes of the request are wrong.
    BadRequest = "BAD_REQUEST", InvalidArgument, "client and daemon may differ in version: see lakectl version";
    /// An argument has a value that cannot be meant.
    BadArgument = "BAD_ARGUMENT", InvalidArgument, "mend the argument that the message names";
    /// There is no such network.
    UnknownNetwork = "UNKNOWN_NETWORK", NotFound, "see which there are: lakectl status";
    /// The name of a network is taken.
    NetworkExists = "NETWORK_EXISTS", AlreadyExists, "choose another name, or remove the other: lakectl networks list";
    /// A network of the configuration cannot be removed by a call.
    NetworkConfigured = "NETWORK_CONFIGURED", FailedPrecondition, "change the configuration, or pause the network: lakectl networks pause";
    /// The network is in a state that does not allow it.
    NetworkState = "NETWORK_STATE", FailedPrecondition, "see where it stands: lakectl networks show";
    /// The lake holds another network of that name.
    OtherNetwork = "OTHER_NETWORK", FailedPrecondition, "choose another name, or give the stored network's passphrase";
    /// The configuration is not valid.
    ConfigInvalid = "CONFIG_INVALID", FailedPrecondition, "mend what the message names; check it with stellar-lake check-config";
    /// There is no such job.
    UnknownJob = "UNKNOWN_JOB", NotFound, "see which there are: lakectl backfill list";
    /// Another job wants the same ledgers.
    LedgersTaken = "LEDGERS_TAKEN", AlreadyExists, "wait for the other job, or cancel it: lakectl backfill cancel";
    /// The job's state does not allow it.
    JobState = "JOB_STATE", FailedPrecondition, "see where the job stands: lakectl backfill show";
    /// All that is wanted is stored.
    NothingMissing = "NOTHING_MISSING", FailedPrecondition, "nothing needs to be done, or want other ledgers";
    /// Nothing of what is asked for is stored.
    NothingStored = "NOTHING_STORED", FailedPrecondition, "see what is stored: lakectl status";
    /// The disk cannot hold the result.
    DiskTooSmall = "DISK_TOO_SMALL", FailedPrecondition, "make room, want fewer ledgers, or start it all the same: --force";
    /// A source does not answer.
    Source = "SOURCE", Unavailable, "check the network's source, then try again";
    /// The statement is not one that is run here.
    StatementRefused = "STATEMENT_REFUSED", InvalidArgument, "send exactly one statement that reads: lakectl query --help";
    /// The statement is wrong.
    StatementWrong = "STATEMENT_WRONG", InvalidArgument, "mend the statement; tables and columns: lakectl schema";
    /// As many queries run as may.
    TooManyQueries = "TOO_MANY_QUERIES", ResourceExhausted, "try again later, or raise query.max_concurrent";
    /// The query needs more memory than it may have.
    QueryMemory = "QUERY_MEMORY", ResourceExhausted, "ask for less, or raise query.memory_limit";
    /// The query takes longer than it may.
    QueryTimeout = "QUERY_TIMEOUT", DeadlineExceeded, "ask for less, or raise query.timeout";
    /// The caller went away.
    Cancelled = "CANCELLED", Cancelled, "call again";
    /// Events after the given number are not kept.
    EventsGone = "EVENTS_GONE", OutOfRange, "see how things stand now (lakectl status), and watch without --since";
    /// The caller reads more slowly than things happen.
    TooSlow = "TOO_SLOW", ResourceExhausted, "see how things stand now (lakectl status), and read faster";
    /// The daemon was told not to do this.
    NotServed = "NOT_SERVED", Unavailable, "ask another daemon";
    /// The daemon stops.
    Stopping = "STOPPING", Unavailable, "call again when the daemon runs again";
    /// The lake or a file of the daemon's own cannot be read or written.
    Storage = "STORAGE", Internal, "see the daemon's log, and the disk";
    /// A fault of the daemon.
    Internal = "INTERNAL", Internal, "see the daemon's log, and report the fault if it comes again";
}

/// A refusal: the message says what and why; code, stable reason and what to do come with the reason.
pub(super) fn refuse(reason: Reason, message: impl Into<String>) -> Status {
    let metadata = HashMap::from([("what_to_do".to_owned(), reason.hint().to_owned())]);
    let details = ErrorDetails::with_error_info(reason.text(), DOMAIN, metadata);
    Status::with_error_details(reason.code(), message, details)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_lists_every_reason() {
        let manual = include_str!("../../../packaging/doc/control.md");
        let expected: Vec<String> = Reason::ALL
            .iter()
            .map(|reason| format!("| `{}` | {:?} | {} |", reason.text(), reason.code(), reason.hint()))
            .collect();
        let section = manual.split("## Reasons").nth(1).unwrap();
        let written: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(written, expected, "packaging/doc/control.md");
    }

    #[test]
    fn a_refusal_carries_its_reason() {
        let status = refuse(Reason::NotInGroup, "user 7 may not");
        assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "user 7 may not"));
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("NOT_IN_GROUP", "lake.v1"));
        assert!(info.metadata.contains_key("what_to_do"));
    }
}
