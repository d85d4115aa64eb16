//! Trustlines: every trustline that a ledger changed, those of pool shares included.

use stellar_xdr as xdr;

use super::{
    ExtractError, Input,
    state::{State, int, of_type},
};
use crate::{
    changes::entry,
    ledger::Hash32,
    schema::{Account, Hex32, Timestamp, Word, table},
    text::{AssetParts, LossyText, key_of},
    words,
};

table! {
    /// One row per trustline that a ledger changed: the trustline after the ledger's last change.
    trustlines_snapshot_v1 {
        key: [account_id, asset_code, asset_issuer, liquidity_pool_id, ledger_sequence], ledger: ledger_sequence,
        state: trustlines
    }
    columns {
        /// Holder, G...
        account_id: Account [bloom],
        /// Code of the asset; NULL for pool shares.
        asset_code: Option<LossyText>,
        /// Issuer of the asset, G...; NULL for pool shares.
        asset_issuer: Option<Account> [bloom],
        /// credit_alphanum4, credit_alphanum12 or liquidity_pool_shares.
        asset_type: Word,
        /// Balance, stroops (of pool shares: shares).
        balance: i64,
        /// Highest balance that the holder accepts, stroops.
        trust_limit: i64,
        /// Stroops that the holder's offers may still buy.
        buying_liabilities: i64,
        /// Stroops that the holder's offers may still sell.
        selling_liabilities: i64,
        /// Whether the issuer allows all use.
        authorized: bool,
        /// Whether the issuer allows no more than to keep what offers already owe.
        authorized_to_maintain_liabilities: bool,
        /// Whether the issuer may claw the balance back.
        clawback_enabled: bool,
        /// Ledger of the change.
        ledger_sequence: i64,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// Pool whose shares are held, 64 hex digits; NULL for other assets.
        liquidity_pool_id: Option<Hex32> [bloom],
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
        /// Account that pays the trustline's reserve, G...; NULL when the holder does.
        sponsor: Option<Account>,
        /// Flags: 1 authorized, 2 authorized to maintain liabilities, 4 clawback enabled.
        flags: i32,
        /// Ledger that last changed the entry.
        last_modified_ledger: i32,
        /// Net change in the ledger: 0 created, 1 updated, 2 removed.
        ledger_entry_change: i32,
        /// Whether the trustline is gone; the row then repeats the state that the ledger found it in.
        deleted: bool,
    }
}

/// Appends a row per trustline that the ledger changed.
///
/// # Errors
/// A number that does not fit its column.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    for (change, line) in of_type!(input, Trustline) {
        let state = State::of(input, &SPEC, change)?;
        let liabilities = entry::trustline_liabilities(line);
        let asset = AssetParts::from(&line.asset);
        out.push(Row {
            account_id: key_of(&line.account_id),
            asset_code: asset.code(),
            asset_issuer: asset.issuer().map(key_of),
            asset_type: words::asset_type(asset.ty),
            balance: line.balance,
            trust_limit: line.limit,
            buying_liabilities: liabilities.buying,
            selling_liabilities: liabilities.selling,
            authorized: line.flags & 1 != 0,
            authorized_to_maintain_liabilities: line.flags & 2 != 0,
            clawback_enabled: line.flags & 4 != 0,
            ledger_sequence: state.ledger_sequence,
            created_at: state.closed_at,
            liquidity_pool_id: pool_id(&line.asset),
            closed_at: state.closed_at,
            sponsor: state.sponsor,
            flags: int(input, &SPEC, "flags", line.flags)?,
            last_modified_ledger: state.modified(input, &SPEC)?,
            ledger_entry_change: state.ledger_entry_change,
            deleted: state.deleted,
        });
    }
    Ok(())
}

fn pool_id(asset: &xdr::TrustLineAsset) -> Option<Hash32> {
    match asset {
        xdr::TrustLineAsset::Native
        | xdr::TrustLineAsset::CreditAlphanum4(_)
        | xdr::TrustLineAsset::CreditAlphanum12(_) => None,
        xdr::TrustLineAsset::PoolShare(id) => Some(Hash32(id.0.0)),
    }
}
