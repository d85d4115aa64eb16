//! What the gate lets through and what it does not, by the parser alone (no lake).

use super::*;

fn gate() -> Gate {
    Gate::open().expect("an in-memory instance opens")
}

/// The tables of the little lake that the resolver knows in these tests.
fn lake() -> Vec<(String, String)> {
    vec![("mainnet".to_owned(), "ledgers_row_v2".to_owned()), ("mainnet".to_owned(), "odd name".to_owned())]
}

fn verdict(gate: &Gate, sql: &str) -> Result<String, GateError> {
    let permit = gate.check(sql)?;
    permit.resolve(&lake())?;
    Ok(permit.sql().to_owned())
}

const HARMLESS: [&str; 40] = [
    "SELECT 1",
    "select 1;",
    " -- a comment\n /* another; DROP TABLE x */ SELECT 1 -- ; DROP TABLE x",
    "SELECT count(*) FROM mainnet.ledgers_row_v2",
    "SELECT count(*) FROM lake.mainnet.ledgers_row_v2",
    "SELECT * FROM \"MAINNET\".\"ledgers_row_v2\"",
    "FROM mainnet.ledgers_row_v2",
    "FROM mainnet.\"odd name\" SELECT 1",
    "TABLE mainnet.ledgers_row_v2",
    "VALUES (1, 'a'), (2, 'b')",
    "SELECT created_at, updated_at, delete_me FROM (SELECT 1 AS created_at, 2 AS updated_at, 3 AS delete_me)",
    "SELECT 'DELETE FROM x; DROP TABLE y' AS text",
    "SELECT 'COPY x TO ''/tmp/x''' AS \"INSERT\"",
    "WITH a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT * FROM b JOIN A USING (x)",
    "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT sum(x) FROM n",
    "WITH ledgers AS MATERIALIZED (SELECT * FROM mainnet.ledgers_row_v2) SELECT * FROM ledgers",
    "SELECT (WITH a AS (SELECT 1 AS x) SELECT x FROM a)",
    "SELECT sequence, row_number() OVER (PARTITION BY sequence ORDER BY closed_at) FROM mainnet.ledgers_row_v2",
    "SELECT * FROM mainnet.ledgers_row_v2 AT (VERSION => 3)",
    "SELECT * FROM range(3)",
    "SELECT * FROM generate_series(1, 3) t(i), unnest([1, 2]) u(j)",
    "SELECT unnest([1, 2]), {'a': 1}, MAP {'a': 1}, [x + 1 for x in [1, 2]], list_transform([1], lambda x: x + 1)",
    "SELECT '{\"a\": 1}'->>'a', json_extract('{}', '$.a')",
    "SELECT 1::DECIMAL(10, 2), try_cast('x' AS INTEGER), DATE '2024-01-01' + INTERVAL 1 DAY, 'a' LIKE 'b%'",
    "SELECT CASE WHEN true THEN 1 END, 1 BETWEEN 0 AND 2, 1 IN (1, 2), EXISTS (SELECT 1), coalesce(NULL, 1)",
    "SELECT -(1), NOT true, 1 IS NULL, 'a' || 'b', nullif(1, 2), ifnull(NULL, 2), if(true, 1, 2)",
    "SELECT extract(year FROM now()), date_trunc('day', now()), strftime(now(), '%Y'), current_date",
    "SELECT DISTINCT ON (a) a FROM (VALUES (1)) t(a) ORDER BY a LIMIT 5 OFFSET 0",
    "SELECT a, count(*) FILTER (WHERE a > 1) FROM (VALUES (1)) t(a) GROUP BY ALL HAVING count(*) > 0",
    "SELECT a, grouping(a) FROM (VALUES (1)) t(a) GROUP BY ROLLUP (a)",
    "SELECT 1 UNION ALL SELECT 2 EXCEPT SELECT 3 INTERSECT SELECT 4",
    "SELECT * EXCLUDE (sequence), * REPLACE (1 AS sequence), COLUMNS('s.*') FROM mainnet.ledgers_row_v2",
    "SELECT * FROM (VALUES (1, 2)) t(a, b) PIVOT (sum(b) FOR a IN (1, 2))",
    "SELECT * FROM mainnet.ledgers_row_v2 TABLESAMPLE 10%",
    "SELECT table_name FROM information_schema.tables",
    "SELECT table_name, comment FROM duckdb_tables()",
    "DESCRIBE mainnet.ledgers_row_v2",
    "SUMMARIZE mainnet.ledgers_row_v2",
    "SHOW ALL TABLES",
    "SHOW TABLES FROM lake.mainnet",
];

const HOSTILE: [&str; 75] = [
    "",
    " ; ",
    "-- nothing",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE x",
    "SELECT 1;\n/* */ DROP SCHEMA mainnet CASCADE --",
    "DROP TABLE mainnet.ledgers_row_v2",
    "DELETE FROM mainnet.ledgers_row_v2",
    "UPDATE mainnet.ledgers_row_v2 SET sequence = 1",
    "INSERT INTO mainnet.ledgers_row_v2 VALUES (1, now())",
    "TRUNCATE mainnet.ledgers_row_v2",
    "ALTER TABLE mainnet.ledgers_row_v2 ADD COLUMN x INTEGER",
    "MERGE INTO mainnet.ledgers_row_v2 USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    "WITH a AS (INSERT INTO mainnet.ledgers_row_v2 VALUES (1, now()) RETURNING *) SELECT * FROM a",
    "WITH a AS (DELETE FROM mainnet.ledgers_row_v2 RETURNING *) SELECT * FROM a",
    "CREATE TABLE memory.main.t (i INTEGER)",
    "CREATE TEMP TABLE t (i INTEGER)",
    "CREATE TEMP TABLE t AS SELECT 1",
    "CREATE VIEW v AS SELECT 1",
    "CREATE MACRO m() AS 1",
    "CREATE SECRET s (TYPE s3)",
    "SELECT 1 AS x INTO t",
    "COPY (SELECT 1) TO '/tmp/x'",
    "COPY (SELECT 1) TO '/var/lib/stellar-lake/data/x.parquet'",
    "COPY mainnet.ledgers_row_v2 FROM '/tmp/x'",
    "EXPORT DATABASE '/tmp/x'",
    "ATTACH '/tmp/x.db'",
    "ATTACH '/var/lib/stellar-lake/data/x.db' AS y",
    "DETACH lake",
    "USE memory",
    "PRAGMA database_list",
    "PRAGMA table_info('x')",
    "CALL ducklake_expire_snapshots('lake')",
    "CALL ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "SELECT * FROM ducklake_expire_snapshots('lake', older_than => now())",
    "SELECT * FROM ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "SELECT * FROM ducklake_delete_orphaned_files('lake', cleanup_all => true)",
    "SELECT * FROM ducklake_add_data_files('lake', 't', '/etc/passwd')",
    "SELECT * FROM lake.snapshots()",
    "SELECT * FROM sqlite_query('x', 'SELECT 1')",
    "SELECT * FROM sqlite_scan('/var/lib/stellar-lake/catalog.sqlite', 'ducklake_snapshot')",
    "SELECT * FROM read_text('/var/lib/stellar-lake/catalog.sqlite')",
    "SELECT * FROM read_blob('/var/lib/stellar-lake/catalog.sqlite')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('data/*.parquet')",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "SELECT * FROM mainnet.ledgers_row_v2 WHERE sequence IN (SELECT 1 FROM glob('/*'))",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('x')",
    "SELECT * FROM json_execute_serialized_sql('{}')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_databases()",
    "FROM '/etc/passwd'",
    "SELECT * FROM '/var/lib/stellar-lake/data/mainnet/t/x.parquet'",
    "SELECT * FROM \"data/x.parquet\"",
    "DESCRIBE '/etc/passwd'",
    "SUMMARIZE 'x.csv'",
    "SELECT * FROM __ducklake_metadata_lake.ducklake_snapshot",
    "SELECT * FROM __ducklake_metadata_lake.main.ducklake_snapshot",
    "SELECT * FROM duckdb_settings",
    "SELECT * FROM main.duckdb_settings",
    "WITH a AS (FROM duckdb_settings), duckdb_settings AS (SELECT 1) FROM a",
    "SELECT * FROM (WITH \"/etc/passwd\" AS (SELECT 1) SELECT 1), '/etc/passwd'",
    "SELECT sleep_ms(1000)",
    "SELECT pg_sleep(1)",
    "SELECT write_log('x')",
    "SELECT getvariable('x')",
    "SELECT current_setting('memory_limit')",
    "SELECT getenv('HOME')",
    "SELECT nextval('s')",
    "SELECT lake.main.anything(1)",
    "SELECT $1",
    "SELECT ?",
    "SHOW DATABASES",
];

const HOSTILE_STATEMENTS: [&str; 24] = [
    "SET memory_limit = '1TB'",
    "RESET memory_limit",
    "SET VARIABLE x = 1",
    "LOAD httpfs",
    "INSTALL httpfs",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "CHECKPOINT",
    "VACUUM",
    "ANALYZE",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "EXECUTE p(1)",
    "DEALLOCATE p",
    "EXPLAIN COPY (SELECT 1) TO '/tmp/x'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x'",
    "explain /* */ analyze -- \n insert into mainnet.ledgers_row_v2 values (1, now())",
    "EXPLAIN ANALYZE SELECT 1; DROP TABLE x",
    "EXPLAIN ANALYZE CREATE TEMP TABLE t (i INTEGER)",
    "EXPLAIN EXPLAIN SELECT 1",
    "SHOW TABLES FROM memory.main",
    "SHOW VARIABLES",
    "SELECT * FROM mainnet.no_such_table",
];

#[test]
fn harmless_statements_pass() {
    let gate = gate();
    let refused: Vec<_> =
        HARMLESS.iter().filter_map(|sql| verdict(&gate, sql).err().map(|error| (sql, error))).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn hostile_statements_are_refused_with_a_reason() {
    let gate = gate();
    for sql in HOSTILE.iter().chain(&HOSTILE_STATEMENTS) {
        let error = verdict(&gate, sql).expect_err(sql);
        assert!(error.to_string().len() > 10, "{sql}: {error}");
        assert!(!matches!(error, GateError::Check { .. }), "{sql}: {error}");
    }
}

#[test]
fn explain_is_put_back_from_our_own_words() {
    let gate = gate();
    let explained = verdict(&gate, " /* x */ explain\n analyze SELECT 1").expect("allowed");
    assert_eq!(explained, "EXPLAIN ANALYZE  SELECT 1");
    assert_eq!(verdict(&gate, "EXPLAIN SELECT 1").expect("allowed"), "EXPLAIN  SELECT 1");
}

#[test]
fn a_refusal_names_what_was_refused() {
    let gate = gate();
    let said = |sql: &str| verdict(&gate, sql).expect_err(sql).to_string();
    assert!(said("/* hi */ Copy (SELECT 1) TO 'x'").starts_with("COPY is refused"));
    assert!(said("SELECT 1; SELECT 2").starts_with("2 statements are refused"));
    assert!(said("SELECT sleep_ms(1)").contains("sleep_ms()"));
    assert!(said("FROM ledgers_row_v2").contains("did you mean mainnet.ledgers_row_v2?"));
    assert!(said("SELECT FROM WHERE").contains("syntax error"));
    assert!(said("FROM read_csv('x')").contains("read_csv()"));
}

#[test]
fn a_statement_that_is_too_long_or_too_deep_or_has_a_nul_is_refused() {
    let gate = gate();
    let long = format!("SELECT '{}'", "x".repeat(MAX_SQL_BYTES));
    assert!(matches!(gate.check(&long), Err(GateError::TooLong { .. })));
    assert_eq!(gate.check("SELECT 1\0; DROP TABLE x"), Err(GateError::Nul));
    let deep = format!("SELECT {}1", "1 + ".repeat(200));
    assert_eq!(gate.check(&deep), Err(GateError::TooDeep));
    let deeper = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    assert!(gate.check(&deeper).is_err());
}

#[test]
fn only_plain_names_of_the_lake_are_looked_up_one_by_one() {
    let gate = gate();
    let permit = |sql: &str| gate.check(sql).expect(sql);
    assert_eq!(
        permit("FROM a.b, lake.c, lake.d.e, f").plain_tables(),
        Some(vec![("a", "b"), ("main", "c"), ("d", "e"), ("main", "f"),])
    );
    for odd in
        ["FROM \"x.parquet\"", "FROM a.\"b\"\"c\"", "FROM a.\"*\"", "FROM memory.a.b", "SHOW TABLES FROM a"]
    {
        assert_eq!(permit(odd).plain_tables(), None, "{odd}");
    }
}
