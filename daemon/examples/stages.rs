//! Works ledgers stage by stage, each stage once for all of them, on one thread: what `make instructions` counts.
//!
//! usage: stages MANIFEST OBJECT... (`.config.json` of a SEP-54 store and files of it).
//! Prints how many ledgers, rows and bytes of Parquet that were.

#![allow(clippy::print_stdout, reason = "a measuring tool")]

use std::{env, error::Error, fs, hint::black_box, path::PathBuf, sync::Arc};

use arrow_array::RecordBatch;
use lake_core::{
    LedgerRange, LedgerSeq, Network, RawLedger,
    decode::{Ledger, decode, split_batch},
    schema::TableSpec,
    tables::{SPECS, Stamps, TableSet},
};
use stellar_lake::{
    lake::{BatchFacts, Encoder, EncodingSettings, LakeDirs, Lane, NetworkName},
    pipeline::CHUNK_BYTES,
};
use stellar_xdr::{LedgerCloseMeta, Limits, ReadXdr};

// The daemon's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Finished rows of consecutive ledgers.
type Chunk = (LedgerRange, Vec<(&'static TableSpec, RecordBatch)>);

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let manifest = args.next().ok_or("usage: stages MANIFEST OBJECT...")?;
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(manifest)?)?;
    let passphrase = manifest.get("networkPassphrase").and_then(|text| text.as_str());
    let network = Network::new(passphrase.ok_or("the manifest names no networkPassphrase")?);
    let objects: Vec<Vec<u8>> =
        args.map(|path| fs::read(PathBuf::from(path))).collect::<std::io::Result<_>>()?;

    let mut ledgers = stage_read(&objects)?;
    ledgers.sort_by_key(|raw| raw.seq);
    stage_bare(&ledgers)?;
    let decoded = stage_decode(&ledgers, &network)?;
    let chunks = stage_extract(&decoded)?;
    stage_drop(decoded);
    let rows: usize = chunks.iter().flat_map(|(_, tables)| tables).map(|(_, rows)| rows.num_rows()).sum();
    let bytes = stage_encode(chunks)?;
    println!("{} ledgers, {rows} rows, {bytes} bytes of Parquet", ledgers.len());
    Ok(())
}

/// Decompresses objects and cuts them into ledgers.
#[inline(never)]
fn stage_read(objects: &[Vec<u8>]) -> Result<Vec<RawLedger>> {
    let origin: Arc<str> = "stages".into();
    let mut ledgers = Vec::new();
    for object in objects {
        let xdr = zstd::decode_all(object.as_slice())?;
        ledgers.extend(split_batch(&xdr.into(), &origin).map_err(|error| error.to_string())?.2);
    }
    Ok(ledgers)
}

/// The yardstick: XDR to values and away with them.
#[inline(never)]
fn stage_bare(ledgers: &[RawLedger]) -> Result<()> {
    for raw in ledgers {
        drop(black_box(LedgerCloseMeta::from_xdr(&raw.xdr, Limits { depth: 500, len: raw.xdr.len() })?));
    }
    Ok(())
}

#[inline(never)]
fn stage_decode(ledgers: &[RawLedger], network: &Network) -> Result<Vec<Ledger>> {
    ledgers.iter().map(|raw| decode(raw, network).map_err(|error| error.to_string().into())).collect()
}

/// Rows in chunks, as the pipeline makes them.
#[inline(never)]
fn stage_extract(ledgers: &[Ledger]) -> Result<Vec<Chunk>> {
    let new = || TableSet::new(Stamps { era_id: None, version_label: "v1".into(), ingested_at_micros: 0 });
    let (mut tables, mut chunks, mut first) = (new(), Vec::new(), None::<LedgerSeq>);
    let last = ledgers.last().map(|ledger| ledger.seq);
    for ledger in ledgers {
        let start = *first.get_or_insert(ledger.seq);
        tables.extract(ledger)?;
        let ends_range = ledger.seq.next().is_some_and(|next| next.range_start() != start.range_start());
        if tables.bytes() >= CHUNK_BYTES || ends_range || Some(ledger.seq) == last {
            let range = LedgerRange::new(start, ledger.seq).ok_or("ledgers are not in order")?;
            let room = tables.room();
            chunks.push((range, std::mem::replace(&mut tables, new().with_room(&room)).finish()));
            first = None;
        }
    }
    Ok(chunks)
}

#[inline(never)]
fn stage_drop(ledgers: Vec<Ledger>) {
    drop(ledgers);
}

/// Parquet files of all chunks, one per table; gives their bytes.
#[inline(never)]
fn stage_encode(chunks: Vec<Chunk>) -> Result<u64> {
    let (Some((first, _)), Some((last, _))) = (chunks.first(), chunks.last()) else { return Ok(0) };
    let range = LedgerRange::new(first.start(), last.end()).ok_or("ledgers are not in order")?;
    let folder = tempfile::tempdir()?;
    let encoder = Encoder::new(LakeDirs::open(folder.path())?, EncodingSettings::default(), SPECS);
    let mut batch = encoder.begin(&NetworkName::new("network")?, range);
    for (range, tables) in chunks {
        batch.write(range, &tables)?;
    }
    let hash = lake_core::Hash32([0; 32]);
    let facts = BatchFacts {
        range,
        lane: Lane::Backfill,
        first_previous_hash: hash,
        last_hash: hash,
        source: "stages".to_owned(),
        job: None,
    };
    Ok(batch.finish(&facts)?.bytes())
}
