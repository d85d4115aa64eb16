//! Committing: visible to others, exactly once, linked, all or nothing.

use std::{fs, time::Duration};

use lake_core::LedgerSeq;
use stellar_lake::class::Class;
use stellar_lake::lake::{LakeError, LakeSettings, Lane, QueueSettings};

use crate::support::{
    Reader, TRANSACTIONS_PER_LEDGER, batch, close, hash, network, open, open_with, range, runtime, write,
};

#[test]
fn a_commit_is_visible_to_an_independent_reader_with_its_lineage() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    lake.add_network(&network("beta")).unwrap();
    let commit = write(&lake, batch("alpha", 2, 11, Lane::Live)).unwrap();
    assert_eq!((commit.range, commit.rows, commit.files), (range(2, 11), 40, 3));
    write(&lake, batch("beta", 5, 5, Lane::Backfill)).unwrap();
    let reader = Reader::open(dir.path());
    assert_eq!(reader.number("SELECT count(*) FROM alpha.ledgers_row_v2"), 10);
    assert_eq!(
        reader.number("SELECT count(*) FROM alpha.transactions_row_v2"),
        i64::from(10 * TRANSACTIONS_PER_LEDGER)
    );
    assert_eq!(reader.number("SELECT count(*) FROM alpha.events_row_v1"), 0);
    let lineage = "SELECT concat_ws(' ', range_start, range_end, kind, lane, source, rows, \
                   files::JSON->'transactions_row_v2'->>'rows', verification::JSON->>'passed') FROM ";
    assert_eq!(reader.text(&format!("{lineage} alpha._lineage")), "2 11 ingest live made by a test 40 30 10");
    assert_eq!(reader.text(&format!("{lineage} beta._lineage")), "5 5 ingest backfill made by a test 4 3 1");
    assert_eq!(
        reader.text(
            "SELECT comment FROM duckdb_tables() WHERE table_name='ledgers_row_v2' AND schema_name='alpha'"
        ),
        "One row per ledger, it's said."
    );
    close(&lake);
}

/// Mistake D37 of the reference.
#[test]
fn the_lineage_hash_is_the_hash_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    let sealed = lake.encoder().encode(batch("alpha", 2, 3, Lane::Live)).unwrap();
    for file in sealed.files() {
        let bytes = fs::read(&file.path).unwrap();
        assert_eq!(lake_core::Hash32::sha256(&[&bytes]), file.sha256);
        assert_eq!(bytes.len() as u64, file.bytes);
    }
    let paths: Vec<_> = sealed.files().iter().map(|f| f.path.clone()).collect();
    drop(sealed);
    assert!(paths.iter().all(|p| !p.exists()), "a batch that nobody commits leaves no file");
}

#[test]
fn an_overlapping_batch_is_refused_and_its_files_are_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    write(&lake, batch("alpha", 10, 20, Lane::Live)).unwrap();
    for (start, end) in [(10, 20), (20, 25), (5, 10), (12, 13), (5, 30)] {
        let sealed = lake.encoder().encode(batch("alpha", start, end, Lane::Live)).unwrap();
        let paths: Vec<_> = sealed.files().iter().map(|f| f.path.clone()).collect();
        let error = runtime().block_on(lake.queue().submit(sealed)).unwrap_err();
        assert!(matches!(error, LakeError::Overlap { .. }), "{error}");
        assert!(paths.iter().all(|p| !p.exists()));
    }
    let stats = lake.queue().stats();
    assert_eq!((stats.submitted, stats.written, stats.failed, stats.duplicates), (6, 1, 5, 5));
    assert_eq!((stats.depth, stats.bytes), (0, 0));
    assert_eq!(Reader::open(dir.path()).number("SELECT count(*) FROM alpha.ledgers_row_v2"), 11);
}

#[test]
fn a_batch_that_does_not_link_is_refused_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    for restart in [false, true] {
        let lake = open(dir.path());
        lake.add_network(&network("alpha")).unwrap();
        if !restart {
            write(&lake, batch("alpha", 10, 20, Lane::Live)).unwrap();
        }
        let mut after = batch("alpha", 21, 22, Lane::Live);
        after.first_previous_hash = hash("other", 20);
        let mut before = batch("alpha", 8, 9, Lane::Live);
        before.last_hash = hash("other", 9);
        for wrong in [after, before] {
            let error = write(&lake, wrong).unwrap_err();
            assert!(matches!(error, LakeError::BrokenLink { .. }), "{error}");
            assert_eq!(error.class(), Class::Corrupt);
        }
        if restart {
            write(&lake, batch("alpha", 21, 22, Lane::Live)).unwrap();
            write(&lake, batch("alpha", 8, 9, Lane::Live)).unwrap();
            write(&lake, batch("alpha", 7, 7, Lane::Live)).unwrap();
        }
        close(&lake);
    }
}

/// Mistake D4 of the reference.
#[test]
fn coverage_and_hashes_are_the_same_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let alpha = network("alpha");
    let lake = open(dir.path());
    lake.add_network(&alpha).unwrap();
    assert!(lake.coverage(&alpha.name).unwrap().is_empty());
    for (start, end) in [(2, 4), (5, 9), (20, 29), (40, 40)] {
        write(&lake, batch("alpha", start, end, Lane::Backfill)).unwrap();
    }
    let coverage = lake.coverage(&alpha.name).unwrap();
    assert_eq!(coverage.to_string(), "2..9, 20..29, 40..40");
    close(&lake);
    drop(lake);
    let lake = open(dir.path());
    lake.add_network(&alpha).unwrap();
    lake.add_network(&alpha).unwrap();
    assert_eq!(lake.coverage(&alpha.name).unwrap(), coverage);
    assert_eq!(lake.watermark(&alpha.name).unwrap().borrow().head, Some(LedgerSeq::new(40)));
    let link = |seq| runtime().block_on(lake.stored_link(&alpha.name, LedgerSeq::new(seq))).unwrap();
    let found = link(20).unwrap();
    assert_eq!((found.hash, found.previous_hash), (hash("alpha", 20), hash("alpha", 19)));
    assert_eq!(link(10), None);
}

/// Mistakes D2, D3 of the reference.
#[test]
fn a_failed_statement_stores_nothing_of_its_batch() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    write(&lake, batch("alpha", 2, 2, Lane::Live)).unwrap();
    let sealed = lake.encoder().encode(batch("alpha", 3, 9, Lane::Live)).unwrap();
    let broken = sealed.files()[1].path.clone();
    fs::write(&broken, b"PAR1 this is no parquet file PAR1").unwrap();
    let error = runtime().block_on(lake.queue().submit(sealed)).unwrap_err();
    assert!(matches!(error, LakeError::Catalog { action: "register a file", .. }), "{error}");
    let reader = Reader::open(dir.path());
    assert_eq!(reader.number("SELECT count(*) FROM alpha.ledgers_row_v2"), 1);
    assert_eq!(reader.number("SELECT count(*) FROM alpha._lineage"), 1);
    // The committer goes on, and the same ledgers can come again.
    write(&lake, batch("alpha", 3, 9, Lane::Live)).unwrap();
    assert_eq!(reader.number("SELECT count(*) FROM alpha.ledgers_row_v2"), 8);
}

/// Mistake D2 of the reference.
#[test]
fn rows_that_are_not_the_range_are_refused_before_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    let mut short = batch("alpha", 2, 9, Lane::Live);
    short.range = range(2, 10);
    let mut outside = batch("alpha", 2, 9, Lane::Live);
    outside.tables[1].1 = batch("alpha", 9, 10, Lane::Live).tables[1].1.clone();
    let mut without = batch("alpha", 2, 9, Lane::Live);
    without.tables.remove(0);
    let across = batch("alpha", 9_999, 10_000, Lane::Live);
    for wrong in [short, outside, without, across] {
        let error = lake.encoder().encode(wrong).unwrap_err();
        assert!(matches!(error, LakeError::BadBatch { .. }), "{error}");
    }
    let left: u64 = lake.sweep_orphans().unwrap().seen;
    assert_eq!(left, 1, "only the file of the network's own row");
}

/// Mistake D7 of the reference.
#[test]
fn a_full_queue_makes_submitters_wait_and_live_batches_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = LakeSettings::new(dir.path());
    settings.queue = QueueSettings { batches: 4, bytes: 64 * 1024 * 1024 };
    let lake = open_with(settings);
    lake.add_network(&network("alpha")).unwrap();
    lake.add_network(&network("beta")).unwrap();
    let encoder = lake.encoder();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut commits = runtime.block_on(async {
        let mut tasks = Vec::new();
        for i in 0..12_u32 {
            let sealed = encoder.encode(batch("beta", 100 + i * 2, 100 + i * 2, Lane::Backfill)).unwrap();
            let queue = lake.queue();
            tasks.push(tokio::spawn(async move { queue.submit(sealed).await.unwrap() }));
        }
        tokio::task::yield_now().await;
        let sealed = encoder.encode(batch("alpha", 2, 2, Lane::Live)).unwrap();
        let queue = lake.queue();
        tasks.push(tokio::spawn(async move { queue.submit(sealed).await.unwrap() }));
        let mut commits = Vec::new();
        for task in tasks {
            assert!(lake.queue().stats().depth <= 4);
            commits.push(task.await.unwrap());
        }
        commits
    });
    let live = commits.pop().unwrap();
    let later = commits.iter().filter(|c| c.snapshot_id > live.snapshot_id).count();
    assert!(later >= 1, "the live batch overtakes backfill batches that came before it");
    let stats = lake.queue().stats();
    assert_eq!((stats.submitted, stats.written, stats.failed), (13, 13, 0));
    assert!(stats.write.average() <= stats.write.max && stats.write.max > Duration::ZERO);
}

#[test]
fn closing_commits_what_is_queued_and_refuses_what_comes_later() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    let late = lake.encoder().encode(batch("alpha", 50, 50, Lane::Live)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let sealed = lake.encoder().encode(batch("alpha", 2, 2, Lane::Live)).unwrap();
    let queue = lake.queue();
    let task = runtime.spawn(async move { queue.submit(sealed).await });
    let mut mark = lake.watermark(&network("alpha").name).unwrap();
    runtime.block_on(mark.changed()).unwrap();
    close(&lake);
    runtime.block_on(task).unwrap().unwrap();
    let error = runtime.block_on(lake.queue().submit(late)).unwrap_err();
    assert!(matches!(error, LakeError::Closed), "{error}");
    // With everything stopped, both files are there for readers that may not create them.
    for name in ["catalog.sqlite-wal", "catalog.sqlite-shm"] {
        assert!(dir.path().join(name).exists(), "{name}");
    }
    assert_eq!(Reader::open(dir.path()).number("SELECT count(*) FROM alpha.ledgers_row_v2"), 1);
}
