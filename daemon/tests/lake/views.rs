//! The state of now and of any ledger, by views and macros of the real lake: expected values are written by hand.

use std::{path::Path, sync::Arc};

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow_schema::DataType;
use duckdb::Connection;
use lake_core::schema::{ColumnSpec, StateSpec, TTL_TABLE, TableSpec};
use stellar_lake::{
    lake::{Lake, LakeSettings, Lane, MaintenanceSettings, extension_files},
    query::{QueryError, QueryExecutor, QueryRequest, QuerySettings},
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    LEDGERS, LINES, Line, Reader, TRANSACTIONS, batch, close, lines, network, runtime, texts, write,
};

const fn column(name: &'static str, sql: &'static str, data_type: fn() -> DataType) -> ColumnSpec {
    ColumnSpec { name, sql, data_type, nullable: false, bloom: false, doc: "A column's text." }
}

static DATA: TableSpec = TableSpec {
    name: "data_v1",
    doc: "Entries that live for a while.",
    key: &["contract", "hash", "ledger_sequence"],
    ledger_column: "ledger_sequence",
    columns: &[
        column("contract", "VARCHAR", || DataType::Utf8),
        column("hash", "VARCHAR", || DataType::Utf8),
        column("ledger_sequence", "BIGINT", || DataType::Int64),
        column("deleted", "BOOLEAN", || DataType::Boolean),
    ],
    state: Some(StateSpec { name: "data", ttl: Some("hash"), note: "It's stale." }),
};

static TTL: TableSpec = TableSpec {
    name: TTL_TABLE,
    doc: "How long they live.",
    key: &["key_hash", "ledger_sequence"],
    ledger_column: "ledger_sequence",
    columns: &[
        column("key_hash", "VARCHAR", || DataType::Utf8),
        column("ledger_sequence", "BIGINT", || DataType::Int64),
        column("live_until_ledger_seq", "BIGINT", || DataType::Int64),
        column("ttl_remaining", "BIGINT", || DataType::Int64),
        column("expired", "BOOLEAN", || DataType::Boolean),
        column("deleted", "BOOLEAN", || DataType::Boolean),
    ],
    state: Some(StateSpec { name: "ttl", ttl: None, note: "" }),
};

static SPECS: &[&TableSpec] = &[&LEDGERS, &TRANSACTIONS, &LINES, &DATA, &TTL];

/// Account, pool, ledger, removed, balance.
const LINE_ROWS: &[Line] = &[
    (1, None, 2, false, 10),
    (2, None, 2, false, 1),
    (1, Some("p"), 3, false, 7),
    (2, None, 3, true, 1),
    (1, None, 5, false, 20),
    (1, Some("p"), 6, true, 7),
    (2, None, 8, false, 9),
];

/// Hash, ledger, removed.
const DATA_ROWS: &[(&str, i64, bool)] =
    &[("a", 2, false), ("b", 2, false), ("c", 3, false), ("d", 3, false), ("d", 7, true)];

/// Hash, ledger, live until, removed. `c` has none; `b` ends after ledger 5 and is restored in 9.
const TTL_ROWS: &[(&str, i64, i64, bool)] = &[
    ("a", 2, 100, false),
    ("b", 2, 5, false),
    ("d", 3, 20, false),
    ("a", 6, 200, false),
    ("d", 7, 20, true),
    ("b", 9, 30, false),
];

fn numbers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn flags(values: impl IntoIterator<Item = bool>) -> ArrayRef {
    Arc::new(BooleanArray::from(values.into_iter().collect::<Vec<_>>()))
}

fn add(lake: &Lake, start: u32, end: u32) {
    let within = |seq: i64| (i64::from(start)..=i64::from(end)).contains(&seq);
    let mut batch = batch("alpha", start, end, Lane::Live);
    batch.tables.pop();
    let of_lines: Vec<Line> = LINE_ROWS.iter().copied().filter(|r| within(r.2)).collect();
    batch.tables.push((&LINES, lines(&of_lines)));
    let data: Vec<_> = DATA_ROWS.iter().filter(|r| within(r.1)).collect();
    let columns = vec![
        texts(data.iter().map(|_| Some("C1"))),
        texts(data.iter().map(|r| Some(r.0))),
        numbers(data.iter().map(|r| r.1)),
        flags(data.iter().map(|r| r.2)),
    ];
    batch.tables.push((&DATA, RecordBatch::try_new(DATA.arrow_schema(), columns).unwrap()));
    let ttl: Vec<_> = TTL_ROWS.iter().filter(|r| within(r.1)).collect();
    let columns = vec![
        texts(ttl.iter().map(|r| Some(r.0))),
        numbers(ttl.iter().map(|r| r.1)),
        numbers(ttl.iter().map(|r| r.2)),
        numbers(ttl.iter().map(|r| r.2 - r.1)),
        flags(ttl.iter().map(|_| false)),
        flags(ttl.iter().map(|r| r.3)),
    ];
    batch.tables.push((&TTL, RecordBatch::try_new(TTL.arrow_schema(), columns).unwrap()));
    write(lake, batch).unwrap();
}

/// A lake of the ledgers 2 to 10 in three batches.
fn lake(path: &Path) -> Lake {
    let maintenance = MaintenanceSettings {
        merge_fan_in: 2,
        snapshot_age: Some(std::time::Duration::ZERO),
        cleanup_age: std::time::Duration::ZERO,
        ..MaintenanceSettings::default()
    };
    let lake = Lake::open(LakeSettings { maintenance, ..LakeSettings::new(path) }, SPECS).unwrap();
    lake.add_network(&network("alpha")).unwrap();
    for (start, end) in [(2, 4), (5, 7), (8, 10)] {
        add(&lake, start, end);
    }
    lake
}

fn lines_of(source: &str) -> String {
    format!(
        "SELECT coalesce(string_agg(concat_ws(' ', account, coalesce(pool, '-'), balance), ', ' \
         ORDER BY account, pool NULLS FIRST), '') FROM {source}"
    )
}

fn data_of(source: &str) -> String {
    format!(
        "SELECT coalesce(string_agg(hash || coalesce(live_until_ledger_seq::VARCHAR, '-'), ' ' ORDER BY hash), '') \
         FROM {source}"
    )
}

/// What each statement must answer.
fn expected() -> Vec<(String, &'static str)> {
    let ttl =
        "SELECT string_agg(concat_ws(' ', key_hash, ttl_remaining, expired), ', ' ORDER BY key_hash) FROM ";
    vec![
        (lines_of("alpha.lines_as_of(1)"), ""),
        (lines_of("alpha.lines_as_of(2)"), "1 - 10, 2 - 1"),
        (lines_of("alpha.lines_as_of(3)"), "1 - 10, 1 p 7"),
        (lines_of("alpha.lines_as_of(5)"), "1 - 20, 1 p 7"),
        (lines_of("alpha.lines_as_of(6)"), "1 - 20"),
        (lines_of("alpha.lines_as_of(4 + 4)"), "1 - 20, 2 - 9"),
        (lines_of("alpha.lines_current"), "1 - 20, 2 - 9"),
        (lines_of("alpha.lines_current WHERE account = 2"), "2 - 9"),
        (lines_of("alpha.lines_as_of(3) WHERE pool = 'p'"), "1 p 7"),
        (data_of("alpha.data_as_of(2)"), "a100 b5"),
        (data_of("alpha.data_as_of(5)"), "a100 b5 c- d20"),
        (data_of("alpha.data_as_of(6)"), "a200 c- d20"),
        (data_of("alpha.data_as_of(7)"), "a200 c-"),
        (data_of("alpha.data_as_of(9)"), "a200 b30 c-"),
        (data_of("alpha.data_as_of(31)"), "a200 c-"),
        (data_of("alpha.data_current"), "a200 b30 c-"),
        (format!("{ttl} alpha.ttl_as_of(6)"), "a 194 false, b -1 true, d 14 false"),
        (format!("{ttl} alpha.ttl_current"), "a 190 false, b 20 false"),
    ]
}

fn check(connection: &Connection) {
    for (sql, answer) in expected() {
        let found: String =
            connection.query_row(&sql, [], |r| r.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_eq!(found, answer, "{sql}");
    }
}

#[test]
fn the_state_of_now_and_of_any_ledger_also_after_maintenance() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    check(&Reader::open(dir.path()).0);
    assert_eq!(lake.merge(&|| false).unwrap().merges, 1);
    lake.expire_and_clean(&|| false).unwrap();
    assert!(lake.maintenance_stats().deleted_files > 0);
    let reader = Reader::open(dir.path());
    check(&reader.0);
    let comment = reader.text("SELECT comment FROM duckdb_views() WHERE view_name = 'data_current'");
    assert!(
        comment.contains("each (contract, hash) of data_v1") && comment.ends_with("It's stale."),
        "{comment}"
    );
    close(&lake);
    drop(lake);
    // The views are those of this program: opening the lake again leaves them alone, and they go on working.
    let lake = Lake::open(LakeSettings::new(dir.path()), SPECS).unwrap();
    lake.add_network(&network("alpha")).unwrap();
    add(&lake, 11, 12);
    assert_eq!(Reader::open(dir.path()).text(&data_of("alpha.data_current")), "a200 b30 c-");
}

#[test]
fn a_reader_may_attach_the_lake_under_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let connection = Connection::open_in_memory().unwrap();
    for file in extension_files(None).unwrap() {
        connection.execute_batch(&format!("LOAD '{}'", file.display())).unwrap();
    }
    let catalog = lake.catalog_path();
    connection
        .execute_batch(&format!(
            "ATTACH 'ducklake:sqlite:{}' AS stars (READ_ONLY); USE stars",
            catalog.display()
        ))
        .unwrap();
    check(&connection);
}

#[test]
fn the_query_gate_lets_views_and_macros_of_the_lake_through_and_nothing_like_them() {
    let dir = tempfile::tempdir().unwrap();
    let lake = lake(dir.path());
    let executor = QueryExecutor::open(QuerySettings::for_lake(lake.path(), &lake.extension_dir())).unwrap();
    let runtime = runtime();
    let ask = |sql: &str| -> Result<usize, QueryError> {
        runtime.block_on(async {
            let request = QueryRequest { sql: sql.to_owned(), ..QueryRequest::default() };
            let mut stream = executor.execute(request, CancellationToken::new()).await?;
            let mut rows = 0;
            while let Some(batch) = stream.next().await {
                rows += batch?.num_rows();
            }
            Ok(rows)
        })
    };
    for (sql, rows) in [
        ("FROM alpha.lines_current", 2),
        ("FROM lake.alpha.lines_current", 2),
        ("SELECT * FROM alpha.lines_as_of(2)", 2),
        ("FROM lake.alpha.lines_as_of(3) JOIN alpha.data_as_of(5) ON true", 8),
        ("FROM Alpha.Lines_As_Of((SELECT max(sequence) FROM alpha.ledgers_row_v2))", 2),
        ("DESCRIBE FROM alpha.data_as_of(5)", 5),
    ] {
        assert_eq!(ask(sql).unwrap_or_else(|e| panic!("{sql}: {e}")), rows, "{sql}");
    }
    for sql in [
        "FROM alpha.transactions_as_of(2)",
        "FROM beta.lines_as_of(2)",
        "FROM lines_as_of(2)",
        "FROM alpha.lines_as_of((SELECT count(*) FROM read_text('/etc/passwd')))",
        "FROM alpha.read_text('/etc/passwd')",
        "FROM alpha.lines_of(2)",
        "FROM memory.alpha.lines_as_of(2)",
    ] {
        assert!(matches!(ask(sql), Err(QueryError::Refused(_))), "{sql}");
    }
}

/// The protocol's own sum: what the accounts hold and the fee pool are all the coins there are, in every ledger. The
/// simulated network puts coins nowhere else.
#[test]
fn the_balances_of_every_ledger_add_up_to_all_coins() {
    let dir = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_stellar-lake"))
        .args(["ingest", "--network", "alpha", "--passphrase", "alpha ; test"])
        .args(["--source", "simulated:mixed", "--from", "2", "--to", "40", "--lake"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let reader = Reader::open(dir.path());
    let coins = |ledger: &str, balances: &str| {
        reader.number(&format!(
            "SELECT (total_coins - fee_pool - (SELECT sum(balance) FROM alpha.{balances}))::BIGINT \
             FROM alpha.ledgers_row_v2 WHERE sequence = {ledger}"
        ))
    };
    for ledger in 2..=40 {
        assert_eq!(coins(&ledger.to_string(), &format!("native_balances_as_of({ledger})")), 0, "{ledger}");
        assert_eq!(coins(&ledger.to_string(), &format!("accounts_as_of({ledger})")), 0, "{ledger}");
    }
    assert_eq!(coins("40", "native_balances_current"), 0);
    // Every view and macro of the lake can be read.
    for spec in lake_core::tables::SPECS {
        if let Some(state) = spec.state {
            let sql = |source: String| format!("SELECT count(*) FROM alpha.{source}");
            let (now, as_of) = (sql(state.view()), sql(format!("{}(40)", state.as_of())));
            assert_eq!(reader.number(&now), reader.number(&as_of), "{}", state.name);
        }
    }
}
