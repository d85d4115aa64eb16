//! Liquidity pools: every pool that a ledger changed (CAP-38).

use stellar_xdr as xdr;

use super::{
    ExtractError, Input, fit,
    state::{State, of_type},
};
use crate::{
    ledger::Hash32,
    schema::{Account, Hex32, Timestamp, Word, table},
    text::{AssetParts, LossyText, key_of},
    words,
};

table! {
    /// One row per liquidity pool that a ledger changed: the pool after the ledger's last change.
    liquidity_pools_snapshot_v1 {
        key: [liquidity_pool_id, ledger_sequence], ledger: ledger_sequence,
        state: liquidity_pools
    }
    columns {
        /// Id of the pool, 64 hex digits.
        liquidity_pool_id: Hex32 [bloom],
        /// Ledger of the change.
        ledger_sequence: i64,
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
        /// Kind of pool: constant_product.
        pool_type: Word,
        /// Fee on trades, basis points.
        fee: i32,
        /// Trustlines of the pool's shares.
        trustline_count: i32,
        /// Shares in existence, stroops.
        total_pool_shares: i64,
        /// native, credit_alphanum4 or credit_alphanum12.
        asset_a_type: Word,
        /// Code of the first asset; NULL for the native one.
        asset_a_code: Option<LossyText>,
        /// Issuer of the first asset, G...; NULL for the native one.
        asset_a_issuer: Option<Account>,
        /// Reserve of the first asset, stroops.
        asset_a_amount: i64,
        /// native, credit_alphanum4 or credit_alphanum12.
        asset_b_type: Word,
        /// Code of the second asset; NULL for the native one.
        asset_b_code: Option<LossyText>,
        /// Issuer of the second asset, G...; NULL for the native one.
        asset_b_issuer: Option<Account>,
        /// Reserve of the second asset, stroops.
        asset_b_amount: i64,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// Ledger that last changed the entry.
        last_modified_ledger: i32,
        /// Net change in the ledger: 0 created, 1 updated, 2 removed.
        ledger_entry_change: i32,
        /// Whether the pool is gone; the row then repeats the state that the ledger found it in.
        deleted: bool,
    }
}

/// Appends a row per pool that the ledger changed.
///
/// # Errors
/// A number that does not fit its column.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    for (change, pool) in of_type!(input, LiquidityPool) {
        let state = State::of(input, &SPEC, change)?;
        let xdr::LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
        let (a, b) = (AssetParts::from(&body.params.asset_a), AssetParts::from(&body.params.asset_b));
        let lines = body.pool_shares_trust_line_count;
        out.push(Row {
            liquidity_pool_id: Hash32(pool.liquidity_pool_id.0.0),
            ledger_sequence: state.ledger_sequence,
            closed_at: state.closed_at,
            pool_type: "constant_product",
            fee: body.params.fee,
            trustline_count: fit::<i64, i32>(input.ledger.seq, SPEC.name, "trustline_count", lines)?,
            total_pool_shares: body.total_pool_shares,
            asset_a_type: words::asset_type(a.ty),
            asset_a_code: a.code(),
            asset_a_issuer: a.issuer().map(key_of),
            asset_a_amount: body.reserve_a,
            asset_b_type: words::asset_type(b.ty),
            asset_b_code: b.code(),
            asset_b_issuer: b.issuer().map(key_of),
            asset_b_amount: body.reserve_b,
            created_at: state.closed_at,
            last_modified_ledger: state.modified(input, &SPEC)?,
            ledger_entry_change: state.ledger_entry_change,
            deleted: state.deleted,
        });
    }
    Ok(())
}
