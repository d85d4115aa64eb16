//! Claimable balances: every one that a ledger created or removed.

use super::{
    ExtractError, Input, fit,
    state::{State, int, of_type},
};
use crate::{
    changes::entry,
    schema::{Account, Timestamp, Word, Written, table},
    text::{AssetParts, BalanceText, Json, LossyText, claimants, key_of},
    words,
};

table! {
    /// One row per claimable balance that a ledger changed: the balance after the ledger's last change.
    claimable_balances_snapshot_v1 {
        key: [balance_id, ledger_sequence], ledger: ledger_sequence,
        state: claimable_balances
    }
    columns {
        /// Id of the balance, 72 hex digits with its type.
        balance_id: BalanceText [bloom],
        /// Account that pays the balance's reserve, G...; NULL when none does.
        sponsor: Option<Account>,
        /// Ledger of the change.
        ledger_sequence: i64,
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
        /// native, credit_alphanum4 or credit_alphanum12.
        asset_type: Word,
        /// Code of the asset; NULL for the native one.
        asset_code: Option<LossyText>,
        /// Issuer of the asset, G...; NULL for the native one.
        asset_issuer: Option<Account>,
        /// Amount, stroops.
        amount: i64,
        /// Accounts that may claim it.
        claimants_count: i32,
        /// Flags: 1 clawback enabled.
        flags: i32,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// Who may claim it: JSON array of destination and predicate, in Horizon's form.
        claimants: Written,
        /// Whether the issuer may claw it back.
        clawback_enabled: bool,
        /// Ledger that last changed the entry.
        last_modified_ledger: i32,
        /// Net change in the ledger: 0 created, 1 updated, 2 removed.
        ledger_entry_change: i32,
        /// Whether the balance is gone, claimed or clawed back; the row then repeats the state that the ledger found it in.
        deleted: bool,
    }
}

/// Appends a row per claimable balance that the ledger changed.
///
/// # Errors
/// A number that does not fit its column.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    let mut json = Json::default();
    for (change, balance) in of_type!(input, ClaimableBalance) {
        let state = State::of(input, &SPEC, change)?;
        let asset = AssetParts::from(&balance.asset);
        let flags = entry::claimable_balance_flags(balance);
        json.clear();
        claimants(&mut json, &balance.claimants);
        out.push(Row {
            balance_id: &balance.balance_id,
            sponsor: state.sponsor,
            ledger_sequence: state.ledger_sequence,
            closed_at: state.closed_at,
            asset_type: words::asset_type(asset.ty),
            asset_code: asset.code(),
            asset_issuer: asset.issuer().map(key_of),
            amount: balance.amount,
            claimants_count: fit(input.ledger.seq, SPEC.name, "claimants_count", balance.claimants.len())?,
            flags: int(input, &SPEC, "flags", flags)?,
            created_at: state.closed_at,
            claimants: json.as_bytes(),
            clawback_enabled: flags & 1 != 0,
            last_modified_ledger: state.modified(input, &SPEC)?,
            ledger_entry_change: state.ledger_entry_change,
            deleted: state.deleted,
        });
    }
    Ok(())
}
