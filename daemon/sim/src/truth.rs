//! What really happened in a ledger, noted while it happened and not read back from its XDR.

use lake_core::{Hash32, LedgerSeq};
use stellar_xdr::{AccountId, Asset, MuxedAccount, OperationBody};

use crate::{entries, tx::Built};

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
    /// Whether it succeeded itself, whatever became of its transaction.
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

fn asset_name(asset: &Asset) -> String {
    entries::code_and_issuer(asset).map_or_else(
        || "native".to_owned(),
        |(code, issuer)| format!("{}:{}", String::from_utf8_lossy(code), strkey(issuer)),
    )
}

/// What can be said of a transaction once it is applied.
pub(crate) fn transaction(built: &Built, successful: bool, fee_charged: i64) -> TxTruth {
    let bump = built.bump.is_some();
    TxTruth {
        hash: built.hash,
        inner_hash: built.inner_hash,
        source: strkey(&built.source),
        source_muxed: muxed_strkey(&built.tx.source_account),
        fee_account: bump.then(|| strkey(&built.fee_account())),
        account_sequence: built.tx.seq_num.0,
        successful,
        fee_charged,
        max_fee: built.max_fee(),
        operation_count: crate::encode::count(built.tx.operations.len()),
        soroban: built.soroban().is_some(),
        result: match (bump, successful) {
            (false, true) => "tx_success",
            (false, false) => "tx_failed",
            (true, true) => "tx_fee_bump_inner_success",
            (true, false) => "tx_fee_bump_inner_failed",
        },
    }
}

/// What can be said of the operations of a transaction; `applied` tells which succeeded by themselves.
pub(crate) fn operations(built: &Built, successful: bool, applied: &[bool]) -> Vec<OpTruth> {
    let each = built.tx.operations.iter().zip(applied).zip(0..);
    each.map(|((operation, applied), index)| {
        let source = operation.source_account.as_ref().map_or_else(|| built.source.clone(), entries::unmuxed);
        let (amount, asset, destination) = named(&operation.body);
        OpTruth {
            transaction: built.hash,
            index,
            kind: i32::from(operation.body.discriminant()),
            source: strkey(&source),
            successful,
            applied: *applied,
            amount,
            asset: asset.map(asset_name),
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
        OperationBody::CreatePassiveSellOffer(_)
        | OperationBody::SetOptions(_)
        | OperationBody::ChangeTrust(_)
        | OperationBody::AllowTrust(_)
        | OperationBody::AccountMerge(_)
        | OperationBody::Inflation
        | OperationBody::ManageData(_)
        | OperationBody::BumpSequence(_)
        | OperationBody::CreateClaimableBalance(_)
        | OperationBody::ClaimClaimableBalance(_)
        | OperationBody::BeginSponsoringFutureReserves(_)
        | OperationBody::EndSponsoringFutureReserves
        | OperationBody::RevokeSponsorship(_)
        | OperationBody::Clawback(_)
        | OperationBody::ClawbackClaimableBalance(_)
        | OperationBody::SetTrustLineFlags(_)
        | OperationBody::LiquidityPoolDeposit(_)
        | OperationBody::LiquidityPoolWithdraw(_)
        | OperationBody::InvokeHostFunction(_)
        | OperationBody::ExtendFootprintTtl(_)
        | OperationBody::RestoreFootprint(_) => (None, None, None),
    }
}
