//! How long a start takes on a lake of many small files, FILES of them in every table: the state before merges come.

#![allow(clippy::print_stdout, reason = "the figures of a suite are its output")]
#![allow(clippy::indexing_slicing, reason = "a test that panics fails")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::DataType;
use lake_core::{
    Hash32, LedgerRange, LedgerSeq, decode,
    schema::TableSpec,
    tables::{SPECS, Stamps, TableSet},
};
use lake_sim::{Density, SimConfig, SimLedger, SimNetwork};
use lake_testkit::{LakeReader, Network, Settings, Sut, Until, until};
use stellar_lake::lake::{Encoder, Lake, LakeSettings, Lane, NetworkName, NetworkSpec, WriteBatch};

const NETWORK: &str = "alpha";
const SEED: u64 = 7;
/// First ledger of a simulated network.
const FIRST: u32 = 2;
/// Batches that are registered in one transaction: the product takes one, which would take an hour.
const BATCHES: usize = 500;
/// Longest time from the start of the program to READY=1.
const BOUND: Duration = Duration::from_secs(2);
/// Starts that are measured.
const STARTS: usize = 5;
/// Time for the check of all files, which goes on after READY.
const CHECKED: Duration = Duration::from_secs(120);

fn network() -> Network {
    Network::simulated(NETWORK, Density::Sparse, SEED, Some(5.0))
}

/// The rows of one ledger, its hash and that of the one before it.
struct Rows {
    tables: Vec<(&'static TableSpec, RecordBatch)>,
    previous: Hash32,
    hash: Hash32,
}

fn rows(ledger: &SimLedger, identity: &lake_core::Network) -> Rows {
    let decoded = decode::decode(&ledger.raw, identity).expect("simulated ledgers are sound");
    let stamps = Stamps { era_id: None, version_label: "test".into(), ingested_at_micros: 0 };
    let mut set = TableSet::new(stamps);
    set.extract(&decoded).expect("simulated ledgers give rows");
    Rows { tables: set.finish(), previous: decoded.previous_hash, hash: decoded.hash }
}

/// One row of every table that dense ledgers fill.
fn samples(identity: &lake_core::Network) -> BTreeMap<&'static str, RecordBatch> {
    let passphrase = identity.passphrase().to_owned();
    let mut dense = SimNetwork::new(SimConfig { passphrase, seed: SEED, density: Density::Dense });
    let mut samples = BTreeMap::new();
    // Some tables have rows only now and then.
    for _ in 0..300 {
        for (spec, rows) in rows(&dense.close_ledger(), identity).tables {
            if rows.num_rows() > 0 {
                samples.entry(spec.name).or_insert_with(|| rows.slice(0, 1));
            }
        }
        if samples.len() == SPECS.len() {
            break;
        }
    }
    samples
}

/// A sample as a row of another ledger.
fn renumbered(spec: &TableSpec, sample: &RecordBatch, seq: u32) -> RecordBatch {
    let index = sample.schema().index_of(spec.ledger_column).expect("every table names its ledger");
    let kind = sample.column(index).data_type().clone();
    let wide: ArrayRef = Arc::new(Int64Array::from(vec![i64::from(seq)]));
    let mut columns = sample.columns().to_vec();
    columns[index] = if kind == DataType::Int64 {
        wide
    } else {
        arrow_cast::cast(&wide, &kind).expect("a ledger's number fits its column")
    };
    RecordBatch::try_new(sample.schema(), columns).expect("the columns are those of the sample")
}

/// The files of one ledger by table. Tables that it leaves empty get a sample: what counts here is that there are files.
fn encode(
    encoder: &Encoder,
    rows: Rows,
    seq: u32,
    samples: &BTreeMap<&str, RecordBatch>,
) -> Vec<(&'static str, PathBuf)> {
    let fill = |(spec, rows): (&'static TableSpec, RecordBatch)| {
        let sample = samples.get(spec.name).filter(|_| rows.num_rows() == 0);
        (spec, sample.map_or(rows, |sample| renumbered(spec, sample, seq)))
    };
    let range = LedgerRange::new(LedgerSeq::new(seq), LedgerSeq::new(seq)).expect("one ledger is a range");
    let sealed = encoder
        .encode(WriteBatch {
            network: NetworkName::new(NETWORK).expect("the name is allowed"),
            range,
            lane: Lane::Live,
            first_previous_hash: rows.previous,
            last_hash: rows.hash,
            tables: rows.tables.into_iter().map(fill).collect(),
            source: "made by a test".to_owned(),
            job: None,
        })
        .expect("the rows are those of the ledger");
    let files = sealed.files().iter().map(|file| (file.table, file.path.clone())).collect();
    // Dropped, it would delete its files.
    std::mem::forget(sealed);
    files
}

/// Makes a lake of `count` one-ledger batches: every file written as the product does, registered many at a time.
fn make(path: &Path, count: u32) {
    let identity = lake_core::Network::new(&network().passphrase);
    let lake = Lake::open(LakeSettings::new(path), SPECS).expect("a lake can be made");
    let spec = NetworkSpec {
        name: NetworkName::new(NETWORK).expect("the name is allowed"),
        passphrase: identity.passphrase().to_owned(),
        network_id: identity.id(),
    };
    lake.add_network(&spec).expect("a network can be added");
    let encoder = lake.encoder();
    lake.close(Duration::from_secs(10)).expect("an idle lake can be closed");
    drop(lake);
    let samples = samples(&identity);
    let config =
        SimConfig { passphrase: identity.passphrase().to_owned(), seed: SEED, density: Density::Sparse };
    let mut simulated = SimNetwork::new(config);
    let client = LakeReader::open_writing(path).expect("a lake can be opened for writing");
    // There is nothing to optimize in long lists of values, and it takes a third of the time.
    let optimizers: String = client
        .value("SELECT string_agg(name, ',') FROM duckdb_optimizers()")
        .expect("DuckDB lists its optimizers");
    client.run(&format!("SET GLOBAL disabled_optimizers = '{optimizers}'")).expect("they can be left out");
    let mut left = count;
    while left > 0 {
        let now = left.min(u32::try_from(BATCHES).expect("it is small"));
        let ledgers: Vec<SimLedger> = (0..now).map(|_| simulated.close_ledger()).collect();
        register(&client, &encode_all(&encoder, &ledgers, &identity, &samples));
        left -= now;
    }
}

/// Encodes ledgers on two threads; their files by table.
fn encode_all(
    encoder: &Encoder,
    ledgers: &[SimLedger],
    identity: &lake_core::Network,
    samples: &BTreeMap<&str, RecordBatch>,
) -> BTreeMap<&'static str, Vec<PathBuf>> {
    let one = |ledger: &SimLedger| encode(encoder, rows(ledger, identity), ledger.raw.seq.get(), samples);
    let mut files: BTreeMap<&'static str, Vec<PathBuf>> = BTreeMap::new();
    thread::scope(|scope| {
        let halves = ledgers.chunks(ledgers.len().div_ceil(2).max(1));
        let running: Vec<_> =
            halves.map(|half| scope.spawn(move || half.iter().flat_map(one).collect::<Vec<_>>())).collect();
        for (table, path) in
            running.into_iter().flat_map(|half| half.join().expect("encoding does not panic"))
        {
            files.entry(table).or_default().push(path);
        }
    });
    files
}

fn register(client: &LakeReader, files: &BTreeMap<&'static str, Vec<PathBuf>>) {
    client.run("BEGIN").expect("a transaction begins");
    for (table, paths) in files {
        let list: Vec<String> = paths.iter().map(|path| format!("'{}'", path.display())).collect();
        let sql = format!(
            "CALL ducklake_add_data_files('lake', '{table}', [{}], schema => '{NETWORK}', hive_partitioning => false)",
            list.join(", ")
        );
        client.run(&sql).unwrap_or_else(|error| panic!("{table}: {error}"));
    }
    client.run("COMMIT").expect("it can be committed");
}

/// Seconds from the start of the program to READY, to the first answer of the status, and to the end of the check of files.
fn start(sut: &mut Sut) -> [f64; 3] {
    let before = sut.log().matches("files checked").count();
    let begun = Instant::now();
    sut.spawn();
    sut.wait_ready();
    let ready = begun.elapsed();
    let status = sut.status();
    let told = begun.elapsed();
    assert_eq!(status.networks.len(), 1, "{status:?}");
    until("all files are checked", CHECKED, || {
        if sut.log().matches("files checked").count() > before {
            return Until::Done(());
        }
        Until::NotYet(String::new())
    });
    let checked = begun.elapsed();
    [ready, told, checked].map(|time| time.as_secs_f64())
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    of[of.len() / 2]
}

#[test]
#[ignore = "slow: run by `make startup-test`"]
fn a_start_on_many_files_takes_two_seconds_at_most() {
    let count: u32 = env::var("FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let folder = tempfile::Builder::new().prefix("sl-").tempdir().expect("a folder can be made");
    // A lake that takes minutes to make may be kept for more runs.
    let kept = env::var_os("STARTUP_LAKE").map(PathBuf::from);
    let path = kept.unwrap_or_else(|| folder.path().join("lake"));
    if !path.exists() {
        let begun = Instant::now();
        make(&path, count);
        println!("made in {:.0} s", begun.elapsed().as_secs_f64());
    }
    let settings = |network: Network| Settings {
        lake: path.display().to_string(),
        // A merge would make it another lake.
        ..Settings::of([network]).with("maintenance: { enabled: false }")
    };
    let mut sut = Sut::new(&settings(network().history_only()));
    let mut taken: Vec<[f64; 3]> = Vec::new();
    for _ in 0..STARTS {
        taken.push(start(&mut sut));
        let status = sut.status();
        let stored = status.network(NETWORK).last_ledger;
        assert_eq!(stored, Some(FIRST - 1 + count), "{status:?}");
        assert!(!sut.log().contains("damaged=1"), "{}", sut.log());
        assert!(sut.terminate().success());
    }
    let files = sut.reader().live_files(NETWORK).expect("the catalog can be read").len();
    // Few simulated ledgers restore an entry; the lineage makes up for that table.
    assert!(files >= SPECS.len() * usize::try_from(count).expect("it is small"), "{files} files");
    let of = |index: usize| median(taken.iter().map(|times| times[index]).collect());
    let catalog = fs::metadata(path.join("catalog.sqlite")).map_or(0, |data| data.len());
    println!("| files per table | files | catalog MiB | READY s | first status s | files checked s |");
    println!("|--:|--:|--:|--:|--:|--:|");
    println!("| {count} | {files} | {} | {:.2} | {:.2} | {:.2} |", catalog >> 20, of(0), of(1), of(2));
    assert!(of(0) <= BOUND.as_secs_f64(), "READY after {:.2} s, the bound is {BOUND:?}", of(0));

    // The lake is what the files say: the network's next ledger links to it.
    sut.configure(&settings(network()));
    sut.start();
    sut.wait_status("the next ledger is stored", Duration::from_secs(60), |status| {
        status.network(NETWORK).last_ledger > Some(FIRST - 1 + count)
    });
    assert!(sut.terminate().success());
}
