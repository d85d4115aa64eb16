//! Native balances: the lumens of every account that a ledger changed.

use super::{
    ExtractError, Input,
    state::{State, int, of_type},
};
use crate::{
    changes::entry,
    schema::{Account, Timestamp, table},
    text::key_of,
};

table! {
    /// One row per account that a ledger changed: its native balance after the ledger's last change.
    native_balances_snapshot_v1 {
        key: [account_id, ledger_sequence], ledger: ledger_sequence,
        state: native_balances
    }
    columns {
        /// The account, G...
        account_id: Account [bloom],
        /// Balance, stroops.
        balance: i64,
        /// Stroops that the account's offers may still buy.
        buying_liabilities: i64,
        /// Stroops that the account's offers may still sell.
        selling_liabilities: i64,
        /// Trustlines, offers, data entries and signers of the account.
        num_subentries: i32,
        /// Reserves that the account pays for others.
        num_sponsoring: i32,
        /// Reserves that others pay for the account.
        num_sponsored: i32,
        /// Sequence number of the account's last transaction.
        sequence_number: Option<i64>,
        /// Ledger that last changed the entry.
        last_modified_ledger: i64,
        /// Ledger of the change.
        ledger_sequence: i64,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// Net change in the ledger: 0 created, 1 updated, 2 removed.
        ledger_entry_change: i32,
        /// Whether the account is gone; the row then repeats the state that the ledger found it in.
        deleted: bool,
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
}

/// Appends a row per account that the ledger changed.
///
/// # Errors
/// A number that does not fit its column.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    for (change, account) in of_type!(input, Account) {
        let state = State::of(input, &SPEC, change)?;
        let liabilities = entry::account_liabilities(account);
        let sponsorships = entry::account_sponsorships(account);
        out.push(Row {
            account_id: key_of(&account.account_id),
            balance: account.balance,
            buying_liabilities: liabilities.buying,
            selling_liabilities: liabilities.selling,
            num_subentries: int(input, &SPEC, "num_subentries", account.num_sub_entries)?,
            num_sponsoring: int(
                input,
                &SPEC,
                "num_sponsoring",
                sponsorships.map_or(0, |v2| v2.num_sponsoring),
            )?,
            num_sponsored: int(input, &SPEC, "num_sponsored", sponsorships.map_or(0, |v2| v2.num_sponsored))?,
            sequence_number: Some(account.seq_num.0),
            last_modified_ledger: i64::from(state.modified(input, &SPEC)?),
            ledger_sequence: state.ledger_sequence,
            ledger_entry_change: state.ledger_entry_change,
            deleted: state.deleted,
            closed_at: state.closed_at,
            created_at: state.closed_at,
        });
    }
    Ok(())
}
