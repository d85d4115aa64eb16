//! Storing ledgers anew in place of what the tables hold of them: all of it in one transaction, whatever state the old
//! files are in.

use std::{
    fs,
    io::{BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use stellar_lake::lake::{
    BatchFacts, Commit, Damage, Lake, LakeError, LakeSettings, Lane, MaintenanceSettings, NetworkName, Proven,
};

use crate::support::{Reader, batch, close, hash, network, open, open_with, range, runtime, write};

const CHILD: &str = "LAKE_TEST_REPLACING_CHILD";

fn alpha() -> NetworkName {
    network("alpha").name
}

/// Stores ledgers anew, blocking.
fn replace(lake: &Lake, start: u32, end: u32) -> Result<Commit, LakeError> {
    let batch = batch("alpha", start, end, Lane::Backfill);
    let mut encoder = lake.encoder().begin_replacing(&batch.network, batch.range);
    encoder.write(batch.range, &batch.tables)?;
    let sealed = encoder.finish(&BatchFacts {
        range: batch.range,
        lane: batch.lane,
        first_previous_hash: batch.first_previous_hash,
        last_hash: batch.last_hash,
        source: batch.source,
        job: None,
    })?;
    runtime().block_on(lake.queue().submit(sealed))
}

/// A lake with batches 2..=9, 10..=19 and 20..=29.
fn three_batches(path: &Path) -> Lake {
    let lake = open(path);
    lake.add_network(&network("alpha")).unwrap();
    for (start, end) in [(2, 9), (10, 19), (20, 29)] {
        write(&lake, batch("alpha", start, end, Lane::Live)).unwrap();
    }
    lake
}

fn refresh(lake: &Lake) {
    runtime().block_on(lake.refresh(&alpha())).unwrap();
}

fn coverage(lake: &Lake) -> String {
    lake.coverage(&alpha()).unwrap().to_string()
}

fn unsound(lake: &Lake) -> String {
    lake.unsound(&alpha()).unwrap().to_string()
}

/// The file of a table's batch.
fn file(lake: &Lake, table: &str, start: u32) -> PathBuf {
    let folder = lake.data_path().join("alpha").join(table);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{start:010}-"));
    files.filter(named).min().unwrap()
}

fn kinds(reader: &Reader) -> String {
    reader.text(
        "SELECT string_agg(kind || ' ' || range_start || '-' || range_end, ', ' ORDER BY sealed_at) FROM alpha._lineage",
    )
}

#[test]
fn rows_deleted_through_sql_are_seen_and_stored_anew_with_all_that_shares_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let lake = three_batches(dir.path());
    let before = Reader::open(dir.path()).content("alpha");
    // Few rows: DuckLake keeps the deletion in the catalog, not in a file.
    Reader::writing(dir.path())
        .0
        .execute_batch("DELETE FROM alpha.ledgers_row_v2 WHERE sequence BETWEEN 12 AND 14")
        .unwrap();
    assert_eq!(coverage(&lake), "2..29", "the lake was not asked yet");
    refresh(&lake);
    assert_eq!((coverage(&lake).as_str(), unsound(&lake).as_str()), ("2..11, 15..29", "12..14"));

    // Neither kind of batch may double the rows of the other tables, or drop ledgers.
    for refused in [write(&lake, batch("alpha", 12, 14, Lane::Live)), replace(&lake, 12, 14)] {
        assert!(matches!(refused, Err(LakeError::NotClosed { .. })), "{refused:?}");
    }
    assert_eq!(lake.closure(&alpha(), range(12, 14)).unwrap(), range(10, 19));
    let commit = replace(&lake, 10, 19).unwrap();
    assert_eq!((commit.range, commit.rows), (range(10, 19), 40));
    assert_eq!((coverage(&lake).as_str(), unsound(&lake).as_str()), ("2..29", ""));
    let reader = Reader::open(dir.path());
    assert_eq!(reader.content("alpha"), before);
    assert_eq!(kinds(&reader), "ingest 2-9, ingest 10-19, ingest 20-29, replace 10-19");
    close(&lake);
    drop(lake);

    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    assert_eq!((coverage(&lake).as_str(), unsound(&lake).as_str()), ("2..29", ""));
    assert!(lake.check_files().unwrap().damaged.is_empty());
    write(&lake, batch("alpha", 30, 31, Lane::Live)).unwrap();
}

#[test]
fn rows_of_one_table_only_are_stored_anew_and_merging_does_not_bring_deleted_rows_back() {
    let dir = tempfile::tempdir().unwrap();
    let maintenance = MaintenanceSettings { merge_fan_in: 2, ..MaintenanceSettings::default() };
    let lake = open_with(LakeSettings { maintenance, ..LakeSettings::new(dir.path()) });
    lake.add_network(&network("alpha")).unwrap();
    for (start, end) in [(2, 9), (10, 19), (20, 29)] {
        write(&lake, batch("alpha", start, end, Lane::Live)).unwrap();
    }
    let before = Reader::open(dir.path()).content("alpha");
    let user = Reader::writing(dir.path());
    user.0
        .execute_batch("DELETE FROM alpha.transactions_row_v2 WHERE ledger_sequence BETWEEN 11 AND 18")
        .unwrap();
    user.0.execute_batch("DELETE FROM alpha.transactions_row_v2 WHERE ledger_sequence = 19").unwrap();
    // A whole file: the catalog drops it.
    user.0.execute_batch("DELETE FROM alpha.transactions_row_v2 WHERE ledger_sequence >= 20").unwrap();
    refresh(&lake);
    assert_eq!((coverage(&lake).as_str(), unsound(&lake).as_str()), ("2..29", ""));
    lake.merge(&|| false).unwrap();
    let count = |reader: &Reader| reader.number("SELECT count(*) FROM alpha.transactions_row_v2");
    assert_eq!(count(&Reader::open(dir.path())), 27, "a merge changes no row");

    replace(&lake, 10, 19).unwrap();
    replace(&lake, 20, 29).unwrap();
    assert_eq!(Reader::open(dir.path()).content("alpha"), before);
    // The two lineage files of a range become one again, with all their rows.
    lake.merge(&|| false).unwrap();
    let reader = Reader::open(dir.path());
    assert_eq!(reader.content("alpha"), before);
    assert_eq!(reader.number("SELECT count(*) FROM alpha._lineage WHERE kind <> 'merge'"), 5);
    assert!(lake.check_files().unwrap().damaged.is_empty());
}

#[test]
fn files_in_any_state_are_replaced_and_their_damage_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let lake = three_batches(dir.path());
    let before = Reader::open(dir.path()).content("alpha");
    fs::remove_file(file(&lake, "transactions_row_v2", 2)).unwrap();
    let cut = file(&lake, "ledgers_row_v2", 10);
    fs::File::options().write(true).open(&cut).unwrap().set_len(100).unwrap();
    fs::remove_file(file(&lake, "_lineage", 10)).unwrap();
    let mut flipped =
        fs::File::options().write(true).read(true).open(file(&lake, "ledgers_row_v2", 20)).unwrap();
    flipped.seek(SeekFrom::Start(40)).unwrap();
    flipped.write_all(&[0xff; 1]).unwrap();

    // A size or a name is seen at once; a byte by hashing only, which `verify` does.
    assert_eq!(lake.check_files().unwrap().damaged.len(), 3);
    assert_eq!(unsound(&lake), "2..19");
    let seen = Damage::new(range(20, 29), "ledgers_row_v2", None, "its bytes changed");
    lake.note_damage(&alpha(), Proven::Nothing, vec![seen]).unwrap();
    close(&lake);
    drop(lake);

    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    assert_eq!((coverage(&lake).as_str(), unsound(&lake).as_str()), ("2..29", "2..29"));
    // Neighbours that are damaged themselves cannot be asked for their hashes.
    for (start, end) in [(10, 19), (20, 29), (2, 9)] {
        replace(&lake, start, end).unwrap();
    }
    assert_eq!(unsound(&lake), "");
    assert!(lake.check_files().unwrap().damaged.is_empty());
    let reader = Reader::open(dir.path());
    assert_eq!(reader.content("alpha"), before);
    assert_eq!(kinds(&reader), "ingest 2-9, ingest 20-29, replace 10-19, replace 20-29, replace 2-9");
    // The replaced files are deleted in the end, those that are gone already included.
    let age = Duration::ZERO;
    let maintenance =
        MaintenanceSettings { snapshot_age: Some(age), cleanup_age: age, ..MaintenanceSettings::default() };
    close(&lake);
    drop(lake);
    let lake = open_with(LakeSettings { maintenance, ..LakeSettings::new(dir.path()) });
    lake.add_network(&network("alpha")).unwrap();
    lake.expire_and_clean(&|| false).unwrap();
    assert!(!cut.exists());
    assert_eq!(Reader::open(dir.path()).content("alpha"), before);
}

#[test]
fn a_replacing_batch_must_link_to_its_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let lake = three_batches(dir.path());
    let before = Reader::open(dir.path()).content("alpha");
    let rows = batch("alpha", 10, 19, Lane::Backfill);
    for (first, last) in [(hash("other", 9), rows.last_hash), (rows.first_previous_hash, hash("other", 19))] {
        let mut encoder = lake.encoder().begin_replacing(&rows.network, rows.range);
        encoder.write(rows.range, &rows.tables).unwrap();
        let facts = BatchFacts {
            range: rows.range,
            lane: rows.lane,
            first_previous_hash: first,
            last_hash: last,
            source: String::new(),
            job: None,
        };
        let refused = runtime().block_on(lake.queue().submit(encoder.finish(&facts).unwrap()));
        assert!(matches!(refused, Err(LakeError::BrokenLink { .. })), "{refused:?}");
    }
    assert_eq!(Reader::open(dir.path()).content("alpha"), before);
}

/// Not a test of its own: the process that is killed. Stores the same ledgers anew without end.
#[test]
fn child_that_replaces_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let lake = open(Path::new(&path));
    lake.add_network(&network("alpha")).unwrap();
    lake.sweep_orphans().unwrap();
    loop {
        // Those that are known to be damaged are replaced by way of stand-ins.
        lake.note_damage(
            &alpha(),
            Proven::Nothing,
            vec![Damage::new(range(10, 29), "transactions_row_v2", None, "")],
        )
        .unwrap();
        for (start, end) in [(2, 9), (10, 19), (20, 29)] {
            replace(&lake, start, end).unwrap();
            println!("\nACK {start}");
            std::io::stdout().flush().unwrap();
        }
    }
}

#[test]
fn a_killed_replacement_leaves_the_old_rows_or_the_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let lake = three_batches(dir.path());
    let before = Reader::open(dir.path()).content("alpha");
    close(&lake);
    drop(lake);
    for round in 0..5_u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "replace::child_that_replaces_until_it_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acks = lines.map(|line| line.unwrap()).filter(|line| line.starts_with("ACK "));
        assert_eq!(acks.by_ref().take(2 + round as usize).count(), 2 + round as usize);
        // A moment somewhere in the next commits.
        let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
        let until = Instant::now() + Duration::from_micros(u64::from(nanos % 120_000));
        while Instant::now() < until {}
        child.kill().unwrap();
        child.wait().unwrap();
        let lake = open(dir.path());
        lake.add_network(&network("alpha")).unwrap();
        assert_eq!(coverage(&lake), "2..29");
        assert_eq!(Reader::open(dir.path()).content("alpha"), before, "round {round}");
        assert!(!dir.path().join("replacing").exists());
        lake.sweep_orphans().unwrap();
        assert!(lake.check_files().unwrap().damaged.is_empty());
        close(&lake);
    }
}
