//! A disk that is full: for the files, and for the catalog alone.

use std::{fs, path::Path, time::Duration};

use lake_testkit::{Sep54, Settings, Sut, Tmpfs, skip, text_of};

use crate::support::{HANGING, LAST, LIMIT, bad, directory, ends_well, folder, good, pipe};

/// A daemon whose job has stored its first chunk and cannot end the second one before a pipe is filled.
fn halfway(lake: &Path, source: &Sep54) -> Sut {
    let history = bad(source.path()).history_only().timeout(Duration::from_secs(1));
    let settings = Settings::of([history, good()]);
    let mut settings = settings.with("batch: { max_age: 200ms }\nmaintenance: { enabled: false }");
    settings.lake = lake.display().to_string();
    let mut sut = Sut::new(&settings);
    sut.start();
    sut.backfill(&format!("start --network bad --from 2 --to {LAST} --workers 2 --force"));
    sut.wait_job(1, "the first chunk is stored", |job| job.ledgers_stored > 0);
    sut.wait_status("live runs", LIMIT, |s| s.network("good").last_ledger.is_some());
    sut
}

/// Fills all that is left of a disk.
fn fill(disk: &Path) {
    use std::io::Write;
    let mut filler = fs::File::create(disk.join("filler")).expect("a file can be made");
    for size in [1 << 20, 4096] {
        while filler.write_all(&vec![1; size]).is_ok() {}
    }
}

/// All files of the lake's tables.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.flat_map(|e| if e.path().is_dir() { files(&e.path()) } else { vec![e.path()] }).collect()
}

/// Both networks are whole, verified, and no file lies about that the catalog does not know.
fn whole(mut sut: Sut) {
    let job = sut.wait_job(1, "the job ends", |job| job.state == "finished");
    assert_eq!((job.ledgers_stored, job.ledgers_parked), (u64::from(LAST) - 1, 0), "{job:#?}");
    let before = sut.status().network("good").last_ledger;
    sut.wait_status("live goes on", LIMIT, |s| s.network("good").last_ledger > before.map(|l| l + 3));
    for network in ["bad", "good"] {
        let verified = sut.ctl(["verify", "--network", network]);
        assert!(verified.status.success(), "{}", text_of(&verified));
    }
    let data = sut.lake().join("data");
    assert!(sut.terminate().success(), "{}", sut.log());
    let lake = sut.reader();
    let known: Vec<_> = ["bad", "good", "main"]
        .iter()
        .flat_map(|network| lake.live_files(network).expect("the catalog lists the files"))
        .map(|(path, _)| path)
        .collect();
    let stray: Vec<_> = files(&data).into_iter().filter(|file| !known.contains(file)).collect();
    assert!(stray.is_empty(), "left behind: {stray:?}");
    sut.start();
    ends_well(sut, LAST);
}

#[test]
fn a_job_and_a_followed_network_wait_for_room_and_end_complete() {
    let disk = match Tmpfs::mount("64m") {
        Ok(disk) => disk,
        Err(why) => return skip("a full disk", &why),
    };
    let dir = folder();
    let source = directory(dir.path(), LAST);
    let packed = pipe(&source, HANGING);
    let lake = disk.path().join("lake");
    let mut sut = halfway(&lake, &source);
    fill(disk.path());
    source.put_packed(HANGING, &packed);
    let stuck = sut.wait_job(1, "the job says why it waits", |job| {
        job.active.iter().any(|chunk| chunk.retrying.contains("no space left for"))
    });
    assert_eq!((stuck.state.as_str(), stuck.ledgers_parked), ("running", 0), "{stuck:#?}");
    let status = sut.wait_status("live says so too", LIMIT, |s| s.network("good").state == "retrying");
    let reason = status.network("good").state_reason.clone().unwrap_or_default();
    assert!(reason.contains("no space left for") && reason.contains(&lake.display().to_string()), "{reason}");
    assert_eq!(sut.ctl(["health", "good"]).status.code(), Some(1));
    let query = sut.ctl(["query", "SELECT count(*) FROM bad.ledgers_row_v2"]);
    assert!(query.status.success(), "what is stored can be read: {}", text_of(&query));
    let refused = sut.ctl(["backfill", "start", "--network", "good", "--from", "2", "--to", "3", "--force"]);
    assert!(!refused.status.success(), "{}", text_of(&refused));
    assert_eq!(sut.backfill("show 1").ledgers_stored, stuck.ledgers_stored, "what is stored stays");

    disk.remount("size=1g");
    whole(sut);
}

#[test]
fn a_catalog_that_cannot_grow_loses_no_commit() {
    let (disk, data) = match (Tmpfs::mount("16m"), Tmpfs::mount("1g")) {
        (Ok(disk), Ok(data)) => (disk, data),
        (Err(why), _) | (_, Err(why)) => return skip("a catalog on a full disk", &why),
    };
    let dir = folder();
    let source = directory(dir.path(), LAST);
    let packed = pipe(&source, HANGING);
    // The files have a disk of their own.
    let lake = disk.path().join("lake");
    fs::create_dir_all(lake.join("data")).expect("a folder can be made");
    data.bind(&lake.join("data"));
    let mut sut = halfway(&lake, &source);
    fill(disk.path());
    source.put_packed(HANGING, &packed);
    let status = sut.wait_status("live says what is up", LIMIT, |s| s.network("good").state == "retrying");
    let reason = status.network("good").state_reason.clone().unwrap_or_default();
    assert!(reason.contains("no space left for") && reason.contains("catalog.sqlite"), "{reason}");
    assert_eq!(sut.ctl(["health", "good"]).status.code(), Some(1));
    sut.wait_job(1, "the job says why it waits", |job| {
        job.active.iter().any(|chunk| chunk.retrying.contains("no space left for"))
    });
    fs::remove_file(disk.path().join("filler")).expect("the filler can be removed");
    whole(sut);
}
