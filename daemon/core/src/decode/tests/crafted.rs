//! Metas that were made to hurt: nested without end, or promising more than they hold. No hash covers a meta, so only
//! the limits stand between it and the process.

use super::*;
use crate::tables::{Stamps, TableSet};

/// A value of `depth` lists and maps in each other.
fn nested(depth: u32) -> xdr::ScVal {
    (0..depth).fold(xdr::ScVal::Void, |val, n| {
        if n % 2 == 0 {
            xdr::ScVal::Vec(Some(xdr::ScVec(vec![val].try_into().unwrap())))
        } else {
            let entry = xdr::ScMapEntry { key: xdr::ScVal::Void, val };
            xdr::ScVal::Map(Some(xdr::ScMap(vec![entry].try_into().unwrap())))
        }
    })
}

fn event(topic: xdr::ScVal, data: xdr::ScVal) -> xdr::ContractEvent {
    let body = xdr::ContractEventV0 { topics: vec![topic].try_into().unwrap(), data };
    xdr::ContractEvent { body: xdr::ContractEventBody::V0(body), ..Default::default() }
}

fn of_operation(
    events: Vec<xdr::ContractEvent>,
    changes: Vec<xdr::LedgerEntryChange>,
) -> xdr::TransactionMetaV4 {
    let operation = xdr::OperationMetaV2 {
        changes: xdr::LedgerEntryChanges(changes.try_into().unwrap()),
        events: events.try_into().unwrap(),
        ..Default::default()
    };
    xdr::TransactionMetaV4 { operations: vec![operation].try_into().unwrap(), ..Default::default() }
}

fn data(key: xdr::ScVal, val: xdr::ScVal) -> xdr::LedgerEntryChange {
    let data = xdr::ContractDataEntry {
        ext: xdr::ExtensionPoint::V0,
        contract: xdr::ScAddress::Contract(xdr::ContractId(xdr::Hash([1; 32]))),
        key,
        durability: xdr::ContractDataDurability::Persistent,
        val,
    };
    let data = xdr::LedgerEntryData::ContractData(data);
    xdr::LedgerEntryChange::Created(xdr::LedgerEntry { data, ..Default::default() })
}

/// Every place of a meta that holds a value of a contract.
const PLACES: [fn(xdr::ScVal) -> xdr::TransactionMetaV4; 6] = [
    |val| of_operation(vec![event(val, xdr::ScVal::Void)], Vec::new()),
    |val| of_operation(vec![event(xdr::ScVal::Void, val)], Vec::new()),
    |val| of_operation(Vec::new(), vec![data(val, xdr::ScVal::Void)]),
    |val| of_operation(Vec::new(), vec![data(xdr::ScVal::Void, val)]),
    |val| {
        let event = event(xdr::ScVal::Void, val);
        let diagnostic = xdr::DiagnosticEvent { in_successful_contract_call: true, event };
        let diagnostic_events = vec![diagnostic].try_into().unwrap();
        xdr::TransactionMetaV4 { diagnostic_events, ..Default::default() }
    },
    |val| {
        let soroban = xdr::SorobanTransactionMetaV2 { return_value: Some(val), ..Default::default() };
        xdr::TransactionMetaV4 { soroban_meta: Some(soroban), ..Default::default() }
    },
];

/// A ledger whose first transaction has this meta.
fn with(meta: xdr::TransactionMetaV4) -> RawLedger {
    let made = made(2);
    let xdr::LedgerCloseMeta::V2(mut close) = made.meta() else { unreachable!() };
    let mut processing = close.tx_processing.into_vec();
    processing[0].tx_apply_processing = xdr::TransactionMeta::V4(meta);
    close.tx_processing = processing.try_into().unwrap();
    RawLedger { xdr: bytes(&xdr::LedgerCloseMeta::V2(close)).into(), ..made.raw() }
}

#[test]
fn values_that_are_nested_too_deep_are_refused_wherever_they_stand() {
    for place in PLACES {
        let error = decode(&with(place(nested(2_000))), &network()).unwrap_err();
        let DecodeError::Xdr { reason, offset, .. } = &error else { panic!("{error}") };
        assert!(reason.contains("depth") && *offset > 0, "{error}");
    }
}

/// Hosts stop at 100 nested values. Threads of tests have the stack that the daemon's workers have.
#[test]
fn values_that_are_nested_as_deep_as_any_host_allows_have_their_rows() {
    for (n, place) in PLACES.into_iter().enumerate() {
        let deepest = (1..500)
            .rev()
            .find_map(|depth| decode(&with(place(nested(depth))), &network()).ok().zip(Some(depth)));
        let (ledger, depth) = deepest.unwrap();
        assert!(depth > 100, "place {n}: {depth}");
        let mut set =
            TableSet::new(Stamps { era_id: None, version_label: "v1".into(), ingested_at_micros: 0 });
        set.extract(&ledger).unwrap();
        set.finish();
    }
}

#[test]
fn lengths_that_promise_more_than_there_is_are_refused_wherever_they_stand() {
    let meta = PLACES.map(|place| place(nested(2)));
    for meta in meta {
        let raw = with(meta.clone());
        let meta = bytes(&xdr::TransactionMeta::V4(meta));
        let start = raw.xdr.windows(meta.len()).position(|window| window == meta).unwrap();
        let mut refused = 0;
        for at in (start..start + meta.len()).step_by(4) {
            for length in [u32::MAX, i32::MAX.unsigned_abs(), 1 << 20] {
                let mut xdr = raw.xdr.to_vec();
                xdr[at..at + 4].copy_from_slice(&length.to_be_bytes());
                // hashes and numbers may take any value: those ledgers are read
                match decode(&RawLedger { xdr: xdr.into(), ..raw.clone() }, &network()) {
                    Ok(_) => {}
                    Err(DecodeError::Xdr { .. }) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert!(refused >= 30, "{refused} of {} words", meta.len() / 4);
    }
}
