//! Running a program as a user who owns nothing: only root can, so suites ask first.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::bins::{Bin, extension_dir};

/// The user and group `nobody` by number.
const NOBODY: u32 = 65_534;

/// Whether this process may do everything.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Copies of the programs and libraries where any user may run them.
#[derive(Debug)]
pub struct OtherUser {
    dir: tempfile::TempDir,
}

impl OtherUser {
    /// Copies what is needed. `None`, with the reason, when this process cannot become another user.
    ///
    /// # Panics
    /// When files cannot be copied.
    pub fn new() -> Result<Self, &'static str> {
        if !is_root() {
            return Err("only root can become another user");
        }
        let able = become_nobody(OsStr::new("true")).status().is_ok_and(|status| status.success());
        if !able {
            return Err("setpriv (util-linux) is missing or not allowed here");
        }
        let dir =
            tempfile::Builder::new().prefix("sl-user-").tempdir().expect("a temporary folder can be made");
        mode(dir.path(), 0o755);
        let copy = |from: &Path| {
            let to = dir.path().join(from.file_name().expect("programs have names"));
            fs::copy(from, &to).unwrap_or_else(|error| panic!("copy {}: {error}", from.display()));
            mode(&to, 0o755);
        };
        for bin in [Bin::StellarLake, Bin::Keeper] {
            copy(&bin.path());
        }
        for file in ["libduckdb.so", "ducklake.duckdb_extension", "sqlite_scanner.duckdb_extension"] {
            copy(&extension_dir().join(file));
        }
        Ok(Self { dir })
    }

    /// Folder of the copies: programs, library and extensions.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A command that runs a program as that user.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = become_nobody(program.as_ref());
        command.env("LD_LIBRARY_PATH", self.dir()).env("HOME", "/nonexistent").current_dir("/");
        command
    }

    /// A command that runs the copied daemon as that user.
    pub fn stellar_lake(&self) -> Command {
        let path: PathBuf = self.dir().join("stellar-lake");
        self.command(path)
    }

    /// Gives a file or folder to that user.
    ///
    /// # Panics
    /// When it cannot be given.
    pub fn give(&self, path: &Path) {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("root may change owners");
    }
}

fn become_nobody(program: &OsStr) -> Command {
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={NOBODY}")).arg(format!("--regid={NOBODY}")).arg("--clear-groups").arg("--");
    command.arg(program);
    command
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode of an own file can be set");
}
