//! The command line of events and of maintenance.

use clap::Subcommand;

use super::{Output, backfill::help};

const EVENTS_EXAMPLES: &str = "\
Shows what happens as it happens, until interrupted: ledgers that were committed, gaps, errors, backfill jobs, networks,
reloads. Every event has a number that is larger than those of all before it, also after a restart of the daemon. The daemon
keeps the newest 4096: --since goes on after one that was seen. Exit code 64: what follows it is not kept any more.
Exit code 69: the daemon stopped, or events came faster than they were read.

With --output json each event is a line of its own.

Examples:
  lakectl events
  lakectl events --since 0 --network mainnet
  lakectl events --output json | jq -c 'select(.kind == \"error\")'";

const RUN_EXAMPLES: &str = "\
Merges small files, expires old snapshots, deletes files that nothing needs any more and checkpoints the catalog's write-ahead
log: all that the timer does, now. Waits until it is done, at most two minutes; it goes on without lakectl.

Examples:
  lakectl maintenance run
  lakectl maintenance status --output json";

/// The help's end.
pub(super) fn examples() -> String {
    help(EVENTS_EXAMPLES)
}

#[derive(Debug, clap::Args)]
pub(crate) struct Events {
    /// Go on after the event with this number; 0: from the oldest that is kept. Without it: from now on.
    #[arg(long, value_name = "SEQ")]
    pub(crate) since: Option<u64>,
    /// Only those about this network.
    #[arg(long, value_name = "NETWORK")]
    pub(crate) network: Option<String>,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Maintenance {
    #[command(subcommand)]
    pub(crate) verb: MaintenanceVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MaintenanceVerb {
    /// Do all of it now.
    #[command(after_help = help(RUN_EXAMPLES))]
    Run(MaintenanceArgs),
    /// Show what it did since the daemon started.
    #[command(after_help = help(RUN_EXAMPLES))]
    Status(MaintenanceArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct MaintenanceArgs {
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}
