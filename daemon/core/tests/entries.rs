//! Rows of the state tables from hand-made ledgers: what the reference got wrong, and what no shared ledger has.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail where it stands")]

mod support;

use bytes::Bytes;
use lake_core::{
    Hash32, Ledger, LedgerSeq, Network,
    tables::{SPECS, TableSet},
};
use serde_json::{Value, json};
use stellar_xdr::{self as xdr, LedgerEntryChange as Change, LedgerEntryData as Data};
use support::{Rows, rows, stamps};

const CLOSED_AT: &str = "2026-01-02 03:04:05";

fn account_id(n: u8) -> xdr::AccountId {
    xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(xdr::Uint256([n; 32])))
}

fn g(n: u8) -> String {
    account_id(n).to_string()
}

fn entry(data: Data, sponsor: Option<u8>) -> xdr::LedgerEntry {
    let ext = sponsor.map_or(xdr::LedgerEntryExt::V0, |sponsor| {
        xdr::LedgerEntryExt::V1(xdr::LedgerEntryExtensionV1 {
            sponsoring_id: xdr::SponsorshipDescriptor(Some(account_id(sponsor))),
            ext: xdr::LedgerEntryExtensionV1Ext::V0,
        })
    });
    xdr::LedgerEntry { last_modified_ledger_seq: 77, data, ext }
}

/// A ledger in which upgrades made these changes; the tables do not care who made them.
fn ledger(changes: Vec<Change>) -> Ledger {
    let upgrade = xdr::LedgerUpgrade::BaseReserve(1);
    let changes = xdr::LedgerEntryChanges(changes.try_into().unwrap());
    Ledger {
        seq: LedgerSeq::new(20_100),
        network_id: Network::new("test").id(),
        hash: Hash32([0; 32]),
        previous_hash: Hash32([0; 32]),
        closed_at: 1_767_323_045,
        header: xdr::LedgerHeader::default(),
        header_xdr: Bytes::new(),
        close_meta_version: 2,
        applied_protocol: 25,
        transactions: Vec::new(),
        soroban_fee_write_1kb: None,
        live_soroban_state_size: None,
        evicted_keys: None,
        upgrades: vec![xdr::UpgradeEntryMeta { upgrade, changes }],
    }
}

fn of(changes: Vec<Change>) -> Rows {
    Rows::of_ledger(&ledger(changes))
}

fn gone(entry: &xdr::LedgerEntry) -> Vec<Change> {
    vec![Change::State(entry.clone()), Change::Removed(entry.to_key())]
}

fn usd() -> xdr::Asset {
    xdr::Asset::CreditAlphanum4(xdr::AlphaNum4 {
        asset_code: xdr::AssetCode4(*b"USD\0"),
        issuer: account_id(9),
    })
}

fn trustline(asset: xdr::TrustLineAsset) -> Data {
    Data::Trustline(xdr::TrustLineEntry {
        account_id: account_id(1),
        asset,
        balance: 5,
        limit: 6,
        flags: 5,
        ext: xdr::TrustLineEntryExt::V1(xdr::TrustLineEntryV1 {
            liabilities: xdr::Liabilities { buying: 7, selling: 8 },
            ext: xdr::TrustLineEntryV1Ext::V0,
        }),
    })
}

fn shares(pool: u8) -> xdr::TrustLineAsset {
    xdr::TrustLineAsset::PoolShare(xdr::PoolId(xdr::Hash([pool; 32])))
}

fn offer() -> Data {
    Data::Offer(xdr::OfferEntry {
        seller_id: account_id(1),
        offer_id: 12,
        selling: xdr::Asset::Native,
        buying: usd(),
        amount: 100,
        price: xdr::Price { n: 1, d: 3 },
        flags: 1,
        ext: xdr::OfferEntryExt::V0,
    })
}

fn claimable() -> Data {
    let claimant = |n, predicate| {
        xdr::Claimant::ClaimantTypeV0(xdr::ClaimantV0 { destination: account_id(n), predicate })
    };
    let not = xdr::ClaimPredicate::Not(Some(Box::new(xdr::ClaimPredicate::BeforeAbsoluteTime(60))));
    Data::ClaimableBalance(xdr::ClaimableBalanceEntry {
        balance_id: xdr::ClaimableBalanceId::ClaimableBalanceIdTypeV0(xdr::Hash([3; 32])),
        claimants: vec![claimant(1, xdr::ClaimPredicate::Unconditional), claimant(2, not)]
            .try_into()
            .unwrap(),
        asset: usd(),
        amount: 50,
        ext: xdr::ClaimableBalanceEntryExt::V1(xdr::ClaimableBalanceEntryExtensionV1 {
            ext: xdr::ClaimableBalanceEntryExtensionV1Ext::V0,
            flags: 1,
        }),
    })
}

fn pool() -> Data {
    Data::LiquidityPool(xdr::LiquidityPoolEntry {
        liquidity_pool_id: xdr::PoolId(xdr::Hash([4; 32])),
        body: xdr::LiquidityPoolEntryBody::LiquidityPoolConstantProduct(
            xdr::LiquidityPoolEntryConstantProduct {
                params: xdr::LiquidityPoolConstantProductParameters {
                    asset_a: xdr::Asset::Native,
                    asset_b: usd(),
                    fee: 30,
                },
                reserve_a: 10,
                reserve_b: 20,
                total_pool_shares: 14,
                pool_shares_trust_line_count: 2,
            },
        ),
    })
}

fn data(name: &[u8]) -> Data {
    Data::Data(xdr::DataEntry {
        account_id: account_id(1),
        data_name: xdr::String64(name.try_into().unwrap()),
        data_value: xdr::DataValue(vec![0, 255].try_into().unwrap()),
        ext: xdr::DataEntryExt::V0,
    })
}

/// Signers as key, weight and sponsor.
fn account(master: u8, signers: &[(u8, u32, Option<u8>)]) -> Data {
    let signer = |&(n, weight, _): &(u8, u32, Option<u8>)| xdr::Signer {
        key: xdr::SignerKey::HashX(xdr::Uint256([n; 32])),
        weight,
    };
    let sponsor =
        |(_, _, sponsor): &(u8, u32, Option<u8>)| xdr::SponsorshipDescriptor(sponsor.map(account_id));
    let v3 = xdr::AccountEntryExtensionV3 {
        ext: xdr::ExtensionPoint::V0,
        seq_ledger: 70,
        seq_time: xdr::TimePoint(71),
    };
    let v2 = xdr::AccountEntryExtensionV2 {
        num_sponsored: 3,
        num_sponsoring: 4,
        signer_sponsoring_i_ds: signers.iter().map(sponsor).collect::<Vec<_>>().try_into().unwrap(),
        ext: xdr::AccountEntryExtensionV2Ext::V3(v3),
    };
    let v1 = xdr::AccountEntryExtensionV1 {
        liabilities: xdr::Liabilities { buying: 5, selling: 6 },
        ext: xdr::AccountEntryExtensionV1Ext::V2(v2),
    };
    Data::Account(xdr::AccountEntry {
        account_id: account_id(1),
        balance: 1_000,
        seq_num: xdr::SequenceNumber(2),
        num_sub_entries: 1,
        inflation_dest: Some(account_id(8)),
        flags: 10,
        home_domain: xdr::String32(b"x\xff".try_into().unwrap()),
        thresholds: xdr::Thresholds([master, 1, 2, 3]),
        signers: signers.iter().map(signer).collect::<Vec<_>>().try_into().unwrap(),
        ext: xdr::AccountEntryExt::V1(v1),
    })
}

/// D22: of every kind of entry a removal is a row, with what the entry was.
#[test]
fn every_removed_entry_leaves_a_tombstone() {
    for (table, data) in [
        ("accounts_snapshot_v1", account(1, &[])),
        ("native_balances_snapshot_v1", account(1, &[])),
        ("account_signers_snapshot_v1", account(1, &[])),
        ("trustlines_snapshot_v1", trustline(shares(4))),
        ("offers_snapshot_v1", offer()),
        ("claimable_balances_snapshot_v1", claimable()),
        ("liquidity_pools_snapshot_v1", pool()),
        ("account_data_snapshot_v1", data(b"n")),
    ] {
        let entry = entry(data, None);
        let there = of(vec![Change::State(entry.clone()), Change::Updated(entry.clone())]);
        let tombstone = of(gone(&entry));
        let row = tombstone.one(table, &json!({"deleted": true, "ledger_entry_change": 2}));
        if let [was] = there.with(table, &json!({"deleted": false})).as_slice() {
            let same = |name: &&String| !["deleted", "ledger_entry_change"].contains(&name.as_str());
            for name in row.keys().filter(same) {
                assert_eq!(row[name], was[name], "{table}.{name}");
            }
        }
    }
}

/// D23: trustlines of the shares of two pools are two rows.
#[test]
fn pool_share_trustlines_keep_their_pools_apart() {
    let lines = [4, 5].map(|n| Change::Created(entry(trustline(shares(n)), Some(2))));
    let all = of(lines.to_vec());
    for n in [4_u8, 5] {
        let pool = hex::encode([n; 32]);
        let row = all.one("trustlines_snapshot_v1", &json!({"liquidity_pool_id": pool}));
        let expected = json!({"asset_type": "liquidity_pool_shares", "asset_code": null, "asset_issuer": null,
            "balance": 5, "trust_limit": 6, "buying_liabilities": 7, "selling_liabilities": 8, "authorized": true,
            "authorized_to_maintain_liabilities": false, "clawback_enabled": true, "flags": 5, "sponsor": g(2)});
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(row[name], *value, "{name}");
        }
    }
}

/// D24: what stands in the extensions of an account has columns.
#[test]
fn accounts_show_sponsor_liabilities_and_their_extensions() {
    let all = of(vec![Change::Created(entry(account(1, &[(5, 2, Some(6)), (7, 1, None)]), Some(2)))]);
    let row = all.one("accounts_snapshot_v1", &json!({"account_id": g(1)}));
    let signers: Value = serde_json::from_str(row["signers"].as_str().unwrap()).unwrap();
    let hash_x = |n: u8| xdr::SignerKey::HashX(xdr::Uint256([n; 32])).to_string();
    assert_eq!(
        signers,
        json!([{"key": hash_x(5), "weight": 2, "sponsor": g(6)}, {"key": hash_x(7), "weight": 1}])
    );
    let expected = json!({"sponsor_account": g(2), "buying_liabilities": 5, "selling_liabilities": 6,
        "inflation_destination": g(8), "sequence_ledger": 70, "sequence_time": 71, "num_sponsored": 3,
        "num_sponsoring": 4, "flags": 10, "auth_required": false, "auth_revocable": true, "auth_immutable": false,
        "auth_clawback_enabled": true, "home_domain": "x\u{fffd}", "home_domain_bytes": "eP8=",
        "last_modified_ledger": 77, "ledger_range": 20_000});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(row[name], *value, "{name}");
    }
}

/// D25: one row per signer that changed; none for the others; the account's own key is one of them.
#[test]
fn signers_are_told_when_they_come_change_and_go() {
    let before = entry(account(1, &[(5, 2, None), (6, 1, None), (7, 1, Some(2))]), None);
    let after = entry(account(0, &[(5, 2, None), (7, 1, None), (8, 9, Some(3))]), None);
    let all = of(vec![Change::State(before), Change::Updated(after)]);
    let hash_x = |n: u8| xdr::SignerKey::HashX(xdr::Uint256([n; 32])).to_string();
    let table = "account_signers_snapshot_v1";
    assert_eq!(all.with(table, &json!({})).len(), 4);
    for expected in [
        json!({"signer": g(1), "ledger_entry_change": 2, "weight": 1, "deleted": true}),
        json!({"signer": hash_x(6), "ledger_entry_change": 2, "weight": 1, "deleted": true, "sponsor": null}),
        json!({"signer": hash_x(7), "ledger_entry_change": 1, "weight": 1, "deleted": false, "sponsor": null}),
        json!({"signer": hash_x(8), "ledger_entry_change": 0, "weight": 9, "sponsor": g(3),
            "last_modified_ledger": 20_100}),
    ] {
        all.one(table, &expected);
    }
}

/// D21, D26: a claimable balance keeps its flags and claimants, and its id is the one of operations and effects.
#[test]
fn claimable_balances_keep_flags_and_claimants() {
    let all = of(vec![Change::Created(entry(claimable(), Some(2)))]);
    let row = all.one("claimable_balances_snapshot_v1", &json!({"flags": 1, "clawback_enabled": true}));
    assert_eq!(row["balance_id"], json!(format!("00000000{}", "03".repeat(32))));
    let claimants: Value = serde_json::from_str(row["claimants"].as_str().unwrap()).unwrap();
    let predicate = json!({"not": {"abs_before": "1970-01-01T00:01:00Z", "abs_before_epoch": "60"}});
    assert_eq!(
        claimants,
        json!([{"destination": g(1), "predicate": {"unconditional": true}},
            {"destination": g(2), "predicate": predicate}])
    );
}

/// D21: one way to write assets, amounts and prices in every table.
#[test]
fn assets_amounts_and_prices_are_written_alike() {
    let all = of([offer(), pool()].map(|data| Change::Created(entry(data, None))).to_vec());
    let offer =
        all.one("offers_snapshot_v1", &json!({"selling_asset_type": "native", "selling_asset_code": null}));
    assert_eq!(
        (&offer["buying_asset_type"], &offer["buying_asset_code"]),
        (&json!("credit_alphanum4"), &json!("USD"))
    );
    assert_eq!((&offer["amount"], &offer["price_r"]), (&json!(100), &json!("1/3")));
    assert_eq!(offer["price"].as_f64(), Some(1.0 / 3.0));
    let asset_a =
        json!({"asset_a_type": "native", "asset_a_issuer": null, "asset_b_issuer": g(9), "fee": 30});
    assert_eq!(all.one("liquidity_pools_snapshot_v1", &asset_a)["asset_b_amount"], json!(20));
}

/// D35: data entries have a table; a name that is not text keeps its bytes.
#[test]
fn data_entries_have_a_table() {
    let all = of(vec![Change::Created(entry(data(b"a\xfe"), Some(2)))]);
    let expected = json!({"account_id": g(1), "data_name": "a\u{fffd}", "data_name_bytes": "Yf4=", "sponsor": g(2),
        "data_value": "AP8=", "last_modified_ledger": 77, "ledger_entry_change": 0, "deleted": false});
    all.one("account_data_snapshot_v1", &expected);
}

/// D36: no clock but the chain's: the same ledger gives the same rows, and `created_at` is its close time everywhere.
#[test]
fn the_same_ledger_gives_the_same_rows_at_any_time() {
    let everything = [account(1, &[]), trustline(shares(4)), offer(), claimable(), pool(), data(b"n")];
    let mut of = ledger(everything.map(|data| Change::Created(entry(data, None))).to_vec());
    of.evicted_keys =
        Some(vec![xdr::LedgerKey::ContractCode(xdr::LedgerKeyContractCode { hash: xdr::Hash([1; 32]) })]);
    let extract = |ingested_at_micros| {
        let mut set = TableSet::new(lake_core::tables::Stamps { ingested_at_micros, ..stamps() });
        set.extract(&of).unwrap();
        rows(set)
    };
    let (once, again) = (extract(0), extract(5_000_000));
    for ((table, row), (_, later)) in once.iter().zip(&again) {
        if *table == "ledgers_row_v2" {
            assert_ne!(row["ingestion_timestamp"], later["ingestion_timestamp"]);
        } else {
            assert_eq!(row, later, "{table}");
            assert_eq!(row["created_at"], json!(CLOSED_AT), "{table}");
        }
        assert!(row.get("closed_at").is_none_or(|time| *time == json!(CLOSED_AT)), "{table}");
    }
    assert!(once.len() > 9 && SPECS.len() > 16);
}

fn symbol(word: &str) -> xdr::ScVal {
    xdr::ScVal::Symbol(xdr::ScSymbol(word.try_into().unwrap()))
}

fn map(fields: Vec<(xdr::ScVal, xdr::ScVal)>) -> xdr::ScMap {
    let entries: Vec<_> = fields.into_iter().map(|(key, val)| xdr::ScMapEntry { key, val }).collect();
    xdr::ScMap(entries.try_into().unwrap())
}

fn list(values: Vec<xdr::ScVal>) -> xdr::ScVal {
    xdr::ScVal::Vec(Some(xdr::ScVec(values.try_into().unwrap())))
}

fn string(text: &str) -> xdr::ScVal {
    xdr::ScVal::String(xdr::ScString(text.try_into().unwrap()))
}

fn contract_data(contract: xdr::ScAddress, key: xdr::ScVal, val: xdr::ScVal) -> Data {
    let durability = xdr::ContractDataDurability::Persistent;
    Data::ContractData(xdr::ContractDataEntry {
        ext: xdr::ExtensionPoint::V0,
        contract,
        key,
        durability,
        val,
    })
}

fn contract_of(asset: xdr::Asset) -> xdr::ScAddress {
    let network = Network::new("test").id();
    xdr::ScAddress::Contract(lake_core::text::stellar_asset_contract(network, asset).unwrap())
}

/// The instance that an asset's contract has: what it stands for and how it calls it.
fn instance(info: Vec<xdr::ScVal>, name: &str, symbol_text: &str) -> xdr::ScVal {
    let metadata = map(vec![
        (symbol("decimal"), xdr::ScVal::U32(7)),
        (symbol("name"), string(name)),
        (symbol("symbol"), string(symbol_text)),
    ]);
    let storage = map(vec![
        (symbol("METADATA"), xdr::ScVal::Map(Some(metadata))),
        (list(vec![symbol("AssetInfo")]), list(info)),
    ]);
    let executable = xdr::ContractExecutable::StellarAsset;
    xdr::ScVal::ContractInstance(xdr::ScContractInstance { executable, storage: Some(storage) })
}

fn usd_info() -> Vec<xdr::ScVal> {
    let fields = vec![
        (symbol("asset_code"), string("USD\0")),
        (symbol("issuer"), xdr::ScVal::Bytes(xdr::ScBytes(vec![9; 32].try_into().unwrap()))),
    ];
    vec![symbol("AlphaNum4"), xdr::ScVal::Map(Some(map(fields)))]
}

/// D21: the contract of an asset is known by its id, the native one too; another that stores the same words is not.
#[test]
fn instances_of_asset_contracts_name_their_asset_and_token() {
    let key = xdr::ScVal::LedgerKeyContractInstance;
    let impostor = xdr::ScAddress::Contract(xdr::ContractId(xdr::Hash([5; 32])));
    let (usd_contract, native_contract) = (contract_of(usd()), contract_of(xdr::Asset::Native));
    let text = format!("USD:{}", g(9));
    let created = |contract: &xdr::ScAddress, val| {
        Change::Created(entry(contract_data(contract.clone(), key.clone(), val), None))
    };
    let all = of(vec![
        created(&usd_contract, instance(usd_info(), &text, "USD")),
        created(&native_contract, instance(vec![symbol("Native")], "native", "native")),
        created(&impostor, instance(usd_info(), &text, "USD")),
    ]);
    for expected in [
        json!({"contract_id": usd_contract.to_string(), "asset_type": "credit_alphanum4", "asset_code": "USD",
            "asset_issuer": g(9), "token_name": text, "token_symbol": "USD", "token_decimals": 7}),
        json!({"contract_id": native_contract.to_string(), "asset_type": "native", "asset_code": null,
            "asset_issuer": null, "token_name": "native", "token_symbol": "native", "token_decimals": 7}),
        json!({"contract_id": impostor.to_string(), "asset_type": null, "asset_code": null, "asset_issuer": null,
            "token_name": null, "token_decimals": null, "contract_key_type": "ledger_key_contract_instance"}),
    ] {
        all.one("contract_data_snapshot_v1", &expected);
    }
}

/// D28: balances of contracts and of accounts, nonces of accounts and every other entry have rows with key and value.
#[test]
fn contract_data_of_every_owner_and_shape_has_a_row() {
    let contract = contract_of(usd());
    let holders = [
        xdr::ScAddress::Contract(xdr::ContractId(xdr::Hash([6; 32]))),
        xdr::ScAddress::Account(account_id(1)),
    ];
    let amount = xdr::ScVal::I128(xdr::Int128Parts { hi: 1, lo: 2 });
    let balance = || {
        map(vec![
            (symbol("amount"), amount.clone()),
            (symbol("authorized"), xdr::ScVal::Bool(true)),
            (symbol("clawback"), xdr::ScVal::Bool(false)),
        ])
    };
    let mut changes: Vec<_> = holders
        .iter()
        .map(|holder| {
            let key = list(vec![symbol("Balance"), xdr::ScVal::Address(holder.clone())]);
            Change::Created(entry(
                contract_data(contract.clone(), key, xdr::ScVal::Map(Some(balance()))),
                None,
            ))
        })
        .collect();
    let nonce = xdr::ScVal::LedgerKeyNonce(xdr::ScNonceKey { nonce: -3 });
    let owner = xdr::ScAddress::Account(account_id(2));
    changes.push(Change::Created(entry(contract_data(owner, nonce, xdr::ScVal::Void), None)));
    let all = of(changes);
    let table = "contract_data_snapshot_v1";
    for holder in &holders {
        let expected = json!({"balance_holder": holder.to_string(), "balance": "18446744073709551618"});
        let row = all.one(table, &expected);
        assert_eq!(row["contract_key_type"], json!("vec"));
        let val: Value = serde_json::from_str(row["val"].as_str().unwrap()).unwrap();
        assert_eq!(val["map"][0]["val"], json!({"i128": "18446744073709551618"}));
    }
    let expected = json!({"contract_id": g(2), "contract_key_type": "ledger_key_nonce", "balance_holder": null,
        "key": "{\"ledger_key_nonce\":{\"nonce\":\"-3\"}}", "val": "\"void\"", "ledger_entry_change": 0});
    all.one(table, &expected);
}

/// D31: an entry is live in the last ledger of its time to live, and expired in the one after.
#[test]
fn a_ttl_expires_after_its_last_ledger() {
    for (live_until, expired) in [(20_099, true), (20_100, false), (20_101, false)] {
        let ttl = xdr::TtlEntry { key_hash: xdr::Hash([1; 32]), live_until_ledger_seq: live_until };
        let all = of(vec![Change::Created(entry(Data::Ttl(ttl), None))]);
        let remaining = i64::from(live_until) - 20_100;
        all.one(
            "ttl_snapshot_v1",
            &json!({"expired": expired, "ttl_remaining": remaining, "evicted": false}),
        );
    }
}
