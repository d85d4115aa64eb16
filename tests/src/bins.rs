//! Where the programs under test and DuckDB's extensions are.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// A program of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bin {
    /// The daemon and its one-shot command.
    StellarLake,
    /// The daemon's control client.
    Lakectl,
    /// The daemon's child that keeps the catalog open.
    Keeper,
    /// The reader of this crate.
    Reader,
}

impl Bin {
    const fn name(self) -> &'static str {
        match self {
            Self::StellarLake => "stellar-lake",
            Self::Lakectl => "lakectl",
            Self::Keeper => "stellar-lake-keeper",
            Self::Reader => "lake-reader",
        }
    }

    /// The program's file: in `STELLAR_LAKE_BIN_DIR`, else where cargo puts programs, seen from its tests.
    ///
    /// # Panics
    /// When it is not built.
    pub fn path(self) -> PathBuf {
        let folder = env::var_os("STELLAR_LAKE_BIN_DIR").map_or_else(profile_dir, PathBuf::from);
        let path = folder.join(self.name());
        assert!(
            path.is_file(),
            "{} is not built: run `make build`, or set STELLAR_LAKE_BIN_DIR to the folder of the programs",
            path.display()
        );
        path
    }

    /// A command that runs it, with nothing of this process's environment that would change what it does.
    pub fn command(self) -> Command {
        let mut command = Command::new(self.path());
        let names = [
            "NOTIFY_SOCKET",
            "WATCHDOG_USEC",
            "WATCHDOG_PID",
            "JOURNAL_STREAM",
            "LISTEN_FDS",
            "LISTEN_PID",
            "LISTEN_FDNAMES",
            "LAKECTL_SOCKET",
            "RUST_LOG",
            "STELLAR_LAKE_FAIL_POINT",
        ];
        for name in names {
            command.env_remove(name);
        }
        command
    }
}

/// `target/<profile>`, two above the test's own file in `target/<profile>/deps`.
fn profile_dir() -> PathBuf {
    let own = env::current_exe().expect("a running program has a file");
    let folder = own.parent().unwrap_or(Path::new("."));
    if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder }.to_owned()
}

/// Folder of `libduckdb.so` and the extensions, as `make deps` fetched them.
///
/// # Panics
/// When they are not there.
pub fn extension_dir() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/duckdb");
    let dir = env::var_os("DUCKDB_LIB_DIR").map_or(own, PathBuf::from);
    let found = dir.join("ducklake.duckdb_extension");
    assert!(found.is_file(), "{} is missing: run `make deps`", found.display());
    dir.canonicalize().expect("the folder was just looked into")
}
