//! The command line of verify.

use super::{Output, backfill::help};

const EXAMPLES: &str = "\
Proves what is stored, from the first to the last stored ledger: none is missing; every header's
bytes have the stored hash and link to the ledger before; every ledger and every batch has the rows
that were told of it; every file is there and has the SHA-256 that it was written with. Queries and
ingestion go on meanwhile. What it finds is listed by `lakectl gaps` too, and mended by
`lakectl repair`, which stores the ledgers anew.

With --against-source every row is made again from the source's ledgers and compared, but for the
stamps of the run: as slow as a backfill. With --archive the headers are compared with those of a
history archive (stellar-core's), an anchor that neither lake nor source can move.

With --output json each progress, finding and the summary are a line of their own.

Examples:
  lakectl verify
  lakectl verify --network mainnet --from 60000000 --to 60009999 && echo sound
  lakectl verify --network testnet --against-source
  lakectl verify --network mainnet --archive https://history.stellar.org/prd/core-live/core_live_001
  lakectl verify --archive /srv/history/core_live_001 --output json | jq -c .finding";

/// The help's end.
pub(super) fn examples() -> String {
    help(EXAMPLES)
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// Network; not needed when there is only one.
    #[arg(long, value_name = "NETWORK")]
    pub(crate) network: Option<String>,
    /// First ledger; the first stored one by default.
    #[arg(long, value_name = "LEDGER", value_parser = super::backfill::ledger)]
    pub(crate) from: Option<u32>,
    /// Last ledger; the last stored one by default.
    #[arg(long, value_name = "LEDGER", value_parser = super::backfill::ledger)]
    pub(crate) to: Option<u32>,
    /// Make every row again from the source and compare it.
    #[arg(long)]
    pub(crate) against_source: bool,
    /// Folder, as the daemon sees it, or http(s) address of a history archive whose headers are compared.
    #[arg(long, value_name = "FOLDER|URL")]
    pub(crate) archive: Option<String>,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}
