//! Objects that are not what they should be.

use std::{fs, path::Path};

use lake_core::{LedgerSeq, RawLedger};
use lake_testkit::{Sep54, text_of};

use crate::support::{
    LIMIT, PASSPHRASE, bad, directory, ends_well, folder, good, good_goes_on, ledgers, started, unhealthy,
};

const OTHER: &str = "Another network ; tests";

/// Turns a bit over.
fn flipped(mut bytes: Vec<u8>, place: usize) -> Vec<u8> {
    *bytes.get_mut(place).expect("it is longer") ^= 0x10;
    bytes
}

/// A byte of the header in the batch of one ledger. What a ledger's metadata say of its effects is under no hash.
const IN_HEADER: usize = 120;

/// Spoils objects in every way, each of one ledger: the ledger, and words of the reason.
fn spoil(source: &Sep54) -> Vec<(u32, &'static str)> {
    let ours = ledgers(PASSPHRASE, 360);
    let ours = |seq: u32| ours.iter().find(|l| l.seq == LedgerSeq::new(seq)).expect("it was made").clone();
    fs::remove_file(source.object(50)).expect("the object is there");
    let whole = source.packed(100);
    source.put_packed(100, whole.get(..whole.len() - 7).expect("it is longer"));
    source.put_packed(120, &[]);
    source.put_packed(150, &flipped(source.packed(150), source.packed(150).len() / 2));
    // Whole zstd, whole XDR: only a hash tells.
    source.put(200, &flipped(Sep54::batch(&ours(200)), IN_HEADER));
    source.put(300, &Sep54::batch_of(300, 301, &[ours(300), ours(301)]));
    source.put(320, &Sep54::batch_of(320, 320, &[]));
    source.put(340, &Sep54::batch(&ours(341)));
    vec![
        (50, "missing"),
        (100, "not whole zstd data"),
        (120, "--120.xdr.zst"),
        (150, "not whole zstd data"),
        (200, "header hashes to"),
        (300, "holds ledger 301"),
        (320, "--320.xdr.zst"),
        (340, "holds ledger 341"),
    ]
}

#[test]
fn every_damaged_object_is_parked_with_its_evidence_and_taken_in_when_it_is_mended() {
    let dir = folder();
    let source = directory(dir.path(), 400);
    let whole = |seq: u32| source.packed(seq);
    let before: Vec<(u32, Vec<u8>)> =
        [50, 100, 120, 150, 200, 300, 320, 340].map(|seq| (seq, whole(seq))).to_vec();
    let spoiled = spoil(&source);
    let mut sut = started([bad(dir.path()).history_only(), good()]);
    let job = sut.backfill("start --network bad --from 2 --to 400 --workers 2 --force");
    let job = sut.wait_job(job.id, "the rest is stored", |job| job.state == "finished");
    assert!(job.history.iter().any(|event| event.what == "finished with 8 chunks parked"), "{job:#?}");
    assert_eq!((job.ledgers_stored, job.ledgers_parked), (391, 8), "{job:#?}");
    let gaps = sut.ctl(["gaps"]);
    assert_eq!(gaps.status.code(), Some(1));
    for (seq, words) in spoiled {
        let parked = job.parked.iter().find(|parked| (parked.first, parked.last) == (seq, seq));
        let parked = parked.unwrap_or_else(|| panic!("ledger {seq} is parked alone: {job:#?}"));
        assert!(parked.reason.contains(words), "{parked:?}");
        assert!(text_of(&gaps).contains(&parked.reason), "{}", text_of(&gaps));
        assert_eq!(Path::new(&parked.evidence).is_file(), seq != 50, "{parked:?}");
        if seq == 100 {
            assert_eq!(fs::read(&parked.evidence).expect("the evidence is kept"), source.packed(100));
        }
    }
    unhealthy(&sut, "missing");
    good_goes_on(&mut sut);

    for (seq, packed) in before {
        source.put_packed(seq, &packed);
    }
    sut.backfill(&format!("resume {}", job.id));
    let job = sut.wait_job(job.id, "all is stored", |job| job.state == "finished");
    assert_eq!((job.ledgers_stored, job.parked.len()), (399, 0), "{job:#?}");
    assert!(sut.ctl(["gaps"]).status.success());
    ends_well(sut, 400);
}

/// A ledger of another network that has no transaction proves nothing: it must not come in with its neighbours.
#[test]
fn ledgers_of_another_network_never_come_in() {
    let dir = folder();
    let used = dir.path().join("used");
    let others = ledgers(OTHER, 300);
    // A directory that says whose it is, one that lies, and the right one with a ledger that is another network's.
    let honest = Sep54::create(&dir.path().join("honest"), OTHER);
    let lying = Sep54::create(&dir.path().join("lying"), PASSPHRASE);
    for ledger in &others {
        honest.add(ledger);
        lying.add(ledger);
    }
    let last = 2_601;
    let source = directory(&dir.path().join("right"), last);
    let (at, right) = (300, source.packed(300));
    let other = others.iter().find(|l| l.seq == LedgerSeq::new(at)).expect("it was made");
    source.put(at, &Sep54::batch(other));
    let put = |from: &Path| {
        if used.exists() {
            fs::remove_dir_all(&used).expect("a folder can be removed");
        }
        fs::rename(from, &used).expect("a folder can be renamed");
    };

    put(honest.path());
    let mut sut = started([bad(&used).history_only(), good()]);
    let refused = sut.ctl("backfill start --network bad --from 2 --to 300".split(' '));
    let said = text_of(&refused);
    assert!(!refused.status.success() && said.contains(".config.json") && said.contains(OTHER), "{said}");
    let job = sut.backfill("start --network bad --from 2 --to 300 --force");
    let job = sut.wait_job(job.id, "it stops", |job| job.state == "stopped");
    assert!(job.reason.contains("correct the passphrase or the path"), "{job:#?}");
    put(lying.path());
    sut.backfill(&format!("resume {}", job.id));
    let job = sut.wait_job(job.id, "nothing is stored", |job| job.state == "finished");
    assert_eq!((job.ledgers_stored, job.ledgers_parked), (0, 299), "{job:#?}");
    assert!(job.parked.iter().all(|parked| parked.reason.contains("passphrase looks wrong")), "{job:#?}");

    put(source.path());
    let job = sut.backfill(&format!("start --network bad --from 2 --to {last} --workers 2 --force"));
    let job = sut.wait_job(job.id, "one chunk is parked", |job| job.state == "finished");
    assert_eq!(job.parked.len(), 1, "{job:#?}");
    assert!(job.parked.iter().all(|parked| (parked.first..=parked.last).contains(&at)), "{job:#?}");
    assert!(job.ledgers_stored > 1_200, "the other chunks are stored: {job:#?}");
    good_goes_on(&mut sut);
    Sep54::create(&used, PASSPHRASE).put_packed(at, &right);
    sut.backfill(&format!("resume {}", job.id));
    let job = sut.wait_job(job.id, "all is stored", |job| job.state == "finished");
    assert_eq!((job.ledgers_stored, job.parked.len()), (u64::from(last) - 1, 0), "{job:#?}");
    ends_well(sut, last);
}

/// Objects of many ledgers: too few, too many, another one's. Each is one thing that is wrong.
#[test]
fn an_object_of_many_ledgers_is_parked_as_one() {
    let dir = folder();
    let source = Sep54::of_many(dir.path(), PASSPHRASE, 8);
    let all = ledgers(PASSPHRASE, 407);
    let of = |first: u32, last: u32| -> Vec<RawLedger> {
        all.iter().filter(|l| (first..=last).contains(&l.seq.get())).cloned().collect()
    };
    source.put(2, &Sep54::batch_of(2, 7, &of(2, 7)));
    (8..=400)
        .step_by(8)
        .for_each(|first| source.put(first, &Sep54::batch_of(first, first + 7, &of(first, first + 7))));
    let spoiled = [
        (80, Sep54::batch_of(80, 87, &of(80, 86)), "holds ledger 81 where ledger 80 should stand"),
        (160, Sep54::batch_of(160, 168, &of(160, 168)), "holds ledger 168"),
        (240, Sep54::batch_of(248, 255, &of(248, 255)), "holds ledger 248"),
        (320, Sep54::batch_of(321, 327, &of(321, 327)), "320"),
    ];
    let before: Vec<_> = spoiled.iter().map(|(first, ..)| (*first, source.packed(*first))).collect();
    spoiled.iter().for_each(|(first, xdr, _)| source.put(*first, xdr));
    let mut sut = started([bad(dir.path()).history_only(), good()]);
    let job = sut.backfill("start --network bad --from 2 --to 407 --workers 2 --force");
    let job = sut.wait_job(job.id, "the rest is stored", |job| job.state == "finished");
    assert_eq!((job.parked.len(), job.ledgers_parked), (4, 32), "{job:#?}");
    for (first, _, words) in spoiled {
        let parked = job.parked.iter().find(|parked| (parked.first, parked.last) == (first, first + 7));
        let parked = parked.unwrap_or_else(|| panic!("{first} is parked: {job:#?}"));
        assert!(parked.reason.contains(words) && Path::new(&parked.evidence).is_file(), "{parked:?}");
    }
    good_goes_on(&mut sut);
    before.into_iter().for_each(|(first, packed)| source.put_packed(first, &packed));
    sut.backfill(&format!("resume {}", job.id));
    sut.wait_job(job.id, "all is stored", |job| job.state == "finished" && job.ledgers_stored == 406);
    ends_well(sut, 407);
}

#[test]
fn a_followed_network_waits_for_a_missing_object_and_goes_on_after_a_damaged_one_when_started_again() {
    let dir = folder();
    let source = directory(dir.path(), 60);
    let (missing, damaged) = (source.packed(20), source.packed(40));
    fs::remove_file(source.object(20)).expect("the object is there");
    source.put_packed(40, &flipped(damaged.clone(), damaged.len() / 2));
    let mut sut = started([bad(dir.path()), good()]);
    let status = sut.wait_status("it waits", LIMIT, |s| s.network("bad").state == "retrying");
    assert_eq!(status.network("bad").last_ledger, Some(19));
    unhealthy(&sut, "ledger 20 is missing");
    good_goes_on(&mut sut);

    source.put_packed(20, &missing);
    let status = sut.wait_status("it stops", LIMIT, |s| s.network("bad").state == "stopped");
    assert_eq!(status.network("bad").last_ledger, Some(39));
    unhealthy(&sut, "--40.xdr.zst");
    unhealthy(&sut, "quarantine/bad/40.");
    good_goes_on(&mut sut);

    source.put_packed(40, &damaged);
    assert!(sut.terminate().success());
    sut.start();
    sut.wait_status("all is stored", LIMIT, |s| s.network("bad").last_ledger == Some(60));
    ends_well(sut, 60);
}
