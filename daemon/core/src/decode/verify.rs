//! The checks that every ledger must pass before a row is made from it.

use std::collections::HashMap;

use stellar_xdr as xdr;

use super::{
    DecodeError, Ledger, MICROS_PER_SECOND, ResultMeta, Transaction,
    head::Front,
    txset::{Entry, TxSet},
    view::inner_result,
};
use crate::ledger::{Hash32, LedgerSeq, Network, RawLedger};

/// Most transactions that the 20 bits of a SEP-35 id can number from 1.
const MOST_TRANSACTIONS: usize = 0xf_fffe;

/// Checks that `ledger` follows the ledger of hash `previous`.
///
/// # Errors
/// [`DecodeError::Link`] when it names another one.
pub fn verify_link(previous: Hash32, ledger: &Ledger) -> Result<(), DecodeError> {
    if ledger.previous_hash == previous {
        return Ok(());
    }
    Err(DecodeError::Link { seq: ledger.seq, expected: previous, found: ledger.previous_hash })
}

/// Checks sequence, header hash and close time; gives the close time in seconds.
pub(super) fn head(front: &Front, raw: &RawLedger) -> Result<i64, DecodeError> {
    let found = LedgerSeq::new(front.header.ledger_seq);
    if found != raw.seq {
        return Err(DecodeError::Sequence { expected: raw.seq, origin: raw.origin.clone(), found });
    }
    let found = Hash32::sha256(&[&front.header_bytes]);
    if found != front.hash {
        let (seq, origin) = (raw.seq, raw.origin.clone());
        return Err(DecodeError::HeaderHash { seq, origin, expected: front.hash, found });
    }
    let found = front.header.scp_value.close_time.0;
    i64::try_from(found)
        .ok()
        .filter(|seconds| seconds.checked_mul(MICROS_PER_SECOND).is_some())
        .ok_or_else(|| DecodeError::CloseTime { seq: raw.seq, origin: raw.origin.clone(), found })
}

/// Checks that the transaction set is the one that the header commits to.
pub(super) fn tx_set(header: &xdr::LedgerHeader, set: &TxSet, raw: &RawLedger) -> Result<(), DecodeError> {
    let (seq, origin) = (raw.seq, raw.origin.clone());
    let expected = Hash32(header.previous_ledger_hash.0);
    if set.previous_hash != expected {
        return Err(DecodeError::TxSetLink { seq, origin, expected, found: set.previous_hash });
    }
    let committed = Hash32(header.scp_value.tx_set_hash.0);
    match &header.scp_value.ext {
        xdr::StellarValueExt::Basic | xdr::StellarValueExt::Signed(_) | xdr::StellarValueExt::SignedMs(_) => {
            if set.hash != committed {
                return Err(DecodeError::TxSetHash { seq, origin, expected: committed, found: set.hash });
            }
        }
        // CAP-83: nobody had the set that was voted on, so the ledger has none and commits to none.
        xdr::StellarValueExt::EmptyTxSet(_) | xdr::StellarValueExt::EmptyTxSetMs(_) => {
            if committed != Hash32([0; 32]) || !set.entries.is_empty() {
                let transactions = count(set.entries.len());
                return Err(DecodeError::EmptyTxSet { seq, origin, transactions, found: committed });
            }
        }
    }
    Ok(())
}

/// Checks that the results are those that the header commits to.
pub(super) fn results(
    header: &xdr::LedgerHeader,
    results: &[ResultMeta],
    raw: &RawLedger,
) -> Result<(), DecodeError> {
    let length = u32::try_from(results.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut parts: Vec<&[u8]> = Vec::with_capacity(results.len().saturating_add(1));
    parts.push(&length);
    parts.extend(results.iter().map(|result| result.pair_bytes.as_ref()));
    let found = Hash32::sha256(&parts);
    let expected = Hash32(header.tx_set_result_hash.0);
    if found == expected {
        return Ok(());
    }
    Err(DecodeError::ResultSetHash { seq: raw.seq, origin: raw.origin.clone(), expected, found })
}

/// Finds the envelope of every result by its hash, which proves the network id, and gives the transactions in apply
/// order.
pub(super) fn pair_up(
    set: TxSet,
    results: Vec<ResultMeta>,
    protocol: u32,
    network: &Network,
    raw: &RawLedger,
) -> Result<Vec<Transaction>, DecodeError> {
    let (seq, origin) = (raw.seq, &raw.origin);
    if set.entries.len() != results.len() {
        let (expected, found) = (count(set.entries.len()), count(results.len()));
        return Err(DecodeError::TransactionCount { seq, origin: origin.clone(), expected, found });
    }
    if results.len() > MOST_TRANSACTIONS {
        return Err(DecodeError::TooManyTransactions {
            seq,
            origin: origin.clone(),
            found: count(results.len()),
        });
    }
    let network_id = network.id();
    let total = count(results.len());
    let by_hash: HashMap<Hash32, usize, ahash::RandomState> =
        set.entries.iter().enumerate().map(|(index, entry)| (entry.hash(network_id), index)).collect();
    let mut entries: Vec<Option<Entry>> = set.entries.into_iter().map(Some).collect();
    if !results.is_empty() && !results.iter().any(|result| by_hash.contains_key(&result.hash)) {
        return Err(DecodeError::Passphrase {
            seq,
            origin: origin.clone(),
            count: total,
            network_id,
            passphrase: network.passphrase().into(),
        });
    }
    // Equal counts and every result taking an envelope away: none is left over, none is used twice.
    (1u32..)
        .zip(results)
        .map(|(application_order, result)| {
            let entry = by_hash.get(&result.hash).and_then(|&index| entries.get_mut(index)?.take());
            let entry = entry.ok_or_else(|| DecodeError::TransactionHash {
                seq,
                origin: origin.clone(),
                index: application_order,
                found: result.hash,
            })?;
            Ok(transaction(entry, result, application_order, protocol, network_id))
        })
        .collect()
}

fn transaction(
    entry: Entry,
    result: ResultMeta,
    application_order: u32,
    protocol: u32,
    network_id: Hash32,
) -> Transaction {
    // The result names the inner hash unless the outer transaction failed on its own.
    let named = inner_result(&result.result).map(|pair| Hash32(pair.transaction_hash.0));
    Transaction {
        hash: result.hash,
        inner_hash: named.or_else(|| entry.inner_hash(network_id)),
        application_order,
        protocol,
        envelope: entry.envelope,
        envelope_xdr: entry.bytes,
        result: result.result,
        result_xdr: result.result_bytes,
        fee_changes: result.fee_changes,
        fee_changes_xdr: result.fee_changes_bytes,
        meta: result.meta,
        meta_xdr: result.meta_bytes,
        post_apply_fee_changes: result.post_apply_fee_changes,
        place: entry.place,
    }
}

fn count(n: usize) -> u64 {
    n.try_into().unwrap_or(u64::MAX)
}
