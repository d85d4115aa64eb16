//! The command line of the doctor.

use std::path::PathBuf;

use super::Output;

pub(super) const EXAMPLES: &str = "\
Looks at the configuration, permissions, disk space, limits of open files and memory, DuckDB's extensions, each source, the
clock against the close times of ledgers, and the socket; says what to do about each finding. The running daemon looks, as
the user that it is and with its limits. Without one `stellar-lake` itself looks, as you: run it as the daemon's user.
The exit code is 1 when something is to be done.

Examples:
  lakectl doctor
  sudo -u stellar-lake lakectl doctor
  lakectl doctor --output json | jq '.findings[] | select(.severity != \"fine\")'";

#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Configuration to look at when no daemon answers; that of the standard places when left out.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}
