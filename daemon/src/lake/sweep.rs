//! After a crash: finds files that no catalog row names, and rows whose file is missing or damaged.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use super::{
    batch::NetworkName,
    damage::{Damage, Proven},
    dirs::FileName,
    error::LakeError,
    inventory::RegisteredFile,
    open::Lake,
};

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Files of our naming that were looked at.
    pub seen: u64,
    /// Files that were deleted.
    pub removed: Vec<PathBuf>,
    /// Their bytes.
    pub removed_bytes: u64,
}

/// What the check of all registered files found.
#[derive(Clone, Debug, Default)]
pub struct FileCheck {
    /// Live files.
    pub live: u64,
    /// Their bytes.
    pub bytes: u64,
    /// One [`LakeError::DamagedFile`] per file that is missing or has another size.
    pub damaged: Vec<LakeError>,
}

impl Lake {
    /// Deletes the leftovers of earlier runs: files of our naming that the catalog does not know. Never a file of
    /// this run, never one that is registered or kept for an older snapshot, never a foreign one. Blocks on disk.
    ///
    /// # Errors
    /// What the catalog or the disk says; nothing is deleted when the catalog cannot be read.
    pub fn sweep_orphans(&self) -> Result<SweepReport, LakeError> {
        let mut found = Vec::new();
        let mut report = SweepReport::default();
        // Files first, catalog second: what is registered in between is known then.
        for schema in children(&self.dirs().data())? {
            for table in children(&schema)? {
                for path in children(&table)? {
                    let name = path.file_name().and_then(|n| n.to_str()).and_then(FileName::parse);
                    let Some(name) = name else { continue };
                    report.seen = report.seen.saturating_add(1);
                    if name.run != self.dirs().run() {
                        found.push(path);
                    }
                }
            }
        }
        if found.is_empty() {
            return Ok(report);
        }
        let mut known = HashSet::new();
        self.each_page(|files| {
            known.extend(files.into_iter().map(|file| file.path));
            Ok(())
        })?;
        // Last: what left the catalog while the pages were read is there.
        known.extend(self.ask(|committer| committer.catalog.leaving_paths())?);
        for path in found.into_iter().filter(|p| !known.contains(p)) {
            let bytes = fs::metadata(&path).map_or(0, |m| m.len());
            fs::remove_file(&path).map_err(|e| LakeError::io("delete leftover", &path, e))?;
            report.removed_bytes = report.removed_bytes.saturating_add(bytes);
            report.removed.push(path);
        }
        Ok(report)
    }

    /// Checks that every live file exists and has its size: a count is answered from the catalog and would not
    /// notice. What it finds is noted as damage, to be stored anew. Blocks on disk.
    ///
    /// # Errors
    /// What the catalog says, or the disk when the damage is noted.
    pub fn check_files(&self) -> Result<FileCheck, LakeError> {
        let mut check = FileCheck::default();
        self.each_page(|files| {
            files.into_iter().filter(|file| file.live).try_for_each(|file| self.check_file(file, &mut check))
        })?;
        Ok(check)
    }

    fn check_file(&self, file: RegisteredFile, check: &mut FileCheck) -> Result<(), LakeError> {
        check.live = check.live.saturating_add(1);
        check.bytes = check.bytes.saturating_add(file.bytes);
        let problem = match fs::metadata(&file.path) {
            Ok(found) if found.len() == file.bytes => return Ok(()),
            Ok(found) => format!("has {} bytes instead of {}", found.len(), file.bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => "is missing".to_owned(),
            Err(e) => format!("cannot be read ({e})"),
        };
        let known = NetworkName::new(&file.schema).ok().filter(|name| self.watermark(name).is_ok());
        if let Some((network, range)) = known.zip(file.named_range()) {
            let damage = Damage::new(range, &file.table, Some(&file.path), problem.as_str());
            self.note_damage(&network, Proven::Nothing, vec![damage])?;
        }
        check.damaged.push(LakeError::DamagedFile { path: file.path, problem });
        Ok(())
    }

    /// All files of the catalog, page by page: batches are committed in between.
    fn each_page(
        &self,
        mut page: impl FnMut(Vec<RegisteredFile>) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let mut next = Some(0);
        while let Some(id) = next {
            let (files, following) = self.ask(move |committer| committer.catalog.file_page(id))?;
            page(files)?;
            next = following;
        }
        Ok(())
    }
}

/// Removes records of jobs and of damage that a killed process had not given their name yet. Nobody may write there.
pub(crate) fn remove_unfinished(jobs: &Path) -> Result<(), LakeError> {
    if !jobs.exists() {
        return Ok(());
    }
    for path in children(jobs)? {
        // As `tempfile` names them.
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".tmp")) {
            fs::remove_file(&path).map_err(|e| LakeError::io("delete leftover", &path, e))?;
        }
    }
    Ok(())
}

/// Entries of a directory; none when `dir` is no directory.
fn children(dir: &Path) -> Result<Vec<PathBuf>, LakeError> {
    let failed = |e| LakeError::io("list directory", dir, e);
    if !fs::symlink_metadata(dir).map_err(failed)?.is_dir() {
        return Ok(Vec::new());
    }
    fs::read_dir(dir).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_records_go_and_all_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        remove_unfinished(&dir.path().join("jobs")).unwrap();
        let (_, killed) = tempfile::NamedTempFile::new_in(dir.path()).unwrap().keep().unwrap();
        let others = ["1.json", "damage-alpha.json", "notes"].map(|name| dir.path().join(name));
        others.iter().for_each(|path| fs::write(path, "{}").unwrap());
        remove_unfinished(dir.path()).unwrap();
        assert!(!killed.exists());
        assert!(others.iter().all(|path| path.is_file()));
    }
}
