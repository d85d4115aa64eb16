//! CPU of decode, verification and of each table's extraction beside a bare XDR decode of the same ledgers.
//!
//! `cargo run --release -p lake-core --example tables -- DIR` (a SEP-54 directory; `ROUNDS=20` says how often all its
//! ledgers are worked). Prints one Markdown table.

#![allow(clippy::print_stdout, reason = "a measuring tool")]

use std::{
    error::Error,
    fs::{self, File},
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use lake_core::{
    Network, RawLedger,
    decode::{decode, split_batch},
    tables::{SPECS, Stamps, TableSet},
};
use stellar_xdr::{LedgerCloseMeta, Limits, ReadXdr};

/// Rows that are finished at once, in bytes: as in the pipeline.
const CHUNK_BYTES: usize = 16 << 20;

/// Time of each part, in the order in which the parts first came.
#[derive(Default)]
struct Parts(Vec<(&'static str, Duration)>);

impl Parts {
    fn add(&mut self, part: &'static str, took: Duration) {
        match self.0.iter_mut().find(|(name, _)| *name == part) {
            Some((_, sum)) => *sum += took,
            None => self.0.push((part, took)),
        }
    }

    /// Adds the time since `from` and gives the time now.
    fn lap(&mut self, part: &'static str, from: Instant) -> Instant {
        let now = Instant::now();
        self.add(part, now.duration_since(from));
        now
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("give a SEP-54 directory")?;
    let rounds: u32 = std::env::var("ROUNDS").map_or(Ok(20), |text| text.parse())?;
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(Path::new(&folder).join(".config.json"))?)?;
    let network = Network::new(
        config.get("networkPassphrase").and_then(|text| text.as_str()).ok_or("no networkPassphrase")?,
    );
    let mut ledgers = Vec::new();
    read(Path::new(&folder), &mut ledgers)?;
    ledgers.sort_by_key(|raw: &RawLedger| raw.seq);
    let bytes: usize = ledgers.iter().map(|raw| raw.xdr.len()).sum();

    let mut parts = Parts::default();
    let mut rows = vec![0; SPECS.len()];
    let new = || TableSet::new(Stamps { era_id: None, version_label: "v1".into(), ingested_at_micros: 0 });
    let mut set = new();
    for _ in 0..rounds {
        for raw in &ledgers {
            let mut at = Instant::now();
            drop(black_box(LedgerCloseMeta::from_xdr(&raw.xdr, Limits::len(raw.xdr.len()))?));
            at = parts.lap("bare XDR decode and drop", at);
            let ledger = decode(raw, &network)?;
            at = parts.lap("decode and verify", at);
            set.extract_watched(&ledger, |part| at = parts.lap(part, at))?;
            at = Instant::now();
            drop(ledger);
            at = parts.lap("drop", at);
            if set.bytes() < CHUNK_BYTES {
                continue;
            }
            count(&mut rows, &set);
            let room = set.room();
            drop(black_box(set.finish()));
            set = new().with_room(&room);
            parts.lap("finish the columns", at);
        }
    }
    count(&mut rows, &set);
    rows.iter_mut().for_each(|rows| *rows /= usize::try_from(rounds.max(1)).unwrap_or(1));
    println!("{} ledgers, {bytes} bytes of XDR, {rounds} rounds, one core\n", ledgers.len());
    println!("| part | rows | ns/row | us/ledger | of bare |\n|---|--:|--:|--:|--:|");
    let of_bare = parts.0.first().map_or(1.0, |(_, bare)| bare.as_secs_f64());
    let times = f64::from(rounds) * f64::from(u32::try_from(ledgers.len())?);
    let mut all = Duration::ZERO;
    let show = |part: &str, took: Duration| -> Result<(), Box<dyn Error>> {
        let counted = SPECS.iter().zip(&rows).find(|(spec, _)| spec.name == part).map(|(_, n)| *n);
        let (count, each) = match counted {
            Some(0) => ("0".to_owned(), String::new()),
            Some(n) => {
                let each = took.as_secs_f64() * 1e9 / f64::from(rounds) / f64::from(u32::try_from(n)?);
                (n.to_string(), format!("{each:.0}"))
            }
            None => (String::new(), String::new()),
        };
        let seconds = took.as_secs_f64();
        println!("| {part} | {count} | {each} | {:.1} | {:.3} |", seconds * 1e6 / times, seconds / of_bare);
        Ok(())
    };
    for (index, (part, took)) in parts.0.iter().enumerate() {
        show(part, *took)?;
        if index > 0 {
            all += *took;
        }
    }
    show("all but bare", all)
}

/// Adds the rows of a set.
fn count(rows: &mut [usize], set: &TableSet) {
    for (sum, (_, rows)) in rows.iter_mut().zip(set.rows()) {
        *sum += rows;
    }
}

/// Adds the ledgers of every file below a folder.
fn read(folder: &Path, ledgers: &mut Vec<RawLedger>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Through symbolic links too.
        if fs::metadata(&path)?.is_dir() {
            read(&path, ledgers)?;
        } else if path.extension().is_some_and(|extension| extension == "zst") {
            let xdr = zstd::decode_all(File::open(&path)?)?;
            ledgers.extend(split_batch(&xdr.into(), &Arc::from(path.to_string_lossy().as_ref()))?.2);
        }
    }
    Ok(())
}
