//! The command line. Its help texts are the manual.

mod backfill;
mod config;
mod doctor;
mod events;
mod networks;
mod verify;

use std::{path::PathBuf, time::Duration};

pub(crate) use backfill::{Backfill, BackfillVerb, Gaps, JobList, JobWatch, MAX_WORKERS, Repair, Start};
use clap::{Parser, Subcommand, ValueEnum};
pub(crate) use config::{Config, ConfigDiff, ConfigShow, ConfigVerb, LogLevel};
pub(crate) use doctor::Doctor;
pub(crate) use events::{Events, Maintenance, MaintenanceVerb};
pub(crate) use networks::{NetworkAdd, NetworkList, NetworkRemove, Networks, NetworksVerb};
pub(crate) use verify::Verify;

const EXIT_CODES: &str = "\
Exit codes:
  0    done (health: healthy; gaps: none; verify: nothing found; backfill watch: all is stored)
  1    not healthy (health); there are gaps (gaps); there are findings (verify); something differs (config diff); something is
       to be done (doctor); stopped, cancelled, finished with parked
       ledgers, or left before the end (backfill watch)
  64   wrong usage or a refused statement
  66   there is no such job, network or setting
  69   the daemon cannot be reached, or is too busy
  70   the daemon or lakectl failed inside
  73   refused as things are: another job wants these ledgers, the job's state does not allow it,
       the disk is too small
  74   reading or writing failed
  77   not permitted
  78   the configuration is not valid (reload, config diff)
  130  interrupted

Environment:
  LAKECTL_SOCKET   path of the control socket, as --socket
  NO_COLOR         no colours, whatever its value";

const STATUS_EXAMPLES: &str = "\
Examples:
  lakectl status
  lakectl status --watch --interval 2
  lakectl status --output json | jq '.networks[] | {name, state, lag_ledgers}'
  lakectl status --watch --output json >> status.ndjson";

const HEALTH_EXAMPLES: &str = "\
Healthy: every network follows, catches up, waits for its source's next ledger or is finished, no ledger is
missing between its first and its last one, and no table lacks rows of stored ledgers.

Examples:
  lakectl health
  lakectl health mainnet && echo fine
  lakectl health --output json";

const QUERY_EXAMPLES: &str = "\
Exactly one statement that reads: SELECT, WITH, VALUES, FROM, EXPLAIN [ANALYZE], DESCRIBE, SHOW TABLES,
SUMMARIZE. Tables are named <network>.<table>. The statement sees one snapshot, while the daemon goes on writing.

Formats:
  table    for people; at most 1,000 rows unless --max-rows says more
  json     one array of objects
  ndjson   one object per line
  csv      with a header line; NULL is empty, an empty text is \"\"
Integers and decimals stay exact numbers in JSON, also above 2^53. NaN and infinities are texts there. Times are
ISO 8601, binary is hexadecimal.

Examples:
  lakectl query 'SELECT max(sequence) FROM mainnet.ledgers_row_v2'
  lakectl query 'SHOW ALL TABLES'
  lakectl query --format csv 'FROM testnet.ledgers_row_v2 LIMIT 10' > ledgers.csv
  lakectl query - < report.sql";

const SCHEMA_EXAMPLES: &str = "\
Without a table: one line per table; with a format all of them in full. Needs no daemon: it tells of the tables of
this version, which the daemon of the same version writes (`lakectl version`). What an older lake holds, and the
comments in it, show `lakectl query 'DESCRIBE mainnet.accounts_snapshot_v1'` and `lakectl status`.

Formats:
  md    Markdown, as in tables.md
  json  keys, columns with type and NULL, view and macro of the state
  sql   CREATE TABLE, COMMENT, and the views and macros of the state, for the schema that --network names

Examples:
  lakectl schema
  lakectl schema accounts_snapshot_v1
  lakectl schema --format json | jq -r '.[] | .name'
  lakectl schema ttl_snapshot_v1 --format sql --network testnet";

/// Watches and queries a running stellar-lake daemon.
#[derive(Debug, Parser)]
#[command(name = "lakectl", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to reach the daemon.
#[derive(Debug, clap::Args)]
pub(crate) struct Connection {
    /// Path of the daemon's control socket.
    ///
    /// Default: /run/stellar-lake/control.sock, or if that is missing
    /// $XDG_RUNTIME_DIR/stellar-lake/control.sock.
    #[arg(long, global = true, env = "LAKECTL_SOCKET", value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what the daemon is doing: each network, the write queue, maintenance.
    #[command(after_help = STATUS_EXAMPLES)]
    Status(Status),
    /// Say whether every network is healthy, by the exit code too.
    #[command(after_help = HEALTH_EXAMPLES)]
    Health(Health),
    /// Run one reading SQL statement on the lake.
    #[command(after_help = QUERY_EXAMPLES)]
    Query(Query),
    /// Show the tables and their columns: types, units, keys, what NULL means.
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema(Schema),
    /// Add, remove, pause and resume networks while the daemon runs.
    Networks(Networks),
    /// Read the daemon's configuration again, and put in force what needs no restart.
    #[command(after_help = backfill::help(config::RELOAD_EXAMPLES))]
    Reload(ConfigDiff),
    /// Show the configuration that is in force, and what differs from it.
    Config(Config),
    /// Show or set the level of the daemon's log.
    #[command(after_help = backfill::help(config::LEVEL_EXAMPLES))]
    LogLevel(LogLevel),
    /// Show what happens as it happens, until interrupted.
    #[command(after_help = events::examples())]
    Events(Events),
    /// Merge, expire, clean and checkpoint now, or show what was done.
    Maintenance(Maintenance),
    /// Plan, start, watch and steer jobs that fill the lake with history.
    Backfill(Backfill),
    /// List the ledgers that are missing between the first and the last stored one, by the exit code too.
    #[command(after_help = backfill::help(backfill::GAPS_EXAMPLES))]
    Gaps(Gaps),
    /// Fill the gaps: one backfill job per network that has some.
    #[command(after_help = backfill::help(backfill::REPAIR_EXAMPLES))]
    Repair(Repair),
    /// Prove what is stored: coverage, headers, links, rows and the bytes of every file, by the exit code too.
    #[command(after_help = verify::examples())]
    Verify(Verify),
    /// Look for what is wrong around the daemon, and say what to do about it; works without a daemon, too.
    #[command(after_help = backfill::help(doctor::EXAMPLES))]
    Doctor(Doctor),
    /// Show the versions of lakectl and, when it answers, of the daemon.
    Version(Version),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Show it again and again, until interrupted.
    #[arg(long, short)]
    pub(crate) watch: bool,
    /// Seconds between two of them, at least 0.1.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds, requires = "watch")]
    pub(crate) interval: Duration,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Health {
    /// Only this network.
    #[arg(value_name = "NETWORK")]
    pub(crate) network: Option<String>,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Query {
    /// The statement, or - to read it from standard input.
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,
    /// How to print the rows.
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Stop after so many rows; the daemon's own limit caps it.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_rows: Option<u64>,
    /// Stop after so many seconds; the daemon's own limit caps it.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Schema {
    /// Only this table, with its columns.
    #[arg(value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// How to print it; md when a table is named.
    #[arg(long, short, value_enum)]
    pub(crate) format: Option<SchemaFormat>,
    /// Schema that the SQL names.
    #[arg(long, value_name = "NETWORK", default_value = "mainnet")]
    pub(crate) network: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaFormat {
    /// Markdown.
    Md,
    /// One array of objects, or one object for one table.
    Json,
    /// Statements.
    Sql,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Version {
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Human,
    /// For programs: field names are stable.
    Json,
    /// The same fields as YAML.
    Yaml,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One array of objects.
    Json,
    /// One object per line.
    Ndjson,
    /// Comma-separated values with a header line.
    Csv,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_error| "give a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if time >= Duration::from_millis(100) => Ok(time),
        Ok(_) => Err("at least 0.1".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn seconds_are_positive_numbers() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["0", "-1", "NaN", "1e99", "soon"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
