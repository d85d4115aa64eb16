//! Proving what is stored: coverage, headers, links, counts, and the bytes of every file; on request also every row
//! against the source, and the headers against a history archive.
//!
//! Reads Parquet files one after the other, beside a daemon that goes on: the committer is asked for lists only. What is
//! found is noted as damage, range by range, and `repair` stores it anew.

mod archive;
mod columns;
mod headers;
mod rows;
mod source;
mod unit;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::{Duration, Instant},
};

use lake_core::{LedgerRange, LedgerSeq};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    lake::{Damage, Held, LakeError, Proven},
    pipeline::{NetworkTask, Shared},
};
use archive::Archive;
use headers::Link;
use unit::Unit;

/// Events that wait for a slow listener.
const WAITING: usize = 64;

/// Tries of a range whose files others replaced meanwhile.
const TRIES: u32 = 3;

/// Time between two reports of progress.
const REPORT: Duration = Duration::from_millis(500);

/// What is to be proven.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Network.
    pub network: String,
    /// First ledger; the first stored one unless set.
    pub from: Option<u32>,
    /// Last ledger; the last stored one unless set.
    pub to: Option<u32>,
    /// Whether every row is made again from the source and compared.
    pub against_source: bool,
    /// Folder or http(s) address of a history archive whose headers are compared.
    pub archive: Option<String>,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ledgers that are not stored.
    Gap,
    /// A file that is not what was written.
    File,
    /// Lineage that is missing or makes no sense.
    Lineage,
    /// A header that is not what its hash says, or does not link.
    Header,
    /// Rows that are missing or too many.
    Rows,
    /// Rows that the source's ledgers do not make, or a source that cannot be read.
    Source,
    /// A header that the history archive has otherwise, or an archive that cannot be read.
    Archive,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// Ledgers.
    pub range: LedgerRange,
    /// Table.
    pub table: String,
    /// File, where it is one.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub problem: String,
    /// Whether storing the ledgers anew mends it.
    pub heals: bool,
}

/// What was looked at so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Ledgers that were asked for.
    pub wanted: u64,
    /// Those of them that were looked at, missing ones included.
    pub ledgers: u64,
    /// Files whose bytes were hashed.
    pub files: u64,
    /// Those of them that no lineage row tells a hash of: a merge that was cut off.
    pub unhashed: u64,
    /// Bytes hashed.
    pub bytes: u64,
    /// Rows counted.
    pub rows: u64,
    /// Headers whose hash was made again.
    pub headers: u64,
    /// Rows compared with those made from the source.
    pub compared: u64,
    /// Headers compared with the history archive.
    pub anchored: u64,
    /// Findings.
    pub findings: u64,
    /// Time since the start.
    pub took: Duration,
}

/// What a run tells.
#[derive(Clone, Debug)]
pub enum Event {
    /// Where it is.
    Progress(Tally),
    /// What it found.
    Finding(Finding),
    /// The end.
    Summary(Tally),
}

/// Why nothing can be proven.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No such network is configured.
    #[error("network {name} is not configured: configured are {known}")]
    UnknownNetwork {
        /// The name.
        name: String,
        /// The configured ones.
        known: String,
    },
    /// No ledgers to look at.
    #[error("network {network} has no ledgers {what}: nothing to prove")]
    Nothing {
        /// Network.
        network: String,
        /// Which were asked for.
        what: String,
    },
    /// There is no such history archive.
    #[error(
        "history archive {place}: {reason}: name the folder or the address that holds `.well-known` and `ledger`"
    )]
    Archive {
        /// Folder or address.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The run ended early.
    #[error("the check ended early: {0}")]
    Ended(String),
}

/// Proves stored ledgers.
#[derive(Debug)]
pub struct Verifier {
    shared: Shared,
    networks: RwLock<Vec<NetworkTask>>,
}

impl Verifier {
    /// For these networks, with the sources that history is read from.
    pub fn new(shared: Shared, networks: Vec<NetworkTask>) -> Self {
        Self { shared, networks: RwLock::new(networks) }
    }

    fn networks(&self) -> RwLockReadGuard<'_, Vec<NetworkTask>> {
        self.networks.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks another network from now on.
    pub fn add_network(&self, network: NetworkTask) {
        self.networks.write().unwrap_or_else(PoisonError::into_inner).push(network);
    }

    /// Checks a network no more.
    pub fn remove_network(&self, name: &str) {
        let mut networks = self.networks.write().unwrap_or_else(PoisonError::into_inner);
        networks.retain(|task| task.name.as_str() != name);
    }

    /// Starts a run. It ends when all was looked at, the receiver is dropped, or the daemon stops.
    ///
    /// # Errors
    /// [`VerifyError`]; later ones come with the events.
    pub async fn start(
        &self,
        options: Options,
    ) -> Result<mpsc::Receiver<Result<Event, VerifyError>>, VerifyError> {
        let task = self.task(&options.network)?;
        let archive = match options.archive.clone() {
            Some(place) => {
                let network = task.network.clone();
                let open = tokio::task::spawn_blocking(move || Archive::open(&place, &network));
                Some(open.await.map_err(|error| VerifyError::Ended(error.to_string()))??)
            }
            None => None,
        };
        self.shared.lake.refresh(&task.name).await?;
        let range = self.range(&task, &options)?;
        let (events, receiver) = mpsc::channel(WAITING);
        let stop = self.shared.cancel.clone();
        let (shared, tally) = (self.shared.clone(), Tally::default());
        let run = Run { shared, task, options, archive, range, stop, tally };
        tokio::task::spawn_blocking(move || {
            let told = events.clone();
            if let Err(error) = run.run(&events) {
                // Who does not listen any more does not want to know.
                drop(told.blocking_send(Err(error)));
            }
        });
        Ok(receiver)
    }

    fn task(&self, name: &str) -> Result<NetworkTask, VerifyError> {
        let networks = self.networks();
        networks.iter().find(|task| task.name.as_str() == name).cloned().ok_or_else(|| {
            let known: Vec<&str> = networks.iter().map(|task| task.name.as_str()).collect();
            VerifyError::UnknownNetwork { name: name.to_owned(), known: known.join(", ") }
        })
    }

    /// The ledgers to look at.
    fn range(&self, task: &NetworkTask, options: &Options) -> Result<LedgerRange, VerifyError> {
        let mark = self.shared.lake.watermark(&task.name)?.borrow().clone();
        let ends = [&mark.coverage, &mark.leftovers].map(|set| set.first().zip(set.last()));
        let all = ends.into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let what = || match (options.from, options.to) {
            (None, None) => "at all".to_owned(),
            (from, to) => {
                let end = |end: Option<u32>| end.map(|end| end.to_string()).unwrap_or_default();
                format!("in {}..{}", end(from), end(to))
            }
        };
        all.and_then(|(first, last)| {
            let from = options.from.map_or(first, LedgerSeq::new);
            // Ledgers that are still to come are no gap.
            LedgerRange::new(from.max(first), options.to.map_or(last, LedgerSeq::new).min(last))
        })
        .ok_or_else(|| VerifyError::Nothing { network: task.name.to_string(), what: what() })
    }
}

/// One run.
struct Run {
    shared: Shared,
    task: NetworkTask,
    options: Options,
    archive: Option<Archive>,
    range: LedgerRange,
    stop: CancellationToken,
    tally: Tally,
}

/// Where a run tells what it sees.
type Events = mpsc::Sender<Result<Event, VerifyError>>;

impl Run {
    fn run(mut self, events: &Events) -> Result<(), VerifyError> {
        let begun = Instant::now();
        self.tally.wanted = self.range.count();
        let mut held = self.shared.lake.held(&self.task.name)?;
        let mut before: Option<Link> = None;
        let mut reported = Instant::now();
        for range in self.range.within_ranges() {
            let mut tries = 1;
            let unit = loop {
                let unit = self.unit(range, &held, before)?;
                if self.stop.is_cancelled() || events.is_closed() {
                    return Err(VerifyError::Ended("it was stopped".to_owned()));
                }
                if unit.findings.is_empty() || tries >= TRIES {
                    break unit;
                }
                // A merge may have replaced files since they were listed.
                let again = self.shared.lake.held(&self.task.name)?;
                let same = paths(&held, range) == paths(&again, range);
                held = again;
                if same {
                    break unit;
                }
                tries += 1;
            };
            before = unit.last();
            self.note(range, &unit.findings)?;
            self.add(&unit.tally, range);
            self.tally.took = begun.elapsed();
            for finding in unit.findings {
                self.tally.findings += 1;
                tell(events, Event::Finding(finding))?;
            }
            if reported.elapsed() >= REPORT {
                reported = Instant::now();
                tell(events, Event::Progress(self.tally.clone()))?;
            }
        }
        self.tally.took = begun.elapsed();
        tracing::info!(network = %self.task.name, ledgers = %self.range, findings = self.tally.findings, "verified");
        tell(events, Event::Summary(self.tally))
    }

    /// Looks at the ledgers of one 10,000-ledger range.
    fn unit(&self, range: LedgerRange, held: &[Held], before: Option<Link>) -> Result<Unit, VerifyError> {
        let lake = &self.shared.lake;
        let coverage = lake.coverage(&self.task.name)?;
        let files: Vec<Held> = held.iter().filter(|held| held.range.overlaps(range)).cloned().collect();
        let lacking = lake.lacking(&self.task.name)?;
        let mut unit = Unit::new(range, lake.specs(), files, lacking);
        let stop = || self.stop.is_cancelled();
        unit.gaps(&coverage);
        unit.lineage();
        unit.files(&stop);
        unit.counts();
        unit.links(before);
        if self.options.against_source && !stop() {
            source::compare(&mut unit, &self.shared, &self.task, &coverage, &stop);
        }
        if let Some(archive) = &self.archive {
            archive::compare(&mut unit, archive, &stop);
        }
        unit.findings.sort_by(|a, b| (a.range, &a.table).cmp(&(b.range, &b.table)));
        Ok(unit)
    }

    /// Notes what repair is to mend.
    fn note(&self, range: LedgerRange, findings: &[Finding]) -> Result<(), VerifyError> {
        let damage = |finding: &Finding| Damage {
            by_source: finding.kind == Kind::Source,
            ..Damage::new(finding.range, &finding.table, finding.file.as_deref(), finding.problem.as_str())
        };
        // Gaps are seen in the coverage, always anew.
        let found = findings.iter().filter(|finding| finding.heals && finding.kind != Kind::Gap).map(damage);
        // A source that could not be read to the end proved nothing.
        let is_compared = self.options.against_source
            && !findings.iter().any(|finding| finding.kind == Kind::Source && !finding.heals);
        let proven = if is_compared { Proven::Whole(range) } else { Proven::Stored(range) };
        Ok(self.shared.lake.note_damage(&self.task.name, proven, found.collect())?)
    }

    fn add(&mut self, unit: &Tally, range: LedgerRange) {
        self.tally.ledgers += range.count();
        self.tally.files += unit.files;
        self.tally.unhashed += unit.unhashed;
        self.tally.bytes += unit.bytes;
        self.tally.rows += unit.rows;
        self.tally.headers += unit.headers;
        self.tally.compared += unit.compared;
        self.tally.anchored += unit.anchored;
    }
}

fn tell(events: &Events, event: Event) -> Result<(), VerifyError> {
    events.blocking_send(Ok(event)).map_err(|_| VerifyError::Ended("nobody listens".to_owned()))
}

/// Names of the files of a range.
fn paths(held: &[Held], range: LedgerRange) -> Vec<PathBuf> {
    let of_range = held.iter().filter(|held| held.range.overlaps(range));
    let mut paths: Vec<PathBuf> = of_range.map(|held| held.file.path.clone()).collect();
    paths.sort();
    paths
}

/// Shared by the parts of a unit.
type Lacks = Arc<Vec<crate::lake::Lacking>>;
