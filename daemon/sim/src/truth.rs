//! What really happened in a ledger, noted while it happened and not read back from its XDR.

use lake_core::{Hash32, LedgerSeq};
use stellar_xdr::{
    AccountId, Asset, ClaimAtom, ManageBuyOfferResult, ManageSellOfferResult, MuxedAccount, OperationBody,
    OperationResult, OperationResultTr, PathPaymentStrictReceiveResult, PathPaymentStrictSendResult,
};

use crate::{
    books::EntryChange,
    close::{ClosedLedger, Work},
    encode, entries,
    events::AssetContracts,
    network::SimNetwork,
    rows::TableRows,
    tx::Built,
};

/// One ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerTruth {
    /// Sequence.
    pub seq: LedgerSeq,
    /// Hash of the header.
    pub hash: Hash32,
    /// Hash of the header before.
    pub previous_hash: Hash32,
    /// Hash of the transaction set.
    pub tx_set_hash: Hash32,
    /// Hash of the results.
    pub tx_set_result_hash: Hash32,
    /// Close time, seconds since the Unix epoch.
    pub closed_at: i64,
    /// Protocol version.
    pub protocol: u32,
    /// Transactions in apply order.
    pub transactions: Vec<TxTruth>,
    /// Operations of all envelopes in apply order, those of failed transactions included.
    pub operations: Vec<OpTruth>,
    /// Sums.
    pub totals: Totals,
    /// Rows that each table must have for this ledger.
    pub rows: TableRows,
}

/// Sums over one ledger, or over a range where the field makes sense as a sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Successful transactions.
    pub successful: u64,
    /// Failed transactions.
    pub failed: u64,
    /// Fee bumps.
    pub fee_bumps: u64,
    /// Soroban transactions.
    pub soroban_transactions: u64,
    /// Operations of successful transactions.
    pub operations: u64,
    /// Operations of all transactions.
    pub envelope_operations: u64,
    /// Soroban operations of all transactions.
    pub soroban_operations: u64,
    /// Events of operations: those of contracts and the unified ones of classic operations.
    pub operation_events: u64,
    /// Events of transactions: fees and refunds.
    pub transaction_events: u64,
    /// Diagnostic events.
    pub diagnostic_events: u64,
    /// Sum of the fees charged, refunds already taken off, in stroops.
    pub fee_charged: i64,
    /// Fee pool after the ledger (in a sum: after the last one), in stroops.
    pub fee_pool: i64,
    /// All the money there is, in stroops.
    pub total_coins: i64,
    /// Bytes of XDR.
    pub xdr_bytes: u64,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxTruth {
    /// Hash of the outer transaction.
    pub hash: Hash32,
    /// Hash of the inner transaction, for a fee bump.
    pub inner_hash: Option<Hash32>,
    /// Source of the transaction (the inner one's, for a fee bump): a `G...` address.
    pub source: String,
    /// The source's `M...` address where it is muxed.
    pub source_muxed: Option<String>,
    /// Who pays the fee of a fee bump: a `G...` address.
    pub fee_account: Option<String>,
    /// Sequence number.
    pub account_sequence: i64,
    /// Whether it succeeded.
    pub successful: bool,
    /// Fee charged, the refund already taken off, in stroops.
    pub fee_charged: i64,
    /// The most that the (outer) transaction would pay, in stroops.
    pub max_fee: i64,
    /// Operations in the envelope.
    pub operation_count: u32,
    /// Whether it is a Soroban transaction.
    pub soroban: bool,
    /// Result in Horizon's words, e.g. `tx_success`.
    pub result: &'static str,
    /// Result of the inner transaction of a fee bump in Horizon's words.
    pub inner_result: Option<&'static str>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpTruth {
    /// Hash of its (outer) transaction.
    pub transaction: Hash32,
    /// Position in the transaction, from 0.
    pub index: u32,
    /// Number of the operation's type.
    pub kind: i32,
    /// Source of the operation: a `G...` address.
    pub source: String,
    /// Whether its transaction succeeded.
    pub successful: bool,
    /// Whether it has a result of its own that is a success, whatever became of its transaction.
    pub applied: bool,
    /// Amount that the operation names, where it names one.
    pub amount: Option<i64>,
    /// Asset of the amount: `native` or `CODE:ISSUER`.
    pub asset: Option<String>,
    /// Destination, as a `G...` address.
    pub destination: Option<String>,
}

/// `G...` address of an account.
fn strkey(id: &AccountId) -> String {
    let key = stellar_strkey::ed25519::PublicKey(entries::key_bytes(id));
    key.to_string().as_str().to_owned()
}

fn muxed_strkey(account: &MuxedAccount) -> Option<String> {
    let MuxedAccount::MuxedEd25519(muxed) = account else { return None };
    let key = stellar_strkey::ed25519::MuxedAccount { ed25519: muxed.ed25519.0, id: muxed.id };
    Some(key.to_string().as_str().to_owned())
}

/// What can be said of a transaction once it is applied.
fn transaction(one: &Work) -> TxTruth {
    let (built, bump) = (&one.built, one.built.bump.is_some());
    let own = match (one.refusal, one.successful) {
        (Some(refusal), _) => refusal.word(),
        (None, true) => "tx_success",
        (None, false) => "tx_failed",
    };
    TxTruth {
        hash: built.hash,
        inner_hash: built.inner_hash,
        source: strkey(&built.source),
        source_muxed: muxed_strkey(&built.tx.source_account),
        fee_account: bump.then(|| strkey(&built.fee_account())),
        account_sequence: built.tx.seq_num.0,
        successful: one.successful,
        fee_charged: one.fee_charged(),
        max_fee: built.max_fee(),
        operation_count: encode::count(built.tx.operations.len()),
        soroban: built.soroban().is_some(),
        result: match (bump, one.successful) {
            (false, _) => own,
            (true, true) => "tx_fee_bump_inner_success",
            (true, false) => "tx_fee_bump_inner_failed",
        },
        inner_result: bump.then_some(own),
    }
}

/// Claim atoms of a result that moved something.
pub(crate) fn trades(result: &OperationResult) -> u64 {
    let OperationResult::OpInner(inner) = result else { return 0 };
    let atoms = if let OperationResultTr::ManageSellOffer(ManageSellOfferResult::Success(success))
    | OperationResultTr::ManageBuyOffer(ManageBuyOfferResult::Success(success)) = inner
    {
        success.offers_claimed.as_slice()
    } else if let OperationResultTr::PathPaymentStrictReceive(result) = inner
        && let PathPaymentStrictReceiveResult::Success(success) = result
    {
        success.offers.as_slice()
    } else if let OperationResultTr::PathPaymentStrictSend(result) = inner
        && let PathPaymentStrictSendResult::Success(success) = result
    {
        success.offers.as_slice()
    } else {
        return 0;
    };
    let moved = |atom: &&ClaimAtom| match atom {
        ClaimAtom::V0(atom) => atom.amount_sold != 0 || atom.amount_bought != 0,
        ClaimAtom::OrderBook(atom) => atom.amount_sold != 0 || atom.amount_bought != 0,
        ClaimAtom::LiquidityPool(atom) => atom.amount_sold != 0 || atom.amount_bought != 0,
    };
    u64::from(encode::count(atoms.iter().filter(moved).count()))
}

/// The truth about the ledger that `network` has just closed.
pub(crate) fn tell(network: &SimNetwork, ledger: &ClosedLedger, changes: &[EntryChange]) -> LedgerTruth {
    let ClosedLedger { xdr, work, closed, evicted } = ledger;
    let mut rows = TableRows::default();
    let header = &network.header;
    let mut totals = Totals {
        fee_pool: header.fee_pool,
        total_coins: header.total_coins,
        xdr_bytes: u64::from(encode::count(xdr.len())),
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
        rows.trades += one.trades;
        rows.contract_events += one.operation_events
            + u64::from(one.events.len() + one.soroban.diagnostics.len())
            - one.soroban.copies;
        transactions.push(transaction(one));
        operations.extend(self::operations(&one.built, one.successful, &one.applied, &network.assets));
    }
    rows.ledgers = 1;
    rows.transactions = totals.successful + totals.failed;
    rows.operations = totals.envelope_operations;
    rows.evicted_keys = u64::from(*evicted);
    rows.restored_keys = u64::try_from(network.state.restored()).unwrap_or(0);
    rows.count(changes);
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
        rows,
    }
}

/// What can be said of the operations of a transaction; `applied` tells which succeeded by themselves.
fn operations(built: &Built, successful: bool, applied: &[bool], assets: &AssetContracts) -> Vec<OpTruth> {
    let own_source = strkey(&built.source);
    let each = built.tx.operations.iter().zip(applied).zip(0..);
    each.map(|((operation, applied), index)| {
        let source = operation.source_account.as_ref();
        let (amount, asset, destination) = named(&operation.body);
        OpTruth {
            transaction: built.hash,
            index,
            kind: i32::from(operation.body.discriminant()),
            source: source.map_or_else(|| own_source.clone(), |source| strkey(&entries::unmuxed(source))),
            successful,
            applied: *applied,
            amount,
            asset: asset.map(|asset| assets.name(asset)),
            destination: destination.map(|id| strkey(&id)),
        }
    })
    .collect()
}

type Named<'a> = (Option<i64>, Option<&'a Asset>, Option<AccountId>);

/// Amount, asset and destination that an operation names.
fn named(body: &OperationBody) -> Named<'_> {
    match body {
        OperationBody::CreateAccount(op) => (Some(op.starting_balance), None, Some(op.destination.clone())),
        OperationBody::Payment(op) => {
            (Some(op.amount), Some(&op.asset), Some(entries::unmuxed(&op.destination)))
        }
        OperationBody::PathPaymentStrictReceive(op) => {
            (Some(op.dest_amount), Some(&op.dest_asset), Some(entries::unmuxed(&op.destination)))
        }
        OperationBody::PathPaymentStrictSend(op) => {
            (Some(op.send_amount), Some(&op.send_asset), Some(entries::unmuxed(&op.destination)))
        }
        OperationBody::ManageSellOffer(op) => (Some(op.amount), Some(&op.selling), None),
        OperationBody::ManageBuyOffer(op) => (Some(op.buy_amount), Some(&op.buying), None),
        OperationBody::CreatePassiveSellOffer(op) => (Some(op.amount), Some(&op.selling), None),
        OperationBody::AccountMerge(to) => (None, None, Some(entries::unmuxed(to))),
        OperationBody::CreateClaimableBalance(op) => (Some(op.amount), Some(&op.asset), None),
        OperationBody::Clawback(op) => (Some(op.amount), Some(&op.asset), None),
        OperationBody::SetOptions(_)
        | OperationBody::ChangeTrust(_)
        | OperationBody::AllowTrust(_)
        | OperationBody::Inflation
        | OperationBody::ManageData(_)
        | OperationBody::BumpSequence(_)
        | OperationBody::ClaimClaimableBalance(_)
        | OperationBody::BeginSponsoringFutureReserves(_)
        | OperationBody::EndSponsoringFutureReserves
        | OperationBody::RevokeSponsorship(_)
        | OperationBody::ClawbackClaimableBalance(_)
        | OperationBody::SetTrustLineFlags(_)
        | OperationBody::LiquidityPoolDeposit(_)
        | OperationBody::LiquidityPoolWithdraw(_)
        | OperationBody::InvokeHostFunction(_)
        | OperationBody::ExtendFootprintTtl(_)
        | OperationBody::RestoreFootprint(_) => (None, None, None),
    }
}
