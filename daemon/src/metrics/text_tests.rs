use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{super::list::Kind, *};
use crate::{
    backfill::JobFigures,
    lake::{MaintenanceStats, Timing},
    metrics::{NetworkFigures, ProcessFigures},
    source::Traffic,
    status::{
        DaemonStatus, MaintenanceStatus, NetworkState, NetworkStatus, QueueStatus, Status, StoredCounts,
        WrittenCounts,
    },
};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn timing(milliseconds: &[u64]) -> Timing {
    let mut timing = Timing::default();
    milliseconds.iter().for_each(|millis| timing.add(Duration::from_millis(*millis)));
    timing
}

fn network() -> NetworkStatus {
    NetworkStatus {
        name: "mainnet".to_owned(),
        state: NetworkState::Following,
        first_ledger: Some(60_000_000),
        last_ledger: Some(60_000_123),
        tip: Some(60_000_125),
        written: WrittenCounts { ledgers: 100, bytes: 12_345, ..WrittenCounts::default() },
        stored: StoredCounts { ledgers: Some(120), ..StoredCounts::default() },
        gaps: 3,
        unattended_gaps: 1,
        damaged: 2,
        last_close_time: Some(at(1_700_000_000)),
        ..NetworkStatus::default()
    }
}

fn more() -> NetworkFigures {
    NetworkFigures {
        rows: BTreeMap::from([("ledgers_row_v2", 100), ("trades_row_v1", 777)]),
        traffic: Traffic { requests: 50, failures: 4, bytes: 5_000 },
        retries: 5,
        failed_checks: 1,
        jobs: JobFigures {
            jobs: [1, 2, 3, 4, 5],
            chunks_done: 6,
            chunks_planned: 9,
            workers: 2,
            ledgers: 640,
            bytes: 64_000,
            retries: 7,
            failed_checks: 10,
            traffic: Traffic { requests: 80, failures: 8, bytes: 8_000 },
        },
    }
}

/// Figures that differ from each other, so that none can stand in another's place.
pub(crate) fn figures() -> Figures {
    let odd = NetworkStatus { name: "a\"b\\c".to_owned(), ..NetworkStatus::default() };
    Figures {
        status: Status {
            daemon: DaemonStatus {
                version: "1.2.3".to_owned(),
                pid: 7,
                started_at: at(1_699_999_000),
                lake_path: "/lake".to_owned(),
                rss_bytes: 200_000_000,
            },
            networks: vec![network(), odd],
            queue: QueueStatus {
                depth: 2,
                capacity: 16,
                bytes: 2_048,
                submitted: 30,
                written: 27,
                failed: 1,
                duplicates: 4,
                ..QueueStatus::default()
            },
            maintenance: MaintenanceStatus { wal_bytes: Some(4_096), ..MaintenanceStatus::default() },
            taken_at: at(1_700_000_007),
        },
        networks: vec![more(), NetworkFigures::default()],
        wait: timing(&[1, 2, 300]),
        commit: timing(&[40, 60, 90_000]),
        maintenance: MaintenanceStats {
            runs: 11,
            failures: 12,
            merges: 13,
            merged_files: 14,
            created_files: 15,
            rewritten_bytes: 16,
            expired_snapshots: 17,
            deleted_files: 18,
            wal_checkpoints: 19,
            ..MaintenanceStats::default()
        },
        process: ProcessFigures {
            cpu: Some(Duration::from_millis(12_340)),
            open_files: Some(21),
            disk_free: Some(22_000),
            disk_size: Some(23_000),
        },
    }
}

/// Compares with the file, or writes it when UPDATE is set.
fn compare(path: &Path, text: &str) {
    if env::var_os("UPDATE").is_some() {
        fs::write(path, text).unwrap();
    }
    let golden = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(text, golden, "{}: UPDATE=1 writes it again", path.display());
}

#[test]
fn the_text_is_as_it_was() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/metrics.txt");
    compare(&golden, &expose(&figures()));
}

#[test]
fn the_manual_has_the_table_of_the_list() {
    let labels = |metric: &Metric| {
        metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ")
    };
    let row = |metric: &Metric| {
        let (name, kind, unit) = (metric.name, metric.kind.word(), metric.unit);
        format!("| `{name}` | {kind} | `{unit}` | {} | {} |\n", labels(metric), metric.help)
    };
    let table: String = LIST.iter().map(row).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/doc/metrics.md");
    let manual = fs::read_to_string(&path).unwrap();
    let head = "| metric | kind | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n";
    let (before, rest) = manual.split_once(head).unwrap();
    let written: String =
        rest.lines().take_while(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect();
    let after = rest.strip_prefix(&written).unwrap();
    compare(&path, &format!("{before}{head}{table}{after}"));
}

#[test]
fn names_tell_kind_and_unit_and_labels_are_bounded() {
    let mut names = BTreeSet::new();
    for metric in LIST {
        let Metric { name, kind, unit, labels, help, .. } = metric;
        assert!(names.insert(metric.otel_name()), "{name} is there twice");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        let base = name.trim_end_matches("_total");
        assert_eq!(*unit == "By", base.ends_with("_bytes"), "{name}");
        assert_eq!(*unit == "s", base.ends_with("_seconds"), "{name}");
        assert!(help.ends_with('.') && !help.contains('\n'), "{name}");
        for label in *labels {
            assert!(["version", "network", "state", "table", "use"].contains(label), "{name}: {label}");
        }
    }
}

#[test]
fn every_sample_has_a_value_for_each_label() {
    let figures = figures();
    for metric in LIST {
        let samples = metric.samples(&figures);
        assert!(!samples.is_empty(), "{}", metric.name);
        for sample in samples {
            assert_eq!(sample.labels.len(), metric.labels.len(), "{}", metric.name);
            let is_histogram = matches!(sample.value, Value::Times(_));
            assert_eq!(is_histogram, metric.kind == Kind::Histogram, "{}", metric.name);
        }
    }
}
