//! Accounts: every account that a ledger changed, whole.

use stellar_xdr as xdr;

use super::{
    ExtractError, Input, fit,
    state::{State, int, of_type},
};
use crate::{
    changes::entry,
    schema::{Account, Base64, Timestamp, Written, table},
    text::{Json, Lossy, LossyText, key_of, strkey_of},
};

table! {
    /// One row per account that a ledger changed: the account after the ledger's last change.
    accounts_snapshot_v1 {
        key: [account_id, ledger_sequence], ledger: ledger_sequence,
        state: accounts
    }
    columns {
        /// The account, G...
        account_id: Account [bloom],
        /// Ledger of the change.
        ledger_sequence: i64,
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
        /// Balance, stroops.
        balance: i64,
        /// Sequence number of the account's last transaction.
        sequence_number: i64,
        /// Trustlines, offers, data entries and signers of the account.
        num_subentries: i32,
        /// Reserves that the account pays for others.
        num_sponsoring: i32,
        /// Reserves that others pay for the account.
        num_sponsored: i32,
        /// Domain that the account names as its home; NULL when it names none. Bytes that are not UTF-8 show as U+FFFD.
        home_domain: Option<LossyText>,
        /// Weight of the account's own key.
        master_weight: i32,
        /// Weight that operations of low security need.
        low_threshold: i32,
        /// Weight that operations of medium security need.
        med_threshold: i32,
        /// Weight that operations of high security need.
        high_threshold: i32,
        /// Flags: 1 required, 2 revocable, 4 immutable, 8 clawback enabled.
        flags: i32,
        /// Whether holders of the account's assets need its authorization.
        auth_required: bool,
        /// Whether the account may take that authorization back.
        auth_revocable: bool,
        /// Whether these flags are fixed for ever.
        auth_immutable: bool,
        /// Whether the account may claw its assets back.
        auth_clawback_enabled: bool,
        /// Signers beside the account's own key: JSON array of key, weight and sponsor; NULL when there are none.
        signers: Option<Written>,
        /// Account that pays the account's reserve, G...; NULL when it pays itself.
        sponsor_account: Option<Account>,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
        /// Close time of the ledger, UTC.
        updated_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// Net change in the ledger: 0 created, 1 updated, 2 removed.
        ledger_entry_change: i32,
        /// Whether the account is gone; the row then repeats the state that the ledger found it in.
        deleted: bool,
        /// Ledger that last changed the entry.
        last_modified_ledger: i32,
        /// Stroops that the account's offers may still buy.
        buying_liabilities: i64,
        /// Stroops that the account's offers may still sell.
        selling_liabilities: i64,
        /// Account that the account votes for in inflation runs, G...; NULL when it names none.
        inflation_destination: Option<Account>,
        /// Ledger in which the sequence number last changed; NULL when the entry does not say.
        sequence_ledger: Option<i32>,
        /// Close time of that ledger, seconds since the Unix epoch; NULL when the entry does not say.
        sequence_time: Option<i64>,
        /// Bytes of `home_domain`, base64, where they are not UTF-8.
        home_domain_bytes: Option<Base64>,
    }
}

/// Appends a row per account that the ledger changed.
///
/// # Errors
/// A number that does not fit its column.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    let mut json = Json::default();
    for (change, account) in of_type!(input, Account) {
        let state = State::of(input, &SPEC, change)?;
        json.clear();
        push(input, &state, account, &mut json, out)?;
    }
    Ok(())
}

fn push(
    input: &Input<'_>,
    state: &State<'_>,
    account: &xdr::AccountEntry,
    json: &mut Json,
    out: &mut Columns,
) -> Result<(), ExtractError> {
    let int = |column, value| int(input, &SPEC, column, value);
    let liabilities = entry::account_liabilities(account);
    let sponsorships = entry::account_sponsorships(account);
    let sequence = entry::account_sequence(account);
    let [master, low, medium, high] = account.thresholds.0;
    let home_domain = Some(Lossy(&account.home_domain.0)).filter(|domain| !domain.0.is_empty());
    out.push(Row {
        account_id: key_of(&account.account_id),
        ledger_sequence: state.ledger_sequence,
        closed_at: state.closed_at,
        balance: account.balance,
        sequence_number: account.seq_num.0,
        num_subentries: int("num_subentries", account.num_sub_entries)?,
        num_sponsoring: int("num_sponsoring", sponsorships.map_or(0, |v2| v2.num_sponsoring))?,
        num_sponsored: int("num_sponsored", sponsorships.map_or(0, |v2| v2.num_sponsored))?,
        home_domain,
        master_weight: master.into(),
        low_threshold: low.into(),
        med_threshold: medium.into(),
        high_threshold: high.into(),
        flags: int("flags", account.flags)?,
        auth_required: account.flags & 1 != 0,
        auth_revocable: account.flags & 2 != 0,
        auth_immutable: account.flags & 4 != 0,
        auth_clawback_enabled: account.flags & 8 != 0,
        signers: signers(account, json),
        sponsor_account: state.sponsor,
        created_at: state.closed_at,
        updated_at: state.closed_at,
        ledger_entry_change: state.ledger_entry_change,
        deleted: state.deleted,
        last_modified_ledger: state.modified(input, &SPEC)?,
        buying_liabilities: liabilities.buying,
        selling_liabilities: liabilities.selling,
        inflation_destination: account.inflation_dest.as_ref().map(key_of),
        sequence_ledger: sequence.map(|v3| int("sequence_ledger", v3.seq_ledger)).transpose()?,
        sequence_time: sequence
            .map(|v3| fit::<u64, i64>(input.ledger.seq, SPEC.name, "sequence_time", v3.seq_time.0))
            .transpose()?,
        home_domain_bytes: home_domain.filter(|domain| domain.raw().is_some()).map(|domain| domain.0),
    });
    Ok(())
}

/// The signers as JSON, in the order of the entry; `None` when there are none.
fn signers<'j>(account: &xdr::AccountEntry, json: &'j mut Json) -> Option<&'j [u8]> {
    if account.signers.is_empty() {
        return None;
    }
    json.array(entry::signers(account), |j, (signer, sponsor)| {
        j.object(|j| {
            j.key("key").plain(&signer.key);
            j.key("weight").bare(signer.weight);
            if let Some(sponsor) = sponsor {
                j.key("sponsor").plain(strkey_of(sponsor));
            }
        });
    });
    Some(json.as_bytes())
}
