//! Named points at which the process can be made to kill itself or to hang, for `make crash-test` and `make systemd-test`
//! alone: a crash at any of them must tear nothing, a hang must bring the watchdog. Without the feature `fail-points` passing one is nothing.

/// A moment between two steps of which the second must not be taken for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "fail-points", derive(clap::ValueEnum))]
pub(crate) enum Point {
    /// Rows of a batch are made, none of them is encoded.
    BeforeEncode,
    /// A file of a batch is finished, others are not.
    BetweenFiles,
    /// A file is durable under its temporary name.
    BeforeRename,
    /// All files are there, the transaction is not.
    BeforeBegin,
    /// Some files of a change are registered, in a transaction that is open.
    BetweenRegistrations,
    /// All of a change is in the open transaction, which takes no files out.
    BeforeCommit,
    /// The same is committed, and nobody was told.
    AfterCommit,
    /// All of a change is in the open transaction, which takes files out of their tables.
    ReplaceBeforeCommit,
    /// The same is committed, and nobody was told.
    ReplaceAfterCommit,
    /// The files of a merge are there, none is swapped in.
    MergeBeforeSwaps,
    /// Some tables have the merged file, others the small ones.
    MergeBetweenSwaps,
    /// The new record of a job is durable beside the old one.
    JobBeforeRename,
}

#[cfg(not(feature = "fail-points"))]
impl Point {
    /// Nothing.
    #[inline(always)]
    pub(crate) const fn pass(self) {}
}

#[cfg(feature = "fail-points")]
pub use armed::arm;

#[cfg(feature = "fail-points")]
mod armed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    use clap::ValueEnum;
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    use super::Point;

    /// `<name>` or `<name>:<nth pass>`, with `hang=` before it to hang there instead of being killed.
    const VARIABLE: &str = "STELLAR_LAKE_FAIL_POINT";

    /// What is to happen where.
    struct Armed {
        point: Point,
        /// Passes that are left.
        left: AtomicU64,
        /// The thread stops there; the process lives.
        hangs: bool,
    }

    static ARMED: OnceLock<Armed> = OnceLock::new();

    /// Arms the point that the environment names, if any, and warns of what this program is.
    ///
    /// # Errors
    /// A name or a number that is none.
    pub fn arm() -> Result<(), String> {
        tracing::warn!(
            "this program is built with fail points, for tests: never use it on a lake that matters"
        );
        let Some(wish) = std::env::var_os(VARIABLE) else { return Ok(()) };
        let wish = wish.to_string_lossy();
        let (hangs, wish) = match wish.strip_prefix("hang=") {
            Some(rest) => (true, rest),
            None => (false, wish.as_ref()),
        };
        let (name, nth) = wish.split_once(':').unwrap_or((wish, "1"));
        let point = Point::from_str(name, false).map_err(|_| {
            let values = Point::value_variants().iter().filter_map(Point::to_possible_value);
            let known: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
            format!("{VARIABLE}: there is no fail point `{name}`; there are {}", known.join(", "))
        })?;
        let nth = nth.parse().ok().filter(|nth| *nth > 0);
        let nth = nth.ok_or_else(|| format!("{VARIABLE}: `{wish}` does not end with a number from 1 on"))?;
        let armed = Armed { point, left: AtomicU64::new(nth), hangs };
        ARMED.set(armed).map_err(|_| format!("{VARIABLE} was read twice"))?;
        tracing::warn!(point = name, nth, hangs, "this process will kill itself, or hang");
        Ok(())
    }

    impl Point {
        /// Kills the process when this is the armed point and the time has come.
        pub(crate) fn pass(self) {
            let Some(Armed { point, left, hangs }) = ARMED.get() else { return };
            if *point == self && left.fetch_sub(1, Ordering::SeqCst) == 1 {
                tracing::warn!(point = ?self, hangs, "killing this process, or hanging");
                if !hangs && let Err(error) = kill(Pid::this(), Signal::SIGKILL) {
                    tracing::error!(error = %error, "this process cannot be killed");
                }
                // The signal may reach another thread first: this one must not go on.
                loop {
                    std::thread::park();
                }
            }
        }
    }
}
