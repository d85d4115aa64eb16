//! Rows of ledgers and transactions made from hand-made values, and the machinery that all tables share.

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{Int32Type, Int64Type, TimestampMicrosecondType},
};
use bytes::Bytes;
use stellar_xdr as xdr;

use super::*;
use crate::{Hash32, Transaction};

const PAYER: [u8; 32] = [9; 32];
const DECLARED: i64 = 1000;

fn stamps() -> Stamps {
    Stamps { era_id: None, version_label: "v1".into(), ingested_at_micros: 5 }
}

fn muxed(key: [u8; 32]) -> xdr::MuxedAccount {
    xdr::MuxedAccount::MuxedEd25519(xdr::MuxedAccountMed25519 { id: 1, ed25519: xdr::Uint256(key) })
}

/// A change of the payer's account to this balance.
fn balance(change: fn(xdr::LedgerEntry) -> xdr::LedgerEntryChange, balance: i64) -> xdr::LedgerEntryChange {
    let account_id = xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(xdr::Uint256(PAYER)));
    change(xdr::LedgerEntry {
        data: xdr::LedgerEntryData::Account(xdr::AccountEntry { account_id, balance, ..Default::default() }),
        ..Default::default()
    })
}

fn moved(from: i64, to: i64) -> xdr::LedgerEntryChanges {
    let changes =
        vec![balance(xdr::LedgerEntryChange::State, from), balance(xdr::LedgerEntryChange::Updated, to)];
    xdr::LedgerEntryChanges(changes.try_into().unwrap())
}

fn soroban(memo: xdr::Memo) -> xdr::Transaction {
    let host_function = xdr::HostFunction::InvokeContract(xdr::InvokeContractArgs {
        contract_address: xdr::ScAddress::Contract(xdr::ContractId(xdr::Hash([2; 32]))),
        function_name: xdr::ScSymbol("go".try_into().unwrap()),
        args: xdr::VecM::default(),
    });
    let body = xdr::OperationBody::InvokeHostFunction(xdr::InvokeHostFunctionOp {
        host_function,
        auth: xdr::VecM::default(),
    });
    xdr::Transaction {
        source_account: xdr::MuxedAccount::Ed25519(xdr::Uint256([1; 32])),
        fee: 1100,
        seq_num: xdr::SequenceNumber(3),
        cond: xdr::Preconditions::V2(xdr::PreconditionsV2 {
            time_bounds: Some(xdr::TimeBounds {
                min_time: xdr::TimePoint(4),
                max_time: xdr::TimePoint(u64::MAX),
            }),
            min_seq_ledger_gap: 2,
            extra_signers: vec![xdr::SignerKey::PreAuthTx(xdr::Uint256([7; 32]))].try_into().unwrap(),
            ..Default::default()
        }),
        memo,
        operations: vec![xdr::Operation { source_account: None, body }].try_into().unwrap(),
        ext: xdr::TransactionExt::V1(xdr::SorobanTransactionData {
            resource_fee: DECLARED,
            resources: xdr::SorobanResources { instructions: 77, ..Default::default() },
            ..Default::default()
        }),
    }
}

/// A Soroban transaction inside a fee bump whose payer is muxed: 1,150 taken, 300 given back.
fn fee_bump(protocol: u32, memo: xdr::Memo) -> Transaction {
    let inner = xdr::TransactionV1Envelope { tx: soroban(memo), signatures: xdr::VecM::default() };
    let envelope = xdr::TransactionEnvelope::TxFeeBump(xdr::FeeBumpTransactionEnvelope {
        tx: xdr::FeeBumpTransaction {
            fee_source: muxed(PAYER),
            fee: 2000,
            inner_tx: xdr::FeeBumpTransactionInnerTx::Tx(inner),
            ext: xdr::FeeBumpTransactionExt::V0,
        },
        signatures: vec![xdr::DecoratedSignature::default()].try_into().unwrap(),
    });
    let inner = xdr::InnerTransactionResultPair {
        transaction_hash: xdr::Hash([5; 32]),
        result: xdr::InnerTransactionResult {
            result: xdr::InnerTransactionResultResult::TxFailed(xdr::VecM::default()),
            ..Default::default()
        },
    };
    let meta = xdr::TransactionMetaV3 { tx_changes_after: moved(50, 350), ..Default::default() };
    Transaction {
        hash: Hash32([4; 32]),
        inner_hash: Some(Hash32([5; 32])),
        application_order: 1,
        protocol,
        envelope,
        envelope_xdr: Bytes::from_static(b"envelope"),
        result: xdr::TransactionResult {
            fee_charged: 1150,
            result: xdr::TransactionResultResult::TxFeeBumpInnerFailed(inner),
            ext: xdr::TransactionResultExt::V0,
        },
        fee_changes: moved(9000, 7850),
        ..testing::transaction(
            4,
            Vec::new(),
            xdr::TransactionResultResult::TxInternalError,
            xdr::TransactionMeta::V3(meta),
        )
    }
}

fn ledger(transactions: Vec<Transaction>) -> Ledger {
    let upgrade = xdr::WriteXdr::to_xdr(&xdr::LedgerUpgrade::BaseFee(200), xdr::Limits::none()).unwrap();
    let mut header = xdr::LedgerHeader { ledger_version: 22, ..Default::default() };
    header.scp_value.ext = xdr::StellarValueExt::Basic;
    header.scp_value.upgrades = vec![xdr::UpgradeType(upgrade.try_into().unwrap())].try_into().unwrap();
    Ledger {
        seq: LedgerSeq::new(12_345),
        hash: Hash32([0xab; 32]),
        closed_at: 10,
        header,
        header_xdr: Bytes::from_static(b"header"),
        close_meta_version: 1,
        applied_protocol: 22,
        live_soroban_state_size: Some(8),
        ..testing::ledger(transactions)
    }
}

fn rows(ledger: &Ledger) -> (RecordBatch, RecordBatch) {
    let mut set = TableSet::new(stamps());
    set.extract(ledger).unwrap();
    (set.ledgers.finish(), set.transactions.finish())
}

fn text<'b>(batch: &'b RecordBatch, column: &str) -> Option<&'b str> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    (!column.is_null(0)).then(|| column.value(0))
}

fn long(batch: &RecordBatch, column: &str) -> Option<i64> {
    let column = batch.column_by_name(column).unwrap().as_primitive::<Int64Type>();
    (!column.is_null(0)).then(|| column.value(0))
}

/// Mistakes D13, D17 of the reference.
#[test]
fn a_fee_bump_shows_its_inner_transaction_and_who_paid_what() {
    let (_, row) = rows(&ledger(vec![fee_bump(22, xdr::Memo::Id(6))]));
    let account = |key| stellar_strkey::ed25519::PublicKey(key).to_string();
    assert_eq!(text(&row, "source_account"), Some(account([1; 32]).as_str()));
    assert_eq!(text(&row, "inner_source_account"), Some(account([1; 32]).as_str()));
    assert_eq!(text(&row, "source_account_muxed"), None);
    assert_eq!(text(&row, "fee_account"), Some(account(PAYER).as_str()));
    assert!(text(&row, "fee_account_muxed").unwrap().starts_with('M'));
    assert_eq!(text(&row, "transaction_result_code"), Some("tx_fee_bump_inner_failed"));
    assert_eq!(text(&row, "inner_result_code"), Some("tx_failed"));
    assert_eq!(text(&row, "inner_transaction_hash"), Some("05".repeat(32).as_str()));
    assert_eq!((long(&row, "max_fee"), long(&row, "inner_fee_bid")), (Some(2000), Some(1100)));
    assert_eq!((text(&row, "tx_signers"), text(&row, "inner_signatures")), (Some("[\"\"]"), Some("[]")));
    assert_eq!(row.column_by_name("signatures_count").unwrap().as_primitive::<Int32Type>().value(0), 0);
    // The payer's muxed address does not hide its entry: 1,150 taken, of it 1,000 declared; 300 came back.
    assert_eq!((long(&row, "soroban_fee_base"), long(&row, "soroban_fee_refund")), (Some(150), Some(300)));
    assert_eq!((long(&row, "soroban_fee_charged"), long(&row, "resource_fee")), (Some(700), Some(DECLARED)));
    assert_eq!((long(&row, "fee_charged"), long(&row, "soroban_fee_wasted")), (Some(1150), Some(850)));
}

#[test]
fn before_protocol_21_the_refund_of_a_fee_bump_is_taken_off_its_fee() {
    let (ledger, row) = rows(&ledger(vec![fee_bump(20, xdr::Memo::None)]));
    assert_eq!(long(&row, "fee_charged"), Some(850));
    assert_eq!(long(&ledger, "total_fee_charged"), Some(850));
    assert_eq!(long(&row, "soroban_fee_wasted"), Some(1150));
}

#[test]
fn what_only_changes_tell_is_null_in_an_empty_meta() {
    let mut tx = fee_bump(20, xdr::Memo::None);
    tx.fee_changes = xdr::LedgerEntryChanges::default();
    tx.meta = xdr::TransactionMeta::V3(xdr::TransactionMetaV3::default());
    let (_, row) = rows(&ledger(vec![tx]));
    for column in [
        "soroban_fee_base",
        "soroban_fee_refund",
        "soroban_fee_charged",
        "soroban_fee_wasted",
        "rent_fee_charged",
    ] {
        assert_eq!(long(&row, column), None, "{column}");
    }
    assert_eq!(
        (long(&row, "fee_charged"), long(&row, "soroban_fee_resources")),
        (Some(1150), Some(DECLARED))
    );
}

#[test]
fn refunds_after_all_transactions_count_too() {
    let mut tx = fee_bump(23, xdr::Memo::None);
    tx.meta = xdr::TransactionMeta::V4(xdr::TransactionMetaV4::default());
    tx.post_apply_fee_changes = Some(moved(10, 110));
    assert_eq!(tx.fees().refund, Some(100));
}

/// Mistakes D14, D15, D16 of the reference.
#[test]
fn preconditions_and_soroban_data_come_from_inside_the_fee_bump() {
    let (_, row) = rows(&ledger(vec![fee_bump(22, xdr::Memo::None)]));
    assert_eq!(
        (long(&row, "timebounds_min_time"), long(&row, "timebounds_max_time")),
        (Some(4), Some(i64::MAX))
    );
    assert_eq!(long(&row, "min_sequence_ledger_gap"), Some(2));
    assert_eq!((long(&row, "min_sequence_age"), long(&row, "ledgerbounds_min")), (None, None));
    assert!(text(&row, "extra_signers").unwrap().starts_with("[\"T"));
    assert_eq!(long(&row, "soroban_resources_instructions"), Some(77));
    assert!(text(&row, "soroban_data_resources").unwrap().contains("\"instructions\":77"));
    let size = row.column_by_name("soroban_data_size_bytes").unwrap().as_primitive::<Int32Type>().value(0);
    // Extension, two empty key lists, three numbers and the fee.
    assert_eq!(size, 4 + 8 + 12 + 8);
    assert_eq!(
        text(&row, "soroban_contract_id"),
        Some(stellar_strkey::Contract([2; 32]).to_string().as_str())
    );
    assert_eq!(text(&row, "soroban_host_function_type"), Some("invoke_contract"));
}

/// Mistake D17 of the reference.
#[test]
fn memos_are_text_whatever_their_bytes() {
    let shown = |memo| {
        let (_, row) = rows(&ledger(vec![fee_bump(22, memo)]));
        let owned = |column| text(&row, column).map(String::from);
        (owned("memo_type").unwrap(), owned("memo"), owned("memo_bytes"))
    };
    let memo = |bytes: &[u8]| xdr::Memo::Text(bytes.to_vec().try_into().unwrap());
    let some = |text: &str| Some(String::from(text));
    assert_eq!(shown(xdr::Memo::None), ("none".into(), None, None));
    assert_eq!(shown(memo(b"")), ("text".into(), some(""), None));
    assert_eq!(shown(memo("é".as_bytes())), ("text".into(), some("é"), None));
    assert_eq!(shown(memo(b"a\xff")), ("text".into(), some("a\u{fffd}"), some("Yf8=")));
    assert_eq!(shown(xdr::Memo::Id(u64::MAX)), ("id".into(), some("18446744073709551615"), None));
    let hash = some(&"0a".repeat(32));
    assert_eq!(shown(xdr::Memo::Hash(xdr::Hash([10; 32]))), ("hash".into(), hash.clone(), None));
    assert_eq!(shown(xdr::Memo::Return(xdr::Hash([10; 32]))), ("return".into(), hash, None));
}

/// Mistake D34 of the reference.
#[test]
fn a_ledger_without_signature_or_lists_has_nulls_and_its_stamps() {
    let (row, _) = rows(&ledger(Vec::new()));
    assert_eq!((long(&row, "sequence"), long(&row, "ledger_range")), (Some(12_345), Some(10_000)));
    assert_eq!((text(&row, "era_id"), text(&row, "version_label")), (None, Some("v1")));
    assert_eq!((text(&row, "node_id"), text(&row, "signature")), (None, None));
    assert_eq!((long(&row, "bucket_list_size"), long(&row, "live_soroban_state_size")), (Some(8), None));
    assert_eq!(text(&row, "upgrades"), Some("[{\"base_fee\":200}]"));
    assert_eq!(text(&row, "ledger_header"), Some("aGVhZGVy"));
    assert!(row.column_by_name("evicted_keys_count").unwrap().is_null(0));
    let time =
        |column| row.column_by_name(column).unwrap().as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!((time("closed_at"), time("ingestion_timestamp")), (10_000_000, 5));
}

#[test]
fn a_number_that_does_not_fit_fails_the_ledger_and_names_the_column() {
    let mut ledger = ledger(Vec::new());
    ledger.header.base_reserve = u32::MAX;
    let error = TableSet::new(stamps()).extract(&ledger).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ledger 12345: table ledgers_row_v2: base_reserve: 4294967295 does not fit its column"
    );
}

#[test]
fn raw_xdr_can_be_left_out_and_nothing_else_changes() {
    let rows = |raw_xdr| {
        let mut set = TableSet::new(stamps()).with_raw_xdr(raw_xdr);
        set.extract(&ledger(vec![fee_bump(22, xdr::Memo::None)])).unwrap();
        set.finish()
    };
    for ((spec, with), (_, without)) in rows(true).into_iter().zip(rows(false)) {
        for ((column, with), without) in spec.columns.iter().zip(with.columns()).zip(without.columns()) {
            if spec.name == transactions::SPEC.name && transactions::RAW_XDR.contains(&column.name) {
                assert_eq!((with.null_count(), without.null_count()), (0, 1), "{}", column.name);
            } else {
                assert_eq!(with, without, "{}.{}", spec.name, column.name);
            }
        }
    }
}

#[test]
fn a_malformed_upgrade_fails_the_ledger() {
    let mut ledger = ledger(Vec::new());
    ledger.header.scp_value.upgrades =
        vec![xdr::UpgradeType(vec![0, 0].try_into().unwrap())].try_into().unwrap();
    let error = TableSet::new(stamps()).extract(&ledger).unwrap_err();
    assert!(error.to_string().contains("LedgerUpgrade"), "{error}");
}

#[test]
fn batches_have_the_schema_of_their_table_and_the_set_counts_rows_and_bytes() {
    let mut set = TableSet::new(Stamps { era_id: Some("p23".into()), ..stamps() });
    assert!(set.rows().iter().all(|(_, rows)| *rows == 0));
    set.extract(&ledger(vec![fee_bump(22, xdr::Memo::None)])).unwrap();
    let once = set.bytes();
    set.extract(&ledger(vec![fee_bump(22, xdr::Memo::None)])).unwrap();
    assert!(set.bytes() > once);
    let rows = set.rows();
    let batches = set.finish();
    assert_eq!(batches.len(), SPECS.len());
    for (((spec, batch), (of, rows)), listed) in batches.iter().zip(&rows).zip(SPECS) {
        assert!(std::ptr::eq(*spec, *of) && std::ptr::eq(*spec, *listed), "{}", spec.name);
        // The only entry that changes is the account that pays.
        let has_rows = spec.key.contains(&"sequence")
            || [
                "transactions_row_v2",
                "operations_row_v2",
                "native_balances_snapshot_v1",
                "accounts_snapshot_v1",
            ]
            .contains(&spec.name);
        let expected = if has_rows { 2 } else { 0 };
        assert_eq!((batch.num_rows(), *rows), (expected, expected), "{}", spec.name);
        assert_eq!(batch.schema(), spec.arrow_schema());
        let eras = batch.column_by_name("era_id").unwrap().as_string::<i32>();
        assert!(eras.iter().all(|era| era == Some("p23")), "{}", spec.name);
    }
}
