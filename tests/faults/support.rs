//! A network whose source a test spoils, beside one that is well.

use std::{path::Path, time::Duration};

use lake_core::RawLedger;
use lake_sim::Density;
use lake_testkit::{LakeReader, Model, Network, Sep54, Settings, StatusFigures, Sut, compare, text_of};
use nix::{sys::stat::Mode, unistd::mkfifo};

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// What a pause and a cancellation may take, whatever hangs.
pub(crate) const PROMPT: Duration = Duration::from_secs(5);

/// The same for a stop, which commits what is in flight too: seconds on a machine that tests keep busy. Waiting for a read
/// that hangs would take 30.
pub(crate) const STOP: Duration = Duration::from_secs(10);

pub(crate) const PASSPHRASE: &str = "A network with faults ; tests";
const DENSITY: Density = Density::Sparse;
const SEED: u64 = 17;

pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("sl-").tempdir().expect("a temporary folder can be made")
}

/// The network `bad` as it really is.
pub(crate) fn model() -> Model {
    Model::new(PASSPHRASE, DENSITY, SEED)
}

/// Ledgers 2 to `last` of a network.
pub(crate) fn ledgers(passphrase: &str, last: u32) -> Vec<RawLedger> {
    let mut model = Model::new(passphrase, DENSITY, SEED);
    (2..=last).map(|_| model.close().raw).collect()
}

/// The directory of network `bad` with ledgers 2 to `last`.
pub(crate) fn directory(path: &Path, last: u32) -> Sep54 {
    let source = Sep54::create(path, PASSPHRASE);
    ledgers(PASSPHRASE, last).iter().for_each(|ledger| source.add(ledger));
    source
}

/// Network `bad`, read from a directory.
pub(crate) fn bad(path: &Path) -> Network {
    Network::filesystem("bad", PASSPHRASE, path)
}

/// Network `good`, which is followed and has no fault.
pub(crate) fn good() -> Network {
    Network::simulated("good", Density::Sparse, 5, Some(5.0))
}

/// A daemon with these networks, where batches are short.
pub(crate) fn started(networks: impl IntoIterator<Item = Network>) -> Sut {
    let mut sut = Sut::new(&Settings::of(networks).with("batch: { max_age: 200ms }"));
    sut.start();
    sut
}

/// The lake holds ledgers 2 to `last` of network `bad`, and all is as the simulated network knows it.
pub(crate) fn holds(lake: &LakeReader, last: u32) {
    let (found, differences) = compare(lake, "bad", &mut model());
    differences.assert_none("network bad");
    assert_eq!(found, last, "last ledger in the lake");
}

/// Network `good` is healthy and goes on.
pub(crate) fn good_goes_on(sut: &mut Sut) {
    let ledger = |status: &StatusFigures| status.network("good").last_ledger;
    let before = ledger(&sut.status());
    sut.wait_status("the other network goes on", LIMIT, |s| ledger(s) > before.map(|l| l + 3));
    let health = sut.ctl(["health", "good"]);
    assert_eq!(health.status.code(), Some(0), "{}", text_of(&health));
}

/// Stops the daemon; the network without a fault has every ledger.
pub(crate) fn ends_well(mut sut: Sut, last: u32) {
    let end = sut.terminate();
    assert!(end.success(), "{end}\n{}", sut.log());
    let lake = sut.reader();
    holds(&lake, last);
    let (_, differences) = compare(&lake, "good", &mut Model::of(&good()));
    differences.assert_none("network good");
}

/// The exit code and the words of `lakectl health` about a network.
pub(crate) fn unhealthy(sut: &Sut, words: &str) {
    let health = sut.ctl(["health", "bad"]);
    let said = text_of(&health);
    assert_eq!(health.status.code(), Some(1), "{said}");
    assert!(said.contains(words), "`{words}` is missing in: {said}");
}

/// Ledgers of a job that is cut into two chunks.
pub(crate) const LAST: u32 = 2_601;

/// A ledger of the second chunk, and of no sample of the plan.
pub(crate) const HANGING: u32 = 2_000;

/// Puts a pipe in the place of a ledger's object and gives the object.
pub(crate) fn pipe(source: &Sep54, seq: u32) -> Vec<u8> {
    let packed = source.packed(seq);
    let path = source.object(seq);
    std::fs::remove_file(&path).expect("the object is there");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a pipe can be made");
    packed
}

/// Seconds that an environment variable names.
pub(crate) fn seconds_of(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")),
        Err(_) => usual,
    }
}
