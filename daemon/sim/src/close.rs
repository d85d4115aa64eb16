//! Closing a ledger: fees of all, then classic transactions, then Soroban ones, then refunds; and the XDR of it all.

use std::collections::HashMap;

use lake_core::{Hash32, LedgerSeq};
use stellar_xdr::{
    AccountId, Hash, InnerTransactionResult, InnerTransactionResultExt, InnerTransactionResultPair,
    InnerTransactionResultResult, OperationResult, TransactionEventStage, TransactionResult,
    TransactionResultExt, TransactionResultPair, TransactionResultResult,
};

use crate::{
    apply::{self, Cx},
    encode::{self, Seq},
    entries,
    header::{self, Closed},
    network::SimNetwork,
    soroban::{Outcome, fees},
    truth::{self, LedgerTruth, Totals},
    tx::{self, Built, Plan},
};

/// A transaction on its way through the ledger.
#[derive(Debug)]
struct Work {
    built: Built,
    fee_changes: Seq,
    before: Seq,
    operations: Seq,
    results: Vec<OperationResult>,
    applied: Vec<bool>,
    successful: bool,
    soroban: Outcome,
    events: Seq,
    operation_events: u64,
    refund: i64,
    post: Seq,
}

/// Closes a ledger with these transactions: its XDR and the truth about it.
pub(crate) fn close(network: &mut SimNetwork, plans: Vec<Plan>) -> (Vec<u8>, LedgerTruth) {
    let seq = network.header.ledger_seq + 1;
    network.state.begin_ledger(seq);
    let mut work = prepare(network, plans);
    for one in &mut work {
        charge(network, one);
    }
    // Classic ones come first; of the Soroban ones all sequence numbers are consumed before any is applied.
    let soroban_from = work.iter().position(|one| one.built.soroban().is_some()).unwrap_or(work.len());
    let (classic, soroban) = work.split_at_mut(soroban_from);
    for one in classic {
        consume_sequence(network, one);
        run(network, one);
    }
    for one in soroban.iter_mut() {
        consume_sequence(network, one);
    }
    for one in soroban.iter_mut() {
        run(network, one);
    }
    for one in soroban {
        refund(network, one);
    }
    assemble(network, &work)
}

/// Builds the transactions, in apply order.
fn prepare(network: &SimNetwork, plans: Vec<Plan>) -> Vec<Work> {
    let mut sequences: HashMap<AccountId, i64> = HashMap::new();
    let (mut classic, mut soroban) = (Vec::new(), Vec::new());
    for plan in plans {
        let source = entries::unmuxed(&plan.source);
        let known = network.state.account(&source).map_or(0, |account| account.seq_num.0);
        let seq = sequences.entry(source).or_insert(known);
        *seq += 1;
        let built = tx::build(&network.network_id, plan, *seq);
        if built.soroban().is_some() { soroban.push(built) } else { classic.push(built) }
    }
    soroban.sort_by_key(|built| built.cluster);
    classic.into_iter().chain(soroban).map(Work::new).collect()
}

impl Work {
    fn new(built: Built) -> Self {
        Self {
            built,
            fee_changes: Seq::default(),
            before: Seq::default(),
            operations: Seq::default(),
            results: Vec::new(),
            applied: Vec::new(),
            successful: false,
            soroban: Outcome::default(),
            events: Seq::default(),
            operation_events: 0,
            refund: 0,
            post: Seq::default(),
        }
    }

    fn fee_charged(&self) -> i64 {
        self.built.fee - self.refund
    }
}

fn charge(network: &mut SimNetwork, one: &mut Work) {
    let payer = one.built.fee_account();
    if let Some(account) = network.state.account_mut(&payer) {
        account.balance -= one.built.fee;
        network.header.fee_pool += one.built.fee;
    }
    network.state.seal(&mut one.fee_changes, false);
    let event = network.assets.fee(&payer, one.built.fee, TransactionEventStage::BeforeAllTxs);
    one.events.push(&event);
}

fn consume_sequence(network: &mut SimNetwork, one: &mut Work) {
    let time = header::close_time(network.state.ledger());
    let ledger = network.state.ledger();
    if one.built.bump.is_some() {
        // Core loads the payer once more and writes it back as it was: a pair of equal balances.
        network.state.touch_account(&one.built.fee_account());
        network.state.seal(&mut one.before, false);
    }
    if let Some(account) = network.state.account_mut(&one.built.source) {
        entries::set_sequence(account, one.built.tx.seq_num.0, ledger, time);
    }
    network.state.seal(&mut one.before, false);
}

fn run(network: &mut SimNetwork, one: &mut Work) {
    let id_pool = network.header.id_pool;
    if let Some(data) = one.built.soroban() {
        one.soroban.non_refundable = fees::non_refundable(&data.resources);
    }
    one.successful = true;
    for operation in one.built.tx.operations.iter() {
        let mut events = Seq::default();
        let id_pool_before = network.header.id_pool;
        let mut cx = Cx {
            state: &mut network.state,
            assets: &mut network.assets,
            id_pool: &mut network.header.id_pool,
            events: &mut events,
            source: one.built.source.clone(),
            memo: &one.built.tx.memo,
            network_id: network.network_id,
            time: header::close_time(network.header.ledger_seq + 1),
            soroban: &mut one.soroban,
        };
        let (result, ok) = apply::apply(&mut cx, operation);
        let mut changes = Seq::default();
        if ok {
            network.state.seal(&mut changes, true);
        } else {
            network.state.rollback_op();
            network.header.id_pool = id_pool_before;
        }
        one.successful &= ok;
        one.results.push(result);
        one.applied.push(ok);
        one.operation_events += u64::from(events.len());
        one.operations.push_operation(&changes, &events);
    }
    if one.successful {
        network.state.commit_transaction();
    } else {
        network.state.rollback_transaction();
        network.header.id_pool = id_pool;
        one.operations = Seq::default();
        one.operation_events = 0;
        one.soroban.refundable = 0;
        one.soroban.rent = 0;
    }
}

/// Gives back what a Soroban transaction declared and did not use.
fn refund(network: &mut SimNetwork, one: &mut Work) {
    let declared = one.built.soroban().map_or(0, |data| data.resource_fee);
    let back = declared - one.soroban.non_refundable - one.soroban.refundable;
    if back <= 0 {
        return;
    }
    one.refund = back;
    let payer = one.built.fee_account();
    if let Some(account) = network.state.account_mut(&payer) {
        account.balance += back;
        network.header.fee_pool -= back;
    }
    network.state.seal(&mut one.post, false);
    let event = network.assets.fee(&payer, -back, TransactionEventStage::AfterAllTxs);
    one.events.push(&event);
}

fn result_pair(one: &Work) -> TransactionResultPair {
    let results = encode::vecm(one.results.clone());
    let result = match one.built.inner_hash {
        None if one.successful => TransactionResultResult::TxSuccess(results),
        None => TransactionResultResult::TxFailed(results),
        Some(hash) => {
            let result = if one.successful {
                InnerTransactionResultResult::TxSuccess(results)
            } else {
                InnerTransactionResultResult::TxFailed(results)
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
fn tx_set(network: &SimNetwork, work: &[Work]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 18);
    encode::put_u32(&mut out, 1);
    out.extend_from_slice(&network.hash.0);
    encode::put_u32(&mut out, 2);
    let (soroban, classic): (Vec<&Built>, Vec<&Built>) =
        work.iter().map(|one| &one.built).partition(|built| built.soroban().is_some());
    encode::put_u32(&mut out, 0);
    encode::put_len(&mut out, usize::from(!classic.is_empty()));
    if !classic.is_empty() {
        encode::put_u32(&mut out, 0);
        put_base_fee(&mut out, false);
        put_envelopes(&mut out, classic);
    }
    encode::put_u32(&mut out, 1);
    put_base_fee(&mut out, soroban.is_empty());
    encode::put_len(&mut out, usize::from(!soroban.is_empty()));
    if !soroban.is_empty() {
        let clusters: Vec<&[&Built]> = soroban.chunk_by(|a, b| a.cluster == b.cluster).collect();
        encode::put_len(&mut out, clusters.len());
        for cluster in clusters {
            put_envelopes(&mut out, cluster.to_vec());
        }
    }
    out
}

fn put_base_fee(out: &mut Vec<u8>, none: bool) {
    encode::put(out, &(!none).then_some(i64::from(header::BASE_FEE)));
}

/// Envelopes in the order of a set, which is not the order of applying.
fn put_envelopes(out: &mut Vec<u8>, mut built: Vec<&Built>) {
    built.sort_by_key(|one| one.order);
    encode::put_len(out, built.len());
    for one in built {
        out.extend_from_slice(&one.envelope);
    }
}

fn assemble(network: &mut SimNetwork, work: &[Work]) -> (Vec<u8>, LedgerTruth) {
    let set = tx_set(network, work);
    let mut results = Seq::default();
    let mut processing = Vec::with_capacity(1 << 20);
    encode::put_len(&mut processing, work.len());
    for one in work {
        let pair = encode::xdr(&result_pair(one));
        results.push_raw(&[&pair]);
        put_processing(&mut processing, one, &pair);
    }
    let mut result_set = Vec::new();
    results.write(&mut result_set);
    let previous = network.hash;
    let mut closed = Closed {
        previous,
        tx_set: Hash32::sha256(&[&set]),
        results: Hash32::sha256(&[&result_set]),
        state: Hash32([0; 32]),
    };
    closed.state = Hash32::sha256(&[&network.header.bucket_list_hash.0, &closed.tx_set.0, &closed.results.0]);
    header::advance(&mut network.header, &closed);
    network.hash = header::hash(&network.header);

    let mut out = Vec::with_capacity(set.len() + processing.len() + 1024);
    encode::put_u32(&mut out, 2);
    encode::put_u32(&mut out, 1);
    encode::put_u32(&mut out, 0);
    out.extend_from_slice(&fees::WRITE_1KB.to_be_bytes());
    out.extend_from_slice(&network.hash.0);
    encode::put(&mut out, &network.header);
    encode::put_u32(&mut out, 0);
    out.extend_from_slice(&set);
    out.extend_from_slice(&processing);
    encode::put_u32(&mut out, 0);
    encode::put_u32(&mut out, 0);
    out.extend_from_slice(&network.state.soroban_bytes().to_be_bytes());
    encode::put_u32(&mut out, 0);
    let truth = tell(network, work, &closed, out.len());
    (out, truth)
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

fn tell(network: &SimNetwork, work: &[Work], closed: &Closed, bytes: usize) -> LedgerTruth {
    let header = &network.header;
    let mut totals = Totals {
        fee_pool: header.fee_pool,
        total_coins: header.total_coins,
        xdr_bytes: u64::from(encode::count(bytes)),
        ..Totals::default()
    };
    let (mut transactions, mut operations) = (Vec::with_capacity(work.len()), Vec::new());
    for one in work {
        let count = u64::from(encode::count(one.built.tx.operations.len()));
        let soroban = u64::from(one.built.soroban().is_some());
        let good = u64::from(one.successful);
        totals.successful += good;
        totals.failed += 1 - good;
        totals.fee_bumps += u64::from(one.built.bump.is_some());
        totals.soroban_transactions += soroban;
        totals.operations += good * count;
        totals.envelope_operations += count;
        totals.soroban_operations += soroban * count;
        totals.operation_events += one.operation_events;
        totals.transaction_events += u64::from(one.events.len());
        totals.diagnostic_events += u64::from(one.soroban.diagnostics.len());
        totals.fee_charged += one.fee_charged();
        transactions.push(truth::transaction(&one.built, one.successful, one.fee_charged()));
        operations.extend(truth::operations(&one.built, one.successful, &one.applied));
    }
    LedgerTruth {
        seq: LedgerSeq::new(header.ledger_seq),
        hash: network.hash,
        previous_hash: closed.previous,
        tx_set_hash: closed.tx_set,
        tx_set_result_hash: closed.results,
        closed_at: i64::try_from(header.scp_value.close_time.0).unwrap_or(i64::MAX),
        protocol: header.ledger_version,
        transactions,
        operations,
        totals,
    }
}
