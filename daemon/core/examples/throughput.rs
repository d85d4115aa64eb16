//! CPU of decode, verification and extraction beside a bare XDR decode of the same ledgers.
//!
//! `cargo run --release -p lake-core --example throughput -- FILE.xdr.zst...` (SEP-54 files of one network).

#![allow(clippy::print_stdout, reason = "a measuring tool")]

use std::{
    error::Error,
    fs::File,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use lake_core::{
    Network, RawLedger,
    decode::{decode, split_batch},
    tables::{Stamps, TableSet},
};
use stellar_xdr::{LedgerCloseMeta, Limits, ReadXdr};

const ROUNDS: u32 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let passphrase = std::env::var("PASSPHRASE")
        .unwrap_or_else(|_| "Public Global Stellar Network ; September 2015".into());
    let network = Network::new(&passphrase);
    let mut ledgers: Vec<RawLedger> = Vec::new();
    for path in std::env::args().skip(1) {
        let xdr = zstd::decode_all(File::open(&path)?)?;
        ledgers.extend(split_batch(&xdr.into(), &Arc::from(path))?.2);
    }
    let bytes: usize = ledgers.iter().map(|raw| raw.xdr.len()).sum();
    println!("{} ledgers, {bytes} bytes, {ROUNDS} rounds", ledgers.len());

    let mut bare = Duration::ZERO;
    let mut decoding = Duration::ZERO;
    let mut extracting = Duration::ZERO;
    let mut finishing = Duration::ZERO;
    let mut dropping = Duration::ZERO;
    for _ in 0..ROUNDS {
        let mut set =
            TableSet::new(Stamps { era_id: None, version_label: "v1".into(), ingested_at_micros: 0 });
        for raw in &ledgers {
            let start = Instant::now();
            drop(black_box(LedgerCloseMeta::from_xdr(&raw.xdr, Limits::len(raw.xdr.len()))?));
            bare += start.elapsed();

            let start = Instant::now();
            let ledger = decode(raw, &network)?;
            decoding += start.elapsed();

            let start = Instant::now();
            set.extract(&ledger)?;
            extracting += start.elapsed();

            let start = Instant::now();
            drop(ledger);
            dropping += start.elapsed();
        }
        let start = Instant::now();
        black_box(set.finish());
        finishing += start.elapsed();
    }
    let count = f64::from(u32::try_from(ledgers.len())? * ROUNDS);
    let show = |what: &str, took: Duration| {
        println!(
            "{what:<28} {:8.3} ms per ledger, {:5.2} of bare",
            took.as_secs_f64() * 1000.0 / count,
            took.as_secs_f64() / bare.as_secs_f64()
        );
    };
    show("bare XDR decode and drop", bare);
    show("decode and verify", decoding);
    show("drop", dropping);
    show("extract", extracting);
    show("finish", finishing);
    show("all but bare", decoding + dropping + extracting + finishing);
    Ok(())
}
