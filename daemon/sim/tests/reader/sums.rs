//! Sums that must come out: money, reserves, and rows per table.

use std::collections::HashMap;

use lake_core::{Hash32, Network};
use lake_sim::SimLedger;
use stellar_xdr::{
    AccountEntryExt, AccountEntryExtensionV1Ext, AccountId, Asset, ContractEventType, ContractIdPreimage,
    HashIdPreimage, HashIdPreimageContractId, LedgerCloseMetaV2, LedgerEntry, LedgerEntryChange,
    LedgerEntryData, LedgerEntryExt, LedgerKey, Limits, LiquidityPoolEntryBody, ScAddress, ScVal,
    TransactionMeta, TransactionResultResult, TrustLineAsset, WriteXdr,
};

/// Native balance of an account, in stroops.
pub(crate) fn account_balance(entry: &LedgerEntry) -> i128 {
    match &entry.data {
        LedgerEntryData::Account(account) => i128::from(account.balance),
        _ => 0,
    }
}

/// Stroops in an entry of any kind.
pub(crate) fn native(entry: &LedgerEntry, network: &Network) -> i128 {
    match &entry.data {
        LedgerEntryData::ClaimableBalance(balance) if balance.asset == Asset::Native => {
            i128::from(balance.amount)
        }
        LedgerEntryData::LiquidityPool(pool) => {
            let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
            if body.params.asset_a == Asset::Native { i128::from(body.reserve_a) } else { 0 }
        }
        LedgerEntryData::ContractData(data) if data.contract == native_contract(network) => {
            let ScVal::Map(Some(fields)) = &data.val else { return 0 };
            let Some(ScVal::I128(amount)) = fields.first().map(|field| &field.val) else { return 0 };
            (i128::from(amount.hi) << 64) | i128::from(amount.lo)
        }
        _ => account_balance(entry),
    }
}

fn native_contract(network: &Network) -> ScAddress {
    let preimage = HashIdPreimage::ContractId(HashIdPreimageContractId {
        network_id: stellar_xdr::Hash(network.id().0),
        contract_id_preimage: ContractIdPreimage::Asset(Asset::Native),
    });
    let bytes = preimage.to_xdr(Limits::none()).expect("a preimage can be written");
    ScAddress::Contract(stellar_xdr::ContractId(stellar_xdr::Hash(Hash32::sha256(&[&bytes]).0)))
}

/// Counts offers, lines, data, signers and sponsorships of each account and compares with what the account says.
pub(crate) fn accounts_agree_with_what_belongs_to_them(entries: &HashMap<LedgerKey, LedgerEntry>) {
    let mut selling: HashMap<&AccountId, i64> = HashMap::new();
    let mut owned: HashMap<&AccountId, usize> = HashMap::new();
    let mut sponsoring: HashMap<&AccountId, usize> = HashMap::new();
    let mut sponsored: HashMap<&AccountId, usize> = HashMap::new();
    for entry in entries.values() {
        let (owner, cost) = match &entry.data {
            LedgerEntryData::Account(account) => (Some(&account.account_id), 2),
            LedgerEntryData::Offer(offer) => {
                assert!(offer.amount > 0);
                if offer.selling == Asset::Native {
                    *selling.entry(&offer.seller_id).or_default() += offer.amount;
                }
                (Some(&offer.seller_id), 1)
            }
            LedgerEntryData::Trustline(line) => {
                assert!(line.balance >= 0 && line.balance <= line.limit);
                let shares = matches!(line.asset, TrustLineAsset::PoolShare(_));
                (Some(&line.account_id), if shares { 2 } else { 1 })
            }
            LedgerEntryData::Data(data) => (Some(&data.account_id), 1),
            LedgerEntryData::ClaimableBalance(balance) => (None, balance.claimants.len()),
            _ => continue,
        };
        if let Some(owner) = owner
            && !matches!(entry.data, LedgerEntryData::Account(_))
        {
            *owned.entry(owner).or_default() += cost;
        }
        if let LedgerEntryExt::V1(v1) = &entry.ext
            && let Some(sponsor) = &v1.sponsoring_id.0
        {
            *sponsoring.entry(sponsor).or_default() += cost;
            if let Some(owner) = owner {
                *sponsored.entry(owner).or_default() += cost;
            }
        }
    }
    let accounts = || {
        entries.values().filter_map(|entry| match &entry.data {
            LedgerEntryData::Account(account) => Some(account),
            _ => None,
        })
    };
    for account in accounts() {
        if let AccountEntryExt::V1(v1) = &account.ext
            && let AccountEntryExtensionV1Ext::V2(v2) = &v1.ext
        {
            assert_eq!(v2.signer_sponsoring_i_ds.len(), account.signers.len());
            for sponsor in v2.signer_sponsoring_i_ds.iter().filter_map(|sponsor| sponsor.0.as_ref()) {
                *sponsoring.entry(sponsor).or_default() += 1;
                *sponsored.entry(&account.account_id).or_default() += 1;
            }
        }
    }
    let of = |map: &HashMap<&AccountId, usize>, id: &AccountId| map.get(id).copied().unwrap_or(0);
    for account in accounts() {
        let id = &account.account_id;
        let (liabilities, counts) = match &account.ext {
            AccountEntryExt::V0 => (0, (0, 0)),
            AccountEntryExt::V1(v1) => {
                let counts = match &v1.ext {
                    AccountEntryExtensionV1Ext::V2(v2) => (v2.num_sponsoring, v2.num_sponsored),
                    AccountEntryExtensionV1Ext::V0 => (0, 0),
                };
                (v1.liabilities.selling, counts)
            }
        };
        assert_eq!(liabilities, selling.get(id).copied().unwrap_or(0));
        assert_eq!(usize::try_from(counts.0), Ok(of(&sponsoring, id)), "sponsoring of {account:?}");
        assert_eq!(usize::try_from(counts.1), Ok(of(&sponsored, id)), "sponsored of {account:?}");
        let own = of(&owned, id) + account.signers.len();
        assert_eq!(usize::try_from(account.num_sub_entries), Ok(own), "{account:?}");
        assert!(account.balance >= 0, "{account:?}");
    }
}

/// Rows that the network says there are, counted from the metadata where that takes no net change.
pub(crate) fn of_rows(meta: &LedgerCloseMetaV2, ledger: &SimLedger) {
    let rows = &ledger.truth.rows;
    let (mut events, mut restored) = (0, 0);
    for one in meta.tx_processing.iter() {
        let TransactionMeta::V4(tx) = &one.tx_apply_processing else { panic!("version 4 is expected") };
        let good = matches!(
            one.result.result.result,
            TransactionResultResult::TxSuccess(_) | TransactionResultResult::TxFeeBumpInnerSuccess(_)
        );
        events += tx.events.len() + tx.operations.iter().map(|op| op.events.len()).sum::<usize>();
        let copies = |event: &&stellar_xdr::DiagnosticEvent| {
            good && event.in_successful_contract_call && event.event.type_ != ContractEventType::Diagnostic
        };
        events += tx.diagnostic_events.len() - tx.diagnostic_events.iter().filter(copies).count();
        let changes = tx.operations.iter().flat_map(|op| op.changes.iter());
        restored += changes
            .filter(|change| match change {
                LedgerEntryChange::Restored(entry) => !matches!(entry.data, LedgerEntryData::Ttl(_)),
                _ => false,
            })
            .count();
    }
    let evicted = meta.evicted_keys.iter().filter(|key| !matches!(key, LedgerKey::Ttl(_))).count();
    let count = |rows: u64| usize::try_from(rows).expect("a count fits");
    assert_eq!(rows.ledgers, 1);
    assert_eq!(count(rows.transactions), meta.tx_processing.len());
    assert_eq!(count(rows.operations), ledger.truth.operations.len());
    assert_eq!(count(rows.contract_events), events);
    assert_eq!(count(rows.restored_keys), restored);
    assert_eq!(count(rows.evicted_keys), evicted);
}
