//! Changes of a ledger that keep it a ledger: bytes alone rarely become another kind of operation, result or change.

use arbitrary::{Arbitrary, Result, Unstructured};
use stellar_xdr::{
    DependentTxCluster, FeeBumpTransactionInnerTx, GeneralizedTransactionSet, InnerTransactionResultResult,
    LedgerCloseMeta, LedgerKey, Limits, OperationResult, ParallelTxExecutionStage, ParallelTxsComponent,
    ReadXdr, StellarValueExt, TransactionEnvelope, TransactionPhase, TransactionResultMeta,
    TransactionResultMetaV1, TransactionResultResult, TransactionSetV1, TxSetComponent,
    TxSetComponentTxsMaybeDiscountedFee, UpgradeEntryMeta, VecM, WriteXdr,
};

use crate::{
    NETWORK,
    changes::{edit, without_removals},
    limits,
    seal::{envelopes, hash},
    trades,
};

/// Random bytes that a change is made from.
const NOISE: usize = 4096;

/// `bytes` with a part invented anew; `None` where the fuzzer should change the bytes itself.
pub fn mutated(bytes: &[u8], max_size: usize, seed: u32) -> Option<Vec<u8>> {
    let noise = noise(seed);
    let mut u = Unstructured::new(&noise);
    // half the time bytes are the better thing to change
    if u.ratio(1, 2).ok()? {
        return None;
    }
    let mut meta = LedgerCloseMeta::from_xdr(bytes, limits(bytes)).ok()?;
    change(&mut meta, &mut u).ok()?;
    let bytes = meta.to_xdr(Limits::none()).ok()?;
    (bytes.len() <= max_size).then_some(bytes)
}

/// splitmix64.
fn noise(seed: u32) -> Vec<u8> {
    let mut state = u64::from(seed);
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    words.flat_map(u64::to_le_bytes).take(NOISE).collect()
}

/// The transactions of a ledger, whatever the version of its meta, and what else is worth inventing.
#[derive(Default)]
struct Parts {
    envelopes: Vec<TransactionEnvelope>,
    processing: Vec<TransactionResultMetaV1>,
    upgrades: VecM<UpgradeEntryMeta>,
    evicted: VecM<LedgerKey>,
    value_ext: Option<StellarValueExt>,
}

fn change(meta: &mut LedgerCloseMeta, u: &mut Unstructured<'_>) -> Result<()> {
    let mut parts = Parts::taken(meta);
    parts.order_envelopes();
    let chosen = |len: usize, u: &mut Unstructured<'_>| u.choose_index(len.max(1));
    match u.int_in_range(0..=13)? {
        0..=2 => {
            let n = chosen(parts.processing.len(), u)?;
            if let Some(one) = parts.processing.get_mut(n) {
                one.tx_apply_processing = Arbitrary::arbitrary(u)?;
                edit(&mut one.tx_apply_processing, 0, |_, changes| without_removals(changes));
            }
        }
        3..=5 => {
            let n = chosen(parts.processing.len(), u)?;
            if let Some(one) = parts.processing.get_mut(n) {
                one.result.result.result = Arbitrary::arbitrary(u)?;
            }
        }
        6 => {
            let n = chosen(parts.processing.len(), u)?;
            if let Some(one) = parts.processing.get_mut(n) {
                one.fee_processing = Arbitrary::arbitrary(u)?;
                one.post_tx_apply_fee_processing = Arbitrary::arbitrary(u)?;
                without_removals(&mut one.fee_processing);
                without_removals(&mut one.post_tx_apply_fee_processing);
            }
        }
        7 | 8 => {
            let n = chosen(parts.envelopes.len(), u)?;
            if let Some(envelope) = parts.envelopes.get_mut(n) {
                *envelope = Arbitrary::arbitrary(u)?;
            }
        }
        9 => {
            parts.envelopes.push(Arbitrary::arbitrary(u)?);
            parts.processing.push(Arbitrary::arbitrary(u)?);
        }
        10 => {
            let mut upgrades = Vec::<UpgradeEntryMeta>::arbitrary(u)?;
            upgrades.iter_mut().for_each(|upgrade| without_removals(&mut upgrade.changes));
            parts.upgrades = upgrades.try_into().unwrap_or_default();
            parts.evicted = Arbitrary::arbitrary(u)?;
        }
        11 | 12 => {
            let n = chosen(parts.processing.len(), u)?;
            if let Some((envelope, one)) = parts.envelopes.get(n).zip(parts.processing.get_mut(n)) {
                trades::invent(operations(envelope), one, u)?;
            }
        }
        _ => parts.value_ext = Some(Arbitrary::arbitrary(u)?),
    }
    if u.ratio(3, 4).unwrap_or(true) {
        parts.fit_results();
    }
    parts.put(meta).ok_or(arbitrary::Error::IncorrectFormat)
}

impl Parts {
    fn taken(meta: &mut LedgerCloseMeta) -> Self {
        let old = |one: TransactionResultMeta| TransactionResultMetaV1 {
            result: one.result,
            fee_processing: one.fee_processing,
            tx_apply_processing: one.tx_apply_processing,
            ..TransactionResultMetaV1::default()
        };
        match meta {
            LedgerCloseMeta::V0(m) => Self {
                envelopes: std::mem::take(&mut m.tx_set.txs).into_vec(),
                processing: std::mem::take(&mut m.tx_processing).into_vec().into_iter().map(old).collect(),
                upgrades: std::mem::take(&mut m.upgrades_processing),
                ..Self::default()
            },
            LedgerCloseMeta::V1(m) => Self {
                envelopes: envelopes(&m.tx_set).cloned().collect(),
                processing: std::mem::take(&mut m.tx_processing).into_vec().into_iter().map(old).collect(),
                upgrades: std::mem::take(&mut m.upgrades_processing),
                evicted: std::mem::take(&mut m.evicted_keys),
                value_ext: None,
            },
            LedgerCloseMeta::V2(m) => Self {
                envelopes: envelopes(&m.tx_set).cloned().collect(),
                processing: std::mem::take(&mut m.tx_processing).into_vec(),
                upgrades: std::mem::take(&mut m.upgrades_processing),
                evicted: std::mem::take(&mut m.evicted_keys),
                value_ext: None,
            },
        }
    }

    /// Puts each envelope where its result stands.
    fn order_envelopes(&mut self) {
        let order: Vec<_> = self.processing.iter().map(|one| one.result.transaction_hash.clone()).collect();
        self.envelopes.sort_by_cached_key(|envelope| {
            let hash = hash(envelope, NETWORK.id());
            hash.and_then(|hash| order.iter().position(|named| *named == hash)).unwrap_or(usize::MAX)
        });
    }

    /// Puts the parts back; `None` where there are too many of something.
    fn put(self, meta: &mut LedgerCloseMeta) -> Option<()> {
        let new = |one: TransactionResultMetaV1| TransactionResultMeta {
            result: one.result,
            fee_processing: one.fee_processing,
            tx_apply_processing: one.tx_apply_processing,
        };
        let header = match meta {
            LedgerCloseMeta::V0(m) => {
                m.tx_set.txs = self.envelopes.try_into().ok()?;
                m.tx_processing = self.processing.into_iter().map(new).collect::<Vec<_>>().try_into().ok()?;
                m.upgrades_processing = self.upgrades;
                &mut m.ledger_header.header
            }
            LedgerCloseMeta::V1(m) => {
                m.tx_set = set_of(self.envelopes)?;
                m.tx_processing = self.processing.into_iter().map(new).collect::<Vec<_>>().try_into().ok()?;
                m.upgrades_processing = self.upgrades;
                m.evicted_keys = self.evicted;
                &mut m.ledger_header.header
            }
            LedgerCloseMeta::V2(m) => {
                m.tx_set = set_of(self.envelopes)?;
                m.tx_processing = self.processing.try_into().ok()?;
                m.upgrades_processing = self.upgrades;
                m.evicted_keys = self.evicted;
                &mut m.ledger_header.header
            }
        };
        if let Some(ext) = self.value_ext {
            header.scp_value.ext = ext;
        }
        Some(())
    }

    /// Gives successful transactions as many results as they have operations: others are refused early.
    fn fit_results(&mut self) {
        for (envelope, one) in self.envelopes.iter().zip(&mut self.processing) {
            let results = match &mut one.result.result.result {
                TransactionResultResult::TxSuccess(results) => results,
                TransactionResultResult::TxFeeBumpInnerSuccess(pair) => match &mut pair.result.result {
                    InnerTransactionResultResult::TxSuccess(results) => results,
                    _ => continue,
                },
                _ => continue,
            };
            let mut all = std::mem::take(results).into_vec();
            all.resize(operations(envelope), OperationResult::OpNotSupported);
            *results = all.try_into().unwrap_or_default();
        }
    }
}

fn operations(envelope: &TransactionEnvelope) -> usize {
    match envelope {
        TransactionEnvelope::TxV0(e) => e.tx.operations.len(),
        TransactionEnvelope::Tx(e) => e.tx.operations.len(),
        TransactionEnvelope::TxFeeBump(e) => match &e.tx.inner_tx {
            FeeBumpTransactionInnerTx::Tx(inner) => inner.tx.operations.len(),
        },
    }
}

/// A generalized set with the first transaction in a classic phase, the others in a parallel one.
fn set_of(mut envelopes: Vec<TransactionEnvelope>) -> Option<GeneralizedTransactionSet> {
    let rest = envelopes.split_off(envelopes.len().min(1));
    let classic = TxSetComponent::TxsetCompTxsMaybeDiscountedFee(TxSetComponentTxsMaybeDiscountedFee {
        base_fee: None,
        txs: envelopes.try_into().ok()?,
    });
    let clusters: Option<Vec<_>> =
        rest.into_iter().map(|envelope| Some(DependentTxCluster(vec![envelope].try_into().ok()?))).collect();
    let stage = ParallelTxExecutionStage(clusters?.try_into().ok()?);
    let parallel = ParallelTxsComponent { base_fee: None, execution_stages: vec![stage].try_into().ok()? };
    let phases = vec![TransactionPhase::V0(vec![classic].try_into().ok()?), TransactionPhase::V1(parallel)];
    Some(GeneralizedTransactionSet::V1(TransactionSetV1 {
        phases: phases.try_into().ok()?,
        ..TransactionSetV1::default()
    }))
}
