//! Effects: what the operations of successful transactions did to accounts, with Horizon's types, order and details.
//!
//! An effect comes from the operation itself, its result, the ledger entry changes of its meta or the events of the
//! contracts that stand for assets. Horizon's rules are those of its effects processor; effects 98 and 99, which it
//! does not have, are stellar-etl's. Where the meta of rebuilt history has no changes, effects that only changes tell
//! have no row.

mod accounts;
mod balances;
mod emit;
mod kind;
mod payments;
mod pools;
mod soroban;
mod sponsorships;
#[cfg(test)]
mod tests;
mod trustlines;

use stellar_xdr::{self as xdr, OperationBody as Body};

use super::{ExtractError, Input};
use crate::{
    decode::{Ledger, Transaction},
    schema::{Account, Hex32, Muxed, Shown, Text, Timestamp, Word, Written, table},
    text::{self, LossyText},
};
use emit::{Effects, Op};

table! {
    /// One row per effect of every operation of a successful transaction, as Horizon tells them. Amounts are stroops. Of
    /// history that was rebuilt without ledger entry changes, effects that only these tell have no row.
    effects_row_v1 { key: [transaction_hash, operation_index, effect_index], ledger: ledger_sequence }
    columns {
        /// Ledger that holds the transaction.
        ledger_sequence: i64,
        /// Hash of the transaction, of the outer one for a fee bump.
        transaction_hash: Hex32 [bloom],
        /// Position of the operation in its transaction, from 0.
        operation_index: i32,
        /// Position of the effect in its operation, from 0; Horizon counts them from 1.
        effect_index: i32,
        /// Number of the effect's type, as in Horizon; 98 extend_footprint_ttl and 99 restore_footprint are not there.
        effect_type: i32,
        /// Name of the type, such as `account_credited`.
        effect_type_string: Word,
        /// Account that is affected, G...; for effects 96 to 99 the source of the operation.
        account_id: Account [bloom],
        /// Amount that was credited, debited, made claimable or claimed, or first balance of a new account, stroops;
        /// NULL where a contract's amount does not fit, see `amount_i128`.
        amount: Option<i64>,
        /// Code of the asset of that amount, of the trustline or of its sponsorship.
        asset_code: Option<LossyText>,
        /// Issuer of that asset, G...
        asset_issuer: Option<Account>,
        /// Type of that asset: `native`, `credit_alphanum4`, `credit_alphanum12` or `liquidity_pool_shares`.
        asset_type: Option<Word>,
        /// Limit of the trustline that was made, changed or removed, stroops.
        trustline_limit: Option<i64>,
        /// Whether trustline_flags_updated authorized the trustline; NULL where it left that as it was.
        authorize_flag: Option<bool>,
        /// Whether clawback was enabled, of a trustline by trustline_flags_updated or of an account by
        /// account_flags_updated; NULL where that was left as it was.
        clawback_flag: Option<bool>,
        /// Signer that was made, changed, removed or sponsored: G, T, X or P...
        signer_account: Option<Text>,
        /// Weight of the signer that was made or changed.
        signer_weight: Option<i32>,
        /// Offer that was traded with.
        offer_id: Option<i64>,
        /// Other side of a trade, G...: the offer's owner for the one who took it, and the other way round.
        seller_account: Option<Account>,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// SEP-35 id of the operation.
        operation_id: i64,
        /// All that Horizon's `details` holds for the effect, JSON.
        details_json: Written,
        /// Muxed address of the account, M...; NULL where it is none.
        account_muxed: Option<Muxed>,
        /// Amount of an effect that comes from a contract event, stroops, exactly.
        amount_i128: Option<Shown<i128>>,
    }
}

/// Appends the effects of this ledger, in transaction and operation order.
///
/// # Errors
/// A value that has no row, with the transaction and operation that it stands in.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    let ledger = input.ledger;
    let mut details = text::Json::default();
    for tx in ledger.transactions.iter().filter(|tx| tx.successful()) {
        for (index, operation) in tx.operations().iter().enumerate() {
            let effects =
                op(ledger, tx, index, operation).and_then(|op| push(Effects::new(&op, &mut details, out)));
            effects.map_err(|reason| ExtractError {
                seq: ledger.seq,
                table: SPEC.name,
                reason: format!("transaction {} operation {index}: {reason}", tx.hash),
            })?;
        }
    }
    Ok(())
}

fn op<'l>(
    ledger: &'l Ledger,
    tx: &'l Transaction,
    index: usize,
    operation: &'l xdr::Operation,
) -> Result<Op<'l>, String> {
    Ok(Op {
        tx,
        index,
        body: &operation.body,
        source: tx.operation_source(operation),
        changes: tx.operation_changes(index),
        network: ledger.network_id,
        ledger_sequence: i64::from(ledger.seq.get()),
        closed_at: ledger.closed_at_micros(),
        operation_index: i32::try_from(index)
            .map_err(|_| format!("operation_index {index} does not fit its column"))?,
        operation_id: tx.operation_toid(ledger.seq, index),
    })
}

fn push(mut effects: Effects<'_>) -> Result<(), String> {
    let e = &mut effects;
    match e.op.body {
        Body::CreateAccount(op) => payments::create_account(e, op),
        Body::Payment(op) => payments::payment(e, op),
        Body::PathPaymentStrictReceive(op) => payments::strict_receive(e, op)?,
        Body::PathPaymentStrictSend(op) => payments::strict_send(e, op)?,
        Body::ManageSellOffer(_) | Body::ManageBuyOffer(_) | Body::CreatePassiveSellOffer(_) => {
            payments::offer(e)?;
        }
        Body::SetOptions(op) => accounts::set_options(e, op)?,
        Body::ChangeTrust(op) => trustlines::change_trust(e, op),
        Body::AllowTrust(op) => trustlines::allow_trust(e, op)?,
        Body::AccountMerge(destination) => payments::merge(e, destination)?,
        Body::Inflation => payments::inflation(e)?,
        Body::ManageData(op) => accounts::manage_data(e, op),
        Body::BumpSequence(_) => accounts::bump_sequence(e),
        Body::CreateClaimableBalance(op) => balances::create(e, op)?,
        Body::ClaimClaimableBalance(op) => balances::claim(e, op)?,
        // only changes of entries tell what these did
        Body::BeginSponsoringFutureReserves(_)
        | Body::EndSponsoringFutureReserves
        | Body::RevokeSponsorship(_) => {}
        Body::Clawback(op) => payments::clawback(e, op),
        Body::ClawbackClaimableBalance(op) => balances::clawback(e, op)?,
        Body::SetTrustLineFlags(op) => trustlines::set_flags(e, op)?,
        Body::LiquidityPoolDeposit(op) => pools::deposit(e, op)?,
        Body::LiquidityPoolWithdraw(op) => pools::withdraw(e, op)?,
        Body::InvokeHostFunction(_) => soroban::invoke(e)?,
        Body::ExtendFootprintTtl(op) => soroban::extend(e, op)?,
        Body::RestoreFootprint(_) => soroban::restore(e)?,
    }
    sponsorships::push(e)?;
    pools::created_and_removed(e)
}
