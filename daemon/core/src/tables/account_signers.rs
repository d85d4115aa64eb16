//! Signers of accounts: which ones a ledger added, changed or took away.

use stellar_xdr as xdr;

use super::{
    ExtractError, Input,
    state::{State, int, of_type},
};
use crate::{
    changes::{ChangeKind, EntryChange, entry},
    schema::{Account, Shown, Timestamp, table},
    text::key_of,
};

table! {
    /// One row per account and signer that a ledger changed; the account's own (master) key is a signer too, unless
    /// its weight is 0.
    account_signers_snapshot_v1 {
        key: [account_id, signer, ledger_sequence], ledger: ledger_sequence,
        state: account_signers
    }
    columns {
        /// The account, G...
        account_id: Account [bloom],
        /// The signer: G, T, X or P...
        signer: Shown<xdr::SignerKey> [bloom],
        /// Ledger of the change.
        ledger_sequence: i64,
        /// Weight of the signer; of one that is gone its last. Numbers above 2147483647, which protocols before 10 allowed,
        /// show as that.
        weight: i32,
        /// Account that pays the signer's reserve, G...; NULL when its owner does.
        sponsor: Option<Account>,
        /// Whether the signer is gone.
        deleted: bool,
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
    }
    ledger_range;
    columns {
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    era_id; version_label;
    columns {
        /// Change of the signer in the ledger: 0 new, 1 other weight or sponsor, 2 gone.
        ledger_entry_change: i32,
        /// Ledger that last changed the signer: this one.
        last_modified_ledger: i32,
    }
}

/// A signer of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signer<'l> {
    key: Key<'l>,
    weight: u32,
    sponsor: Option<&'l xdr::AccountId>,
}

/// Key of a signer; the account's own is not in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key<'l> {
    Master(&'l xdr::AccountId),
    Listed(&'l xdr::SignerKey),
}

impl Key<'_> {
    fn to_signer_key(self) -> xdr::SignerKey {
        match self {
            Self::Master(xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(key))) => {
                xdr::SignerKey::Ed25519(key.clone())
            }
            Self::Listed(key) => key.clone(),
        }
    }
}

/// The signers of an account, its own key first.
fn signers(account: &xdr::AccountEntry) -> impl Iterator<Item = Signer<'_>> + Clone {
    let [weight, ..] = account.thresholds.0;
    let master = Signer { key: Key::Master(&account.account_id), weight: weight.into(), sponsor: None };
    let listed = entry::signers(account).map(|(signer, sponsor)| Signer {
        key: Key::Listed(&signer.key),
        weight: signer.weight,
        sponsor,
    });
    std::iter::once(master).filter(|master| master.weight > 0).chain(listed)
}

/// Appends a row per signer that the ledger changed.
///
/// # Errors
/// A number that does not fit its column.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    for (change, account) in of_type!(input, Account) {
        let mut push = |kind, signer| push(input, change, &account.account_id, (kind, signer), out);
        let before = || change.before.and_then(entry::account).into_iter().flat_map(signers);
        let after = || change.after().and_then(entry::account).into_iter().flat_map(signers);
        // An account that was there before, but of which the meta shows no image, may have had any signer.
        let is_new = change.before.is_some() || change.kind == ChangeKind::Created;
        for signer in after() {
            match before().find(|former| former.key == signer.key) {
                None if is_new => push(ChangeKind::Created, signer)?,
                Some(former) if former == signer => {}
                None | Some(_) => push(ChangeKind::Updated, signer)?,
            }
        }
        for gone in before().filter(|former| !after().any(|signer| signer.key == former.key)) {
            push(ChangeKind::Removed, gone)?;
        }
    }
    Ok(())
}

fn push(
    input: &Input<'_>,
    change: &EntryChange<'_>,
    account: &xdr::AccountId,
    (kind, signer): (ChangeKind, Signer<'_>),
    out: &mut Columns,
) -> Result<(), ExtractError> {
    let state = State::of(input, &SPEC, change)?;
    out.push(Row {
        account_id: key_of(account),
        signer: signer.key.to_signer_key(),
        ledger_sequence: state.ledger_sequence,
        // Before protocol 10 a weight could be any 32-bit number; all above 255 mean the same.
        weight: i32::try_from(signer.weight).unwrap_or(i32::MAX),
        sponsor: signer.sponsor.map(key_of),
        deleted: kind == ChangeKind::Removed,
        closed_at: state.closed_at,
        created_at: state.closed_at,
        ledger_entry_change: kind.number(),
        last_modified_ledger: int(input, &SPEC, "last_modified_ledger", input.ledger.seq.get())?,
    });
    Ok(())
}
