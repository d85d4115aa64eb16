//! Net changes and their order, from hand-made ledgers.

use stellar_xdr as xdr;

use super::*;
use crate::{
    Hash32,
    tables::testing::{self, ledger},
};

type Change = xdr::LedgerEntryChange;

/// Contract data `key` with this value, or its TTL.
fn data(key: u32, value: u32) -> xdr::LedgerEntry {
    let contract = xdr::ScAddress::Contract(xdr::ContractId(xdr::Hash([1; 32])));
    entry(xdr::LedgerEntryData::ContractData(xdr::ContractDataEntry {
        ext: xdr::ExtensionPoint::V0,
        contract,
        key: xdr::ScVal::U32(key),
        durability: xdr::ContractDataDurability::Persistent,
        val: xdr::ScVal::U32(value),
    }))
}

fn ttl(live_until_ledger_seq: u32) -> xdr::LedgerEntry {
    let key_hash = xdr::Hash([2; 32]);
    entry(xdr::LedgerEntryData::Ttl(xdr::TtlEntry { key_hash, live_until_ledger_seq }))
}

fn entry(data: xdr::LedgerEntryData) -> xdr::LedgerEntry {
    xdr::LedgerEntry { last_modified_ledger_seq: 1, data, ext: xdr::LedgerEntryExt::V0 }
}

fn removed(entry: &xdr::LedgerEntry) -> Change {
    Change::Removed(entry.to_key())
}

fn changes(of: Vec<Change>) -> xdr::LedgerEntryChanges {
    xdr::LedgerEntryChanges(of.try_into().unwrap())
}

/// A transaction with these changes: fee, before, operation, after, refund.
fn transaction(soroban: bool, groups: [Vec<Change>; 5]) -> Transaction {
    let [fee, before, operation, after, refund] = groups.map(changes);
    let body = if soroban {
        xdr::OperationBody::RestoreFootprint(xdr::RestoreFootprintOp { ext: xdr::ExtensionPoint::V0 })
    } else {
        xdr::OperationBody::Inflation
    };
    let operation = xdr::OperationMetaV2 {
        ext: xdr::ExtensionPoint::V0,
        changes: operation,
        events: xdr::VecM::default(),
    };
    let meta = xdr::TransactionMetaV4 {
        tx_changes_before: before,
        operations: vec![operation].try_into().unwrap(),
        tx_changes_after: after,
        ..Default::default()
    };
    let operations = vec![xdr::Operation { source_account: None, body }];
    Transaction {
        fee_changes: fee,
        post_apply_fee_changes: Some(refund),
        ..testing::transaction(
            1,
            operations,
            xdr::TransactionResultResult::TxSuccess(xdr::VecM::default()),
            xdr::TransactionMeta::V4(meta),
        )
    }
}

/// A ledger whose only operation made these changes.
fn of_operation(changes: Vec<Change>) -> Ledger {
    ledger(vec![transaction(false, [vec![], vec![], changes, vec![], vec![]])])
}

/// Kind and image of every net change.
fn net(ledger: &Ledger) -> Vec<(ChangeKind, Option<xdr::LedgerEntry>)> {
    Changes::of(ledger).unwrap().iter().map(|change| (change.kind, change.image.cloned())).collect()
}

/// Kind of the only net change, or nothing.
fn kind(changes: Vec<Change>) -> Option<ChangeKind> {
    let ledger = of_operation(changes);
    let kinds = net(&ledger);
    assert!(kinds.len() <= 1);
    kinds.first().map(|(kind, _)| *kind)
}

#[test]
fn the_net_change_of_an_entry_follows_from_how_it_began_and_ended() {
    let (a, b) = (data(1, 1), data(1, 2));
    let state = || Change::State(a.clone());
    let created = || Change::Created(a.clone());
    let updated = || Change::Updated(b.clone());
    let restored = || Change::Restored(a.clone());
    let gone = || removed(&a);
    assert_eq!(kind(vec![created()]), Some(ChangeKind::Created));
    assert_eq!(kind(vec![created(), state(), gone()]), None);
    assert_eq!(kind(vec![created(), state(), updated()]), Some(ChangeKind::Created));
    assert_eq!(kind(vec![created(), state(), gone(), created()]), Some(ChangeKind::Created));
    assert_eq!(kind(vec![state(), gone(), created()]), Some(ChangeKind::Updated));
    assert_eq!(kind(vec![state(), gone(), created(), state(), gone()]), Some(ChangeKind::Removed));
    assert_eq!(kind(vec![state(), Change::Updated(a.clone())]), Some(ChangeKind::Updated));
    assert_eq!(kind(vec![state()]), None);
    assert_eq!(kind(vec![restored()]), Some(ChangeKind::Restored));
    assert_eq!(kind(vec![restored(), state(), updated()]), Some(ChangeKind::Restored));
    assert_eq!(kind(vec![restored(), state(), gone()]), Some(ChangeKind::Removed));
    assert_eq!(kind(vec![restored(), state(), gone(), created()]), Some(ChangeKind::Updated));
}

#[test]
fn a_row_shows_the_last_image_and_a_tombstone_the_one_that_the_ledger_began_with() {
    let (a, b, c) = (data(1, 1), data(1, 2), data(1, 3));
    let updates = vec![
        Change::State(a.clone()),
        Change::Updated(b.clone()),
        Change::State(b.clone()),
        Change::Updated(c.clone()),
    ];
    assert_eq!(net(&of_operation(updates.clone())), [(ChangeKind::Updated, Some(c.clone()))]);
    let merged = [updates, vec![Change::State(c.clone()), removed(&c)]].concat();
    assert_eq!(net(&of_operation(merged)), [(ChangeKind::Removed, Some(a))]);
}

#[test]
fn of_several_extensions_of_a_ttl_the_longest_counts() {
    let extend = |to| vec![Change::State(ttl(10)), Change::Updated(ttl(to))];
    let parallel = [extend(50), extend(90), extend(70)].concat();
    assert_eq!(net(&of_operation(parallel)), [(ChangeKind::Updated, Some(ttl(90)))]);
    // One that was removed and made again starts anew.
    let again =
        [extend(90), vec![Change::State(ttl(90)), removed(&ttl(90)), Change::Created(ttl(20))]].concat();
    assert_eq!(net(&of_operation(again)), [(ChangeKind::Updated, Some(ttl(20)))]);
}

#[test]
fn in_a_parallel_phase_classic_transactions_come_first_and_refunds_last() {
    let mark = |value| vec![Change::Updated(data(value, value))];
    let groups = |first: u32| [0, 1, 2, 3, 4].map(|n| mark(first + n));
    let mut of = ledger(vec![
        transaction(true, groups(10)),
        transaction(false, groups(20)),
        transaction(true, groups(30)),
    ]);
    of.upgrades
        .push(xdr::UpgradeEntryMeta { upgrade: xdr::LedgerUpgrade::BaseFee(1), changes: changes(mark(40)) });
    let order = |of: &Ledger| -> Vec<u32> {
        let changes = Changes::of(of).unwrap();
        let value = |change: &EntryChange<'_>| {
            let EntryKey::ContractData(_, xdr::ScVal::U32(value), _) = change.key else {
                panic!("{change:?}")
            };
            *value
        };
        changes.iter().map(value).collect()
    };
    assert_eq!(order(&of), [10, 20, 30, 21, 22, 23, 11, 31, 12, 13, 32, 33, 14, 24, 34, 40]);
    of.close_meta_version = 1;
    assert_eq!(order(&of), [10, 20, 30, 11, 12, 13, 21, 22, 23, 31, 32, 33, 14, 24, 34, 40]);
}

#[test]
fn an_eviction_is_a_tombstone_of_the_entry_and_of_its_ttl() {
    let mut of = of_operation(vec![]);
    of.evicted_keys = Some(vec![data(7, 0).to_key(), ttl(0).to_key()]);
    let changes = Changes::of(&of).unwrap();
    let all: Vec<_> = changes.iter().collect();
    assert_eq!(all.len(), 2);
    for change in all {
        assert_eq!((change.kind, change.evicted, change.image), (ChangeKind::Removed, true, None));
    }
}

#[test]
fn every_restored_entry_is_told_even_if_it_did_not_stay() {
    let (a, b) = (data(1, 1), data(2, 1));
    let of = of_operation(vec![
        Change::Restored(a.clone()),
        Change::Restored(b.clone()),
        Change::State(b.clone()),
        removed(&b),
    ]);
    let changes = Changes::of(&of).unwrap();
    let restored: Vec<_> = changes.restored().iter().map(|(_, entry)| (*entry).clone()).collect();
    assert_eq!(restored, [a, b]);
}

#[test]
fn a_removal_without_an_image_is_refused_with_its_place() {
    let of = of_operation(vec![removed(&data(1, 1))]);
    let error = Changes::of(&of).unwrap_err().to_string();
    assert!(error.contains("operation 0") && error.contains("no image"), "{error}");
}

#[test]
fn an_entry_and_its_key_have_the_hash_of_the_keys_xdr() {
    use xdr::WriteXdr;
    for entry in [data(1, 2), ttl(3)] {
        let key = entry.to_key();
        let expected = Hash32::sha256(&[&key.to_xdr(xdr::Limits::none()).unwrap()]);
        assert_eq!(EntryKey::of(&entry).hash().unwrap(), expected);
        assert_eq!(EntryKey::from(&key).hash().unwrap(), expected);
    }
}
