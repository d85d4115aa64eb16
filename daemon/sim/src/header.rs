//! The ledger header: genesis, what a closed ledger puts into it, and its hash.

use lake_core::Hash32;
use stellar_xdr::{
    Hash, LedgerCloseValueSignature, LedgerHeader, LedgerHeaderExt, NodeId, Signature, StellarValue,
    StellarValueExt, TimePoint, UpgradeType, VecM,
};

use crate::{encode, entries, tx};

/// Protocol that the network runs.
pub(crate) const PROTOCOL: u32 = 26;
/// All the money there is, in stroops: 100 billion XLM.
pub(crate) const TOTAL_COINS: i64 = 1_000_000_000_000_000_000;
/// Fee per operation at genesis, in stroops.
const BASE_FEE: u32 = 100;
/// Close time of genesis: 2026-01-01T00:00:00Z.
const GENESIS_TIME: u64 = 1_767_225_600;
/// Seconds from one ledger to the next.
const LEDGER_SECONDS: u64 = 5;

/// When ledger `seq` closes, in seconds since the Unix epoch.
pub(crate) fn close_time(seq: u32) -> u64 {
    GENESIS_TIME + u64::from(seq.saturating_sub(1)) * LEDGER_SECONDS
}

/// Header of ledger 1, which is in no stream: only its hash is seen.
pub(crate) fn genesis() -> LedgerHeader {
    LedgerHeader {
        ledger_version: PROTOCOL,
        previous_ledger_hash: Hash([0; 32]),
        scp_value: StellarValue {
            tx_set_hash: Hash([0; 32]),
            close_time: TimePoint(close_time(1)),
            upgrades: VecM::default(),
            ext: StellarValueExt::Basic,
        },
        tx_set_result_hash: Hash([0; 32]),
        bucket_list_hash: Hash([0; 32]),
        ledger_seq: 1,
        total_coins: TOTAL_COINS,
        fee_pool: 0,
        inflation_seq: 0,
        id_pool: 0,
        base_fee: BASE_FEE,
        base_reserve: u32::try_from(entries::BASE_RESERVE).expect("the reserve fits the header's field"),
        max_tx_set_size: 1000,
        skip_list: [Hash([0; 32]), Hash([0; 32]), Hash([0; 32]), Hash([0; 32])],
        ext: LedgerHeaderExt::V0,
    }
}

/// What a closed ledger adds to the chain of headers.
#[derive(Debug)]
pub(crate) struct Closed {
    /// Hash of the header before.
    pub(crate) previous: Hash32,
    /// Hash of the transaction set.
    pub(crate) tx_set: Hash32,
    /// Hash of the results.
    pub(crate) results: Hash32,
    /// Stands for the hash of the state after the ledger.
    pub(crate) state: Hash32,
    /// XDR of the upgrades that took effect.
    pub(crate) upgrades: VecM<UpgradeType, 6>,
}

impl Default for Closed {
    fn default() -> Self {
        let none = Hash32([0; 32]);
        Self { previous: none, tx_set: none, results: none, state: none, upgrades: VecM::default() }
    }
}

/// Turns the header of one ledger into that of the next; fee pool and id pool are kept by the caller.
pub(crate) fn advance(header: &mut LedgerHeader, closed: &Closed) {
    let node = tx::keyed(&[b"validator"]);
    let signature = tx::signature_bytes(&node, &closed.tx_set);
    header.ledger_seq += 1;
    header.previous_ledger_hash = Hash(closed.previous.0);
    header.scp_value = StellarValue {
        tx_set_hash: Hash(closed.tx_set.0),
        close_time: TimePoint(close_time(header.ledger_seq)),
        upgrades: closed.upgrades.clone(),
        ext: StellarValueExt::Signed(LedgerCloseValueSignature {
            node_id: NodeId(entries::account_id(node).0),
            signature: Signature(signature.try_into().expect("a signature has 64 bytes")),
        }),
    };
    header.tx_set_result_hash = Hash(closed.results.0);
    header.bucket_list_hash = Hash(closed.state.0);
    skip(header);
}

/// Every 50th, 5,000th, 50,000th and 500,000th ledger moves the list on, as stellar-core does.
fn skip(header: &mut LedgerHeader) {
    const STEPS: [u32; 4] = [50, 5_000, 50_000, 500_000];
    let [one, two, three, four] = STEPS;
    let seq = header.ledger_seq;
    if !seq.is_multiple_of(one) {
        return;
    }
    let due = |less: u32, step: u32| seq > less && (seq - less).is_multiple_of(step);
    let [first, second, third, fourth] = &mut header.skip_list;
    if due(one, two) {
        if due(one + two, three) {
            if due(one + two + three, four) {
                *fourth = third.clone();
            }
            *third = second.clone();
        }
        *second = first.clone();
    }
    *first = header.bucket_list_hash.clone();
}

/// Hash of a header.
pub(crate) fn hash(header: &LedgerHeader) -> Hash32 {
    Hash32::sha256(&[&encode::xdr(header)])
}
