//! Writes a SEP-54 directory that repeats the newest consecutive ledgers of another one under new numbers, with hashes
//! that verify: input for `make bench-workers`.
//!
//! usage: repeat FROM TO LEDGERS LEDGERS_PER_OBJECT

use std::{env, error::Error, fs, path::Path};

use futures::TryStreamExt;
use lake_core::{LedgerSeq, Network, RawLedger};
use lake_testkit::Sep54;
use stellar_lake::source::{Replay, Source};

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
    let directory = Sep54::of_many(to, passphrase, per_object);

    let source = Replay::new(from, Network::new(passphrase), None);
    let first = source.oldest().await?;
    let last = LedgerSeq::new(first.get() + ledgers.max(1) - 1);
    let mut stream = source.ledgers(first, Some(last));
    let mut object: Vec<RawLedger> = Vec::new();
    // As text: an error carries the bytes that it is about.
    while let Some(ledger) = stream.try_next().await.map_err(|error| error.to_string())? {
        let seq = ledger.seq.get();
        object.push(ledger);
        if seq == last.get() || (seq + 1) % per_object == 0 {
            let named = object.first().map_or(seq, |first| first.seq.get());
            directory.put(named, &Sep54::batch_of(named, seq, &object));
            object.clear();
        }
    }
    Ok(())
}
