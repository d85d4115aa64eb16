//! What is known to be wrong with stored ledgers: found by a check, kept beside the jobs, gone when it was stored anew.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use lake_core::{LedgerRange, LedgerSeq};
use serde::{Deserialize, Serialize};

use super::{batch::NetworkName, coverage::RangeSet, error::LakeError};

/// Something wrong with stored ledgers that storing them anew mends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// First ledger.
    pub first: u32,
    /// Last ledger, inclusive.
    pub last: u32,
    /// Table at fault.
    pub table: String,
    /// File at fault; `None` where it is not one.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub problem: String,
    /// Whether only a comparison with the source can find it.
    #[serde(default)]
    pub by_source: bool,
    /// When it was found, seconds since the Unix epoch.
    pub found_at: i64,
}

/// Which ledgers are known to be as they should be, but for what is noted of them now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proven {
    /// None.
    Nothing,
    /// These, as far as the lake itself can tell.
    Stored(LedgerRange),
    /// These: stored anew, or compared with the source.
    Whole(LedgerRange),
}

impl Damage {
    /// Damage found now.
    pub fn new(range: LedgerRange, table: &str, file: Option<&Path>, problem: impl Into<String>) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            first: range.start().get(),
            last: range.end().get(),
            table: table.to_owned(),
            file: file.map(Path::to_path_buf),
            problem: problem.into(),
            by_source: false,
            found_at: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        }
    }

    /// The ledgers; `None` when the file says that they end before they begin.
    pub fn range(&self) -> Option<LedgerRange> {
        LedgerRange::new(LedgerSeq::new(self.first), LedgerSeq::new(self.last))
    }

    /// What is left of it without the ledgers of `range`.
    fn without(&self, range: LedgerRange) -> Vec<Self> {
        let left: RangeSet = self.range().into_iter().collect();
        let cut =
            |left: LedgerRange| Self { first: left.start().get(), last: left.end().get(), ..self.clone() };
        left.without(range).ranges().map(cut).collect()
    }
}

/// The known damage of all networks, one file each.
#[derive(Debug)]
pub(crate) struct DamageLog {
    dir: PathBuf,
    known: Mutex<BTreeMap<NetworkName, Vec<Damage>>>,
}

impl DamageLog {
    /// Damage as the records in `dir` tell it.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, known: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NetworkName, Vec<Damage>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, network: &NetworkName) -> PathBuf {
        self.dir.join(format!("damage-{network}.json"))
    }

    /// Reads what earlier processes found.
    pub(crate) fn load(&self, network: &NetworkName) -> Result<(), LakeError> {
        let path = self.path(network);
        let read = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let known = read.map_err(|error| LakeError::io("read", path, error))?;
        self.lock().insert(network.clone(), known);
        Ok(())
    }

    /// Forgets a network that is not there any more.
    pub(crate) fn forget(&self, network: &NetworkName) -> Result<(), LakeError> {
        self.lock().remove(network);
        let path = self.path(network);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(LakeError::io("remove", path, error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// All that is known of a network.
    pub(crate) fn of(&self, network: &NetworkName) -> Vec<Damage> {
        self.lock().get(network).cloned().unwrap_or_default()
    }

    /// Ledgers that are known to be damaged.
    pub(crate) fn ranges(&self, network: &NetworkName) -> RangeSet {
        self.lock().get(network).into_iter().flatten().filter_map(Damage::range).collect()
    }

    /// Forgets what was known of proven ledgers, then notes what is known now. Durable when it returns.
    pub(crate) fn replace(
        &self,
        network: &NetworkName,
        proven: Proven,
        found: Vec<Damage>,
    ) -> Result<(), LakeError> {
        let mut known = self.lock();
        let known = known.entry(network.clone()).or_default();
        let keep = |damage: &Damage| match proven {
            Proven::Stored(range) if !damage.by_source => damage.without(range),
            Proven::Whole(range) => damage.without(range),
            Proven::Nothing | Proven::Stored(_) => vec![damage.clone()],
        };
        let mut now: Vec<Damage> = known.iter().flat_map(keep).collect();
        let is_known = |new: &Damage, old: &Damage| Damage { found_at: old.found_at, ..new.clone() } == *old;
        for damage in found {
            if !now.iter().any(|old| is_known(&damage, old)) {
                now.push(damage);
            }
        }
        now.sort_by(|a, b| (a.first, a.last, &a.table, &a.file).cmp(&(b.first, b.last, &b.table, &b.file)));
        if now == *known {
            return Ok(());
        }
        self.save(network, &now)?;
        *known = now;
        Ok(())
    }

    fn save(&self, network: &NetworkName, known: &[Damage]) -> Result<(), LakeError> {
        let path = self.path(network);
        let write = || {
            fs::create_dir_all(&self.dir)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            file.write_all(&serde_json::to_vec_pretty(known)?)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            fs::File::open(&self.dir)?.sync_all()
        };
        write().map_err(|error| LakeError::io("write", &path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u32, end: u32) -> LedgerRange {
        LedgerRange::new(LedgerSeq::new(start), LedgerSeq::new(end)).unwrap()
    }

    #[test]
    fn damage_outlives_the_process_and_goes_with_the_ledgers_that_were_stored_anew() {
        let dir = tempfile::tempdir().unwrap();
        let network = NetworkName::new("alpha").unwrap();
        let log = DamageLog::new(dir.path().join("jobs"));
        log.load(&network).unwrap();
        assert!(log.of(&network).is_empty());
        let file = Damage::new(range(2, 100), "t", Some(Path::new("/x.parquet")), "is missing");
        let rows = Damage::new(range(50, 60), "u", None, "rows are missing");
        log.replace(&network, Proven::Nothing, vec![file.clone(), rows]).unwrap();
        // Found again: known already.
        log.replace(&network, Proven::Nothing, vec![Damage { found_at: 1, ..file }]).unwrap();

        let later = DamageLog::new(dir.path().join("jobs"));
        later.load(&network).unwrap();
        assert_eq!(later.of(&network), log.of(&network));
        assert_eq!(later.of(&network).len(), 2);
        later.replace(&network, Proven::Stored(range(40, 100)), Vec::new()).unwrap();
        assert_eq!(later.ranges(&network).to_string(), "2..39");
        // What only the source can tell is not disproven without it.
        let cells = Damage { by_source: true, ..Damage::new(range(7, 7), "t", None, "another cell") };
        later.replace(&network, Proven::Stored(range(1, 39)), vec![cells]).unwrap();
        later.replace(&network, Proven::Stored(range(1, 39)), Vec::new()).unwrap();
        assert_eq!(later.ranges(&network).to_string(), "7..7");
        later.replace(&network, Proven::Whole(range(1, 39)), Vec::new()).unwrap();
        log.load(&network).unwrap();
        assert!(log.of(&network).is_empty());
    }
}
