//! Closing a ledger: fees of all, then classic transactions, then Soroban ones, refunds, upgrades and evictions.

use std::collections::HashMap;

use stellar_xdr::{AccountId, LedgerKey, LedgerUpgrade, Operation, OperationResult, TransactionEventStage};

use crate::{
    apply::{self, Cx},
    assemble::assemble,
    encode::{self, Seq},
    entries,
    header::{self, Closed},
    network::SimNetwork,
    one_time,
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
    pub(crate) fee_changes: Seq,
    pub(crate) before: Seq,
    pub(crate) operations: Seq,
    pub(crate) results: Vec<OperationResult>,
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
    pub(crate) post: Seq,
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
#[derive(Debug)]
pub(crate) struct Rest {
    /// Base fee of the transaction set, in stroops.
    pub(crate) base_fee: u32,
    /// Upgrades.
    pub(crate) upgrades: Upgraded,
    /// Keys of what was evicted.
    pub(crate) evicted: Seq,
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
    one_time::spend(&mut network.state, &one.built);
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
        one.applied.fill(false);
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
        cluster: one.built.cluster,
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
