//! What happened in some real ledgers, and the rows that tell it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail where it stands")]

mod support;

use lake_core::{decode::decode, tables::TableSet};
use serde_json::{Map, Value, json};
use stellar_xdr as xdr;
use support::{Rows, rows, shared, stamps, suite};

const ARCHIVE: Option<&str> = Some("InvokeHostFunctionTests/03df1dc73d71eb00.xdr.zst");
const CODE_KEY: &str = "6d9bc53e6e65af87504fed3871738f976894c856c8eef0a90a2863d71d6d41f3";
const CODE: &str = "58f1391217525aca029e5511ffbd301108cf3b0d1d533cf5289934147da00156";
const INSTANCE_KEY: &str = "091ddece931776a53f93869b82c24e132cc12d00d961fac09bc3b9cb9021c62d";
const CONTRACT: &str = "CAA3QKIP2SNVXUJTB4HKOGF55JTSSMQGED3FZYNHMNSXYV3DRRMAWA3Y";

/// D31, D32: ledger 32 evicts a module and its TTL: a tombstone of each and one evicted key.
#[test]
fn an_evicted_module_leaves_tombstones_and_its_key() {
    let Some(ledger) = Rows::of("core", ARCHIVE, 32) else { return };
    let code = ledger.one("contract_code_snapshot_v1", &json!({"contract_code_hash": CODE}));
    assert_eq!(
        (&code["deleted"], &code["evicted"], &code["ledger_entry_change"], &code["ledger_key_hash"]),
        (&json!(true), &json!(true), &json!(2), &json!(CODE_KEY))
    );
    assert_eq!((&code["wasm_size"], &code["last_modified_ledger"]), (&Value::Null, &Value::Null));
    let ttl = ledger.one("ttl_snapshot_v1", &json!({"key_hash": CODE_KEY, "deleted": true, "evicted": true}));
    assert_eq!(ttl["live_until_ledger_seq"], Value::Null);
    ledger.one(
        "evicted_keys_state_v1",
        &json!({"key_hash": CODE_KEY, "contract_id": CODE, "key_type": "contract_code", "durability": "persistent",
            "key": null}),
    );
    // The list of the ledger counts the TTL too.
    ledger.one("ledgers_row_v2", &json!({"sequence": 32, "evicted_keys_count": 2}));
    assert_eq!(ledger.with("evicted_keys_state_v1", &json!({})).len(), 1);
}

/// D28, D33: ledger 34 restores the module and the instance that uses it, which ledger 33 evicted.
#[test]
fn restored_entries_are_told_once_and_are_there_again() {
    let (Some(evicted), Some(restored)) = (Rows::of("core", ARCHIVE, 33), Rows::of("core", ARCHIVE, 34))
    else {
        return;
    };
    let instance = json!({"ledger_key_hash": INSTANCE_KEY, "contract_id": CONTRACT, "deleted": true, "evicted": true,
        "contract_key_type": "ledger_key_contract_instance", "contract_durability": "persistent", "val": null,
        "key": "\"ledger_key_contract_instance\""});
    evicted.one("contract_data_snapshot_v1", &instance);
    for (key, table, key_type, owner) in [
        (CODE_KEY, "contract_code_snapshot_v1", "contract_code", CODE),
        (INSTANCE_KEY, "contract_data_snapshot_v1", "ledger_key_contract_instance", CONTRACT),
    ] {
        restored.one(
            "restored_keys_state_v1",
            &json!({"key_hash": key, "key_type": key_type, "contract_id": owner, "durability": "persistent",
                "restored_from_ledger": null}),
        );
        restored.one(table, &json!({"ledger_key_hash": key, "ledger_entry_change": 4, "deleted": false}));
        let ttl = restored.one("ttl_snapshot_v1", &json!({"key_hash": key, "ledger_entry_change": 4}));
        assert_eq!(ttl["expired"], json!(false));
        let until = ttl["live_until_ledger_seq"].as_i64().unwrap();
        assert_eq!(ttl["ttl_remaining"].as_i64(), Some(until - 34));
    }
    assert_eq!(restored.with("restored_keys_state_v1", &json!({})).len(), 2);
}

/// D22, D25: in 57500008 an account is merged: its rows are tombstones with its last state, its own key goes too.
#[test]
fn a_merged_account_leaves_tombstones_with_its_last_state() {
    const MERGED: &str = "GD24VPHT4PIDEWIW6MTBZTTUO22XMECCQCHW7G7TOY7H3UYXRGAPG6YA";
    let Some(ledger) = Rows::of("pubnet", None, 57_500_008) else { return };
    let gone = json!({"account_id": MERGED, "deleted": true, "ledger_entry_change": 2});
    let account = ledger.one("accounts_snapshot_v1", &gone);
    let balance = ledger.one("native_balances_snapshot_v1", &gone);
    assert_eq!(account["balance"], balance["balance"]);
    assert!(account["last_modified_ledger"].as_i64().unwrap() < 57_500_008);
    let signer = ledger.one("account_signers_snapshot_v1", &gone);
    assert_eq!((&signer["signer"], &signer["weight"]), (&json!(MERGED), &json!(1)));
    ledger.one(
        "operations_row_v2",
        &json!({"type_string": "account_merge", "source_account": MERGED,
        "transaction_successful": true}),
    );
}

/// D22, D26: in 53312000 claimable balances are made and claimed; a claimed one keeps its claimants in its tombstone.
#[test]
fn claimable_balances_are_made_and_claimed_with_their_claimants() {
    let Some(ledger) = Rows::of("pubnet", None, 53_312_000) else { return };
    let claimed = ledger.one(
        "claimable_balances_snapshot_v1",
        &json!({"balance_id": "0000000011ef4c4496c56ff9b163a8c6df7bb77f60c0441ec966d5955ba1663d405f1e25"}),
    );
    assert_eq!((&claimed["deleted"], &claimed["ledger_entry_change"]), (&json!(true), &json!(2)));
    assert_eq!(claimed["sponsor"], json!("GCKIK5UOKKGXCDCWGY3BAKJ2T5H6BXOXHI4SMMEUSUE6NWLJP3F2KQUU"));
    let claimants: Value = serde_json::from_str(claimed["claimants"].as_str().unwrap()).unwrap();
    assert_eq!(claimants.as_array().unwrap().len() as u64, claimed["claimants_count"].as_u64().unwrap());
    assert!(claimants[0]["destination"].is_string() && claimants[0]["predicate"].is_object());
    let made = json!({"balance_id": "000000001334cf14624154d3fff8db8664a1a60e4ac6f384c0454aee8ef1c39867b2c653",
        "deleted": false, "ledger_entry_change": 0});
    ledger.one("claimable_balances_snapshot_v1", &made);
}

/// D24: in 63092984 an account is made with a trustline, and another account pays the reserves of both.
#[test]
fn sponsors_stand_beside_what_they_pay_for() {
    const ACCOUNT: &str = "GBJH5FLWOIMQPYKEYGONUL77R74JOAK3HLDOIZOEMFPYXNLOKFJNNEOY";
    const SPONSOR: &str = "GDB3RSSWTUXO7MBTNMHUP3DRBIUR3QRV2CVFRAKMN4GM2B4QNGEUT6CU";
    let Some(ledger) = Rows::of("pubnet", None, 63_092_984) else { return };
    let account = json!({"account_id": ACCOUNT, "ledger_entry_change": 0, "sponsor_account": SPONSOR});
    let account = ledger.one("accounts_snapshot_v1", &account);
    assert_eq!(account["num_sponsored"], json!(3), "two reserves of the account, one of the trustline");
    ledger.one(
        "trustlines_snapshot_v1",
        &json!({"account_id": ACCOUNT, "ledger_entry_change": 0, "sponsor": SPONSOR, "deleted": false}),
    );
}

/// D30: ledger 16 of this chain upgrades the network's settings: a row each, with its own columns and no others.
#[test]
fn an_upgrade_of_settings_gives_a_row_per_setting() {
    let chain = Some("FrozenLedgerKeysTests/0130d32614dbc252.xdr.zst");
    let Some(ledger) = Rows::of("core", chain, 16) else { return };
    let size = ledger.one("config_settings_snapshot_v1", &json!({"config_setting_id": 0}));
    assert_eq!((&size["contract_max_size_bytes"], &size["tx_memory_limit"]), (&json!(2000), &Value::Null));
    assert_eq!(size["config_setting"], json!("{\"contract_max_size_bytes\":2000}"));
    let compute = ledger.one("config_settings_snapshot_v1", &json!({"config_setting_id": 1}));
    assert_eq!(
        (
            &compute["tx_max_instructions"],
            &compute["fee_rate_per_instructions_increment"],
            &compute["tx_memory_limit"]
        ),
        (&json!(2_500_000), &json!(100), &json!(2_000_000))
    );
    let ledgers = ledger.one("ledgers_row_v2", &json!({"sequence": 16}));
    assert!(ledgers["upgrades"].as_str().unwrap().contains("config"));
}

/// D29: modules are counted as core counted them: without the counts that an entry has, the same come out.
#[test]
fn modules_are_counted_as_the_network_counts_them() {
    let Some(shared) = shared() else { return };
    let mut modules = 0;
    for chain in suite(&shared, "core") {
        for raw in &chain.ledgers {
            let mut ledger = decode(raw, &chain.network).unwrap();
            let mut codes: Vec<xdr::LedgerEntry> = lake_core::changes::Changes::of(&ledger)
                .unwrap()
                .iter()
                .filter_map(|change| change.after())
                .filter(|entry| {
                    matches!(&entry.data, xdr::LedgerEntryData::ContractCode(code)
                        if matches!(code.ext, xdr::ContractCodeEntryExt::V1(_)))
                })
                .cloned()
                .collect();
            if codes.is_empty() {
                continue;
            }
            modules += codes.len();
            ledger.transactions.clear();
            ledger.evicted_keys = None;
            let mut counts = |codes: &[xdr::LedgerEntry]| {
                let changes: Vec<_> = codes.iter().cloned().map(xdr::LedgerEntryChange::Created).collect();
                ledger.upgrades = vec![xdr::UpgradeEntryMeta {
                    upgrade: xdr::LedgerUpgrade::BaseFee(100),
                    changes: xdr::LedgerEntryChanges(changes.try_into().unwrap()),
                }];
                let mut set = TableSet::new(stamps());
                set.extract(&ledger).unwrap();
                let of_code = rows(set).into_iter().filter(|(name, _)| *name == "contract_code_snapshot_v1");
                let counts =
                    |row: Map<String, Value>| row.into_iter().filter(|(name, _)| name.starts_with("n_"));
                of_code.map(|(_, row)| counts(row).collect()).collect::<Vec<Vec<_>>>()
            };
            let by_core = counts(&codes);
            for entry in &mut codes {
                if let xdr::LedgerEntryData::ContractCode(code) = &mut entry.data {
                    code.ext = xdr::ContractCodeEntryExt::V0;
                }
            }
            assert_eq!(counts(&codes), by_core, "{:?} ledger {}", chain.name, raw.seq);
        }
    }
    assert!(modules > 100, "{modules} modules");
}
