//! Bad input of every kind: the exit code, and a message that says what, where and what to do.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, fs::symlink, net::UnixListener},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use lake_core::RawLedger;
use lake_sim::Density;
use lake_testkit::{
    Bin, LakeReader, Model, Network, OtherUser, Sep54, Settings, Sut, Tmpfs, Until, compare, ingest, is_root,
    skip, until, write_records,
};

const PASSPHRASE: &str = "A network with bad ledgers ; tests";
const SEED: u64 = 31;

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("sl-").tempdir().expect("a temporary folder can be made")
}

fn model() -> Model {
    Model::new(PASSPHRASE, Density::Sparse, SEED)
}

/// Ledgers 2 to `last` of the simulated network.
fn ledgers(last: u32) -> Vec<RawLedger> {
    let mut model = model();
    (2..=last).map(|_| model.close().raw).collect()
}

/// A SEP-54 directory with ledgers 2 to `last`.
fn directory(path: &Path, last: u32) -> Sep54 {
    let source = Sep54::create(path, PASSPHRASE);
    ledgers(last).iter().for_each(|ledger| source.add(ledger));
    source
}

fn run(mut command: Command) -> Output {
    command.output().expect("the program is executable")
}

/// Ingests a source as network `bad`.
fn ingest_bad(lake: &Path, source: &Path) -> Output {
    let args = ["--network", "bad", "--passphrase", PASSPHRASE, "--source"];
    ingest(lake, args.iter().map(Path::new).chain([source]))
}

/// The command failed with this code, and said all of these.
fn failed(output: &Output, code: i32, says: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "exit code; it said: {stderr}");
    for part in says {
        assert!(stderr.contains(part), "`{part}` is missing in: {stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// The lake holds ledgers 2 to `last` of the network and they are right.
fn holds(lake: &Path, last: u32) {
    let lake = LakeReader::open(lake).expect("the lake can be opened");
    let (found, differences) = compare(&lake, "bad", &mut model());
    differences.assert_none("what is in the lake");
    assert_eq!(found, last, "last ledger in the lake");
}

/// A corrupt ledger 6 of 2 to 9: 2 to 5 are in, the object is kept, and the message says so.
fn refused_at_6(spoil: impl FnOnce(&Sep54), says: &[&str], evidence: &str) {
    let dir = folder();
    let source = directory(&dir.path().join("source"), 9);
    spoil(&source);
    let lake = dir.path().join("lake");
    let output = ingest_bad(&lake, source.path());
    failed(&output, 74, says);
    let kept = lake.join("quarantine/bad").join(evidence);
    failed(&output, 74, &[kept.to_str().expect("the path is UTF-8")]);
    assert!(kept.is_file(), "{} is kept", kept.display());
    let reason =
        fs::read_to_string(kept.with_file_name(format!("{evidence}.reason"))).expect("the reason is kept");
    assert!(!reason.trim().is_empty());
    holds(&lake, 5);
}

/// Mistakes D40, D44 of the reference.
#[test]
fn an_unknown_config_key_is_named_with_line_and_a_suggestion() {
    let dir = folder();
    let config = dir.path().join("lake.yaml");
    fs::write(&config, "lake: { path: x }\nbatch:\n  max_ledger: 10\n").expect("a file can be written");
    for arguments in [&["check-config"][..], &[]] {
        let mut command = Bin::StellarLake.command();
        command.arg("--config").arg(&config).args(arguments).current_dir(dir.path());
        failed(&run(command), 78, &["lake.yaml:3", "max_ledger", "did you mean", "max_ledgers"]);
    }
    assert!(!dir.path().join("x").exists(), "no lake is made");
}

#[test]
fn a_missing_passphrase_and_a_bad_name_say_what_to_write() {
    let dir = folder();
    let lake = dir.path().join("lake");
    let output = ingest(&lake, ["--network", "bad", "--source", "simulated:sparse", "--to", "3"]);
    failed(&output, 64, &["`bad` needs --passphrase"]);
    let output = ingest(&lake, ["--network", "Bad-Name", "--source", "simulated:sparse", "--to", "3"]);
    failed(&output, 64, &["`Bad-Name`", "use a-z, 0-9 and _"]);
    let output = ingest(&lake, ["--network", "testnet", "--source", "simulated:sparse"]);
    failed(&output, 64, &["simulated:sparse", "give --to"]);
}

#[test]
fn a_wrong_passphrase_is_found_in_the_manifest_and_in_the_ledgers() {
    let dir = folder();
    let source = directory(&dir.path().join("source"), 40);
    let lake = dir.path().join("lake");
    let other = ["--network", "bad", "--passphrase", "Another network", "--source"];
    let output = ingest(&lake, other.iter().map(Path::new).chain([source.path()]));
    failed(
        &output,
        78,
        &[".config.json", PASSPHRASE, "Another network", "correct the passphrase or the path"],
    );

    // A record stream has no manifest: the transaction hashes tell.
    let stream = dir.path().join("stream.xdr");
    write_records(&mut fs::File::create(&stream).expect("a file can be made"), &ledgers(40));
    let output = ingest(&lake, other.iter().map(Path::new).chain([stream.as_path()]));
    failed(&output, 74, &["Another network", "passphrase looks wrong", "stream.xdr", "quarantine"]);

    // And the lake remembers whose ledgers it holds.
    assert!(ingest_bad(&dir.path().join("own"), source.path()).status.success());
    let empty = Sep54::create(&dir.path().join("empty"), "Another network");
    let args = other.iter().map(Path::new).chain([empty.path()]);
    let output = ingest(&dir.path().join("own"), args);
    failed(&output, 78, &[PASSPHRASE, "Another network"]);
}

#[test]
fn a_missing_directory_is_named() {
    let dir = folder();
    let missing = dir.path().join("nothing-here");
    let output = ingest_bad(&dir.path().join("lake"), &missing);
    failed(&output, 69, &["nothing-here", "No such file or directory", "correct the path"]);

    // The daemon waits for it, says so, and goes on when it is there.
    let network = Network::filesystem("bad", PASSPHRASE, &missing);
    let mut sut = Sut::new(&Settings::of([network]));
    sut.start();
    let status = sut.wait_status("the network retries", Duration::from_secs(30), |s| {
        s.network("bad").state == "retrying"
    });
    let reason = status.network("bad").state_reason.clone().unwrap_or_default();
    assert!(reason.contains("nothing-here"), "{reason}");
    assert_eq!(sut.ctl(["health"]).status.code(), Some(1));
    let whole = directory(&dir.path().join("whole"), 5);
    fs::rename(whole.path(), &missing).expect("a folder can be renamed");
    sut.wait_status("the ledgers are in", Duration::from_secs(60), |s| {
        s.network("bad").last_ledger == Some(5)
    });
}

#[test]
fn an_empty_directory_and_one_without_a_manifest_say_what_is_missing() {
    let dir = folder();
    let empty = Sep54::create(&dir.path().join("empty"), PASSPHRASE);
    failed(&ingest_bad(&dir.path().join("lake"), empty.path()), 69, &["empty", "holds no ledgers"]);
    let bare = dir.path().join("bare");
    fs::create_dir(&bare).expect("a folder can be made");
    failed(&ingest_bad(&dir.path().join("lake"), &bare), 78, &[".config.json", "SEP-54"]);
}

#[test]
fn an_unreadable_file_is_named() {
    let dir = folder();
    let source = directory(&dir.path().join("source"), 5);
    let object = source.object(4);
    fs::set_permissions(&object, fs::Permissions::from_mode(0o000)).expect("a mode can be set");
    let name = object.file_name().expect("objects have names").to_string_lossy().into_owned();
    let output = if is_root() {
        let user = match OtherUser::new() {
            Ok(user) => user,
            Err(why) => return skip("an unreadable file", why),
        };
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a mode can be set");
        let own = dir.path().join("own");
        fs::create_dir(&own).expect("a folder can be made");
        user.give(&own);
        let mut command = user.stellar_lake();
        command.arg("ingest").arg("--lake").arg(own.join("lake"));
        command.args(["--network", "bad", "--passphrase", PASSPHRASE, "--source"]).arg(source.path());
        run(command)
    } else {
        ingest_bad(&dir.path().join("lake"), source.path())
    };
    failed(&output, 77, &[&name, "Permission denied"]);
}

#[test]
fn truncated_zstd_is_refused_and_kept() {
    let spoil = |source: &Sep54| {
        let packed = source.packed(6);
        source.put_packed(6, packed.get(..packed.len() / 2).unwrap_or_default());
    };
    refused_at_6(spoil, &["FFFFFFF9--6.xdr.zst", "not whole zstd data"], "6.object");
}

#[test]
fn bit_flips_in_zstd_are_refused_wherever_they_are() {
    // Some flips break the compression, others only the ledger: none may get in, all must be named and kept.
    let dir = folder();
    let source = directory(&dir.path().join("source"), 9);
    let packed = source.packed(6);
    for position in (0..packed.len()).step_by((packed.len() / 12).max(1)) {
        let mut flipped = packed.clone();
        if let Some(byte) = flipped.get_mut(position) {
            *byte ^= 0x10;
        }
        source.put_packed(6, &flipped);
        let lake = dir.path().join(format!("lake-{position}"));
        let output = ingest_bad(&lake, source.path());
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            // A flip in what zstd does not need (its frame's flags) leaves the ledger as it was.
            holds(&lake, 9);
            continue;
        }
        assert_eq!(output.status.code(), Some(74), "byte {position}: {stderr}");
        assert!(stderr.contains("FFFFFFF9--6.xdr.zst"), "byte {position}: the file is named: {stderr}");
        assert!(stderr.contains("quarantine/bad/6."), "byte {position}: the evidence is named: {stderr}");
        holds(&lake, 5);
    }
}

#[test]
fn bytes_after_the_xdr_are_refused() {
    let ledger = ledgers(6).pop().expect("there are ledgers");
    let trailing = [Sep54::batch(&ledger), vec![0; 4]].concat();
    refused_at_6(|source| source.put(6, &trailing), &["FFFFFFF9--6.xdr.zst", "4 bytes follow"], "6.xdr");
}

#[test]
fn another_ledger_under_a_name_is_refused() {
    let other = ledgers(8).pop().expect("there are ledgers");
    let spoil = |source: &Sep54| source.put(6, &Sep54::batch(&other));
    refused_at_6(spoil, &["FFFFFFF9--6.xdr.zst", "holds ledger 8", "wrong file under this name"], "6.object");

    // The batch says 6 as its name does, but the ledger in it is 8.
    let mut lying = other.clone();
    lying.seq = lake_core::LedgerSeq::new(6);
    let spoil = |source: &Sep54| source.put(6, &Sep54::batch(&lying));
    refused_at_6(spoil, &["FFFFFFF9--6.xdr.zst", "ledger 6", "hold ledger 8"], "6.xdr");
}

#[test]
fn a_hole_in_the_source_is_an_error_that_names_the_ledger() {
    let dir = folder();
    let source = directory(&dir.path().join("source"), 9);
    fs::remove_file(source.object(6)).expect("a file can be removed");
    let lake = dir.path().join("lake");
    failed(&ingest_bad(&lake, source.path()), 69, &["ledger 6 is missing", "fetch the missing file"]);
    holds(&lake, 5);
    // Filled, the same command goes on where it stopped.
    source.add(&ledgers(6).pop().expect("there are ledgers"));
    assert!(ingest_bad(&lake, source.path()).status.success());
    holds(&lake, 9);
}

/// Ledgers 2 to 5 of one chain and 6 to 9 of another one with the same passphrase.
fn broken_chain(path: &Path) -> RawLedger {
    let source = directory(path, 5);
    let mut other = Model::new(PASSPHRASE, Density::Sparse, SEED + 1);
    let others: Vec<RawLedger> = (2..=9).map(|_| other.close().raw).skip(4).collect();
    others.iter().for_each(|ledger| source.add(ledger));
    others.into_iter().next().expect("there are ledgers")
}

/// Mistake D8 of the reference.
#[test]
fn a_ledger_that_does_not_link_stops_its_network_and_no_other() {
    let dir = folder();
    let path = dir.path().join("source");
    let sixth = broken_chain(&path);
    let lake = dir.path().join("lake");
    failed(&ingest_bad(&lake, &path), 74, &["ledger 6", "does not follow", "quarantine/bad/6.xdr"]);
    holds(&lake, 5);
    // Against the stored row as well, not only within a run.
    failed(&ingest_bad(&lake, &path), 74, &["ledger 6", "quarantine/bad/6.xdr"]);
    holds(&lake, 5);

    let good = Network::simulated("good", Density::Sparse, 5, Some(100.0));
    let bad = Network::filesystem("bad", PASSPHRASE, &path);
    let mut sut = Sut::new(&Settings::of([bad, good.clone()]));
    sut.start();
    let limit = Duration::from_secs(60);
    let stopped = sut.wait_status("the network stops", limit, |s| s.network("bad").state == "stopped");
    let figures = stopped.network("bad");
    let reason = figures.state_reason.clone().unwrap_or_default();
    assert!(reason.contains("ledger 6") && reason.contains("quarantine"), "{reason}");
    assert_eq!((figures.last_ledger, figures.failed_ledgers), (Some(5), 1), "{figures:?}");
    assert!(sut.log().contains("ledger 6"), "the log says why");
    let kept = fs::read(sut.lake().join("quarantine/bad/6.xdr")).expect("the evidence is kept");
    assert!(kept == sixth.xdr, "the evidence is the ledger as it was");
    let health = sut.ctl(["health"]);
    assert_eq!(health.status.code(), Some(1), "{}", String::from_utf8_lossy(&health.stdout));
    assert_eq!(sut.ctl(["health", "good"]).status.code(), Some(0));
    let before = stopped.network("good").last_ledger;
    sut.wait_status("the other network goes on", limit, |s| {
        s.network("good").last_ledger > before.map(|l| l + 20)
    });
    assert!(sut.terminate().success());
    holds(sut.lake(), 5);
    let (_, differences) = compare(&sut.reader(), "good", &mut Model::of(&good));
    differences.assert_none("the other network");
}

#[test]
fn a_full_disk_is_named_and_writing_goes_on_when_there_is_room() {
    let disk = match Tmpfs::mount("40m") {
        Ok(disk) => disk,
        Err(why) => return skip("a full disk", &why),
    };
    let lake = disk.path().join("lake");
    let filler = disk.path().join("filler");
    fs::write(&filler, vec![1; 24 << 20]).expect("there is room for the filler");
    let args =
        ["--network", "full", "--passphrase", PASSPHRASE, "--source", "simulated:dense:7", "--to", "100000"];
    failed(&ingest(&lake, args), 74, &["no space left", "free some"]);

    let dense = Network {
        passphrase: PASSPHRASE.to_owned(),
        ..Network::simulated("full", Density::Dense, 7, Some(30.0))
    };
    let mut settings = Settings::of([dense.clone()]).with("maintenance: { enabled: false }");
    settings.lake = lake.display().to_string();
    let mut sut = Sut::new(&settings);
    sut.start();
    let limit = Duration::from_secs(90);
    let full = sut.wait_status("the disk is full", limit, |s| s.network("full").state == "retrying");
    let reason = full.network("full").state_reason.clone().unwrap_or_default();
    assert!(reason.contains("no space left"), "{reason}");
    assert_eq!(sut.ctl(["health"]).status.code(), Some(1));
    let before = full.network("full").last_ledger;
    fs::remove_file(&filler).expect("the filler can be removed");
    sut.wait_status("it goes on", limit, |s| s.network("full").last_ledger > before);
    assert!(sut.terminate().success(), "{}", sut.log());
    let (_, differences) = compare(&sut.reader(), "full", &mut Model::of(&dense));
    differences.assert_none("after the disk was full");
}

#[test]
fn a_read_only_lake_is_named_and_left_as_it_is() {
    let dir = folder();
    let source = directory(&dir.path().join("source"), 9);
    if let Ok(disk) = Tmpfs::mount("64m") {
        let lake = disk.path().join("lake");
        assert!(ingest_bad(&lake, source.path()).status.success());
        disk.remount("ro");
        let output = ingest_bad(&lake, source.path());
        failed(&output, 77, &["Read-only file system", lake.to_str().expect("UTF-8")]);
    } else {
        skip("a lake on a read-only file system", "only root can mount one");
    }

    // The lake of another user, who lets everybody read.
    let lake = dir.path().join("lake");
    assert!(ingest_bad(&lake, source.path()).status.success());
    let output = if is_root() {
        let user = match OtherUser::new() {
            Ok(user) => user,
            Err(why) => return skip("a lake of another user", why),
        };
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a mode can be set");
        let mut command = user.stellar_lake();
        command.arg("ingest").arg("--lake").arg(&lake);
        command.args(["--network", "bad", "--passphrase", PASSPHRASE, "--source"]).arg(source.path());
        run(command)
    } else {
        for path in [lake.clone(), lake.join("stellar-lake.lock")] {
            let mode = if path.is_dir() { 0o555 } else { 0o444 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode can be set");
        }
        ingest_bad(&lake, source.path())
    };
    failed(&output, 77, &["Permission denied", lake.to_str().expect("UTF-8")]);
    fs::set_permissions(&lake, fs::Permissions::from_mode(0o755)).expect("a mode can be set");
    holds(&lake, 9);
}

/// Mistake D9 of the reference.
#[test]
fn a_second_daemon_on_a_lake_is_refused_and_the_first_goes_on() {
    let network = Network::simulated("one", Density::Sparse, 3, Some(50.0));
    let mut first = Sut::new(&Settings::of([network.clone()]));
    first.start();
    let mut settings = Settings::of([network.clone()]);
    settings.lake = first.lake().display().to_string();
    let mut second = Sut::new(&settings);
    let holder = format!("process {}", first.pid());
    failed(&run(second.command()), 69, &["in use", &holder, "stop it first", &settings.lake]);
    let args = ["--network", "two", "--passphrase", "x", "--source", "simulated:sparse", "--to", "5"];
    failed(&ingest(first.lake(), args), 69, &["in use", &holder]);
    let before = first.status().network("one").last_ledger;
    first
        .wait_status("the first goes on", Duration::from_secs(30), |s| s.network("one").last_ledger > before);
    // A kill leaves no stale lock.
    first.kill();
    second.start();
    second.wait_status("the second takes over", Duration::from_secs(60), |s| {
        s.network("one").last_ledger > before
    });
    assert!(second.terminate().success());
    let (_, differences) = compare(&second.reader(), "one", &mut Model::of(&network));
    differences.assert_none("after two daemons");
}

/// Runs, kills and runs again a daemon whose lake is written as `path`; its sweep must leave every registered file.
fn lake_path(path: &str, prepare: impl FnOnce(&Path)) {
    let network = Network::simulated("one", Density::Sparse, 4, Some(100.0));
    let mut settings = Settings::of([network.clone()]).with("batch: { max_age: 100ms }");
    settings.lake = path.to_owned();
    let mut sut = Sut::new(&settings);
    prepare(sut.dir());
    for _ in 0..3 {
        sut.start();
        let first = sut.status().network("one").last_ledger.unwrap_or_default();
        sut.wait_status("it grows", Duration::from_secs(60), |s| {
            s.network("one").last_ledger > Some(first + 10)
        });
        sut.kill();
        // What a killed process leaves: an unregistered and an unfinished file of our own pattern.
        let folder = sut.lake().join("data/one/ledgers_row_v2");
        for name in [
            "0000000002-0000000009-0123456789abcdef-000001.parquet",
            "0000000002-0000000009-0123456789abcdef-000002.parquet.tmp",
        ] {
            fs::write(folder.join(name), "left over").expect("a file can be written");
        }
    }
    sut.start();
    until("the sweep removes what was left over", Duration::from_secs(60), || {
        let folder = sut.lake().join("data/one/ledgers_row_v2");
        let names = fs::read_dir(folder).expect("the folder can be listed").flatten().map(|e| e.file_name());
        let left: Vec<_> = names.filter(|name| name.to_string_lossy().contains("0123456789abcdef")).collect();
        if left.is_empty() { Until::Done(()) } else { Until::NotYet(format!("{left:?}")) }
    });
    assert!(sut.terminate().success());
    let lake = sut.reader();
    // Compares every cell, that the catalog's paths are relative, and that every file it names is there.
    let (last, differences) = compare(&lake, "one", &mut Model::of(&network));
    differences.assert_none(path);
    assert!(last > 30, "{last}");
}

#[test]
fn a_relative_lake_path_works_and_the_sweep_leaves_registered_files() {
    lake_path("some/../lake", |dir| fs::create_dir(dir.join("some")).expect("a folder can be made"));
}

#[test]
fn a_symlinked_lake_path_works_and_the_sweep_leaves_registered_files() {
    lake_path("link/lake", |dir| {
        fs::create_dir(dir.join("real")).expect("a folder can be made");
        symlink("real", dir.join("link")).expect("a link can be made");
    });
}

#[test]
fn a_socket_path_that_is_too_long_or_taken_is_refused() {
    let network = Network::simulated("one", Density::Sparse, 3, Some(50.0));
    let mut settings = Settings::of([network.clone()]);
    settings.socket = format!("{}/s", "x".repeat(100));
    let sut = Sut::new(&settings);
    fs::create_dir(sut.dir().join("x".repeat(100))).expect("a folder can be made");
    failed(&run(sut.command()), 78, &["socket path", "bytes", "choose a shorter path"]);

    let mut first = Sut::new(&Settings::of([network.clone()]));
    first.start();
    let mut settings = Settings::of([network.clone()]);
    settings.socket = first.socket().display().to_string();
    let second = Sut::new(&settings);
    failed(&run(second.command()), 69, &["another daemon answers on", &settings.socket]);
    assert!(first.ctl(["status"]).status.success(), "the first still answers");
    drop(first);

    let settings = Settings::of([network]);
    let taken = Sut::new(&settings);
    fs::write(taken.socket(), "precious").expect("a file can be written");
    failed(&run(taken.command()), 69, &["exists and is not a socket", "remove it yourself"]);
    assert_eq!(fs::read_to_string(taken.socket()).expect("the file is there"), "precious");
    fs::remove_file(taken.socket()).expect("a file can be removed");
    // A socket on which nobody answers is a left-over of a killed daemon: it is replaced.
    drop(UnixListener::bind(taken.socket()).expect("a socket can be bound"));
    let mut taken = taken;
    taken.start();
    assert!(taken.ctl(["status"]).status.success());
}

#[test]
fn a_query_that_is_not_one_select_is_refused() {
    let mut sut = Sut::new(&Settings::of([Network::simulated("one", Density::Sparse, 3, Some(50.0))]));
    sut.start();
    let read = sut.ctl(["query", "--format", "csv", "SELECT count(*) >= 0 AS ok FROM one.ledgers_row_v2"]);
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), "ok\ntrue");
    for sql in [
        "DELETE FROM one.ledgers_row_v2",
        "SELECT 1; SELECT 2",
        "CREATE TABLE x (y INT)",
        "COPY one.ledgers_row_v2 TO 'x.csv'",
        "SELECT * FROM read_text('/etc/passwd')",
        "ATTACH 'x.db'",
    ] {
        let output = sut.ctl(["query", sql]);
        assert_eq!(output.status.code(), Some(64), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let unreachable: PathBuf = sut.dir().join("nobody");
    let mut command = Bin::Lakectl.command();
    command.arg("--socket").arg(&unreachable).arg("status");
    failed(&run(command), 69, &["nobody"]);
}
