//! The command line of the configuration.

use clap::{Subcommand, builder::NonEmptyStringValueParser};

use super::{Output, backfill::help};

const SHOW_EXAMPLES: &str = "\
What is in force in the running daemon, each value with where it was set: by default, in a file, in a variable of the
environment (STELLAR_LAKE__LOG__LEVEL), on the command line (--set), at run time (lakectl networks, lakectl log-level), or
lowered by a limit of the process. Secrets are no part of the configuration.

Examples:
  lakectl config show
  lakectl config show networks.mainnet
  lakectl config show --changed --output json";

const DIFF_EXAMPLES: &str = "\
What the files, the environment and the command line say now, against what is in force: what `lakectl reload` would
change, and what waits for a restart. The exit code is 1 when something differs, 78 when the configuration is not valid.

Examples:
  lakectl config diff
  lakectl config diff && echo nothing waits";

pub(super) const RELOAD_EXAMPLES: &str = "\
Reads the configuration again, as SIGHUP does. In force at once are networks that were added, removed or changed, log.level,
query.timeout, query.max_rows and shutdown_timeout; other changes are named and wait for a restart, and so does a network
that an unfinished backfill job works with. A configuration that is not valid changes nothing: the exit code is 78 then.

Examples:
  lakectl config diff; lakectl reload
  systemctl reload stellar-lake";

pub(super) const LEVEL_EXAMPLES: &str = "\
Without a level: shows the one in force. A level that is set lasts until the daemon starts again, or until a reload finds
another configured one.

Examples:
  lakectl log-level
  lakectl log-level debug
  lakectl log-level info,stellar_lake::source=trace
  lakectl log-level --reset";

/// Shows the configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) verb: ConfigVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Show what is in force, and where each value was set.
    #[command(after_help = help(SHOW_EXAMPLES))]
    Show(ConfigShow),
    /// Show what a reload would change, by the exit code too.
    #[command(after_help = help(DIFF_EXAMPLES))]
    Diff(ConfigDiff),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigShow {
    /// Only this value, or those below it.
    #[arg(value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Only what is not the default.
    #[arg(long)]
    pub(crate) changed: bool,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConfigDiff {
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LogLevel {
    /// error, warn, info, debug, trace, off, or a filter.
    #[arg(value_name = "LEVEL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) level: Option<String>,
    /// Log as configured again.
    #[arg(long, conflicts_with = "level")]
    pub(crate) reset: bool,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}
