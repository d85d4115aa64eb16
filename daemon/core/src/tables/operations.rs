//! Operations: one row per operation of every envelope, whatever became of its transaction.
//!
//! What an operation asked for comes from the envelope; what it brought about from its result and, for a few details,
//! from the ledger entry changes and contract events of the meta.

mod columns;
mod details;
pub(super) mod outcome;
mod soroban;
#[cfg(test)]
mod tests;

use stellar_xdr::{self as xdr, WriteXdr};

use super::{ExtractError, Input};
use crate::{
    decode::{Ledger, Transaction},
    ledger::Hash32,
    schema::{Account, Base64, Hex32, Muxed, ScVals, Shown, Timestamp, Word, Written, table},
    text::{self, AssetText, BalanceText, LossyText, PriceRatio, Shows},
};
use outcome::Outcome;

table! {
    /// One row per operation of every transaction, failed transactions included. Amounts are stroops.
    operations_row_v2 { key: [transaction_hash, operation_index], ledger: ledger_sequence }
    columns {
        /// Hash of the transaction, of the outer one for a fee bump.
        transaction_hash: Hex32 [bloom],
        /// Position of the operation in its transaction, from 0.
        operation_index: i32,
        /// Ledger that holds the transaction.
        ledger_sequence: i64,
        /// Account that the operation acts for, G...: its own source, else the transaction's.
        source_account: Account [bloom],
        /// Number of the operation type, 0 to 26.
        r#type: i32,
        /// Name of the operation type, such as `payment`.
        type_string: Word,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
        /// Whether the transaction was applied and kept.
        transaction_successful: bool,
        /// `op_inner` where the operation was applied, else why not; NULL where the transaction has no results.
        operation_result_code: Option<Word>,
        /// What came of an applied operation, such as `op_success` or `op_underfunded`; NULL where it was not applied.
        operation_trace_code: Option<Word>,
    }
    ledger_range;
    columns {
        /// Muxed address of the source, M...; NULL where it is none.
        source_account_muxed: Option<Muxed>,
        /// Asset of a payment (the one that arrives), trustline, clawback or claimable balance, or that a contract is
        /// made for: `native` or `CODE:ISSUER`; NULL for pool shares.
        asset: Option<AssetText>,
        /// Type of the asset: `native`, `credit_alphanum4`, `credit_alphanum12` or `liquidity_pool_shares`.
        asset_type: Option<Word>,
        /// Code of the asset.
        asset_code: Option<LossyText>,
        /// Issuer of the asset, G...
        asset_issuer: Option<Account>,
        /// Asset that a path payment sends.
        source_asset: Option<AssetText>,
        /// Type of that asset.
        source_asset_type: Option<Word>,
        /// Code of that asset.
        source_asset_code: Option<LossyText>,
        /// Issuer of that asset, G...
        source_asset_issuer: Option<Account>,
        /// Amount of a payment, offer, claimable balance or clawback, stroops; of a path payment what arrives, NULL
        /// where that depends on exchanges that a failed transaction never made.
        amount: Option<i64>,
        /// Amount that left the source of a path payment, stroops; NULL where a failed transaction never exchanged it.
        source_amount: Option<i64>,
        /// Least amount that path_payment_strict_send may deliver, stroops.
        destination_min: Option<i64>,
        /// First balance of a new account, stroops.
        starting_balance: Option<i64>,
        /// Account that is paid, created or merged into, G...
        destination: Option<Account> [bloom],
        /// Limit of a trustline, stroops; 0 removes it.
        trustline_limit: Option<i64>,
        /// Account whose trustline allow_trust or set_trust_line_flags changes, G...
        trustor: Option<Account>,
        /// Whether the trustline becomes authorized; NULL where set_trust_line_flags leaves that as it is.
        authorize: Option<bool>,
        /// Whether it becomes authorized to maintain liabilities only; NULL where that is left as it is.
        authorize_to_maintain_liabilities: Option<bool>,
        /// Flags that set_trust_line_flags sets: 1 authorized, 2 maintain liabilities, 4 clawback enabled.
        trust_line_flags: Option<i32>,
        /// Claimable balance that is claimed, clawed back or was created, 72 hex digits.
        balance_id: Option<BalanceText>,
        /// Number of those who may claim a new claimable balance.
        claimants_count: Option<i32>,
        /// Account whose reserves begin to be sponsored, G...
        sponsored_id: Option<Account>,
        /// Offer as the operation names it: 0 asks for a new one.
        offer_id: Option<i64>,
        /// Price of an offer, n/d; NULL where d is 0.
        price: Option<f64>,
        /// The same as `n/d`, exactly.
        price_r: Option<Shown<PriceRatio>>,
        /// Asset that an offer buys.
        buying_asset: Option<AssetText>,
        /// Type of that asset.
        buying_asset_type: Option<Word>,
        /// Code of that asset.
        buying_asset_code: Option<LossyText>,
        /// Issuer of that asset, G...
        buying_asset_issuer: Option<Account>,
        /// Asset that an offer sells.
        selling_asset: Option<AssetText>,
        /// Type of that asset.
        selling_asset_type: Option<Word>,
        /// Code of that asset.
        selling_asset_code: Option<LossyText>,
        /// Issuer of that asset, G...
        selling_asset_issuer: Option<Account>,
        /// `invoke` for invoke_host_function, `extend_footprint_ttl` or `restore_footprint`.
        soroban_operation: Option<Word>,
        /// Contract function that is called.
        soroban_function: Option<LossyText>,
        /// Contract that is called or made, C...
        soroban_contract_id: Option<Shows<xdr::ScAddress>> [bloom],
        /// Whether invoke_host_function carries authorization entries.
        soroban_auth_required: Option<bool>,
        /// Sequence number that bump_sequence asks for.
        bump_to: Option<i64>,
        /// Account flags that set_options sets: 1 required, 2 revocable, 4 immutable, 8 clawback enabled.
        set_flags: Option<i32>,
        /// Account flags that set_options clears.
        clear_flags: Option<i32>,
        /// Home domain that set_options sets.
        home_domain: Option<LossyText>,
        /// Weight of the master key that set_options sets. As every weight, threshold and flag here, 2147483647 where
        /// the protocol's unsigned number is higher (no such operation can succeed).
        master_weight: Option<i32>,
        /// Low threshold that set_options sets.
        low_threshold: Option<i32>,
        /// Medium threshold that set_options sets.
        medium_threshold: Option<i32>,
        /// High threshold that set_options sets.
        high_threshold: Option<i32>,
        /// Name of the data entry that manage_data sets or deletes.
        data_name: Option<LossyText>,
        /// Value of the data entry, base64; NULL deletes it.
        data_value: Option<Base64>,
    }
    era_id; version_label;
    columns {
        /// SEP-35 id of the transaction.
        transaction_id: i64,
        /// SEP-35 id of the operation.
        operation_id: i64,
        /// Position of the transaction in apply order, from 1.
        application_order: i32,
        /// All that Horizon's `details` holds for the operation, JSON.
        details_json: Written,
        /// Contract function that is called.
        function_name: Option<LossyText>,
        /// Arguments of the called function or constructor: JSON array of SEP-51 values.
        arguments: Option<ScVals>,
        /// Inflation destination that set_options sets, G...
        inflation_dest: Option<Account>,
        /// Signer that set_options sets or revoke_sponsorship names: G, T, X or P...
        signer_key: Option<Shows<xdr::SignerKey>>,
        /// Weight of the signer that set_options sets; 0 removes it.
        signer_weight: Option<i32>,
        /// Flags that set_trust_line_flags clears.
        clear_trust_line_flags: Option<i32>,
        /// Assets between the two ends of a path payment: JSON array.
        path: Option<Written>,
        /// Highest amount that path_payment_strict_receive may take, stroops.
        source_max: Option<i64>,
        /// Numerator of the price.
        price_n: Option<i32>,
        /// Denominator of the price.
        price_d: Option<i32>,
        /// Offer that the operation left in the book, from its result; NULL where none is left.
        result_offer_id: Option<i64>,
        /// Claimable balance that was created, from the result, 72 hex digits.
        result_balance_id: Option<BalanceText>,
        /// Amount that a path payment, a merge or an inflation run delivered, from the result, stroops.
        result_amount: Option<i64>,
        /// Balance of the account that was merged, from the result, stroops.
        merged_amount: Option<i64>,
        /// Amount that a path payment really took from its source, from the result, stroops.
        sent_amount: Option<i64>,
        /// Muxed address of the destination, M...; NULL where it is none.
        destination_muxed: Option<Muxed>,
        /// Bytes of `home_domain`, base64, where they are not UTF-8.
        home_domain_bytes: Option<Base64>,
        /// Bytes of `data_name`, base64, where they are not UTF-8.
        data_name_bytes: Option<Base64>,
        /// Liquidity pool of a deposit, a withdrawal or a trustline of pool shares, 64 hex digits.
        liquidity_pool_id: Option<Hex32>,
    }
}

/// One operation and what is known of it.
#[derive(Debug)]
struct Context<'l> {
    ledger: &'l Ledger,
    network: Hash32,
    tx: &'l Transaction,
    successful: bool,
    index: usize,
    operation: &'l xdr::Operation,
    /// Source of the operation, else of the transaction.
    source: xdr::MuxedAccount,
    /// The account behind `source`.
    source_account: xdr::AccountId,
    result: Option<&'l xdr::OperationResult>,
    outcome: Outcome<'l>,
    changes: &'l [xdr::LedgerEntryChange],
}

impl<'l> Context<'l> {
    fn new(
        ledger: &'l Ledger,
        tx: &'l Transaction,
        index: usize,
        op: &'l xdr::Operation,
    ) -> Result<Self, String> {
        let successful = tx.successful();
        let result = tx.operation_results().and_then(|results| results.get(index));
        let source = tx.operation_source(op);
        let kept = result.filter(|_| successful);
        Ok(Self {
            ledger,
            network: ledger.network_id,
            tx,
            successful,
            index,
            operation: op,
            source_account: text::account_of(&source),
            source,
            result,
            outcome: kept.map(Outcome::of).transpose()?.unwrap_or_default(),
            changes: tx.operation_changes(index),
        })
    }
}

/// Appends the operations of this ledger, in transaction and operation order.
///
/// # Errors
/// A value that has no row, with the transaction and operation that it stands in.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    let ledger = input.ledger;
    let mut details = text::Json::default();
    for tx in &ledger.transactions {
        for (index, operation) in tx.operations().iter().enumerate() {
            push(ledger, tx, index, operation, &mut details, out).map_err(|reason| ExtractError {
                seq: ledger.seq,
                table: SPEC.name,
                reason: format!("transaction {} operation {index}: {reason}", tx.hash),
            })?;
        }
    }
    Ok(())
}

fn push(
    ledger: &Ledger,
    tx: &Transaction,
    index: usize,
    operation: &xdr::Operation,
    details: &mut text::Json,
    out: &mut Columns,
) -> Result<(), String> {
    let cx = Context::new(ledger, tx, index, operation)?;
    details.clear();
    let path = details::write(details, &cx)?.and_then(|range| details.as_bytes().get(range));
    let contract = columns::contract(&cx)?;
    columns::push(&cx, details.as_bytes(), path, contract.as_ref(), out)
}

/// Id of the pool whose shares a trustline holds: the hash of the pool's parameters.
fn pool_of(line: &xdr::ChangeTrustAsset) -> Result<Option<Hash32>, String> {
    let xdr::ChangeTrustAsset::PoolShare(parameters) = line else { return Ok(None) };
    let bytes =
        parameters.to_xdr(xdr::Limits::none()).map_err(|e| format!("the parameters of its pool: {e}"))?;
    Ok(Some(Hash32::sha256(&[&bytes])))
}
