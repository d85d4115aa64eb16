//! What an operator can do to a lake: each has a clear answer, and nothing committed is lost.

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use stellar_lake::{
    class::Class,
    lake::{Lake, LakeError, LakeSettings, Lane, NetworkName},
};

use crate::support::{LEDGERS, Reader, SPECS, batch, close, network, open, write};

/// Mistake D9 of the reference.
#[test]
fn a_second_opener_is_refused_and_told_who_holds_the_lake() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    let error = Lake::open(LakeSettings::new(dir.path()), SPECS).unwrap_err();
    assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())), "{error}");
    assert_eq!(error.class(), Class::Stop);
    close(&lake);
    drop(lake);
    drop(open(dir.path()));
}

/// The same path spelled from the working directory.
fn relative(path: &Path) -> PathBuf {
    let up = std::env::current_dir().unwrap().components().count() - 1;
    let mut relative: PathBuf = std::iter::repeat_n("..", up).collect();
    relative.push(path.strip_prefix("/").unwrap());
    relative
}

#[test]
fn a_sweep_removes_orphans_and_leaves_registered_files_under_any_spelling_of_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    let link = dir.path().join("link");
    symlink(&real, &link).unwrap();
    fs::create_dir(&real).unwrap();
    let spellings = [relative(&real), link.clone(), link.join("../real"), real.clone()];
    let mut next = 2;
    for spelling in spellings {
        let lake = open(&spelling);
        lake.add_network(&network("alpha")).unwrap();
        write(&lake, batch("alpha", next, next + 3, Lane::Live)).unwrap();
        next += 4;
        let before = Reader::open(&real).content("alpha");
        // Leftovers: of an earlier run, of this run, and files that are not ours.
        let table = lake.data_path().join("alpha/ledgers_row_v2");
        let old = table.join("0000000900-0000000901-00000000000000aa-000001.parquet");
        let half = table.join("0000000900-0000000901-00000000000000aa-000001.parquet.tmp");
        let own = table.join(format!("0000000900-0000000901-{}-000099.parquet", lake.dirs().run()));
        let foreign = table.join("notes.parquet");
        for path in [&old, &half, &own, &foreign] {
            fs::write(path, b"left").unwrap();
        }
        let mut report = lake.sweep_orphans().unwrap();
        report.removed.sort();
        assert_eq!((report.removed, report.removed_bytes), (vec![old, half], 8));
        assert!(own.exists() && foreign.exists());
        fs::remove_file(own).unwrap();
        assert!(lake.check_files().unwrap().damaged.is_empty());
        assert_eq!(Reader::open(&real).content("alpha"), before);
        close(&lake);
    }
}

#[test]
fn a_lake_can_be_moved_while_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let lake = open(&old);
    lake.add_network(&network("alpha")).unwrap();
    write(&lake, batch("alpha", 2, 5, Lane::Live)).unwrap();
    close(&lake);
    drop(lake);
    fs::rename(&old, &new).unwrap();
    let lake = open(&new);
    lake.add_network(&network("alpha")).unwrap();
    write(&lake, batch("alpha", 6, 9, Lane::Live)).unwrap();
    assert!(lake.check_files().unwrap().damaged.is_empty());
    assert!(lake.sweep_orphans().unwrap().removed.is_empty());
    assert_eq!(lake.coverage(&network("alpha").name).unwrap().to_string(), "2..9");
}

#[test]
fn another_passphrase_and_unknown_tables_are_refused() {
    static OTHER: &[&lake_core::schema::TableSpec] = &[&LEDGERS];
    let dir = tempfile::tempdir().unwrap();
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    let mut wrong = network("alpha");
    wrong.passphrase = "another".to_owned();
    let error = lake.add_network(&wrong).unwrap_err();
    assert!(
        error.to_string().contains("holds it with passphrase \"alpha ; test\", not \"another\""),
        "{error}"
    );
    close(&lake);
    drop(lake);
    let lake = Lake::open(LakeSettings::new(dir.path()), OTHER).unwrap();
    let error = lake.add_network(&network("alpha")).unwrap_err();
    assert!(matches!(error, LakeError::UnknownFingerprint { .. }), "{error}");
    assert_eq!(error.class(), Class::Stop);
}

#[test]
fn names_that_cannot_be_a_schema_are_refused() {
    for name in ["", "Main", "1net", "a-b", "main", "a\"b", "_x", "ä"] {
        assert!(NetworkName::new(name).is_err(), "{name}");
    }
    NetworkName::new("core_137_x").unwrap();
}

#[test]
fn missing_parts_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let mut settings = LakeSettings::new(dir.path());
    settings.extension_dir = Some(empty.path().to_path_buf());
    let error = Lake::open(settings, SPECS).unwrap_err().to_string();
    assert!(error.contains("no ducklake.duckdb_extension in") && error.contains("make deps"), "{error}");
    let mut settings = LakeSettings::new(dir.path());
    settings.keeper_program = Some(empty.path().join("keeper"));
    let error = Lake::open(settings, SPECS).unwrap_err().to_string();
    assert!(error.contains("keeper: cannot be started"), "{error}");
}

/// A tmpfs of its own, unmounted at the end; `None` where that is not allowed.
struct Mount(PathBuf);

impl Mount {
    fn new(at: &Path, options: &str) -> Option<Self> {
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).status();
        if status.is_ok_and(|s| s.success()) {
            return Some(Self(at.to_path_buf()));
        }
        eprintln!("SKIPPED: no tmpfs can be mounted here (needs root)");
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(status.is_ok_and(|s| s.success()), "{} stays mounted", self.0.display());
    }
}

#[test]
fn a_read_only_lake_path_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::new(dir.path(), "size=1m,ro") else { return };
    for path in [dir.path().to_path_buf(), dir.path().join("lake")] {
        let error = Lake::open(LakeSettings::new(path), SPECS).unwrap_err();
        assert!(error.to_string().contains("read-only file system"), "{error}");
        assert_eq!(error.class(), Class::Stop);
    }
}

#[test]
fn a_full_disk_loses_nothing_committed_and_writing_goes_on_when_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::new(dir.path(), "size=8m") else { return };
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    write(&lake, batch("alpha", 2, 400, Lane::Live)).unwrap();
    let mut ballast = fs::File::create(dir.path().join("ballast")).unwrap();
    while ballast.write_all(&[7; 4096]).is_ok() {}
    let coverage = || lake.coverage(&network("alpha").name).unwrap().to_string();
    // A little more space each time: the disk is full for the encoder, then for the catalog, then not.
    let mut refused = 0;
    loop {
        match write(&lake, batch("alpha", 401, 800, Lane::Live)) {
            Ok(_) => break,
            Err(error) => {
                assert!(matches!(error, LakeError::DiskFull { .. }), "{error}");
                assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
                assert_eq!(error.class(), Class::Retry);
            }
        }
        refused += 1;
        assert_eq!(coverage(), "2..400");
        assert!(lake.check_files().unwrap().damaged.is_empty());
        let length = ballast.metadata().unwrap().len();
        ballast.set_len(length.checked_sub(16 * 1024).expect("there is space for a small batch")).unwrap();
    }
    assert!(refused > 3, "{refused}");
    ballast.set_len(0).unwrap();
    let stored = 800;
    write(&lake, batch("alpha", stored + 1, stored + 10, Lane::Live)).unwrap();
    let stored = stored + 10;
    close(&lake);
    drop(lake);
    let lake = open(dir.path());
    lake.add_network(&network("alpha")).unwrap();
    assert_eq!(lake.coverage(&network("alpha").name).unwrap().to_string(), format!("2..{stored}"));
    assert!(lake.check_files().unwrap().damaged.is_empty());
    let reader = Reader::open(dir.path());
    assert_eq!(reader.number("SELECT count(*) FROM alpha.ledgers_row_v2"), i64::from(stored) - 1);
    assert_eq!(
        reader.number("SELECT count(DISTINCT transaction_hash) FROM alpha.transactions_row_v2"),
        (i64::from(stored) - 1) * 3
    );
}
