//! Closing a ledger: fees of all, then classic transactions, then Soroban ones, then refunds; and the XDR of it all.

use std::collections::HashMap;

use lake_core::Hash32;
use stellar_xdr::{
    AccountId, Hash, InnerTransactionResult, InnerTransactionResultExt, InnerTransactionResultPair,
    InnerTransactionResultResult, LedgerHeader, LedgerKey, LedgerUpgrade, Operation, OperationResult,
    TransactionEventStage, TransactionResult, TransactionResultExt, TransactionResultPair,
    TransactionResultResult,
};

use crate::{
    apply::{self, Cx},
    encode::{self, Seq},
    entries,
    header::{self, Closed},
    network::SimNetwork,
    refusal::{self, Refusal},
    soroban::{Outcome, fees},
    truth,
    tx::{self, Built, Plan},
    upgrade::{self, Upgraded},
};

/// A transaction on its way through the ledger.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) built: Built,
    fee_changes: Seq,
    before: Seq,
    operations: Seq,
    results: Vec<OperationResult>,
    pub(crate) applied: Vec<bool>,
    pub(crate) successful: bool,
    /// Why not even its first operation was applied, or none of them counts.
    pub(crate) refusal: Option<Refusal>,
    /// Trades of its operations, those left out that moved nothing.
    pub(crate) trades: u64,
    pub(crate) soroban: Outcome,
    pub(crate) events: Seq,
    pub(crate) operation_events: u64,
    refund: i64,
    post: Seq,
}

/// A closed ledger of which only the XDR is made so far.
#[derive(Debug)]
pub(crate) struct ClosedLedger {
    /// XDR of the `LedgerCloseMeta`.
    pub(crate) xdr: Vec<u8>,
    pub(crate) work: Vec<Work>,
    pub(crate) closed: Closed,
    /// Entries evicted, their TTL entries not counted.
    pub(crate) evicted: u32,
}

/// Closes a ledger with these transactions and upgrades.
pub(crate) fn close(
    network: &mut SimNetwork,
    plans: Vec<Plan>,
    upgrades: Vec<LedgerUpgrade>,
) -> ClosedLedger {
    let seq = network.header.ledger_seq + 1;
    let base_fee = network.header.base_fee;
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
    let upgrades = upgrade::apply(network, upgrades);
    let keys = network.state.evict();
    let mut evicted = Seq::default();
    keys.iter().for_each(|key| evicted.push(key));
    let gone = keys.iter().filter(|key| !matches!(key, LedgerKey::Ttl(_))).count();
    let (xdr, closed) = assemble(network, &mut work, &Rest { base_fee, upgrades, evicted });
    ClosedLedger { xdr, work, closed, evicted: encode::count(gone) }
}

/// What a ledger consists of besides its transactions.
struct Rest {
    /// Base fee of the transaction set, in stroops.
    base_fee: u32,
    upgrades: Upgraded,
    evicted: Seq,
}

/// Builds the transactions, in apply order.
fn prepare(network: &SimNetwork, plans: Vec<Plan>) -> Vec<Work> {
    let mut sequences: HashMap<AccountId, i64> = HashMap::new();
    let (mut classic, mut soroban) = (Vec::new(), Vec::new());
    for plan in plans {
        let source = entries::unmuxed(&plan.source);
        let known = network.state.account(&source).map_or(0, |account| account.seq_num.0);
        let seq = sequences.entry(source).or_insert(known);
        *seq = plan.seq.unwrap_or(*seq + 1);
        let built = tx::build(&network.network_id, plan, *seq, network.header.base_fee);
        if built.soroban().is_some() { soroban.push(built) } else { classic.push(built) }
    }
    soroban.sort_by_key(|built| built.cluster);
    classic.into_iter().chain(soroban).map(Work::new).collect()
}

impl Work {
    fn new(built: Built) -> Self {
        // Two images of an account with one or two signers; four for a fee bump.
        let pair = 520;
        let bumped = if built.bump.is_some() { 2 * pair } else { pair };
        let operations = built.tx.operations.len().saturating_sub(1) * 800;
        Self {
            built,
            fee_changes: Seq::with_room(pair),
            before: Seq::with_room(bumped),
            operations: Seq::with_room(operations),
            results: Vec::new(),
            applied: Vec::new(),
            successful: false,
            refusal: None,
            trades: 0,
            soroban: Outcome::default(),
            events: Seq::default(),
            operation_events: 0,
            refund: 0,
            post: Seq::default(),
        }
    }

    pub(crate) fn fee_charged(&self) -> i64 {
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
    one.refusal = refusal::check(&network.state, &one.built);
    if one.refusal.is_some_and(|refusal| !refusal.consumes_sequence()) {
        return;
    }
    if let Some(account) = network.state.account_mut(&one.built.source) {
        entries::set_sequence(account, one.built.tx.seq_num.0, ledger, time);
    }
    network.state.seal(&mut one.before, false);
}

fn run(network: &mut SimNetwork, one: &mut Work) {
    if one.refusal.is_some() {
        one.applied = vec![false; one.built.tx.operations.len()];
        return;
    }
    let id_pool = network.header.id_pool;
    if let Some(data) = one.built.soroban() {
        one.soroban.non_refundable = fees::non_refundable(&data.resources);
    }
    one.successful = true;
    let mut running =
        Running { events: Seq::with_room(600), changes: Seq::with_room(1200), sponsorships: Vec::new() };
    let operations = std::mem::take(&mut one.built.tx.operations);
    for (operation, index) in operations.iter().zip(0..) {
        run_operation(network, one, (operation, index), &mut running);
    }
    one.built.tx.operations = operations;
    if one.successful && !running.sponsorships.is_empty() {
        one.refusal = Some(Refusal::BadSponsorship);
        one.successful = false;
    }
    if one.successful {
        one.trades = one.results.iter().map(truth::trades).sum();
        network.state.commit_transaction();
    } else {
        network.state.rollback_transaction();
        network.header.id_pool = id_pool;
        one.operations = Seq::default();
        one.operation_events = 0;
        one.soroban.refundable = 0;
        one.soroban.rent = 0;
        one.soroban.copies = 0;
        one.soroban.return_value = None;
    }
}

/// What lasts from one operation of a transaction to the next.
struct Running {
    events: Seq,
    changes: Seq,
    sponsorships: Vec<(AccountId, AccountId)>,
}

fn run_operation(
    network: &mut SimNetwork,
    one: &mut Work,
    (operation, index): (&Operation, u32),
    running: &mut Running,
) {
    let Running { events, changes, sponsorships } = running;
    events.clear();
    changes.clear();
    let id_pool_before = network.header.id_pool;
    let mut cx = Cx {
        state: &mut network.state,
        assets: &mut network.assets,
        id_pool: &mut network.header.id_pool,
        events,
        source: one.built.source.clone(),
        transaction: (one.built.source.clone(), one.built.tx.seq_num.0),
        index,
        sponsorships,
        memo: &one.built.tx.memo,
        network_id: network.network_id,
        time: header::close_time(network.header.ledger_seq + 1),
        resources: one.built.soroban(),
        soroban: &mut one.soroban,
    };
    let (result, ok) = apply::apply(&mut cx, operation);
    if ok {
        network.state.seal(changes, true);
    } else {
        network.state.rollback_op();
        network.header.id_pool = id_pool_before;
    }
    one.successful &= ok;
    one.results.push(result);
    one.applied.push(ok);
    one.operation_events += u64::from(events.len());
    one.operations.push_operation(changes, events);
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

fn assemble(network: &mut SimNetwork, work: &mut [Work], rest: &Rest) -> (Vec<u8>, Closed) {
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
