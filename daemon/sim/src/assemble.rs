//! The XDR of a closed ledger: header, transaction set, results, metadata and what else is in a `LedgerCloseMeta`.

use lake_core::Hash32;
use stellar_xdr::{
    Hash, InnerTransactionResult, InnerTransactionResultExt, InnerTransactionResultPair,
    InnerTransactionResultResult, LedgerHeader, TransactionResult, TransactionResultExt,
    TransactionResultPair, TransactionResultResult,
};

use crate::{
    close::{Rest, Work},
    encode,
    header::{self, Closed},
    network::SimNetwork,
    soroban::fees,
    tx::Built,
};

fn result_pair(one: &mut Work) -> TransactionResultPair {
    let results = encode::vecm(std::mem::take(&mut one.results));
    let result = match one.built.inner_hash {
        None => match one.refusal {
            Some(refusal) => refusal.result(),
            None if one.successful => TransactionResultResult::TxSuccess(results),
            None => TransactionResultResult::TxFailed(results),
        },
        Some(hash) => {
            let result = match one.refusal {
                Some(refusal) => refusal.inner_result(),
                None if one.successful => InnerTransactionResultResult::TxSuccess(results),
                None => InnerTransactionResultResult::TxFailed(results),
            };
            let pair = InnerTransactionResultPair {
                transaction_hash: Hash(hash.0),
                result: InnerTransactionResult { fee_charged: 0, result, ext: InnerTransactionResultExt::V0 },
            };
            if one.successful {
                TransactionResultResult::TxFeeBumpInnerSuccess(pair)
            } else {
                TransactionResultResult::TxFeeBumpInnerFailed(pair)
            }
        }
    };
    TransactionResultPair {
        transaction_hash: Hash(one.built.hash.0),
        result: TransactionResult { fee_charged: one.fee_charged(), result, ext: TransactionResultExt::V0 },
    }
}

/// `GeneralizedTransactionSet`: a classic phase with at most one component, a parallel Soroban phase with one stage.
fn put_tx_set(out: &mut Vec<u8>, network: &SimNetwork, work: &[Work], base_fee: u32) {
    encode::put_u32(out, 1);
    out.extend_from_slice(&network.hash.0);
    encode::put_u32(out, 2);
    let (soroban, classic): (Vec<&Built>, Vec<&Built>) =
        work.iter().map(|one| &one.built).partition(|built| built.soroban().is_some());
    encode::put_u32(out, 0);
    encode::put_len(out, usize::from(!classic.is_empty()));
    if !classic.is_empty() {
        encode::put_u32(out, 0);
        put_base_fee(out, Some(base_fee));
        put_envelopes(out, classic);
    }
    encode::put_u32(out, 1);
    put_base_fee(out, (!soroban.is_empty()).then_some(base_fee));
    encode::put_len(out, usize::from(!soroban.is_empty()));
    if !soroban.is_empty() {
        let clusters: Vec<&[&Built]> = soroban.chunk_by(|a, b| a.cluster == b.cluster).collect();
        encode::put_len(out, clusters.len());
        for cluster in clusters {
            put_envelopes(out, cluster.to_vec());
        }
    }
}

fn put_base_fee(out: &mut Vec<u8>, base_fee: Option<u32>) {
    encode::put(out, &base_fee.map(i64::from));
}

/// Envelopes in the order of a set, which is not the order of applying.
fn put_envelopes(out: &mut Vec<u8>, mut built: Vec<&Built>) {
    built.sort_by_key(|one| one.order);
    encode::put_len(out, built.len());
    for one in built {
        out.extend_from_slice(&one.envelope);
    }
}

/// Puts the ledger together and moves the network's header on.
pub(crate) fn assemble(network: &mut SimNetwork, work: &mut [Work], rest: &Rest) -> (Vec<u8>, Closed) {
    let mut out = Vec::with_capacity(network.usual_bytes);
    // The header comes first and is known last: its place is kept by one of the same length.
    let mut closed = Closed { previous: network.hash, ..Closed::default() };
    closed.upgrades = rest.upgrades.types.clone();
    let mut header = network.header.clone();
    header::advance(&mut header, &closed);
    put_front(&mut out, &network.hash, &header);
    let set_from = out.len();
    put_tx_set(&mut out, network, work, rest.base_fee);
    let set_to = out.len();
    closed.tx_set = Hash32::sha256(&[out.get(set_from..set_to).unwrap_or_default()]);
    let mut results = Vec::with_capacity(work.len() * 300 + 4);
    encode::put_len(&mut results, work.len());
    encode::put_len(&mut out, work.len());
    for one in work {
        let from = results.len();
        encode::put(&mut results, &result_pair(one));
        put_processing(&mut out, one, results.get(from..).unwrap_or_default());
    }
    closed.results = Hash32::sha256(&[&results]);
    closed.state = Hash32::sha256(&[&network.header.bucket_list_hash.0, &closed.tx_set.0, &closed.results.0]);
    rest.upgrades.processing.write(&mut out);
    encode::put_u32(&mut out, 0);
    out.extend_from_slice(&network.state.soroban_bytes().to_be_bytes());
    rest.evicted.write(&mut out);

    header::advance(&mut network.header, &closed);
    network.hash = header::hash(&network.header);
    let mut front = Vec::with_capacity(set_from);
    put_front(&mut front, &network.hash, &network.header);
    out.get_mut(..set_from).expect("the set comes after the front").copy_from_slice(&front);
    network.usual_bytes = out.len() + out.len() / 4;
    (out, closed)
}

/// All that comes before the transaction set: versions, extension and header.
fn put_front(out: &mut Vec<u8>, hash: &Hash32, header: &LedgerHeader) {
    encode::put_u32(out, 2);
    encode::put_u32(out, 1);
    encode::put_u32(out, 0);
    out.extend_from_slice(&fees::WRITE_1KB.to_be_bytes());
    out.extend_from_slice(&hash.0);
    encode::put(out, header);
    encode::put_u32(out, 0);
}

/// One `TransactionResultMetaV1`.
fn put_processing(out: &mut Vec<u8>, one: &Work, pair: &[u8]) {
    encode::put_u32(out, 0);
    out.extend_from_slice(pair);
    one.fee_changes.write(out);
    encode::put_u32(out, 4);
    encode::put_u32(out, 0);
    one.before.write(out);
    one.operations.write(out);
    encode::put_u32(out, 0);
    encode::put(out, &one.built.soroban().map(|_| one.soroban.meta()));
    one.events.write(out);
    one.soroban.diagnostics.write(out);
    one.post.write(out);
}
