//! A small file system of its own, which can be full, grow, and become read-only.

use std::{path::Path, process::Command};

use crate::user::is_root;

/// A tmpfs; unmounted and removed when dropped.
#[derive(Debug)]
pub struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// Mounts one of this size, such as `40m`.
    ///
    /// # Errors
    /// Why it cannot be mounted here.
    ///
    /// # Panics
    /// When no folder can be made.
    pub fn mount(size: &str) -> Result<Self, String> {
        if !is_root() {
            return Err("only root can mount a small file system".to_owned());
        }
        let dir = tempfile::Builder::new().prefix("sl-").tempdir().expect("a temporary folder can be made");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(dir.path());
        match command.output() {
            Ok(output) if output.status.success() => Ok(Self(dir)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Shows it at another place too, for as long as the file system of that place is mounted.
    ///
    /// # Panics
    /// When that is refused.
    pub fn bind(&self, place: &Path) {
        let status = Command::new("mount").arg("--bind").arg(self.path()).arg(place).status();
        assert!(status.is_ok_and(|status| status.success()), "bind to {}", place.display());
    }

    /// Mounts it again with another option, such as `ro` or `size=80m`.
    ///
    /// # Panics
    /// When that is refused.
    pub fn remount(&self, option: &str) {
        let mut command = Command::new("mount");
        let status = command.args(["-o", &format!("remount,{option}")]).arg(self.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "remount {option}");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // A keeper may still hold its catalog: lazily is soon enough.
        drop(Command::new("umount").arg("--lazy").arg(self.path()).status());
    }
}
