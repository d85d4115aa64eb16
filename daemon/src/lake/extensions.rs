//! Finds DuckDB's extension files. Every instance of a process loads them from the same path: two copies of
//! SQLite in one process would break its locks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::error::LakeError;

/// The extensions a lake with a SQLite catalog needs, in the order of loading.
const FILES: [&str; 2] = ["ducklake.duckdb_extension", "sqlite_scanner.duckdb_extension"];

/// Full paths of the extensions to `LOAD`, in this order.
///
/// # Errors
/// [`LakeError::ExtensionMissing`].
pub fn extension_files(dir: Option<&Path>) -> Result<Vec<PathBuf>, LakeError> {
    let candidates = match dir {
        Some(dir) => vec![dir.to_path_buf()],
        None => beside_library(),
    };
    let found = candidates.iter().find(|dir| FILES.iter().all(|f| dir.join(f).is_file()));
    if let Some(dir) = found {
        return Ok(FILES.iter().map(|f| dir.join(f)).collect());
    }
    let dir = candidates.into_iter().next().unwrap_or_else(|| PathBuf::from("the folder of libduckdb.so"));
    let file = FILES.into_iter().find(|f| !dir.join(f).is_file()).unwrap_or("ducklake.duckdb_extension");
    Err(LakeError::ExtensionMissing { file, dir })
}

/// The folder of the `libduckdb.so` that is mapped into this process, and the one above it.
fn beside_library() -> Vec<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let library = maps
        .lines()
        .filter_map(|line| line.find('/').and_then(|at| line.get(at..)))
        .map(Path::new)
        .find(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("libduckdb.so")));
    let Some(folder) = library.and_then(Path::parent) else { return Vec::new() };
    std::iter::once(folder).chain(folder.parent()).map(Path::to_path_buf).collect()
}
