//! Writes a SEP-54 directory that repeats the newest consecutive ledgers of another one under new numbers, with hashes
//! that verify: input for `make bench-workers`.
//!
//! usage: repeat FROM TO LEDGERS LEDGERS_PER_OBJECT

use std::{env, error::Error, fs, path::Path};

use futures::TryStreamExt;
use lake_core::{LedgerSeq, Network, RawLedger};
use stellar_lake::source::{Layout, Replay, Source};

/// Objects per partition folder, as in the public lakes.
const PARTITION: u32 = 64_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [from, to, ledgers, per_object] = args.as_slice() else {
        return Err("usage: repeat FROM TO LEDGERS LEDGERS_PER_OBJECT".into());
    };
    let (from, to, ledgers, per_object) =
        (Path::new(from), Path::new(to), ledgers.parse::<u32>()?, per_object.parse::<u32>()?);
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(from.join(".config.json"))?)?;
    let passphrase = manifest
        .get("networkPassphrase")
        .and_then(|passphrase| passphrase.as_str())
        .ok_or(".config.json names no networkPassphrase")?;
    let layout = Layout { ledgers_per_batch: per_object, batches_per_partition: PARTITION };
    fs::create_dir_all(to)?;
    let manifest = serde_json::json!({
        "networkPassphrase": passphrase,
        "version": "1.0",
        "compression": "zstd",
        "ledgersPerBatch": per_object,
        "batchesPerPartition": PARTITION,
    });
    fs::write(to.join(".config.json"), manifest.to_string())?;

    let source = Replay::new(from, Network::new(passphrase), None);
    let first = source.oldest().await?;
    let last = LedgerSeq::new(first.get() + ledgers.max(1) - 1);
    let mut stream = source.ledgers(first, Some(last));
    let mut object: Vec<RawLedger> = Vec::new();
    // As text: an error carries the bytes that it is about.
    while let Some(ledger) = stream.try_next().await.map_err(|error| error.to_string())? {
        let is_last = ledger.seq == last || ledger.seq.get() == layout.object_range(ledger.seq).1;
        object.push(ledger);
        if is_last {
            write(to, layout, &object)?;
            object.clear();
        }
    }
    Ok(())
}

/// One object: the XDR of a `LedgerCloseMetaBatch`, compressed as a stream, so without its size, as Galexie does.
fn write(to: &Path, layout: Layout, ledgers: &[RawLedger]) -> Result<(), Box<dyn Error>> {
    let (Some(first), Some(last)) = (ledgers.first(), ledgers.last()) else { return Ok(()) };
    let mut xdr = Vec::new();
    xdr.extend(first.seq.get().to_be_bytes());
    xdr.extend(last.seq.get().to_be_bytes());
    xdr.extend(u32::try_from(ledgers.len())?.to_be_bytes());
    ledgers.iter().for_each(|ledger| xdr.extend_from_slice(&ledger.xdr));
    let path = to.join(format!("{}.xdr.zst", layout.key(first.seq)));
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, zstd::encode_all(xdr.as_slice(), zstd::DEFAULT_COMPRESSION_LEVEL)?)?;
    Ok(())
}
