//! Other things that happen to a daemon: its keeper dies, a job's file is spoiled, a folder cannot be written any more.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use lake_testkit::{OtherUser, Settings, Until, is_root, skip, text_of, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::support::{LIMIT, bad, directory, ends_well, folder, good, good_goes_on, holds, started};

#[test]
fn a_keeper_that_is_killed_is_started_again() {
    let mut sut = started([good()]);
    let first = sut.children();
    let [keeper] = first.as_slice() else { panic!("one keeper: {first:?}") };
    kill(Pid::from_raw(i32::try_from(*keeper).expect("it fits")), Signal::SIGKILL).expect("it can be killed");
    until("another keeper runs", Duration::from_secs(30), || match sut.children().as_slice() {
        [other] if other != keeper => Until::Done(()),
        others => Until::NotYet(format!("{others:?}")),
    });
    good_goes_on(&mut sut);
    assert!(sut.terminate().success());
}

#[test]
fn a_spoiled_file_of_a_job_is_named_and_the_other_jobs_go_on() {
    let dir = folder();
    let source = directory(dir.path(), 60);
    let mut sut = started([bad(source.path()).history_only(), good()]);
    sut.backfill("start --network bad --from 2 --to 20 --force");
    sut.wait_job(1, "it is finished", |job| job.state == "finished");
    assert!(sut.terminate().success());
    let file = sut.lake().join("jobs/1.json");
    fs::write(&file, "{ \"id\": 1, \"netw").expect("a file can be written");
    sut.start();
    let name = file.display().to_string();
    assert!(sut.log().contains(&name), "the log names it: {}", sut.log());
    let shown = sut.ctl(["backfill", "show", "1"]);
    assert!(!shown.status.success() && text_of(&shown).contains(&name), "{}", text_of(&shown));
    let job = sut.backfill("start --network bad --from 2 --to 60 --force");
    assert_eq!(job.id, 2, "its number is not used again");
    sut.wait_job(2, "it is finished", |job| job.state == "finished" && job.ledgers_stored == 59);
    ends_well(sut, 60);
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode can be set");
}

#[test]
fn a_folder_that_cannot_be_written_any_more_stops_its_network_and_no_other() {
    let user = match is_root().then(OtherUser::new).transpose() {
        Ok(user) => user,
        Err(why) => return skip("a folder without permission", why),
    };
    let dir = folder();
    let source = directory(dir.path(), 400);
    let held = source.packed(30);
    fs::remove_file(source.object(30)).expect("the object is there");
    mode(dir.path(), 0o755);
    let settings = Settings::of([bad(source.path()).history_only(), good()]);
    let mut sut = lake_testkit::Sut::new(&settings.with("batch: { max_age: 200ms }"));
    let command = match &user {
        Some(user) => {
            user.give(sut.dir());
            let mut command = user.stellar_lake();
            command.arg("--config").arg(sut.config());
            command
        }
        None => sut.command(),
    };
    sut.spawn_as(command);
    sut.wait_status("it runs", LIMIT, |s| s.network("good").last_ledger.is_some());
    let job = sut.backfill("start --network bad --from 2 --to 20 --force");
    sut.wait_job(job.id, "it is finished", |job| job.state == "finished");
    let table = sut.lake().join("data/bad/ledgers_row_v2");
    mode(&table, 0o555);
    source.put_packed(30, &held);
    let job = sut.backfill("start --network bad --from 21 --to 400 --force");
    let job = sut.wait_job(job.id, "it stops", |job| job.state == "stopped");
    let path = table.display().to_string();
    assert!(job.reason.contains("Permission denied") && job.reason.contains(&path), "{job:#?}");
    good_goes_on(&mut sut);
    mode(&table, 0o755);
    sut.backfill(&format!("resume {}", job.id));
    sut.wait_job(job.id, "it is finished", |job| job.state == "finished");
    assert!(sut.terminate().success());
    holds(&sut.reader(), 400);
}
