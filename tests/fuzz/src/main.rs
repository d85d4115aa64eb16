//! Fuzzing of decoding and extraction: whatever the bytes are, a ledger gives its rows or an error that names it.
//!
//! An input is the XDR of a `LedgerCloseMeta`. It is decoded as it is, where most damage ends at a hash. Then its hashes
//! are made anew ([`seal`]), so that damage behind them reaches the tables too. `run.sh` builds and runs this.

#![no_main]

mod changes;
mod mutate;
mod seal;
mod seeds;
mod trades;

use std::{alloc::System, sync::LazyLock};

use bytes::Bytes;
use cap::Cap;
use lake_core::{
    LedgerSeq, Network, RawLedger,
    decode::{DecodeError, decode, peek, split_batch},
    tables::{Stamps, TableSet},
};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use stellar_xdr::{LedgerCloseMeta, Limits, ReadXdr};

/// Refuses memory beyond what a ledger may take, which ends the process.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, 512 << 20);

/// As deep as the decoder reads.
const DEPTH: u32 = 500;

static NETWORK: LazyLock<Network> = LazyLock::new(|| Network::new("a network that is fuzzed"));

fuzz_target!(
    init: seeds::write_where_asked(),
    |data: &[u8]| {
        decode_as_it_is(data);
        if let Ok(meta) = LedgerCloseMeta::from_xdr(data, limits(data)) {
            drop(extract(meta));
        }
    }
);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mutated = data.get(..size).and_then(|bytes| mutate::mutated(bytes, max_size, seed));
    match mutated {
        Some(bytes) => {
            data[..bytes.len()].copy_from_slice(&bytes);
            bytes.len()
        }
        None => fuzzer_mutate(data, size, max_size),
    }
});

fn limits(data: &[u8]) -> Limits {
    Limits { depth: DEPTH, len: data.len() }
}

fn raw(xdr: Bytes) -> RawLedger {
    let seq = peek(&xdr, &"fuzz".into()).map_or(LedgerSeq::new(0), |head| head.seq);
    RawLedger { seq, xdr, origin: "fuzz".into() }
}

fn decode_as_it_is(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    drop(split_batch(&bytes, &"fuzz".into()));
    drop(decode(&raw(bytes), &NETWORK));
}

/// Rows of a ledger whose hashes were made right, or why it has none.
fn extract(meta: LedgerCloseMeta) -> Result<usize, String> {
    let bytes = seal::sealed(meta, NETWORK.id()).ok_or("XDR cannot hold it")?;
    let raw = raw(bytes.into());
    let ledger = match decode(&raw, &NETWORK) {
        Ok(ledger) => ledger,
        // what making hashes does not make right: odd times, and the same transaction twice
        Err(error @ (DecodeError::CloseTime { .. } | DecodeError::TransactionHash { .. })) => {
            return Err(error.to_string());
        }
        Err(error) => panic!("a sealed ledger is refused: {error}"),
    };
    let mut set = TableSet::new(Stamps { era_id: None, version_label: "v1".into(), ingested_at_micros: 0 });
    set.extract(&ledger).map_err(|error| {
        assert_eq!(error.seq, ledger.seq, "{error}");
        error.to_string()
    })?;
    Ok(set.finish().into_iter().map(|(_, batch)| batch.num_rows()).sum())
}
