//! How an error is acted on: decided once by its module, used for retry policy, exit code and metric label.

/// What can be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// May pass by itself: try again, with backoff and jitter, without end.
    Retry,
    /// These bytes fail a check: stop the network, keep the evidence.
    Corrupt,
    /// An operator must act: configuration, credentials, disk, schema.
    Stop,
}
