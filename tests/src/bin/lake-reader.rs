//! Reads a lake from a process of its own, by DuckDB alone: what it prints, a user's own program could read as well.
//!
//! `lake-reader LAKE`: counts per network, one line each, in one snapshot; with `--until-stdin-closes` it
//! goes on reading until standard input ends, and exits 1 when two tables ever disagree.

use std::{
    io::{Read, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use lake_testkit::LakeReader;

type AnyError = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("lake-reader: {error}");
            ExitCode::from(74)
        }
    }
}

fn run() -> Result<bool, AnyError> {
    let mut args = std::env::args_os().skip(1);
    let Some(path) = args.next().map(PathBuf::from) else {
        return Err("usage: lake-reader LAKE [--until-stdin-closes]".into());
    };
    let lake = LakeReader::open(&path)?;
    if args.next().is_none() {
        return round(&lake, true);
    }
    let closed = Arc::new(AtomicBool::new(false));
    let seen = closed.clone();
    std::thread::spawn(move || {
        // Any end of standard input ends the reading.
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        seen.store(true, Ordering::Relaxed);
    });
    let (mut rounds, mut torn) = (0u64, 0u64);
    while !closed.load(Ordering::Relaxed) {
        rounds += 1;
        torn += u64::from(!round(&lake, false)?);
    }
    writeln!(std::io::stdout(), "{rounds} snapshots read, {torn} torn")?;
    Ok(torn == 0)
}

/// Reads one snapshot of all networks; false when its tables disagree.
fn round(lake: &LakeReader, print: bool) -> Result<bool, AnyError> {
    lake.run("BEGIN TRANSACTION")?;
    let networks = lake.texts(
        "SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_catalog = 'lake' \
         AND table_name = 'ledgers_row_v2' ORDER BY 1",
        1,
    )?;
    let mut whole = true;
    for network in networks.into_iter().flatten().flatten() {
        let sql = format!(
            "SELECT (SELECT count(*) FROM {network}.ledgers_row_v2)::VARCHAR, \
             (SELECT coalesce(max(sequence), 0) FROM {network}.ledgers_row_v2)::VARCHAR, \
             (SELECT coalesce(sum(transaction_count), 0) FROM {network}.ledgers_row_v2)::VARCHAR, \
             (SELECT count(*) FROM {network}.transactions_row_v2)::VARCHAR, \
             (SELECT coalesce(sum(operation_count), 0) FROM {network}.transactions_row_v2)::VARCHAR, \
             (SELECT count(*) FROM {network}.operations_row_v2)::VARCHAR"
        );
        let row: Vec<String> =
            lake.texts(&sql, 6)?.into_iter().flatten().map(Option::unwrap_or_default).collect();
        let [ledgers, last, named, transactions, counted, operations] = row.as_slice() else {
            return Err("a row of six was asked for".into());
        };
        let agree = named == transactions && counted == operations;
        whole &= agree;
        if print || !agree {
            writeln!(
                std::io::stdout(),
                "{network}: {ledgers} ledgers up to {last}, {transactions} transactions, {operations} operations{}",
                if agree { "" } else { " - TORN: the tables disagree" }
            )?;
        }
    }
    lake.run("COMMIT")?;
    Ok(whole)
}
