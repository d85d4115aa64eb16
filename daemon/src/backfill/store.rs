//! Where jobs survive: one JSON file per job in the lake's folder, replaced whole.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::job::Record;
use crate::fail_point::Point;

/// The files of the jobs. Nothing in them says what is stored: that is the lake's coverage alone.
#[derive(Clone, Debug)]
pub(super) struct JobStore {
    dir: PathBuf,
}

/// A file of a job that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {error}; the other jobs are not affected", path.display())]
pub struct StoreError {
    action: &'static str,
    path: PathBuf,
    error: io::Error,
}

impl JobStore {
    pub(super) fn new(lake: &Path) -> Self {
        Self { dir: lake.join("jobs") }
    }

    fn path(&self, id: u32) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    /// Makes a record durable: after this returns it survives a crash.
    pub(super) fn save(&self, record: &Record) -> Result<(), StoreError> {
        let path = self.path(record.id);
        let fail = |action| {
            let path = path.clone();
            move |error| StoreError { action, path, error }
        };
        if !self.dir.is_dir() {
            fs::create_dir_all(&self.dir).map_err(fail("make the folder of"))?;
            let lake = self.dir.parent().unwrap_or(&self.dir);
            fs::File::open(lake)
                .and_then(|dir| dir.sync_all())
                .map_err(fail("sync the lake's folder for"))?;
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.dir).map_err(fail("write"))?;
        let text = serde_json::to_vec_pretty(record).map_err(|error| fail("write")(error.into()))?;
        file.write_all(&text).map_err(fail("write"))?;
        file.as_file().sync_all().map_err(fail("sync"))?;
        Point::JobBeforeRename.pass();
        file.persist(&path).map_err(|error| fail("replace")(error.error))?;
        fs::File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(fail("sync the folder of"))
    }

    /// Highest number that any file of a job has, also one that cannot be read.
    pub(super) fn highest(&self) -> u32 {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let stems = entries.filter_map(|entry| entry.path().file_stem()?.to_str()?.parse().ok());
        stems.max().unwrap_or(0)
    }

    /// All records that can be read, ascending by id, and what is wrong with the others.
    pub(super) fn load(&self) -> (Vec<Record>, Vec<StoreError>) {
        let (mut records, mut errors) = (Vec::<Record>::new(), Vec::new());
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (records, errors),
            Err(error) => {
                errors.push(StoreError { action: "list", path: self.dir.clone(), error });
                return (records, errors);
            }
        };
        for entry in entries {
            let read = entry.map_err(|error| (self.dir.clone(), error)).and_then(|entry| {
                let path = entry.path();
                // Other files lie beside those of the jobs.
                let is_job = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u32>().ok()).is_some();
                if !is_job || path.extension().is_none_or(|extension| extension != "json") {
                    return Ok(None);
                }
                let text = fs::read(&path).map_err(|error| (path.clone(), error))?;
                serde_json::from_slice(&text).map(Some).map_err(|error| (path, error.into()))
            });
            match read {
                Ok(record) => records.extend(record),
                Err((path, error)) => errors.push(StoreError { action: "read", path, error }),
            }
        }
        records.sort_by_key(|record| record.id);
        (records, errors)
    }
}
