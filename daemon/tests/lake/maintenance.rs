//! Merging, expiring, cleaning, the keeper: content stays, readers see all or nothing.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use duckdb::Connection;
use stellar_lake::lake::{LEDGERS_TABLE, Lake, LakeError, LakeSettings, Lane, MaintenanceSettings};

use crate::support::{Reader, TRANSACTIONS_PER_LEDGER, batch, close, network, open, open_with, write};

fn never() -> bool {
    false
}

/// Small fan-in, no patience: everything is due at once.
fn eager(path: &std::path::Path) -> LakeSettings {
    let maintenance = MaintenanceSettings {
        merge_fan_in: 5,
        merge_every_commits: Some(1),
        snapshot_age: Some(Duration::ZERO),
        cleanup_age: Duration::ZERO,
        expire_interval: Duration::ZERO,
        wal_interval: Duration::ZERO,
        ..MaintenanceSettings::default()
    };
    LakeSettings { maintenance, ..LakeSettings::new(path) }
}

fn parquet_files(lake: &Lake) -> BTreeMap<String, Vec<PathBuf>> {
    let dir = lake.data_path().join("alpha");
    let list = |table: PathBuf| fs::read_dir(table).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|t| (t.file_name().unwrap().to_string_lossy().into_owned(), list(t)))
        .collect()
}

#[test]
fn a_merge_keeps_every_row_and_value_and_says_so_in_the_lineage() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open_with(eager(dir.path()));
    lake.add_network(&network("alpha")).unwrap();
    for seq in 2..=13 {
        write(&lake, batch("alpha", seq, seq, Lane::Live)).unwrap();
    }
    let before = Reader::open(dir.path()).content("alpha");
    let coverage = lake.coverage(&network("alpha").name).unwrap();
    let report = lake.merge(&never).unwrap();
    assert_eq!((report.merges, report.files_in, report.files_out), (1, 36, 3));
    println!("swap of 36 files for 3 kept the committer {:?}", report.longest_swap);
    let reader = Reader::open(dir.path());
    assert_eq!(reader.content("alpha"), before);
    assert_eq!(reader.number("SELECT count(DISTINCT filename) FROM alpha.ledgers_row_v2"), 1);
    assert_eq!(reader.text("SELECT string_agg(kind || n, ' ' ORDER BY kind) FROM (SELECT kind, count(*) n FROM alpha._lineage GROUP BY kind)"), "ingest12 merge1");
    assert_eq!(
        reader.text(
            "SELECT range_start || '-' || range_end || ' ' || rows FROM alpha._lineage WHERE kind = 'merge'"
        ),
        "2-13 48"
    );
    // Old files stay for readers of older snapshots until they are cleaned up.
    assert_eq!(parquet_files(&lake)[LEDGERS_TABLE].len(), 13);
    assert_eq!(lake.merge(&never).unwrap().merges, 0, "nothing is left to merge");
    lake.expire_and_clean(&never).unwrap();
    let files = parquet_files(&lake);
    assert!(files.values().all(|f| f.len() <= 1), "{files:?}");
    assert!(lake.check_files().unwrap().damaged.is_empty());
    assert_eq!(Reader::open(dir.path()).content("alpha"), before);
    let stats = lake.maintenance_stats();
    assert_eq!(stats.deleted_files, 36);
    assert!(stats.expired_snapshots > 10);
    println!("longest step of expiring and cleaning: {:?}", stats.step.max);
    close(&lake);
    drop(lake);
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    assert_eq!(lake.coverage(&network("alpha").name).unwrap(), coverage);
    assert!(lake.sweep_orphans().unwrap().removed.is_empty());
}

#[test]
fn merged_files_have_bloom_filters_and_our_compression() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open_with(eager(dir.path()));
    lake.add_network(&network("alpha")).unwrap();
    for seq in 2..=8 {
        write(&lake, batch("alpha", seq, seq, Lane::Live)).unwrap();
    }
    assert_eq!(lake.merge(&never).unwrap().merges, 1);
    let merged = &parquet_files(&lake)["transactions_row_v2"];
    let merged = merged.iter().find(|p| p.to_string_lossy().contains("/0000000002-0000000008-")).unwrap();
    let plain = Connection::open_in_memory().unwrap();
    let found: String = plain
        .query_row(
            &format!(
                "SELECT string_agg(path_in_schema || ' ' || compression || ' ' || (bloom_filter_length > 0)::VARCHAR, ', ' \
                 ORDER BY column_id) FROM parquet_metadata('{}') WHERE path_in_schema = 'transaction_hash'",
                merged.display()
            ),
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(found, "transaction_hash ZSTD true");
}

#[test]
fn readers_see_all_or_nothing_while_batches_are_committed_and_merged() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = eager(dir.path());
    // Readers of this test are slower than no age at all.
    settings.maintenance.cleanup_age = Duration::from_secs(3_600);
    let lake = Arc::new(open_with(settings));
    lake.add_network(&network("alpha")).unwrap();
    write(&lake, batch("alpha", 2, 2, Lane::Live)).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let path = dir.path().to_path_buf();
    let reading = thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let reader = Reader::open(&path);
            let mut reads = 0;
            let mut newest = 0;
            while !done.load(Ordering::Relaxed) {
                let sql = "SELECT (SELECT count(*) FROM alpha.ledgers_row_v2), (SELECT max(sequence) FROM alpha.ledgers_row_v2), \
                           (SELECT count(memo IS NULL) FROM alpha.transactions_row_v2), (SELECT count(*) FROM alpha._lineage WHERE kind = 'ingest')";
                let row: [i64; 4] = reader
                    .0
                    .query_row(sql, [], |r| Ok([r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?]))
                    .unwrap();
                let ledgers = row[0];
                assert_eq!(
                    row,
                    [ledgers, ledgers + 1, ledgers * i64::from(TRANSACTIONS_PER_LEDGER), ledgers]
                );
                assert!(ledgers >= newest);
                newest = ledgers;
                reads += 1;
            }
            reads
        }
    });
    let maintenance = lake.start_maintenance().unwrap();
    for seq in 3..=60 {
        write(&lake, batch("alpha", seq, seq, Lane::Live)).unwrap();
    }
    drop(maintenance);
    done.store(true, Ordering::Relaxed);
    let reads: u32 = reading.join().unwrap();
    let stats = lake.maintenance_stats();
    assert_eq!(stats.last_error, None);
    assert!(stats.merges > 0 && stats.wal_checkpoints > 0 && reads > 0, "{reads} reads, {stats:?}");
    println!("{reads} reads, {} merges, longest swap {:?}", stats.merges, stats.swap.max);
}

#[test]
fn a_damaged_file_is_reported_and_not_merged() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open_with(eager(dir.path()));
    lake.add_network(&network("alpha")).unwrap();
    for seq in 2..=8 {
        write(&lake, batch("alpha", seq, seq, Lane::Live)).unwrap();
    }
    let files = parquet_files(&lake);
    let (missing, short) = (&files["transactions_row_v2"][0], &files[LEDGERS_TABLE][0]);
    fs::remove_file(missing).unwrap();
    fs::OpenOptions::new().write(true).open(short).unwrap().set_len(100).unwrap();
    let check = lake.check_files().unwrap();
    assert_eq!(check.live, 7 * 3 + 1);
    let mut damaged: Vec<String> = check.damaged.iter().map(ToString::to_string).collect();
    damaged.sort();
    assert!(damaged[0].contains("has 100 bytes instead of"), "{damaged:?}");
    assert!(damaged[1].contains("is registered in the catalog but is missing"), "{damaged:?}");
    // What is known to be damaged is left alone.
    assert_eq!(lake.merge(&never).unwrap().merges, 0);
    assert_eq!(lake.coverage(&network("alpha").name).unwrap().to_string(), "2..8");
}

#[test]
fn a_byte_that_changed_is_not_merged_into_a_file_with_a_hash_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open_with(eager(dir.path()));
    lake.add_network(&network("alpha")).unwrap();
    for seq in (2..=8).chain(10_000..=10_006) {
        write(&lake, batch("alpha", seq, seq, Lane::Live)).unwrap();
    }
    let files = parquet_files(&lake);
    let is_it = |path: &&PathBuf| path.to_string_lossy().contains("0000000005-");
    let path = files["transactions_row_v2"].iter().find(is_it).unwrap();
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
    assert!(lake.check_files().unwrap().damaged.is_empty(), "its size did not change");
    let error = lake.merge(&never).unwrap_err();
    assert!(error.to_string().contains("written was"), "{error}");
    assert_eq!(lake.unsound(&network("alpha").name).unwrap().to_string(), "5..5");
    // All others are merged all the same.
    let live = "SELECT count(*) FROM __ducklake_metadata_lake.ducklake_data_file f \
                JOIN __ducklake_metadata_lake.ducklake_table t USING (table_id) \
                WHERE f.end_snapshot IS NULL AND t.table_name = 'ledgers_row_v2'";
    assert_eq!(Reader::open(dir.path()).number(live), 8);
    assert!(path.exists());
    assert_eq!(lake.merge(&never).unwrap().merges, 0);
}

#[test]
fn a_killed_keeper_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    let first = lake.keeper().pid().unwrap();
    let killed = std::process::Command::new("kill").args(["-9", &first.to_string()]).status().unwrap();
    assert!(killed.success());
    lake.keeper().ping().unwrap();
    assert_ne!(lake.keeper().pid().unwrap(), first);
    write(&lake, batch("alpha", 2, 2, Lane::Live)).unwrap();
    let reply = lake.keeper().checkpoint(false).unwrap();
    assert_eq!((reply.busy, reply.wal_pages), (Some(false), reply.checkpointed_pages));
}

#[test]
fn a_keeper_ignores_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let pid = lake.keeper().pid().unwrap();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap().success());
    lake.keeper().ping().unwrap();
    assert_eq!(lake.keeper().pid(), Some(pid));
}

#[test]
fn a_backup_of_the_catalog_is_a_lake_of_that_moment() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    write(&lake, batch("alpha", 2, 5, Lane::Live)).unwrap();
    let reply = lake.keeper().backup(&copy.path().join("catalog.sqlite")).unwrap();
    assert!(reply.bytes.unwrap() > 0);
    write(&lake, batch("alpha", 6, 9, Lane::Live)).unwrap();
    assert_eq!(Reader::open(copy.path()).number("SELECT count(*) FROM alpha.ledgers_row_v2"), 4);
    let error = lake.keeper().backup(std::path::Path::new("/nowhere/catalog.sqlite")).unwrap_err();
    assert!(matches!(error, LakeError::Keeper { .. }), "{error}");
    lake.keeper().ping().unwrap();
}
