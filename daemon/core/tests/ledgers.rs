//! Every real ledger decodes, verifies and links; damaged copies of them are refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail where it stands")]

mod support;

use std::fs;

use bytes::Bytes;
use lake_core::{
    Network, RawLedger,
    decode::{DecodeError, decode, verify_link},
    tables::SPECS,
};
use stellar_xdr::{LedgerCloseMeta, Limits, ReadXdr};
use support::{shared, suite};

const SUITES: [&str; 4] = ["pubnet", "testnet", "testnet-chain", "core"];

#[test]
fn every_real_ledger_verifies_and_links() {
    let Some(shared) = shared() else { return };
    let mut links = 0;
    for name in SUITES {
        for chain in suite(&shared, name) {
            let mut before: Option<lake_core::Ledger> = None;
            for raw in &chain.ledgers {
                let ledger = decode(raw, &chain.network).unwrap();
                if let Some(before) = before.filter(|before| before.seq.next() == Some(ledger.seq)) {
                    verify_link(before.hash, &ledger).unwrap();
                    links += 1;
                }
                before = Some(ledger);
            }
        }
    }
    // The long chain alone has 10,045.
    assert!(links > 12_000, "{links} links");
}

#[test]
fn real_batches_are_cut_as_a_full_decoder_cuts_them() {
    let Some(shared) = shared() else { return };
    for chain in suite(&shared, "testnet-chain") {
        assert_eq!(chain.ledgers.len(), 10_046);
        for raw in chain.ledgers.iter().step_by(97) {
            LedgerCloseMeta::from_xdr(&raw.xdr, Limits::len(raw.xdr.len())).expect("exactly one ledger");
        }
    }
}

/// Mistakes D15, D46 of the reference.
#[test]
fn fees_of_soroban_transactions_add_up() {
    let Some(shared) = shared() else { return };
    let mut seen = 0;
    for name in SUITES {
        for chain in suite(&shared, name) {
            for raw in &chain.ledgers {
                let ledger = decode(raw, &chain.network).unwrap();
                for tx in &ledger.transactions {
                    let (fees, Some(data)) = (tx.fees(), tx.soroban_data()) else { continue };
                    let (Some(inclusion), Some(refund)) = (fees.inclusion, fees.refund) else { continue };
                    assert_eq!(
                        inclusion + data.resource_fee - refund,
                        fees.charged,
                        "{name} {} {}",
                        raw.origin,
                        tx.hash
                    );
                    if let Some(parts) = tx.soroban_fees() {
                        let charged = parts.total_refundable_resource_fee_charged
                            + parts.total_non_refundable_resource_fee_charged;
                        assert_eq!(charged, data.resource_fee - refund, "{name} {} {}", raw.origin, tx.hash);
                    }
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 1000, "{seen} Soroban transactions");
}

#[test]
fn results_name_the_inner_hash_that_the_envelope_has() {
    let Some(shared) = shared() else { return };
    let mut seen = 0;
    for name in SUITES {
        for chain in suite(&shared, name) {
            for raw in &chain.ledgers {
                for tx in decode(raw, &chain.network).unwrap().transactions {
                    let stellar_xdr::TransactionEnvelope::TxFeeBump(outer) = &tx.envelope else { continue };
                    let stellar_xdr::FeeBumpTransactionInnerTx::Tx(inner) = &outer.tx.inner_tx;
                    let hash = inner.tx.hash(chain.network.id().0).unwrap();
                    assert_eq!(tx.inner_transaction_hash().map(|hash| hash.0), Some(hash));
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 100, "{seen} fee bumps");
}

#[test]
fn damaged_copies_of_a_real_ledger_are_refused_for_the_right_reason() {
    let Some(shared) = shared() else { return };
    let chain = suite(&shared, "pubnet").remove(0);
    let raw = chain.ledgers.last().unwrap();
    let ledger = decode(raw, &chain.network).unwrap();
    let refused = |xdr: Vec<u8>| {
        decode(&RawLedger { xdr: Bytes::from(xdr), ..raw.clone() }, &chain.network).unwrap_err()
    };
    // Offset of a slice of the original bytes; the last byte of a slice is in its middle for every use below.
    let offset = |part: &Bytes| part.as_ptr() as usize - raw.xdr.as_ptr() as usize;
    let flipped = |at: usize| {
        let mut xdr = raw.xdr.to_vec();
        xdr[at] ^= 1;
        xdr
    };
    let tx = &ledger.transactions[17];

    let in_header = flipped(offset(&ledger.header_xdr) + 4 + 32 + 32 + 7);
    assert!(matches!(refused(in_header), DecodeError::HeaderHash { .. }));
    let in_signature = flipped(offset(&tx.envelope_xdr) + tx.envelope_xdr.len() - 1);
    assert!(matches!(refused(in_signature), DecodeError::TxSetHash { .. }));
    let in_fee = flipped(offset(&tx.result_xdr) + 7);
    assert!(matches!(refused(in_fee), DecodeError::ResultSetHash { .. }));
    let mut longer = raw.xdr.to_vec();
    longer.extend([0; 4]);
    assert!(matches!(refused(longer), DecodeError::TrailingBytes { .. }));
    let shorter = raw.xdr[..raw.xdr.len() - 4].to_vec();
    assert!(matches!(refused(shorter), DecodeError::Xdr { .. }));

    let other = RawLedger { seq: raw.seq.next().unwrap(), ..raw.clone() };
    assert!(matches!(decode(&other, &chain.network), Err(DecodeError::Sequence { .. })));
    let wrong = decode(raw, &Network::new("Test SDF Network ; September 2015"));
    assert!(matches!(wrong, Err(DecodeError::Passphrase { .. })));
    assert!(matches!(verify_link(ledger.hash, &ledger), Err(DecodeError::Link { .. })));
}

/// The names, order and types of the reference stay, so that SQL written for it runs.
/// Mistake D21 of the reference.
#[test]
fn columns_of_the_reference_keep_name_order_and_type() {
    let Some(shared) = shared() else { return };
    let csv = fs::read_to_string(shared.join("spec/tables.csv")).unwrap();
    // The reference had no table of data entries.
    for spec in SPECS.iter().filter(|spec| spec.name != "account_data_snapshot_v1") {
        let reference: Vec<(&str, &str)> = csv
            .lines()
            .filter_map(|line| line.strip_prefix(spec.name)?.strip_prefix(','))
            .map(|line| {
                let mut parts = line.split(',');
                (parts.next().unwrap(), parts.next().unwrap())
            })
            .collect();
        assert!(!reference.is_empty(), "{} is not in tables.csv", spec.name);
        for ((name, sql), ours) in reference.iter().zip(spec.columns) {
            let sql = match *sql {
                "INT" => "INTEGER",
                "TEXT" => "VARCHAR",
                other => other,
            };
            assert_eq!(*name, ours.name, "{}", spec.name);
            // Amounts are stroops and prices numbers everywhere, also where the reference had them as text.
            let number =
                sql == "VARCHAR" && (ours.sql == "BIGINT" || ours.sql == "DOUBLE" && *name == "price");
            assert!(ours.sql == sql || number, "{}.{name}: {} instead of {sql}", spec.name, ours.sql);
        }
    }
}
