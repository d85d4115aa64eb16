//! Repeats the ledgers of a SEP-54 directory endlessly, renumbered and re-hashed so that every verification passes.
//! Transaction hashes repeat. For load and benchmarks on real ledgers.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream, stream::BoxStream};
use lake_core::{Hash32, LedgerSeq, Network, RawLedger};

use super::{Filesystem, Source, SourceError, pace::paced, renumber::Template};

/// Most bytes of ledgers that are kept in memory to be repeated.
const MAX_BYTES: usize = 256 << 20;

/// An endless repetition of a directory.
#[derive(Debug)]
pub struct Replay {
    directory: Filesystem,
    path: PathBuf,
    ledgers_per_second: Option<f64>,
    templates: Arc<Mutex<Option<Arc<Vec<Template>>>>>,
    passed: Passed,
}

impl Replay {
    /// Repeats the ledgers below `path`, which must be consecutive; without a rate flat out.
    pub fn new(path: &Path, network: Network, ledgers_per_second: Option<f64>) -> Self {
        Self {
            directory: Filesystem::new(path, network),
            path: path.to_owned(),
            ledgers_per_second,
            templates: Arc::new(Mutex::new(None)),
            passed: Passed::default(),
        }
    }
}

/// First and last of the consecutive ledgers at the newest end of the directory.
async fn newest_run(directory: &Filesystem) -> Result<Option<(LedgerSeq, LedgerSeq)>, SourceError> {
    let Some(last) = directory.tip().await? else { return Ok(None) };
    // Walk down until one is missing.
    let mut first = last;
    while let Some(before) = first.previous().filter(|p| directory.has(*p)) {
        first = before;
    }
    // The name of a lake's very first object begins before its first ledger.
    Ok(Some((first.max(directory.oldest().await?), last)))
}

/// Reads the consecutive ledgers at the newest end of the directory.
async fn load(directory: Filesystem, path: PathBuf) -> Result<Vec<Template>, SourceError> {
    let Some((first, last)) = newest_run(&directory).await? else { return Ok(Vec::new()) };
    let ledgers: Vec<RawLedger> = directory.ledgers(first, Some(last)).try_collect().await?;
    let bytes: usize = ledgers.iter().map(|l| l.xdr.len()).sum();
    if bytes > MAX_BYTES {
        return Err(SourceError::Mismatch {
            origin: path.display().to_string(),
            message: format!("replay keeps its ledgers in memory: {bytes} bytes are more than {MAX_BYTES}"),
        });
    }
    ledgers.iter().map(Template::new).collect()
}

impl Source for Replay {
    fn ledgers(
        &self,
        from: LedgerSeq,
        until: Option<LedgerSeq>,
    ) -> BoxStream<'static, Result<RawLedger, SourceError>> {
        let (directory, path, cache, rate) =
            (self.directory.clone(), self.path.clone(), self.templates.clone(), self.ledgers_per_second);
        let passed = self.passed.clone();
        let place = self.describe();
        stream::once(async move {
            let kept = cache.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let templates = match kept {
                Some(templates) => templates,
                None => {
                    let loaded = Arc::new(load(directory, path).await?);
                    *cache.lock().unwrap_or_else(PoisonError::into_inner) = Some(loaded.clone());
                    loaded
                }
            };
            if let Some(first) = templates.first().map(Template::seq).filter(|first| from < *first) {
                return Err(SourceError::before(from, first, place));
            }
            Ok(repeat(templates, passed, (from, until), rate))
        })
        .try_flatten()
        .boxed()
    }

    fn oldest(&self) -> BoxFuture<'_, Result<LedgerSeq, SourceError>> {
        async {
            let run = newest_run(&self.directory).await?;
            Ok(run.map_or(LedgerSeq::new(2), |(first, _)| first))
        }
        .boxed()
    }

    fn tip(&self) -> BoxFuture<'_, Result<Option<LedgerSeq>, SourceError>> {
        futures::future::ready(Ok(None)).boxed()
    }

    fn seeks(&self) -> bool {
        true
    }

    fn describe(&self) -> String {
        format!("replay {}", self.path.display())
    }
}

/// Hashes that streams came by: of every so many ledgers, the ledger and the hash of the one before it.
type Passed = Arc<Mutex<BTreeMap<LedgerSeq, Hash32>>>;

/// Ledgers from one remembered hash to the next.
const REMEMBERED: u32 = 64;

/// The endless ledgers of `templates`, from `from` on. The chain of hashes begins at the first template, so a later
/// start works through the hashes before it, from the nearest that another stream has passed.
fn repeat(
    templates: Arc<Vec<Template>>,
    passed: Passed,
    (from, until): (LedgerSeq, Option<LedgerSeq>),
    ledgers_per_second: Option<f64>,
) -> BoxStream<'static, Result<RawLedger, SourceError>> {
    let mut state: Option<(LedgerSeq, Hash32)> = None;
    paced("replay", ledgers_per_second, move || {
        let first = templates.first()?;
        let (mut seq, mut previous) = state.unwrap_or_else(|| {
            let passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
            let near = passed.range(..=from).next_back().map(|(seq, hash)| (*seq, *hash));
            near.unwrap_or((first.seq(), first.previous_hash()))
        });
        loop {
            if until.is_some_and(|until| seq > until) {
                return None;
            }
            let steps = seq.get().wrapping_sub(first.seq().get());
            if steps.is_multiple_of(REMEMBERED) {
                passed.lock().unwrap_or_else(PoisonError::into_inner).insert(seq, previous);
            }
            let template = templates.get(usize::try_from(steps).ok()? % templates.len())?;
            let close_time = first.close_time().saturating_add(u64::from(steps).saturating_mul(5));
            if seq >= from {
                let (raw, hash) = template.renumbered(seq, previous, close_time);
                state = Some((seq.next()?, hash));
                return Some(Ok(raw));
            }
            previous = template.renumbered_hash(seq, previous, close_time);
            seq = seq.next()?;
        }
    })
}
