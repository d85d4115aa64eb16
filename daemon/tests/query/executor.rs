//! The executor by itself: snapshots, the gate, limits and endings.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn each_statement_sees_the_newest_snapshot() {
    let lake = Lake::new();
    let executor = lake.executor();
    assert_eq!(rows_of(&executor, "FROM mainnet.ledgers_row_v2").await, 10);
    lake.add_ledgers(11, 15);
    assert_eq!(rows_of(&executor, "FROM lake.mainnet.ledgers_row_v2").await, 15);
    assert_eq!(rows_of(&executor, "FROM mainnet.ledgers_row_v2 WHERE sequence > 14").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_answer_keeps_its_snapshot_while_the_lake_grows() {
    let lake = Lake::new();
    let executor = lake.executor();
    let sql = "SELECT a.sequence FROM mainnet.ledgers_row_v2 a, range(5000)";
    let mut rows = executor.execute(request(sql), CancellationToken::new()).await.unwrap();
    lake.add_ledgers(11, 20);
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        count += batch.unwrap().num_rows();
    }
    assert_eq!(count, 50_000);
}

/// Mistake D42 of the reference.
#[tokio::test(flavor = "multi_thread")]
async fn harmless_statements_run() {
    let lake = Lake::new();
    let executor = lake.executor();
    let harmless = [
        ("SELECT sequence AS created_at, 'DELETE FROM x; DROP TABLE y' AS t FROM mainnet.ledgers_row_v2", 10),
        ("WITH a AS (FROM mainnet.ledgers_row_v2) SELECT * FROM a JOIN A b USING (sequence)", 10),
        ("FROM mainnet.newest", 1),
        ("VALUES (1), (2)", 2),
        ("EXPLAIN SELECT * FROM mainnet.ledgers_row_v2", 1),
        (" /* x */ explain analyze SELECT count(*) FROM mainnet.ledgers_row_v2 -- ;", 1),
        ("DESCRIBE mainnet.ledgers_row_v2", 3),
        ("SUMMARIZE mainnet.ledgers_row_v2", 3),
        ("SHOW ALL TABLES", 2),
        ("SHOW TABLES FROM lake.mainnet", 2),
        ("SELECT comment FROM duckdb_tables() WHERE comment = 'One row per ledger'", 1),
        ("SELECT * FROM information_schema.tables WHERE table_name = 'newest'", 1),
        ("SELECT count(*) FROM mainnet.ledgers_row_v2 AT (VERSION => 2)", 1),
        ("SELECT unnest(range(3)), list_sum([1, 2]), '{\"a\": 1}'->>'a', now() > '2020-01-01'", 3),
        ("SELECT current_user, current_date, pg_typeof(1)", 1),
        ("SELECT sequence FROM mainnet.ledgers_row_v2 ORDER BY hash LIMIT 3", 3),
    ];
    for (sql, rows) in harmless {
        assert_eq!(rows_of(&executor, sql).await, rows, "{sql}");
    }
}

/// Mistake D42 of the reference.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_statements_are_refused_and_change_nothing() {
    let lake = Lake::new();
    let executor = lake.executor();
    rows_of(&executor, "FROM mainnet.ledgers_row_v2").await;
    let before = lake.files();
    let root = lake.root();
    let root = root.display();
    let with_paths = [
        format!("COPY (SELECT 1) TO '{root}/data/x.csv'"),
        format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{root}/data/x.csv'"),
        format!("ATTACH '{root}/data/x.db'"),
        format!("ATTACH '{root}/catalog.sqlite' AS c (TYPE sqlite)"),
        format!("SELECT * FROM sqlite_scan('{root}/catalog.sqlite', 'ducklake_snapshot')"),
        format!("SELECT * FROM read_blob('{root}/catalog.sqlite')"),
        format!("SELECT * FROM read_text('{root}/catalog.sqlite')"),
        format!("SELECT * FROM read_parquet('{root}/data/mainnet/ledgers_row_v2/*.parquet')"),
        format!("FROM '{root}/data/mainnet/ledgers_row_v2/*.parquet'"),
    ];
    let plain = [
        "SELECT 1; DROP TABLE mainnet.ledgers_row_v2",
        "DROP TABLE mainnet.ledgers_row_v2 -- SELECT",
        "COPY (SELECT 1) TO '/tmp/stellar-lake-must-not-exist'",
        "CREATE TABLE memory.main.t AS SELECT 1",
        "CREATE TEMP TABLE t AS SELECT 1",
        "INSERT INTO mainnet.ledgers_row_v2 (sequence) VALUES (99)",
        "WITH a AS (INSERT INTO mainnet.ledgers_row_v2 (sequence) VALUES (9) RETURNING *) FROM a",
        "CALL ducklake_expire_snapshots('lake', older_than => now())",
        "SELECT * FROM ducklake_expire_snapshots('lake', older_than => now())",
        "SELECT * FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
        "SELECT * FROM ducklake_snapshots('lake')",
        "SELECT * FROM sqlite_query('lake', 'SELECT 1')",
        "FROM read_csv('/etc/passwd')",
        "FROM '/etc/passwd'",
        "FROM __ducklake_metadata_lake.ducklake_snapshot",
        "FROM __ducklake_metadata_lake.main.ducklake_snapshot",
        "FROM duckdb_settings()",
        "FROM duckdb_settings",
        "FROM sqlite_master",
        "FROM temp.main.t",
        "PRAGMA database_list",
        "SET memory_limit = '1TB'",
        "LOAD httpfs",
        "USE memory",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "COMMIT",
        "SELECT sleep_ms(100000)",
        "SELECT write_log('x')",
        "SELECT getvariable('x'), current_setting('memory_limit')",
        "SELECT $1",
    ];
    for sql in with_paths.iter().map(String::as_str).chain(plain) {
        let error = error_of(&executor, sql).await;
        assert!(matches!(error, QueryError::Refused(_)), "{sql}: {error:?}");
    }
    assert!(lake.files() == before, "a refused statement changed the lake's files");
    assert!(!Path::new("/tmp/stellar-lake-must-not-exist").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_statement_is_the_callers_error_and_says_what_exists() {
    let lake = Lake::new();
    let executor = lake.executor();
    let error = error_of(&executor, "SELECT no_such FROM mainnet.ledgers_row_v2").await;
    assert!(matches!(&error, QueryError::Wrong { message } if message.contains("no_such")), "{error:?}");
    let error = error_of(&executor, "FROM ledgers_row_v2").await;
    assert!(error.to_string().contains("did you mean mainnet.ledgers_row_v2?"), "{error}");
    let error = error_of(&executor, "SELECT 'x'::INTEGER").await;
    assert!(matches!(error, QueryError::Wrong { .. }), "{error:?}");
    for lossy in ["SELECT 1::UHUGEINT", "SELECT '01'::BIT", "SELECT '12:00:00+02'::TIMETZ"] {
        let error = error_of(&executor, lossy).await;
        assert!(error.to_string().contains("cast it to VARCHAR"), "{lossy}: {error}");
    }
    // A failure after the first rows must come as an error too, not as an end; and under its own
    // name, although DuckDB at times calls it interrupted when several threads were at work.
    let late = "SELECT CASE WHEN i = 399999 THEN error('late') ELSE i::VARCHAR END FROM range(400000) t(i)";
    for _ in 0..50 {
        let error = error_of(&executor, late).await;
        assert!(error.to_string().contains("late"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_out_of_time_is_stopped_and_leaves_the_executor_usable() {
    let lake = Lake::new();
    let executor = lake.executor();
    let timeout = Some(Duration::from_millis(300));
    let started = Instant::now();
    let error = run(&executor, QueryRequest { timeout, ..request(ENDLESS) }).await.unwrap_err();
    assert!(matches!(error, QueryError::TimedOut { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(rows_of(&executor, "SELECT 1").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_beyond_the_places_are_refused_and_a_dropped_one_frees_its_place() {
    let lake = Lake::new();
    let settings = QuerySettings { max_concurrent: 1, max_waiting: 0, ..lake.settings() };
    let executor = QueryExecutor::open(settings).unwrap();
    let sql = "SELECT a.i FROM range(10000000) a(i), range(10000000) b(i)";
    let mut rows = executor.execute(request(sql), CancellationToken::new()).await.unwrap();
    rows.next().await.unwrap().unwrap();

    let error = error_of(&executor, "SELECT 1").await;
    assert!(matches!(error, QueryError::Busy { running: 1, waiting: 0 }), "{error:?}");
    drop(rows);
    let started = Instant::now();
    while let Err(error) = run(&executor, request("SELECT 1")).await {
        assert!(matches!(error, QueryError::Busy { .. }), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(20), "the place is not given back");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_stops_a_running_query() {
    let lake = Lake::new();
    let executor = lake.executor();
    let shutdown = CancellationToken::new();
    let query = tokio::spawn({
        let (executor, shutdown) = (executor.clone(), shutdown.clone());
        async move { executor.execute(request(ENDLESS), shutdown).await.map(|_rows| ()) }
    });
    shutdown.cancel();
    let error = query.await.unwrap().unwrap_err();
    assert!(matches!(error, QueryError::Stopping), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_out_of_memory_fails_alone() {
    let lake = Lake::new();
    let executor = lake.executor();
    let sql = "SELECT list(i::VARCHAR || repeat('x', 100)) FROM range(5000000) t(i)";
    let error = error_of(&executor, sql).await;
    assert!(matches!(error, QueryError::OutOfMemory { .. }), "{error:?}");
    assert_eq!(rows_of(&executor, "SELECT 1").await, 1);
}

/// Mistake D43 of the reference.
#[tokio::test(flavor = "multi_thread")]
async fn rows_end_at_the_limit_and_say_so() {
    let lake = Lake::new();
    let executor = lake.executor();
    let limited = |rows| QueryRequest { max_rows: Some(rows), ..request("FROM range(10000)") };
    assert_eq!(run(&executor, limited(3000)).await.unwrap(), (3000, true));
    assert_eq!(run(&executor, limited(2048)).await.unwrap(), (2048, true));
    assert_eq!(run(&executor, limited(10_000)).await.unwrap(), (10_000, false));
}

#[test]
fn a_lake_that_is_not_there_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let settings = QuerySettings::for_lake(directory.path(), &extension_dir());
    let error = QueryExecutor::open(settings).unwrap_err();
    assert!(error.to_string().contains("attach the lake"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "opening must create nothing");
}
