//! The command line of the daemon, and its exit codes.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Version of this program; what was built for crash tests says so.
#[cfg(not(feature = "fail-points"))]
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Version of this program; what was built for crash tests says so.
#[cfg(feature = "fail-points")]
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "+fail-points");

/// Stellar ledgers of many networks as SQL tables: ingests, verifies and serves them.
#[derive(Debug, Parser)]
#[command(
    name = "stellar-lake",
    version = VERSION,
    after_help = "Exit codes: 0 done; 64 usage; 69 the lake or the socket is in use, or a source is not there; \
                  70 internal; 74 I/O or a corrupt ledger; 77 permission; 78 configuration.\n\
                  \n\
                  Control a running daemon with lakectl."
)]
pub struct Cli {
    /// Configuration file; replaces all standard ones.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one value, e.g. `log.level=debug`; wins over files and over variables such as STELLAR_LAKE__LOG__LEVEL.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print the configuration in force, each value with its origin, and exit.
    #[arg(long)]
    pub dump_config: bool,
    /// What to do; without a command the daemon runs.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon (the default).
    Run,
    /// Check the configuration and exit: 0, or 78 with what is wrong and where.
    CheckConfig,
    /// Ingest a range into a lake without a daemon, and exit when it is in.
    ///
    /// Ledgers that an older version stored get the rows of the tables that it did not have.
    #[command(after_help = "Examples:\n  \
        stellar-lake ingest --lake ./lake --network testnet --source ./testnet-ledgers\n  \
        stellar-lake ingest --lake ./lake --network mainnet --source /srv/galexie/pubnet --from 60000000 --to 60000499\n  \
        zstdcat meta.xdr.zst | stellar-lake ingest --lake ./lake --network local --passphrase 'my network' --source -")]
    Ingest(IngestArgs),
    /// Look at the machine and print findings as JSON: what `lakectl doctor` runs when no daemon answers.
    #[command(hide = true)]
    Doctor,
    /// Decode ledgers as barely as can be, and nothing else: the yardstick of `make bench`.
    #[command(hide = true)]
    BareDecode {
        /// A SEP-54 directory.
        path: PathBuf,
        /// How often to decode all of it.
        #[arg(long, default_value_t = 1)]
        repeat: u32,
    },
}

/// Arguments of `ingest`.
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// Folder of the lake; made when missing.
    #[arg(long, value_name = "DIR")]
    pub lake: PathBuf,
    /// Name of the network: the schema of its tables.
    #[arg(long, value_name = "NAME")]
    pub network: String,
    /// Passphrase; known for mainnet, testnet and futurenet.
    #[arg(long, value_name = "TEXT")]
    pub passphrase: Option<String>,
    /// A SEP-54 directory, or a file or `-` with record-marked LedgerCloseMeta, plain or zstd.
    /// `simulated:DENSITY[:SEED]` and `replay:DIR` are endless sources: give `--to`.
    #[arg(long, value_name = "WHERE")]
    pub source: String,
    /// First ledger; the source's oldest when left out.
    #[arg(long, value_name = "LEDGER")]
    pub from: Option<u32>,
    /// Last ledger, inclusive; the source's newest when left out.
    #[arg(long, value_name = "LEDGER")]
    pub to: Option<u32>,
    /// Print the summary as one JSON object on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Exit codes, after sysexits.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Wrong arguments.
    Usage = 64,
    /// Something needed is not there or taken.
    Unavailable = 69,
    /// A fault of the program.
    Internal = 70,
    /// Input or output failed, or a ledger is corrupt.
    Io = 74,
    /// Not allowed.
    Permission = 77,
    /// Wrong configuration.
    Config = 78,
    /// Stopped by a signal before the work was done.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
