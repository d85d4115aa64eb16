//! The same tests for every source (order, bounds, restart, links), then what only one of them can get wrong.

use std::{fs, path::Path, time::Duration};

use futures::{StreamExt, TryStreamExt};
use lake_core::{LedgerSeq, Network, RawLedger, decode};
use lake_sim::{Density, SimConfig, SimNetwork};
use stellar_xdr::{LedgerCloseMeta, LedgerCloseMetaBatch, Limits, ReadXdr, WriteXdr};

use super::*;

const PASSPHRASE: &str = "source tests ; 2026";

fn network() -> Network {
    Network::new(PASSPHRASE)
}

fn ledgers(count: usize) -> Vec<RawLedger> {
    let config = SimConfig { passphrase: PASSPHRASE.into(), seed: 7, density: Density::Sparse };
    let mut network = SimNetwork::new(config);
    (0..count).map(|_| network.close_ledger().raw).collect()
}

/// Writes a SEP-54 directory of ledgers 2.. in batches of `per_batch`, with partitions of 4 batches.
fn directory(at: &Path, ledgers: &[RawLedger], per_batch: u32) {
    let layout = Layout { ledgers_per_batch: per_batch, batches_per_partition: 4 };
    let manifest = format!(
        r#"{{"networkPassphrase":"{PASSPHRASE}","version":"1.0","compression":"zstd","ledgersPerBatch":{per_batch},"batchesPerPartition":4}}"#
    );
    fs::create_dir_all(at).unwrap();
    fs::write(at.join(".config.json"), manifest).unwrap();
    for batch in ledgers.chunk_by(|a, b| layout.object_range(a.seq) == layout.object_range(b.seq)) {
        let path = at.join(format!("{}.xdr.zst", layout.key(batch[0].seq)));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, zstd::encode_all(batch_xdr(batch).as_slice(), 1).unwrap()).unwrap();
    }
}

fn batch_xdr(ledgers: &[RawLedger]) -> Vec<u8> {
    let metas: Vec<LedgerCloseMeta> =
        ledgers.iter().map(|l| LedgerCloseMeta::from_xdr(&l.xdr, Limits::none()).unwrap()).collect();
    let batch = LedgerCloseMetaBatch {
        start_sequence: ledgers[0].seq.get(),
        end_sequence: ledgers[ledgers.len() - 1].seq.get(),
        ledger_close_metas: metas.try_into().unwrap(),
    };
    batch.to_xdr(Limits::none()).unwrap()
}

fn records(at: &Path, ledgers: &[RawLedger]) {
    let mut bytes = Vec::new();
    for ledger in ledgers {
        bytes.extend((u32::try_from(ledger.xdr.len()).unwrap() | 0x8000_0000).to_be_bytes());
        bytes.extend_from_slice(&ledger.xdr);
    }
    fs::write(at, bytes).unwrap();
}

fn seq(n: u32) -> LedgerSeq {
    LedgerSeq::new(n)
}

async fn collect(source: &dyn Source, from: u32, until: u32) -> Result<Vec<RawLedger>, SourceError> {
    source.ledgers(seq(from), Some(seq(until))).try_collect().await
}

/// Opens a source afresh over 40 ledgers that begin at 2.
type Open = fn(&Path) -> Box<dyn Source>;

fn open_filesystem(at: &Path) -> Box<dyn Source> {
    directory(at, &ledgers(40), 1);
    Box::new(Filesystem::new(at, network()))
}

fn open_batched(at: &Path) -> Box<dyn Source> {
    directory(at, &ledgers(40), 8);
    Box::new(Filesystem::new(at, network()))
}

fn open_shaped(at: &Path) -> Box<dyn Source> {
    directory(at, &ledgers(40), 8);
    let options = ReadOptions {
        latency: LATENCY,
        bandwidth: Some(1 << 20),
        read_ahead: MemoryBudget::new(1),
        ..ReadOptions::default()
    };
    Box::new(Filesystem::with_options(at, network(), options))
}

fn open_simulated(_: &Path) -> Box<dyn Source> {
    Box::new(Simulated::new(&network(), Density::Sparse, 7, None))
}

fn open_replay(at: &Path) -> Box<dyn Source> {
    directory(at, &ledgers(10), 1);
    Box::new(Replay::new(at, network(), None))
}

fn open_records(at: &Path) -> Box<dyn Source> {
    let file = at.join("meta.xdr");
    records(&file, &ledgers(40));
    Box::new(RecordStream::open(&file).unwrap())
}

async fn gives_the_asked_ledgers_in_order_and_linked(open: Open) {
    let folder = tempfile::tempdir().unwrap();
    let source = open(folder.path());
    let first = source.oldest().await.unwrap();
    assert_eq!(first, seq(2));
    let got = collect(source.as_ref(), 2, 25).await.unwrap();
    assert_eq!(got.iter().map(|l| l.seq.get()).collect::<Vec<_>>(), (2..=25).collect::<Vec<_>>());
    let mut previous = None;
    for raw in &got {
        let ledger = decode::decode(raw, &network()).unwrap();
        if let Some(hash) = previous {
            decode::verify_link(hash, &ledger).unwrap();
        }
        previous = Some(ledger.hash);
    }
}

#[tokio::test]
async fn ledgers_before_the_first_of_made_up_networks_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for open in [open_replay as Open, open_simulated] {
        let error = collect(open(folder.path()).as_ref(), 1, 1).await.unwrap_err().to_string();
        assert!(error.contains("ledger 1 is missing") && error.contains("begins with ledger 2"), "{error}");
    }
}

async fn a_later_start_gives_the_same_bytes(open: Open) {
    let folder = tempfile::tempdir().unwrap();
    let whole = collect(open(folder.path()).as_ref(), 2, 25).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let late = collect(open(folder.path()).as_ref(), 17, 25).await.unwrap();
    assert_eq!(late.len(), 9);
    for (a, b) in whole.iter().skip(15).zip(&late) {
        assert_eq!((a.seq, &a.xdr), (b.seq, &b.xdr));
    }
}

macro_rules! source_suite {
    ($($name:ident: $open:expr),* $(,)?) => {$(
        mod $name {
            use super::*;

            /// Mistake D5 of the reference.
            #[tokio::test(start_paused = true)]
            async fn gives_the_asked_ledgers_in_order_and_linked() {
                super::gives_the_asked_ledgers_in_order_and_linked($open).await;
            }

            #[tokio::test(start_paused = true)]
            async fn a_later_start_gives_the_same_bytes() {
                super::a_later_start_gives_the_same_bytes($open).await;
            }
        }
    )*};
}

source_suite! {
    filesystem: open_filesystem,
    batched_filesystem: open_batched,
    filesystem_over_a_slow_line: open_shaped,
    simulated: open_simulated,
    replay: open_replay,
    record_stream: open_records,
}

#[tokio::test]
async fn a_hole_names_its_ledger_and_what_came_before_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = ledgers(20);
    all.retain(|l| l.seq != seq(9));
    directory(folder.path(), &all, 1);
    let source = Filesystem::new(folder.path(), network());
    let mut stream = source.ledgers(seq(2), None);
    for n in 2..9 {
        assert_eq!(stream.next().await.unwrap().unwrap().seq, seq(n));
    }
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error, SourceError::Missing { seq: missing, .. } if missing == seq(9)), "{error}");
    assert!(error.to_string().contains("up to 21"), "{error}");
    assert!(stream.next().await.is_none(), "a stream is over after an error");

    let past_the_end = collect(&source, 21, 25).await.unwrap_err();
    assert!(past_the_end.to_string().contains("ledger 22 is missing"), "{past_the_end}");
}

/// Mistake D44 of the reference.
#[tokio::test]
async fn a_directory_is_followed_as_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let all = ledgers(6);
    directory(folder.path(), &all[..3], 1);
    let source = Filesystem::new(folder.path(), network());
    let mut stream = source.ledgers(seq(2), None);
    for n in 2..5 {
        assert_eq!(stream.next().await.unwrap().unwrap().seq, seq(n));
    }
    assert_eq!(source.tip().await.unwrap(), Some(seq(4)));
    directory(folder.path(), &all, 1);
    let grown = tokio::time::timeout(Duration::from_secs(30), stream.next()).await.unwrap();
    assert_eq!(grown.unwrap().unwrap().seq, seq(5));
}

#[tokio::test]
async fn older_suffixes_and_lost_partition_folders_are_read() {
    let folder = tempfile::tempdir().unwrap();
    directory(folder.path(), &ledgers(3), 1);
    let partition = folder.path().join("FFFFFFFF--0-3");
    fs::rename(partition.join("FFFFFFFD--2.xdr.zst"), partition.join("FFFFFFFD--2.xdr.zstd")).unwrap();
    fs::rename(partition.join("FFFFFFFC--3.xdr.zst"), folder.path().join("FFFFFFFC--3.xdr.zst")).unwrap();
    let source = Filesystem::new(folder.path(), network());
    assert_eq!(collect(&source, 2, 4).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_directory_of_another_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    directory(folder.path(), &ledgers(3), 1);
    let other = Network::new("another one");
    for source in [
        Box::new(Filesystem::new(folder.path(), other.clone())) as Box<dyn Source>,
        Box::new(Replay::new(folder.path(), other, None)),
    ] {
        let error = collect(source.as_ref(), 2, 4).await.unwrap_err();
        assert_eq!(error.class(), crate::class::Class::Stop);
        assert!(
            error.to_string().contains(PASSPHRASE) && error.to_string().contains("another one"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn damaged_objects_are_corrupt_and_kept_as_evidence() {
    let all = ledgers(3);
    let name = "FFFFFFFF--0-3/FFFFFFFC--3.xdr.zst";
    let good = zstd::encode_all(batch_xdr(&all[1..2]).as_slice(), 1).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    let wrong = zstd::encode_all(batch_xdr(&all[2..3]).as_slice(), 1).unwrap();
    let mut trailing = batch_xdr(&all[1..2]);
    trailing.push(0);
    let cases = [
        ("truncated", good[..good.len() - 5].to_vec()),
        ("not zstd", b"hello".to_vec()),
        ("the wrong ledger", wrong),
        ("trailing bytes", zstd::encode_all(trailing.as_slice(), 1).unwrap()),
        ("flipped", flipped),
    ];
    for (what, bytes) in cases {
        let folder = tempfile::tempdir().unwrap();
        directory(folder.path(), &all, 1);
        fs::write(folder.path().join(name), &bytes).unwrap();
        let source = Filesystem::new(folder.path(), network());
        let got: Vec<_> = source.ledgers(seq(2), Some(seq(4))).collect().await;
        // A flipped bit may survive decompression; the hashes find it then.
        let refused = got.iter().find_map(|item| match item {
            Ok(raw) => decode::decode(raw, &network()).err().map(|e| e.to_string()),
            Err(error) => {
                assert_eq!(error.class(), crate::class::Class::Corrupt, "{what}: {error}");
                Some(error.to_string())
            }
        });
        let message = refused.unwrap_or_else(|| panic!("{what}: nothing was refused"));
        assert!(message.contains("FFFFFFFC--3"), "{what}: {message}");
    }
}

#[tokio::test]
async fn a_record_stream_goes_on_where_a_range_ended_and_names_a_hole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("meta.xdr");
    let mut all = ledgers(10);
    all.retain(|l| l.seq != seq(8));
    records(&file, &all);
    let packed = folder.path().join("meta.xdr.zst");
    fs::write(&packed, zstd::encode_all(fs::read(&file).unwrap().as_slice(), 1).unwrap()).unwrap();
    for path in [file, packed] {
        let source = RecordStream::open(&path).unwrap();
        assert_eq!(collect(&source, 3, 4).await.unwrap().len(), 2);
        assert_eq!(collect(&source, 5, 6).await.unwrap().len(), 2);
        let error = collect(&source, 7, 9).await.unwrap_err();
        assert!(error.to_string().contains("ledger 8 is missing"), "{error}");
    }
    let cut = folder.path().join("cut.xdr");
    records(&cut, &ledgers(2));
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    let error = collect(&RecordStream::open(&cut).unwrap(), 2, 3).await.unwrap_err();
    assert!(error.to_string().contains("the stream ends"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_held() {
    let source = Simulated::new(&network(), Density::Sparse, 7, Some(10.0));
    let begun = tokio::time::Instant::now();
    let got: Vec<_> = source.ledgers(seq(2), Some(seq(22))).try_collect().await.unwrap();
    assert_eq!(got.len(), 21);
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}

const LATENCY: Duration = Duration::from_millis(40);

/// Time that 40 objects take.
async fn time_of_forty(options: ReadOptions) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    directory(folder.path(), &ledgers(40), 1);
    let source = Filesystem::with_options(folder.path(), network(), options);
    let begun = tokio::time::Instant::now();
    assert_eq!(collect(&source, 2, 41).await.unwrap().len(), 40);
    begun.elapsed()
}

#[tokio::test]
async fn objects_are_waited_for_in_parallel_while_there_is_room() {
    let options = ReadOptions { latency: LATENCY, ..ReadOptions::default() };
    let parallel = time_of_forty(options.clone()).await;
    assert!(parallel >= LATENCY, "{parallel:?}");
    // Room for one object: one after the other.
    let serial = time_of_forty(ReadOptions { read_ahead: MemoryBudget::new(1), ..options }).await;
    assert!(serial >= LATENCY * 40, "{serial:?}");
    assert!(parallel < serial / 2, "{parallel:?} {serial:?}");
}

#[tokio::test]
async fn a_bandwidth_holds_for_all_streams_together() {
    let folder = tempfile::tempdir().unwrap();
    directory(folder.path(), &ledgers(40), 1);
    // Counted in KiB, each object rounded up.
    let objects = walk(folder.path()).iter().map(|bytes| bytes.div_ceil(1024)).sum::<u64>();
    let options = ReadOptions { bandwidth: Some(128 * 1024), ..ReadOptions::default() };
    let source = Filesystem::with_options(folder.path(), network(), options);
    let begun = tokio::time::Instant::now();
    let all = (0..3).map(|_| collect(&source, 2, 41));
    for got in futures::future::join_all(all).await {
        assert_eq!(got.unwrap().len(), 40);
    }
    let (took, expected) = (begun.elapsed().as_secs_f64(), (3 * objects) as f64 / 128.0);
    // What it lets through at once at first: a sixteenth of a second.
    assert!((expected - 0.1..expected + 5.0).contains(&took), "{took} s for {objects} KiB, thrice");
}

/// Sizes of all objects below a folder.
fn walk(folder: &Path) -> Vec<u64> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.file_type().unwrap().is_dir() {
            true => walk(&entry.path()),
            false if entry.path().extension().is_some_and(|e| e == "zst") => {
                vec![entry.metadata().unwrap().len()]
            }
            false => Vec::new(),
        })
        .collect()
}

#[tokio::test]
async fn many_streams_share_little_room_and_all_come_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    directory(folder.path(), &ledgers(64), 8);
    let bytes: usize = ledgers(64).iter().map(|ledger| ledger.xdr.len()).sum();
    // About two of the eight objects.
    let room = MemoryBudget::new(bytes as u64 / 4);
    let options = ReadOptions { read_ahead: room, ..ReadOptions::default() };
    let source = Filesystem::with_options(folder.path(), network(), options);
    let streams = (0..30).map(|_| {
        let source = source.clone();
        tokio::spawn(async move { collect(&source, 2, 65).await })
    });
    for got in futures::future::join_all(streams).await {
        assert_eq!(got.unwrap().unwrap().len(), 64);
    }
}

#[tokio::test]
async fn a_followed_directory_lags_by_the_latency() {
    let folder = tempfile::tempdir().unwrap();
    let all = ledgers(6);
    directory(folder.path(), &all[..3], 1);
    let options = ReadOptions { latency: LATENCY, ..ReadOptions::default() };
    let source = Filesystem::with_options(folder.path(), network(), options);
    let mut stream = source.ledgers(seq(2), None);
    for n in 2..5 {
        assert_eq!(stream.next().await.unwrap().unwrap().seq, seq(n));
    }
    for n in 5..8 {
        let came = tokio::time::Instant::now();
        directory(folder.path(), &all[..n as usize - 1], 1);
        assert_eq!(stream.next().await.unwrap().unwrap().seq, seq(n));
        assert!((LATENCY..Duration::from_secs(2)).contains(&came.elapsed()), "{:?}", came.elapsed());
    }
}
