//! Makes the hashes of a ledger right, so that a change of its content is not caught by them.

use lake_core::Hash32;
use stellar_xdr::{
    GeneralizedTransactionSet, Hash, LedgerCloseMeta, LedgerHeaderHistoryEntry, Limits, StellarValueExt,
    TransactionEnvelope, TransactionPhase, TransactionResultMeta, TransactionResultMetaV1,
    TransactionResultPair, TransactionResultSet, TxSetComponent, VecM, WriteXdr,
};

/// The XDR of `meta` with as many results as transactions and with hashes that fit; `None` where XDR cannot hold it.
pub fn sealed(mut meta: LedgerCloseMeta, network: Hash32) -> Option<Vec<u8>> {
    match &mut meta {
        LedgerCloseMeta::V0(m) => {
            let previous = m.ledger_header.header.previous_ledger_hash.clone();
            m.tx_set.previous_ledger_hash = previous.clone();
            let hashes = hashes(m.tx_set.txs.iter(), network)?;
            let results = name(&mut m.tx_processing, &hashes)?;
            let mut set = previous.0.to_vec();
            for envelope in m.tx_set.txs.iter() {
                set.extend(bytes(envelope)?);
            }
            seal_header(&mut m.ledger_header, sha(&set), results, hashes.is_empty())?;
        }
        LedgerCloseMeta::V1(m) => {
            let set = set_hash(&mut m.tx_set, &m.ledger_header)?;
            let hashes = hashes(envelopes(&m.tx_set), network)?;
            let results = name(&mut m.tx_processing, &hashes)?;
            seal_header(&mut m.ledger_header, set, results, hashes.is_empty())?;
        }
        LedgerCloseMeta::V2(m) => {
            let set = set_hash(&mut m.tx_set, &m.ledger_header)?;
            let hashes = hashes(envelopes(&m.tx_set), network)?;
            let results = name(&mut m.tx_processing, &hashes)?;
            seal_header(&mut m.ledger_header, set, results, hashes.is_empty())?;
        }
    }
    bytes(&meta)
}

/// The envelopes of a generalized set, in its order.
pub fn envelopes(set: &GeneralizedTransactionSet) -> impl Iterator<Item = &TransactionEnvelope> {
    let GeneralizedTransactionSet::V1(set) = set;
    set.phases.iter().flat_map(|phase| -> Vec<&TransactionEnvelope> {
        match phase {
            TransactionPhase::V0(components) => components
                .iter()
                .flat_map(|TxSetComponent::TxsetCompTxsMaybeDiscountedFee(c)| c.txs.iter())
                .collect(),
            TransactionPhase::V1(parallel) => parallel
                .execution_stages
                .iter()
                .flat_map(|stage| stage.0.iter().flat_map(|cluster| cluster.0.iter()))
                .collect(),
        }
    })
}

/// What has a result that names a transaction.
pub trait Processed: Clone + Default {
    fn pair(&mut self) -> &mut TransactionResultPair;
}

impl Processed for TransactionResultMeta {
    fn pair(&mut self) -> &mut TransactionResultPair {
        &mut self.result
    }
}

impl Processed for TransactionResultMetaV1 {
    fn pair(&mut self) -> &mut TransactionResultPair {
        &mut self.result
    }
}

/// Gives each transaction one result and hashes them: results keep the transaction that they name, the others take
/// what is left, in order.
fn name<T: Processed>(processing: &mut VecM<T>, hashes: &[Hash]) -> Option<Hash> {
    let mut all = std::mem::take(processing).into_vec();
    let mut free: Vec<&Hash> = hashes.iter().rev().collect();
    let mut is_named = |one: &mut T| {
        let at = free.iter().rposition(|hash| **hash == one.pair().transaction_hash);
        at.map(|at| free.remove(at)).is_some()
    };
    let named: Vec<bool> = all.iter_mut().map(&mut is_named).collect();
    let mut named = named.into_iter();
    all.retain_mut(|one| {
        named.next().unwrap_or_default()
            || free.pop().map(|hash| one.pair().transaction_hash = hash.clone()).is_some()
    });
    all.extend(free.into_iter().rev().map(|hash| {
        let mut one = T::default();
        one.pair().transaction_hash = hash.clone();
        one
    }));
    let pairs: Vec<_> = all.iter_mut().map(|one| one.pair().clone()).collect();
    *processing = all.try_into().ok()?;
    Some(sha(&bytes(&TransactionResultSet { results: pairs.try_into().ok()? })?))
}

fn hashes<'e>(
    envelopes: impl Iterator<Item = &'e TransactionEnvelope>,
    network: Hash32,
) -> Option<Vec<Hash>> {
    envelopes.map(|envelope| hash(envelope, network)).collect()
}

/// Hash of a transaction, which its result names; `None` where XDR cannot hold it.
pub fn hash(envelope: &TransactionEnvelope, network: Hash32) -> Option<Hash> {
    envelope.hash(network.0).ok().map(Hash)
}

fn set_hash(set: &mut GeneralizedTransactionSet, header: &LedgerHeaderHistoryEntry) -> Option<Hash> {
    let GeneralizedTransactionSet::V1(v1) = &mut *set;
    v1.previous_ledger_hash = header.header.previous_ledger_hash.clone();
    Some(sha(&bytes(set)?))
}

fn seal_header(entry: &mut LedgerHeaderHistoryEntry, set: Hash, results: Hash, is_empty: bool) -> Option<()> {
    let header = &mut entry.header;
    header.tx_set_result_hash = results;
    header.scp_value.tx_set_hash = match (&header.scp_value.ext, is_empty) {
        (StellarValueExt::EmptyTxSet(_) | StellarValueExt::EmptyTxSetMs(_), true) => Hash([0; 32]),
        (StellarValueExt::EmptyTxSet(_) | StellarValueExt::EmptyTxSetMs(_), false) => {
            header.scp_value.ext = StellarValueExt::Basic;
            set
        }
        _ => set,
    };
    entry.hash = sha(&bytes(&entry.header)?);
    Some(())
}

fn bytes(value: &impl WriteXdr) -> Option<Vec<u8>> {
    value.to_xdr(Limits::none()).ok()
}

fn sha(bytes: &[u8]) -> Hash {
    Hash(Hash32::sha256(&[bytes]).0)
}
