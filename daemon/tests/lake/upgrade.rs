//! A lake made by an older table set: it gets the tables that came since, and says which ledgers lack them.

use arrow_array::RecordBatch;
use lake_core::{
    Hash32, Network,
    decode::decode,
    schema::{TableSpec, fingerprint_of},
    tables::{OLDER_SETS, Stamps, TableSet, ledgers, operations, transactions},
};
use lake_sim::{Density, SimConfig, SimNetwork};
use stellar_lake::lake::{
    BatchFacts, LEDGERS_TABLE, Lake, LakeError, LakeSettings, Lane, MaintenanceSettings, NetworkName,
    NetworkSpec, WriteBatch,
};

use crate::support::{LINES, Reader, close, lines, network, range, runtime, write};

static OLD: &[&TableSpec] = &[&ledgers::SPEC, &transactions::SPEC, &operations::SPEC];
static NEW: &[&TableSpec] = &[&ledgers::SPEC, &transactions::SPEC, &operations::SPEC, &LINES];

const PASSPHRASE: &str = "alpha ; test";

/// Ledgers `start..=end` of a simulated network, with the tables of [`OLD`] and one row of [`LINES`] per ledger.
fn simulated(start: u32, end: u32) -> WriteBatch {
    let config = SimConfig { passphrase: PASSPHRASE.to_owned(), seed: 1, density: Density::Sparse };
    let mut simulated = SimNetwork::new(config);
    let stamps = Stamps { era_id: None, version_label: "v1".into(), ingested_at_micros: 0 };
    let mut set = TableSet::new(stamps);
    let mut hashes: Option<(Hash32, Hash32)> = None;
    while simulated.next_seq().get() <= end {
        let closed = simulated.close_ledger();
        if closed.raw.seq.get() >= start {
            let ledger = decode(&closed.raw, &Network::new(PASSPHRASE)).unwrap();
            set.extract(&ledger).unwrap();
            hashes = Some((hashes.map_or(ledger.previous_hash, |(first, _)| first), ledger.hash));
        }
    }
    let (first_previous_hash, last_hash) = hashes.unwrap();
    let rows: Vec<_> = (start..=end).map(|seq| (1, None, i64::from(seq), false, 0)).collect();
    let mut tables: Vec<(&'static TableSpec, RecordBatch)> = set.finish();
    tables.retain(|(spec, _)| OLD.iter().any(|old| old.name == spec.name));
    tables.push((&LINES, lines(&rows)));
    WriteBatch {
        network: NetworkName::new("alpha").unwrap(),
        range: range(start, end),
        lane: Lane::Live,
        first_previous_hash,
        last_hash,
        tables,
        source: "simulated".to_owned(),
        job: None,
    }
}

fn old(start: u32, end: u32) -> WriteBatch {
    let mut batch = simulated(start, end);
    batch.tables.pop();
    batch
}

fn alpha() -> NetworkSpec {
    network("alpha")
}

fn open(path: &std::path::Path, specs: &'static [&'static TableSpec]) -> Lake {
    let maintenance = MaintenanceSettings { merge_fan_in: 2, ..MaintenanceSettings::default() };
    Lake::open(LakeSettings { maintenance, ..LakeSettings::new(path) }, specs).unwrap()
}

/// Encodes and commits the rows of some tables of ledgers that are stored.
fn complete(lake: &Lake, batch: WriteBatch, only: &[&'static str]) -> Result<u64, LakeError> {
    let mut encoder = lake.encoder().begin_adding(&batch.network, batch.range, only.into());
    encoder.write(batch.range, &batch.tables)?;
    let sealed = encoder.finish(&BatchFacts {
        range: batch.range,
        lane: Lane::Backfill,
        first_previous_hash: batch.first_previous_hash,
        last_hash: batch.last_hash,
        source: batch.source,
        job: None,
    })?;
    Ok(runtime().block_on(lake.queue().submit(sealed))?.rows)
}

fn lacking(lake: &Lake) -> Vec<String> {
    let lacking = lake.lacking(&alpha().name).unwrap();
    lacking.iter().map(|l| format!("{}: {}", l.tables.join(", "), l.ledgers)).collect()
}

#[test]
fn an_older_lake_gets_the_new_tables_and_says_which_ledgers_lack_them() {
    assert_eq!(fingerprint_of(OLD), OLDER_SETS[0].fingerprint);
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path(), OLD);
    lake.add_network(&alpha()).unwrap();
    write(&lake, old(2, 5)).unwrap();
    write(&lake, old(6, 9)).unwrap();
    assert_eq!(lacking(&lake), [""; 0]);
    close(&lake);
    drop(lake);

    let lake = open(dir.path(), NEW);
    lake.add_network(&alpha()).unwrap();
    assert_eq!(lacking(&lake), ["lines_v1: 2..9"]);
    let reader = Reader::open(dir.path());
    assert_eq!(
        reader.text("SELECT fingerprint || count(*) OVER () FROM main._networks"),
        fingerprint_of(NEW) + "1"
    );
    assert_eq!(reader.number("SELECT count(*) FROM alpha.lines_current"), 0);
    assert_eq!(
        reader.text("SELECT comment FROM duckdb_tables() WHERE table_name = 'lines_v1'"),
        "Lines, it's said."
    );
    write(&lake, simulated(10, 12)).unwrap();
    assert_eq!(lacking(&lake), ["lines_v1: 2..9"]);
    assert_eq!(Reader::open(dir.path()).number("SELECT count(*) FROM alpha.lines_v1"), 3);
    // A merge writes old ledgers again, by a newer version, but adds no rows to them.
    assert!(lake.merge(&|| false).unwrap().merges > 0);
    close(&lake);
    drop(lake);

    let lake = open(dir.path(), NEW);
    lake.add_network(&alpha()).unwrap();
    assert_eq!(lacking(&lake), ["lines_v1: 2..9"]);
    assert_eq!(lake.coverage(&alpha().name).unwrap().to_string(), "2..12");
    assert!(lake.check_files().unwrap().damaged.is_empty());
    close(&lake);
    drop(lake);

    // The older version does not know the newer set.
    let lake = open(dir.path(), OLD);
    let error = lake.add_network(&alpha()).unwrap_err();
    assert!(matches!(error, LakeError::UnknownFingerprint { .. }), "{error}");
}

#[test]
fn a_set_whose_tables_changed_is_not_taken_for_the_older_one() {
    static CHANGED: &[&TableSpec] = &[&ledgers::SPEC, &operations::SPEC, &transactions::SPEC, &LINES];
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path(), OLD);
    lake.add_network(&alpha()).unwrap();
    close(&lake);
    drop(lake);
    let lake = open(dir.path(), CHANGED);
    let error = lake.add_network(&alpha()).unwrap_err();
    assert!(matches!(error, LakeError::UnknownFingerprint { .. }), "{error}");
}

#[test]
fn an_unchanged_lake_is_not_written_when_it_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let snapshots = || Reader::open(dir.path()).number("SELECT count(*) FROM ducklake_snapshots('lake')");
    let mut seen = Vec::new();
    for _ in 0..2 {
        let lake = open(dir.path(), NEW);
        lake.add_network(&alpha()).unwrap();
        seen.push(snapshots());
        close(&lake);
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn comments_and_views_of_another_version_are_replaced() {
    static WORDED: TableSpec = TableSpec { doc: "Lines in other words.", ..LINES };
    static SPECS: &[&TableSpec] = &[&ledgers::SPEC, &transactions::SPEC, &operations::SPEC, &WORDED];
    let dir = tempfile::tempdir().unwrap();
    for (specs, doc) in [(NEW, "Lines, it's said."), (SPECS, "Lines in other words.")] {
        let lake = open(dir.path(), specs);
        lake.add_network(&alpha()).unwrap();
        let comment = "SELECT comment FROM duckdb_tables() WHERE table_name = 'lines_v1'";
        assert_eq!(Reader::open(dir.path()).text(comment), doc);
        close(&lake);
    }
}

#[test]
fn rows_that_stored_ledgers_lack_can_be_added_once_and_only_to_the_same_ledgers() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path(), OLD);
    lake.add_network(&alpha()).unwrap();
    write(&lake, old(2, 5)).unwrap();
    write(&lake, old(6, 9)).unwrap();
    close(&lake);
    drop(lake);
    let lake = open(dir.path(), NEW);
    lake.add_network(&alpha()).unwrap();
    write(&lake, simulated(10, 12)).unwrap();
    let before = Reader::open(dir.path()).content("alpha");

    for wrong in [
        complete(&lake, simulated(9, 10), &["lines_v1"]),
        complete(&lake, simulated(2, 3), &["lines_v1", "ledgers_row_v2"]),
        complete(&lake, WriteBatch { last_hash: Hash32([1; 32]), ..simulated(2, 3) }, &["lines_v1"]),
        complete(
            &lake,
            WriteBatch { first_previous_hash: Hash32([1; 32]), ..simulated(2, 3) },
            &["lines_v1"],
        ),
    ] {
        let error = wrong.unwrap_err();
        assert!(matches!(error, LakeError::BadBatch { .. } | LakeError::BrokenLink { .. }), "{error}");
    }
    assert_eq!(complete(&lake, simulated(4, 7), &["lines_v1"]).unwrap(), 4);
    assert_eq!(lacking(&lake), ["lines_v1: 2..3, 8..9"]);
    assert!(complete(&lake, simulated(4, 7), &["lines_v1"]).is_err());
    let incomplete: Vec<String> =
        lake.incomplete(&alpha().name).unwrap().iter().map(|(range, _)| range.to_string()).collect();
    assert_eq!(incomplete, ["2..3", "8..9"]);
    for (start, end) in [(2, 3), (8, 9)] {
        complete(&lake, simulated(start, end), &["lines_v1"]).unwrap();
    }
    assert_eq!(lacking(&lake), [""; 0]);
    let lines = "SELECT string_agg(ledger_sequence, ' ' ORDER BY ledger_sequence) FROM alpha.lines_v1";
    assert_eq!(Reader::open(dir.path()).text(lines), "2 3 4 5 6 7 8 9 10 11 12");

    // The files of old and added tables overlap: a merge gives every table one file of the same ledgers.
    assert!(lake.merge(&|| false).unwrap().merges > 0);
    let reader = Reader::open(dir.path());
    assert_eq!(reader.content("alpha"), before);
    assert_eq!(reader.text(lines), "2 3 4 5 6 7 8 9 10 11 12");
    close(&lake);
    drop(lake);
    let lake = open(dir.path(), NEW);
    lake.add_network(&alpha()).unwrap();
    assert_eq!(lacking(&lake), [""; 0]);
    assert!(lake.check_files().unwrap().damaged.is_empty());
}

/// Every table but the wall clock and the audit, as one text each.
fn everything(path: &std::path::Path) -> Vec<String> {
    let reader = Reader::open(path);
    lake_core::tables::SPECS
        .iter()
        .map(|spec| {
            let columns = if spec.name == LEDGERS_TABLE { "* EXCLUDE (ingestion_timestamp)" } else { "*" };
            let rows = format!("SELECT {columns} FROM alpha.{}", spec.name);
            reader.text(&format!("SELECT count(*) || coalesce(md5(string_agg(h, '' ORDER BY h)), '') FROM (SELECT md5(r::VARCHAR) AS h FROM ({rows}) r)"))
        })
        .collect()
}

#[test]
fn ingesting_over_an_older_lake_makes_it_equal_to_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let (upgraded, fresh) = (dir.path().join("upgraded"), dir.path().join("fresh"));
    let lake = open(&upgraded, OLD);
    lake.add_network(&alpha()).unwrap();
    for (start, end) in [(2, 20), (21, 30), (41, 50)] {
        write(&lake, old(start, end)).unwrap();
    }
    close(&lake);
    drop(lake);
    let ingest = |path: &std::path::Path| -> serde_json::Value {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_stellar-lake"))
            .args(["ingest", "--json", "--network", "alpha", "--passphrase", PASSPHRASE])
            .args(["--source", "simulated:sparse:1", "--from", "2", "--to", "60", "--lake"])
            .arg(path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let first = ingest(&upgraded);
    assert_eq!((&first["completed_ledgers"], &first["stored_ledgers"]), (&39.into(), &59.into()), "{first}");
    ingest(&fresh);
    assert_eq!(everything(&upgraded), everything(&fresh));
    let again = ingest(&upgraded);
    assert_eq!((&again["ledgers"], &again["lacking_ledgers"]), (&0.into(), &0.into()), "{again}");
}
