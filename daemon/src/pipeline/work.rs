//! What a worker does with a batch: decode, verify, link, extract and encode, all on one core while the data are in
//! its cache.

use lake_core::{Hash32, LedgerRange, RawLedger, decode, tables::TableSet};

use super::{NetworkTask, Shared, batcher::RawBatch, error::PipelineError, error::RefusedBy};
use crate::lake::{SealedBatch, WriteBatch};

/// A worked batch.
#[derive(Debug)]
pub(super) struct Worked {
    /// The ledgers that passed, encoded; `None` when not even the first did.
    pub(super) sealed: Option<Sealed>,
    /// What ended the batch early.
    pub(super) failure: Option<PipelineError>,
}

/// Encoded ledgers and what is needed to link and account for them.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) batch: SealedBatch,
    pub(super) first: RawLedger,
    pub(super) first_previous_hash: Hash32,
    pub(super) last_hash: Hash32,
    pub(super) ledgers: u64,
    pub(super) rows: Vec<(&'static str, u64)>,
    pub(super) closed_at: i64,
}

/// Works a batch. Ledgers before a bad one are kept: only what fails a check is not written.
pub(super) fn work(shared: &Shared, task: &NetworkTask, raw: RawBatch) -> Worked {
    let mut tables = TableSet::new(shared.stamps.now());
    let mut first: Option<(RawLedger, Hash32)> = None;
    let mut last: Option<(RawLedger, Hash32, i64)> = None;
    let mut count = 0;
    let mut failure = None;
    for (index, ledger) in raw.ledgers.iter().enumerate() {
        match add(task, ledger, last.as_ref().map(|(_, hash, _)| *hash), &mut tables) {
            Ok((previous_hash, hash, closed_at)) => {
                first.get_or_insert_with(|| (ledger.clone(), previous_hash));
                last = Some((ledger.clone(), hash, closed_at));
                count += 1;
            }
            Err(reason) => {
                let refusal = refused(reason, ledger.clone());
                if matches!(refusal, PipelineError::Refused { reason: RefusedBy::Extract(_), .. })
                    && index > 0
                {
                    // Half a ledger is in the columns: the ledgers before it are worked again without it.
                    let before = raw.ledgers.iter().take(index).cloned().collect();
                    let mut worked = work(shared, task, RawBatch { ledgers: before, ..RawBatch::default() });
                    worked.failure.get_or_insert(refusal);
                    return worked;
                }
                failure = Some(refusal);
                break;
            }
        }
    }
    let Some(((first, first_previous_hash), (last, last_hash, closed_at))) = first.zip(last) else {
        return Worked { sealed: None, failure };
    };
    let Some(range) = LedgerRange::new(first.seq, last.seq) else {
        return Worked { sealed: None, failure };
    };
    let tables = tables.finish();
    let rows = tables.iter().map(|(spec, rows)| (spec.name, rows.num_rows() as u64)).collect();
    let batch = WriteBatch {
        network: task.name.clone(),
        range,
        lane: task.lane,
        first_previous_hash,
        last_hash,
        tables,
        source: task.source.describe(),
        job: None,
    };
    match shared.encoder.encode(batch) {
        Ok(batch) => Worked {
            sealed: Some(Sealed {
                batch,
                first,
                first_previous_hash,
                last_hash,
                ledgers: count,
                rows,
                closed_at,
            }),
            failure,
        },
        Err(error) => Worked { sealed: None, failure: Some(error.into()) },
    }
}

fn add(
    task: &NetworkTask,
    raw: &RawLedger,
    previous: Option<Hash32>,
    tables: &mut TableSet,
) -> Result<(Hash32, Hash32, i64), RefusedBy> {
    let ledger = decode::decode(raw, &task.network)?;
    if let Some(previous) = previous {
        decode::verify_link(previous, &ledger)?;
    }
    tables.extract(&ledger)?;
    Ok((ledger.previous_hash, ledger.hash, ledger.closed_at))
}

pub(super) fn refused(reason: RefusedBy, ledger: RawLedger) -> PipelineError {
    PipelineError::Refused { reason, ledger: Box::new(ledger) }
}
