//! The real ledgers that some suites read, and how a suite says that it could not run.

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
};

/// Folder of the shared ledgers (`LAKE_SHARED`, else beside the project); `None` when it is not there.
pub fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = env::var_os("LAKE_SHARED").map_or(beside, PathBuf::from);
    folder.join("ledgers").is_dir().then_some(folder)
}

/// Says past the test harness's capture that something was not tested, and why.
pub fn skip(what: &str, why: &str) {
    // A closed stderr is no reason to fail a test.
    writeln!(std::io::stderr(), "\n*** SKIPPED: {what}: {why}\n").ok();
}
