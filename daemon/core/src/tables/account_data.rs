//! Data entries of accounts: what `manage_data` keeps.

use super::{
    ExtractError, Input,
    state::{State, of_type},
};
use crate::{
    schema::{Account, Base64, Timestamp, table},
    text::{Lossy, LossyText, key_of},
};

table! {
    /// One row per data entry that a ledger changed: the entry after the ledger's last change.
    account_data_snapshot_v1 {
        key: [account_id, data_name, ledger_sequence], ledger: ledger_sequence,
        state: account_data
    }
    columns {
        /// The account, G...
        account_id: Account [bloom],
        /// Name of the entry; bytes that are not UTF-8 show as U+FFFD.
        data_name: LossyText,
        /// Value, base64.
        data_value: Base64,
        /// Account that pays the entry's reserve, G...; NULL when its owner does.
        sponsor: Option<Account>,
        /// Ledger that last changed the entry.
        last_modified_ledger: i32,
        /// Net change in the ledger: 0 created, 1 updated, 2 removed.
        ledger_entry_change: i32,
        /// Whether the entry is gone; the row then repeats the state that the ledger found it in.
        deleted: bool,
        /// Ledger of the change.
        ledger_sequence: i64,
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// Bytes of `data_name`, base64, where they are not UTF-8.
        data_name_bytes: Option<Base64>,
    }
}

/// Appends a row per data entry that the ledger changed.
///
/// # Errors
/// A number that does not fit its column.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    for (change, data) in of_type!(input, Data) {
        let state = State::of(input, &SPEC, change)?;
        let name = Lossy(&data.data_name.0);
        out.push(Row {
            account_id: key_of(&data.account_id),
            data_name: name,
            data_value: &data.data_value.0,
            sponsor: state.sponsor,
            last_modified_ledger: state.modified(input, &SPEC)?,
            ledger_entry_change: state.ledger_entry_change,
            deleted: state.deleted,
            ledger_sequence: state.ledger_sequence,
            closed_at: state.closed_at,
            created_at: state.closed_at,
            data_name_bytes: name.raw().map(|_| name.0),
        });
    }
    Ok(())
}
