//! Figures, not promises: `cargo test --release -p stellar-lake --test lake measure -- --ignored --nocapture`.

use std::{fs, time::Instant};

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use std::sync::Arc;
use stellar_lake::lake::{LakeSettings, Lane};

use crate::support::{EMPTY, batch, close, network, open_with, write};

/// Resident memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// CPU time of the committer thread so far, in milliseconds.
fn committer_cpu_ms() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|e| e.unwrap().path());
    let stat = |p: std::path::PathBuf| fs::read_to_string(p.join("stat")).unwrap_or_default();
    let stat = tasks.map(stat).find(|s| s.contains("(lake-committer)")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // utime and stime, in ticks of 10 ms.
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
}

#[test]
#[ignore = "takes a minute and prints figures"]
fn measure_500_commits_of_four_files_and_their_merge() {
    let dir = tempfile::tempdir().unwrap();
    let lake = open_with(LakeSettings::new(dir.path()));
    lake.add_network(&network("alpha")).unwrap();
    let encoder = lake.encoder();
    for block in 0..5_u32 {
        let (cpu, before) = (committer_cpu_ms(), lake.queue().stats());
        let started = Instant::now();
        for seq in block * 100 + 2..block * 100 + 102 {
            let mut one = batch("alpha", seq, seq, Lane::Live);
            let column: ArrayRef = Arc::new(Int64Array::from(vec![i64::from(seq)]));
            one.tables[2].1 = RecordBatch::try_new(EMPTY.arrow_schema(), vec![column]).unwrap();
            write(&lake, one).unwrap();
        }
        let after = lake.queue().stats();
        println!(
            "commits {}..{}: {:?} per commit in the committer, {} ms CPU, {:?} with encoding; resident {} MiB",
            block * 100,
            block * 100 + 100,
            (after.write.total - before.write.total) / 100,
            (committer_cpu_ms() - cpu) / 100,
            started.elapsed() / 100,
            resident_kib() / 1024
        );
    }
    let cpu = committer_cpu_ms();
    let report = lake.merge(&|| false).unwrap();
    println!("{report:?}, committer {} ms CPU", committer_cpu_ms() - cpu);
    let started = Instant::now();
    lake.expire_and_clean(&|| false).unwrap();
    println!("expire and clean (nothing due): {:?}", started.elapsed());
    let started = Instant::now();
    encoder.encode(batch("alpha", 5_000, 5_000, Lane::Live)).unwrap();
    println!(
        "encoding one small batch of three files: {:?}; resident {} MiB",
        started.elapsed(),
        resident_kib() / 1024
    );
    let wal = fs::metadata(dir.path().join("catalog.sqlite-wal")).unwrap().len();
    let catalog = fs::metadata(dir.path().join("catalog.sqlite")).unwrap().len();
    println!("catalog {} KiB, wal {} KiB", catalog / 1024, wal / 1024);
    close(&lake);
}
