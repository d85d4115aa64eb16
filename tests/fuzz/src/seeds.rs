//! Ledgers to begin with: those of the simulated network, as each version of the meta says them.

use std::{env, fs, path::Path};

use lake_sim::{Density, SimConfig, SimNetwork};
use stellar_xdr::{
    ExtensionPoint, GeneralizedTransactionSet, LedgerCloseMeta, LedgerCloseMetaV0, LedgerCloseMetaV1, Limits,
    OperationMeta, ReadXdr, SorobanTransactionMeta, SorobanTransactionMetaExt, TransactionMeta,
    TransactionMetaV1, TransactionMetaV2, TransactionMetaV3, TransactionResultMeta, TransactionSet,
};

use crate::{NETWORK, extract, seal};

/// Longest ledger that is worth beginning with.
const LONGEST: usize = 8_192;

/// Writes the seeds into the folder that `LAKE_FUZZ_SEEDS` names and ends the process; does nothing where it names
/// none. Here, because another program would have to be built with counters too.
pub fn write_where_asked() {
    let Some(folder) = env::var_os("LAKE_FUZZ_SEEDS") else { return };
    let written = write(Path::new(&folder));
    println!("{written} ledgers with rows in {}", folder.display());
    std::process::exit(i32::from(written < 100));
}

/// Number of ledgers that gave rows.
fn write(folder: &Path) -> usize {
    let mut written = 0;
    for density in [Density::Sparse, Density::Mixed] {
        let config = SimConfig { passphrase: NETWORK.passphrase().into(), seed: 1, density };
        let mut network = SimNetwork::new(config);
        for _ in 0..300 {
            let raw = network.close_ledger().raw;
            if raw.xdr.len() > LONGEST {
                continue;
            }
            let meta =
                LedgerCloseMeta::from_xdr(&raw.xdr, Limits::none()).expect("the simulator writes ledgers");
            let older: Vec<_> = (0..4).filter_map(|version| aged(&meta, version)).collect();
            for (n, meta) in older.into_iter().chain([meta]).enumerate() {
                let bytes = seal::sealed(meta.clone(), NETWORK.id()).expect("a simulated ledger is encoded");
                extract(meta).unwrap_or_else(|error| panic!("a simulated ledger has no rows: {error}"));
                let path = folder.join(format!("{density}-{}-{n}", raw.seq));
                fs::write(path, bytes).expect("the folder of seeds is written");
                written += 1;
            }
        }
    }
    written
}

/// The ledger as nodes wrote it when TransactionMeta had this version.
fn aged(meta: &LedgerCloseMeta, version: u32) -> Option<LedgerCloseMeta> {
    let LedgerCloseMeta::V2(new) = meta else { return None };
    let processing: Vec<_> = new
        .tx_processing
        .iter()
        .map(|one| TransactionResultMeta {
            result: one.result.clone(),
            fee_processing: one.fee_processing.clone(),
            tx_apply_processing: aged_meta(&one.tx_apply_processing, version),
        })
        .collect();
    let tx_processing = processing.try_into().ok()?;
    if version == 3 {
        return Some(LedgerCloseMeta::V1(LedgerCloseMetaV1 {
            ledger_header: new.ledger_header.clone(),
            tx_set: new.tx_set.clone(),
            tx_processing,
            upgrades_processing: new.upgrades_processing.clone(),
            evicted_keys: new.evicted_keys.clone(),
            ..LedgerCloseMetaV1::default()
        }));
    }
    let GeneralizedTransactionSet::V1(set) = &new.tx_set;
    Some(LedgerCloseMeta::V0(LedgerCloseMetaV0 {
        ledger_header: new.ledger_header.clone(),
        tx_set: TransactionSet {
            previous_ledger_hash: set.previous_ledger_hash.clone(),
            txs: seal::envelopes(&new.tx_set).cloned().collect::<Vec<_>>().try_into().ok()?,
        },
        tx_processing,
        upgrades_processing: new.upgrades_processing.clone(),
        ..LedgerCloseMetaV0::default()
    }))
}

fn aged_meta(meta: &TransactionMeta, version: u32) -> TransactionMeta {
    let TransactionMeta::V4(new) = meta else { return meta.clone() };
    let operations: Vec<_> =
        new.operations.iter().map(|operation| OperationMeta { changes: operation.changes.clone() }).collect();
    let operations = operations.try_into().unwrap_or_default();
    let (tx_changes_before, tx_changes_after) = (new.tx_changes_before.clone(), new.tx_changes_after.clone());
    match version {
        0 => TransactionMeta::V0(operations),
        1 => TransactionMeta::V1(TransactionMetaV1 { tx_changes: tx_changes_before, operations }),
        2 => TransactionMeta::V2(TransactionMetaV2 { tx_changes_before, operations, tx_changes_after }),
        _ => TransactionMeta::V3(TransactionMetaV3 {
            ext: ExtensionPoint::V0,
            tx_changes_before,
            operations,
            tx_changes_after,
            soroban_meta: new.soroban_meta.as_ref().map(|soroban| SorobanTransactionMeta {
                ext: SorobanTransactionMetaExt::V0,
                events: new.operations.first().map(|operation| operation.events.clone()).unwrap_or_default(),
                return_value: soroban.return_value.clone().unwrap_or_default(),
                diagnostic_events: new.diagnostic_events.clone(),
            }),
        }),
    }
}
