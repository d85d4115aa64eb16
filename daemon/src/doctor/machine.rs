//! Permissions, disk, limits and extensions.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use bytesize::ByteSize;
use nix::{
    sys::statvfs::statvfs,
    unistd::{AccessFlags, Uid, access},
};

use super::Finding;
use crate::{config::Settings, lake::extension_files, limits::Limits};

/// Free bytes below which the daemon stops soon, and below which somebody should look.
const SPACE: (u64, u64) = (1 << 30, 10 << 30);
/// The same of files, for each of which the disk keeps an inode.
const FILES: (u64, u64) = (10_000, 100_000);
/// Open files that a daemon with jobs wants.
const OPEN_FILES: u64 = 4096;

pub(super) fn examine(files: &[PathBuf], settings: &Settings, limits: Limits) -> Vec<Finding> {
    let mut findings = permissions(files, &settings.lake.path);
    findings.push(disk(&settings.lake.path));
    findings.extend(limited(settings, limits));
    findings.push(match extension_files(settings.lake.extension_dir.as_deref()) {
        Ok(found) => {
            let folder = found.first().and_then(|file| file.parent()).unwrap_or(Path::new("")).display();
            Finding::fine("extensions", format!("ducklake and sqlite_scanner are in {folder}"))
        }
        Err(error) => Finding::error(
            "extensions",
            error.to_string(),
            "install them beside libduckdb.so, or name their folder in lake.extension_dir",
        ),
    });
    findings
}

/// The folder itself, or the nearest one above it that is there.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

fn permissions(files: &[PathBuf], lake: &Path) -> Vec<Finding> {
    let user = Uid::effective();
    let (folder, mut findings) = (existing(lake), Vec::new());
    let all = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    if let Err(error) = access(folder, all) {
        findings.push(Finding::error(
            "permissions",
            format!("uid {user} cannot write to {}: {error}", folder.display()),
            "run this as the daemon's user; give it the folder (chown), and under systemd ReadWritePaths=",
        ));
    }
    let open =
        |path: &&Path| fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o1002 == 0o002);
    for path in files.iter().map(PathBuf::as_path).chain([lake]).filter(open) {
        let path = path.display();
        findings.push(Finding::error(
            "permissions",
            format!("every user of this machine may change {path}"),
            format!("chmod o-w {path}"),
        ));
    }
    if findings.is_empty() {
        let what = if folder == lake { "may write to" } else { "may make the lake below" };
        findings.push(Finding::fine("permissions", format!("uid {user} {what} {}", folder.display())));
    }
    findings
}

fn disk(lake: &Path) -> Finding {
    let folder = existing(lake);
    let place = folder.display();
    let stat = match statvfs(folder) {
        Ok(stat) => stat,
        Err(error) => {
            return Finding::error(
                "disk",
                format!("the disk of {place} does not answer: {error}"),
                "check the disk",
            );
        }
    };
    let free = stat.blocks_available() * stat.fragment_size();
    // Some file systems do not count files.
    let files = if stat.files() == 0 { u64::MAX } else { stat.files_available() };
    let message = match files {
        u64::MAX => format!("{} are free below {place}", ByteSize(free)),
        _ => format!("{} and {files} files are free below {place}", ByteSize(free)),
    };
    let todo = "make room or grow the disk: when it is full, networks wait and try again";
    if free < SPACE.0 || files < FILES.0 {
        Finding::error("disk", message, todo)
    } else if free < SPACE.1 || files < FILES.1 {
        Finding::warning("disk", message, todo)
    } else {
        Finding::fine("disk", message)
    }
}

fn limited(settings: &Settings, limits: Limits) -> Vec<Finding> {
    let mut findings = Vec::new();
    if limits.open_files.is_some_and(|files| files < OPEN_FILES) {
        findings.push(Finding::warning(
            "limits",
            format!(
                "only {} files may be open: fewer chunks of a backfill at a time",
                limits.open_files.unwrap_or(0)
            ),
            "raise it: LimitNOFILE=524288 in the unit, or ulimit -n",
        ));
    }
    // What would be logged at a start is told here instead.
    let quiet = tracing::subscriber::NoSubscriber::default();
    let memory = Limits { open_files: None, ..limits };
    let fitted = tracing::subscriber::with_default(quiet, || memory.fit(settings.clone()));
    if fitted.memory_bytes < settings.memory_bytes || fitted.query.memory_bytes < settings.query.memory_bytes
    {
        findings.push(Finding::warning(
            "limits",
            format!("the memory limit of {} is lower than the settings want: bounds shrink", ByteSize(limits.memory.unwrap_or(0))),
            "raise MemoryHigh= and MemoryMax= of the unit, or lower pipeline.memory, backfill.memory and query.memory_limit",
        ));
    }
    if findings.is_empty() {
        let memory = limits
            .memory
            .map_or("no memory limit".to_owned(), |bytes| format!("{} of memory", ByteSize(bytes)));
        let files = limits.open_files.map_or("unlimited".to_owned(), |files| files.to_string());
        findings.push(Finding::fine("limits", format!("{memory}, {files} open files")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Layers, doctor::Severity};

    fn settings() -> Settings {
        Settings::from_layers(&Layers::load(None).unwrap()).unwrap()
    }

    fn severities(findings: &[Finding]) -> Vec<Severity> {
        findings.iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn low_limits_are_told() {
        let of = |memory, open_files| severities(&limited(&settings(), Limits { memory, open_files }));
        assert_eq!(of(None, Some(524_288)), [Severity::Fine]);
        assert_eq!(of(None, Some(1024)), [Severity::Warning]);
        assert_eq!(of(Some(1 << 30), Some(1024)), [Severity::Warning, Severity::Warning]);
    }

    #[test]
    fn what_every_user_may_change_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.yaml");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let files = [file.clone()];
        assert_eq!(severities(&permissions(&files, dir.path())), [Severity::Fine]);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        let findings = permissions(&files, dir.path());
        assert_eq!(severities(&findings), [Severity::Error]);
        assert_eq!(findings[0].what_to_do, format!("chmod o-w {}", file.display()));
    }
}
