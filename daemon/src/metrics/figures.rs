//! What the metrics are made from: the status and what it does not show.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use crate::{
    backfill::JobFigures,
    lake::{MaintenanceStats, Timing},
    source::Traffic,
    status::Status,
};

/// The figures of one moment.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What `lakectl status` shows.
    pub status: Status,
    /// More about each network of the status, in the same order.
    pub networks: Vec<NetworkFigures>,
    /// Time that batches waited in the queue.
    pub wait: Timing,
    /// Time that commits took.
    pub commit: Timing,
    /// What maintenance did.
    pub maintenance: MaintenanceStats,
    /// The process.
    pub process: ProcessFigures,
}

/// More about a network than the status says. Counts since the start of the process.
#[derive(Clone, Debug, Default)]
pub struct NetworkFigures {
    /// Rows that live ledgers brought, by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// What its source was asked for.
    pub traffic: Traffic,
    /// Times that it was tried again after an error.
    pub retries: u64,
    /// Ledgers that failed a check.
    pub failed_checks: u64,
    /// Its backfill jobs.
    pub jobs: JobFigures,
}

/// What the kernel says of the process; `None` where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessFigures {
    /// CPU time of all threads.
    pub cpu: Option<Duration>,
    /// Files that are open.
    pub open_files: Option<u64>,
    /// Bytes that the file system of the lake has for us.
    pub disk_free: Option<u64>,
    /// Bytes of that file system.
    pub disk_size: Option<u64>,
}

impl ProcessFigures {
    /// Of this process, with its lake at `lake`.
    pub fn read(lake: &Path) -> Self {
        let disk = nix::sys::statvfs::statvfs(lake).ok();
        let bytes = |blocks: u64, size: u64| blocks.saturating_mul(size);
        Self {
            cpu: fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(cpu),
            open_files: fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
            disk_free: disk.map(|disk| bytes(disk.blocks_available(), disk.fragment_size())),
            disk_size: disk.map(|disk| bytes(disk.blocks(), disk.fragment_size())),
        }
    }
}

/// Ticks of a second in /proc, whatever the kernel works with (proc(5): `sysconf(_SC_CLK_TCK)`, 100 on Linux).
const TICKS: u64 = 100;

/// User and system time, the fields 14 and 15 of /proc/self/stat. The name, in brackets, may hold spaces.
fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system).saturating_mul(1000 / TICKS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_process_is_read_from_the_kernel() {
        let stat = "7 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 9 9 20 0 1";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu("7 (a"), None);
        let figures = ProcessFigures::read(Path::new("/"));
        assert!(figures.cpu.is_some() && figures.open_files > Some(2));
        assert!(figures.disk_size >= figures.disk_free && figures.disk_size > Some(0));
        assert_eq!(ProcessFigures::read(Path::new("/no/such/folder")).disk_size, None);
    }
}
