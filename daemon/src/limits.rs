//! What the kernel allows this process, whatever the settings say: read at the start, logged, and respected by working with
//! less. A service that is killed for memory helps nobody.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytesize::ByteSize;

use crate::{config::Settings, event};

/// Bytes that a process takes beside its bounds: DuckDB, threads, allocators. See "Measured" in ARCHITECTURE.md.
const BASE: u64 = 640 << 20;
/// Open files beside those of chunks: catalog, sources, queries, connections.
const BASE_FILES: u64 = 512;
/// Open files of a chunk in work: one for each table, and some for its source.
const CHUNK_FILES: u64 = 64;
/// `backfill.memory` that one more chunk at work takes.
const CHUNK_MEMORY: u64 = 256 << 20;
/// Least bounds that the settings allow: pipeline, backfill, query.
const LEAST: [u64; 3] = [16 << 20, 64 << 20, 32 << 20];

/// The limits; `None` where there is none, or none can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory of the process and its children, of the cgroup and those around it.
    pub memory: Option<u64>,
    /// Open files.
    pub open_files: Option<u64>,
}

impl Limits {
    /// Reads the limits of this process.
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            memory: memory(&text("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")),
            open_files: open_files(&text("/proc/self/limits")),
        }
    }

    /// Logs the limits and lowers the bounds of the settings that do not fit into them.
    pub fn fit(self, mut settings: Settings) -> Settings {
        tracing::info!(
            memory = self.memory.map(|bytes| ByteSize(bytes).to_string()),
            open_files = self.open_files,
            "limits"
        );
        self.fit_memory(&mut settings);
        self.fit_files(&mut settings);
        settings
    }

    fn fit_memory(self, settings: &mut Settings) {
        let Some(limit) = self.memory else { return };
        let (pipeline, backfill) = (settings.memory_bytes, settings.backfill.memory_bytes);
        let query = settings.query.memory_bytes;
        let wants = (BASE + pipeline).max(backfill) + query;
        // A fifth is for files in the page cache, which count as well.
        let usable = limit / 5 * 4;
        if wants <= usable {
            return;
        }
        tracing::warn!(
            target: event::LIMIT_LOW,
            limit = "memory",
            has = %ByteSize(limit),
            wants = %ByteSize(wants),
            "the memory limit is lower than the settings want: working with less"
        );
        // In thousandths: the bounds are far below 2^54 bytes.
        let part = usable.saturating_mul(1000) / wants.max(1);
        let [least_pipeline, least_backfill, least_query] = LEAST;
        settings.memory_bytes = (pipeline / 1000 * part).max(least_pipeline);
        settings.backfill.memory_bytes = (backfill / 1000 * part).max(least_backfill);
        settings.query.memory_bytes = (query / 1000 * part).max(least_query);
    }

    fn fit_files(self, settings: &mut Settings) {
        let Some(limit) = self.open_files else { return };
        let chunks = limit.saturating_sub(BASE_FILES) / CHUNK_FILES;
        let wants = BASE_FILES + settings.backfill.memory_bytes / CHUNK_MEMORY * CHUNK_FILES;
        if wants <= limit {
            return;
        }
        tracing::warn!(
            target: event::LIMIT_LOW,
            limit = "open files",
            has = limit,
            wants,
            "the limit of open files is lower than the settings want: fewer chunks at a time"
        );
        settings.backfill.memory_bytes = (chunks.max(1) * CHUNK_MEMORY).min(settings.backfill.memory_bytes);
    }
}

/// The lowest limit of the cgroup and those around it; `groups` is /proc/self/cgroup.
fn memory(groups: &str, root: &Path) -> Option<u64> {
    let of_line = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (base, files): (PathBuf, &[&str]) = match controllers {
            "" => (root.to_owned(), &["memory.max", "memory.high"]),
            "memory" => (root.join("memory"), &["memory.limit_in_bytes"]),
            _ => return None,
        };
        let group = base.join(path.trim_start_matches('/'));
        let around = group.ancestors().take_while(|folder| folder.starts_with(&base));
        let limits = around.flat_map(|folder| files.iter().map(move |file| folder.join(file)));
        // `max` is no number; the old interface has a huge one.
        let limits = limits.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
        limits.filter(|bytes| *bytes < 1 << 50).min()
    };
    groups.lines().filter_map(of_line).min()
}

/// The soft limit; `limits` is /proc/self/limits.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    const GIB: u64 = 1 << 30;

    fn settings() -> Settings {
        Settings::from_layers(&Layers::load(None).unwrap()).unwrap()
    }

    #[test]
    fn the_lowest_limit_of_the_groups_around_counts() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("system.slice/stellar-lake.service");
        fs::create_dir_all(&group).unwrap();
        let groups = "0::/system.slice/stellar-lake.service\n";
        assert_eq!(memory(groups, root.path()), None);
        fs::write(group.join("memory.max"), "max\n").unwrap();
        assert_eq!(memory(groups, root.path()), None);
        fs::write(group.join("memory.max"), "4294967296\n").unwrap();
        assert_eq!(memory(groups, root.path()), Some(4 * GIB));
        fs::write(group.join("memory.high"), "3221225472\n").unwrap();
        assert_eq!(memory(groups, root.path()), Some(3 * GIB));
        fs::write(group.parent().unwrap().join("memory.max"), "1073741824\n").unwrap();
        assert_eq!(memory(groups, root.path()), Some(GIB));
        let old = root.path().join("memory/system.slice");
        fs::create_dir_all(&old).unwrap();
        fs::write(old.join("memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
        assert_eq!(memory("5:memory:/system.slice\n", root.path()), None);
        fs::write(old.join("memory.limit_in_bytes"), "2147483648\n").unwrap();
        assert_eq!(memory("9:cpu:/x\n5:memory:/system.slice\n", root.path()), Some(2 * GIB));
    }

    #[test]
    fn the_soft_limit_of_open_files_is_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max open files            1024                 524288               files     \n";
        assert_eq!(open_files(text), Some(1024));
        assert_eq!(
            open_files("Max open files            unlimited            unlimited            files"),
            None
        );
        assert!(Limits::read().open_files.is_some());
    }

    #[test]
    fn bounds_that_fit_stay_and_others_shrink_in_proportion() {
        let before = settings();
        let bounds = |s: &Settings| [s.memory_bytes, s.backfill.memory_bytes, s.query.memory_bytes];
        let fitted = |memory, open_files| bounds(&Limits { memory, open_files }.fit(settings()));
        assert_eq!(fitted(None, None), bounds(&before));
        assert_eq!(fitted(Some(4 * GIB), Some(524_288)), bounds(&before));
        // 1 GiB and 256 MiB are wanted, 820 MiB are usable.
        let [pipeline, backfill, query] = fitted(Some(GIB), None);
        assert!(pipeline < before.memory_bytes && pipeline > before.memory_bytes / 2, "{pipeline}");
        assert!(backfill + query <= GIB / 5 * 4 && backfill > GIB / 2, "{backfill} {query}");
        assert_eq!(fitted(Some(1 << 20), None), LEAST);
        // 512 files, and two chunks.
        assert_eq!(
            fitted(None, Some(640)),
            [before.memory_bytes, 2 * CHUNK_MEMORY, before.query.memory_bytes]
        );
        assert_eq!(fitted(None, Some(64)), [before.memory_bytes, CHUNK_MEMORY, before.query.memory_bytes]);
    }
}
