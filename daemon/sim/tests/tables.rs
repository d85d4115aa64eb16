//! The tables against the network's own books: what it knows it did, beside the metadata that the tables are made from.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail where it stands"
)]

#[path = "../../core/tests/support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use lake_core::{
    Network,
    decode::decode,
    tables::{SPECS, TableSet},
};
use lake_sim::{Density, EntryChange, SimConfig, SimLedger, SimNetwork, signer_changes};
use serde_json::{Map, Value, json};
use stellar_xdr::{LedgerEntry, LedgerEntryData as Data, LedgerKey as Key};
use support::{object, stamps};

const PASSPHRASE: &str = "a simulated network ; 2026";

type Row = Map<String, Value>;
type Tables = BTreeMap<&'static str, Vec<Row>>;

/// Closes ledgers and gives each one with its rows.
fn for_each(density: Density, count: u32, mut check: impl FnMut(&SimLedger, Tables)) {
    let config = SimConfig { passphrase: PASSPHRASE.into(), seed: 11, density };
    let mut network = SimNetwork::new(config);
    let identity = Network::new(PASSPHRASE);
    for _ in 0..count {
        let ledger = network.close_ledger();
        let mut set = TableSet::new(stamps());
        set.extract(&decode(&ledger.raw, &identity).unwrap()).unwrap();
        let rows = |(spec, batch): (&'static lake_core::schema::TableSpec, _)| {
            let batch: arrow_array::RecordBatch = batch;
            (spec.name, (0..batch.num_rows()).map(|row| object(&batch, row)).collect())
        };
        check(&ledger, set.finish().into_iter().map(rows).collect());
    }
}

#[test]
fn every_table_has_as_many_rows_as_the_network_knows_of() {
    for (density, count) in [(Density::Everything, 250), (Density::Sparse, 300), (Density::Dense, 30)] {
        for_each(density, count, |ledger, tables| {
            let expected = ledger.truth.rows.by_table();
            assert_eq!(expected.len() + 1, SPECS.len(), "all tables but the effects");
            for (table, count) in expected {
                assert_eq!(tables[table].len() as u64, count, "{density} ledger {}: {table}", ledger.raw.seq);
            }
        });
    }
}

#[test]
fn state_rows_hold_what_the_network_knows_of_its_entries() {
    let mut compared = BTreeMap::<&str, u64>::new();
    for_each(Density::Everything, 250, |ledger, tables| {
        let mut signers = Vec::new();
        for change in &ledger.changes {
            for (table, expected) in expected_rows(change) {
                let expected = expected.as_object().unwrap();
                let is_row = |row: &&Row| expected.iter().all(|(column, value)| row[column] == *value);
                let found = tables[table].iter().filter(is_row).count();
                assert_eq!(found, 1, "ledger {}: {table} has {found} of {expected:?}", ledger.raw.seq);
                *compared.entry(table).or_default() += 1;
            }
            signers.extend(signer_changes(change));
        }
        for signer in signers {
            let expected = json!({"account_id": signer.account.to_string(), "signer": signer.signer.to_string(),
                "weight": signer.weight, "sponsor": signer.sponsor.as_ref().map(ToString::to_string),
                "ledger_entry_change": signer.change.number(), "deleted": signer.change.number() == 2});
            let expected = expected.as_object().unwrap();
            let of_signer = tables["account_signers_snapshot_v1"]
                .iter()
                .filter(|row| expected.iter().all(|(column, value)| row[column] == *value));
            assert_eq!(of_signer.count(), 1, "ledger {}: {expected:?}", ledger.raw.seq);
        }
    });
    let least = [
        ("accounts_snapshot_v1", 500),
        ("trustlines_snapshot_v1", 100),
        ("offers_snapshot_v1", 20),
        ("account_data_snapshot_v1", 20),
        ("claimable_balances_snapshot_v1", 20),
        ("liquidity_pools_snapshot_v1", 20),
        ("contract_data_snapshot_v1", 100),
        ("contract_code_snapshot_v1", 3),
        ("ttl_snapshot_v1", 100),
        ("config_settings_snapshot_v1", 10),
    ];
    for (table, least) in least {
        assert!(compared[table] >= least, "{table}: {compared:?}");
    }
}

/// The rows that a change must have, by the columns that tell most.
fn expected_rows(change: &EntryChange) -> Vec<(&'static str, Value)> {
    let is_removed = change.change().number() == 2;
    // A tombstone repeats the entry as the ledger found it; one that was restored and removed has no such image here.
    let Some(image) = (if is_removed { change.before() } else { change.after() }) else { return Vec::new() };
    let kind = json!({"ledger_entry_change": change.change().number(), "deleted": is_removed});
    let with = |mut values: Value| {
        let values_of = values.as_object_mut().unwrap();
        values_of.extend(kind.as_object().unwrap().clone());
        values
    };
    if change.evicted() {
        return match change.key() {
            Key::ContractData(key) => vec![(
                "contract_data_snapshot_v1",
                with(json!({"contract_id": key.contract.to_string(), "evicted": true,
                    "key": serde_json::to_string(&key.key).unwrap()})),
            )],
            Key::ContractCode(key) => {
                vec![("contract_code_snapshot_v1", with(json!({"contract_code_hash": hex(&key.hash.0)})))]
            }
            Key::Ttl(key) => {
                vec![("ttl_snapshot_v1", with(json!({"key_hash": hex(&key.key_hash.0), "evicted": true})))]
            }
            other => panic!("{other:?} cannot be evicted"),
        };
    }
    rows_of(image).into_iter().map(|(table, values)| (table, with(values))).collect()
}

fn rows_of(image: &LedgerEntry) -> Vec<(&'static str, Value)> {
    let modified = image.last_modified_ledger_seq;
    match &image.data {
        Data::Account(e) => {
            let id = e.account_id.to_string();
            vec![
                (
                    "accounts_snapshot_v1",
                    json!({"account_id": id, "balance": e.balance, "sequence_number": e.seq_num.0, "flags": e.flags,
                        "num_subentries": e.num_sub_entries, "last_modified_ledger": modified,
                        "inflation_destination": e.inflation_dest.as_ref().map(ToString::to_string)}),
                ),
                ("native_balances_snapshot_v1", json!({"account_id": id, "balance": e.balance})),
            ]
        }
        Data::Trustline(e) => vec![(
            "trustlines_snapshot_v1",
            match &e.asset {
                stellar_xdr::TrustLineAsset::PoolShare(pool) => {
                    json!({"account_id": e.account_id.to_string(),
                    "balance": e.balance, "liquidity_pool_id": hex(&pool.0.0), "flags": e.flags})
                }
                asset => {
                    let parts = lake_core::text::AssetParts::from(asset);
                    json!({"account_id": e.account_id.to_string(), "balance": e.balance, "trust_limit": e.limit,
                        "asset_code": parts.code().map(|code| code.to_string()),
                        "asset_issuer": parts.issuer().map(ToString::to_string), "flags": e.flags})
                }
            },
        )],
        Data::Offer(e) => vec![(
            "offers_snapshot_v1",
            json!({"offer_id": e.offer_id, "seller_account": e.seller_id.to_string(), "amount": e.amount,
                "price_n": e.price.n, "price_d": e.price.d, "flags": e.flags}),
        )],
        Data::Data(e) => vec![(
            "account_data_snapshot_v1",
            json!({"account_id": e.account_id.to_string(), "data_name": e.data_name.to_string()}),
        )],
        Data::ClaimableBalance(e) => vec![(
            "claimable_balances_snapshot_v1",
            json!({"balance_id": lake_core::text::BalanceId(&e.balance_id).to_string(), "amount": e.amount,
                "claimants_count": e.claimants.len()}),
        )],
        Data::LiquidityPool(e) => {
            let stellar_xdr::LiquidityPoolEntryBody::LiquidityPoolConstantProduct(pool) = &e.body;
            vec![(
                "liquidity_pools_snapshot_v1",
                json!({"liquidity_pool_id": hex(&e.liquidity_pool_id.0.0), "asset_a_amount": pool.reserve_a,
                    "asset_b_amount": pool.reserve_b, "total_pool_shares": pool.total_pool_shares,
                    "trustline_count": pool.pool_shares_trust_line_count}),
            )]
        }
        Data::ContractData(e) => vec![(
            "contract_data_snapshot_v1",
            json!({"contract_id": e.contract.to_string(), "key": serde_json::to_string(&e.key).unwrap(),
                "val": serde_json::to_string(&e.val).unwrap(), "last_modified_ledger": modified}),
        )],
        Data::ContractCode(e) => vec![(
            "contract_code_snapshot_v1",
            json!({"contract_code_hash": hex(&e.hash.0), "wasm_size": e.code.len()}),
        )],
        Data::ConfigSetting(e) => vec![(
            "config_settings_snapshot_v1",
            json!({"config_setting_id": i32::from(e.discriminant()),
                "config_setting": serde_json::to_string(e).unwrap()}),
        )],
        Data::Ttl(e) => vec![(
            "ttl_snapshot_v1",
            json!({"key_hash": hex(&e.key_hash.0), "live_until_ledger_seq": e.live_until_ledger_seq}),
        )],
    }
}

fn hex(bytes: &[u8]) -> String {
    lake_core::text::Hex(bytes).to_string()
}

/// Columns that no ledger of a current network fills, or that come from the configuration.
const NEVER: [(&str, &str); 8] = [
    ("", "era_id"),
    ("ledgers_row_v2", "bucket_list_size"),
    ("accounts_snapshot_v1", "home_domain_bytes"),
    ("operations_row_v2", "home_domain_bytes"),
    ("operations_row_v2", "data_name_bytes"),
    ("account_data_snapshot_v1", "data_name_bytes"),
    ("trades_row_v1", "seller_account_muxed"),
    ("restored_keys_state_v1", "restored_from_ledger"),
];

#[test]
fn every_column_that_a_network_can_fill_is_filled_and_every_effect_occurs() {
    let mut empty: BTreeSet<(&str, &str)> = SPECS
        .iter()
        .flat_map(|spec| spec.columns.iter().map(|column| (spec.name, column.name)))
        // Settings that change without an upgrade.
        .filter(|(_, column)| !["live_soroban_state_size_window", "eviction_iterator"].contains(column))
        .filter(|(table, column)| !NEVER.contains(&(table, column)) && !NEVER.contains(&("", column)))
        .collect();
    let mut effects = BTreeSet::new();
    for_each(Density::Everything, 400, |_, tables| {
        for (table, rows) in &tables {
            for row in rows {
                empty.retain(|(of, column)| of != table || row[*column].is_null());
            }
        }
        effects.extend(tables["effects_row_v1"].iter().map(|row| row["effect_type"].as_i64().unwrap()));
    });
    assert!(empty.is_empty(), "these columns were never filled: {empty:?}");
    // Those that no shared ledger has.
    let rare = [6, 24, 40, 41, 42, 43, 61, 62, 64, 65, 66, 67, 68, 70, 73, 80, 90, 91, 93, 94, 95];
    let missing: Vec<_> = rare.iter().filter(|effect| !effects.contains(effect)).collect();
    assert!(missing.is_empty(), "these effects did not occur: {missing:?} of {effects:?}");
}
