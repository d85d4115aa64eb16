//! AccountMerge: an account's last payment.

use stellar_xdr::{AccountMergeResult, Asset, MuxedAccount, OperationResultTr};

use super::{Applied, Cx, balance, reserve};
use crate::{entries, state};

/// Account flag that forbids merging.
const IMMUTABLE: u32 = 4;

/// Gives all that the source has to the destination and removes the source.
pub(super) fn apply(cx: &mut Cx<'_>, destination: &MuxedAccount) -> Applied {
    let result = run(cx, destination);
    let ok = matches!(result, AccountMergeResult::Success(_));
    (OperationResultTr::AccountMerge(result), ok)
}

fn run(cx: &mut Cx<'_>, to: &MuxedAccount) -> AccountMergeResult {
    let (source, destination) = (cx.source.clone(), entries::unmuxed(to));
    if source == destination {
        return AccountMergeResult::Malformed;
    }
    if cx.state.account(&destination).is_none() {
        return AccountMergeResult::NoAccount;
    }
    let Some(account) = cx.state.account(&source) else { return AccountMergeResult::NoAccount };
    if account.flags & IMMUTABLE != 0 {
        return AccountMergeResult::ImmutableSet;
    }
    if usize::try_from(account.num_sub_entries) != Ok(account.signers.len()) {
        return AccountMergeResult::HasSubEntries;
    }
    if account.seq_num.0 >= i64::from(cx.state.ledger()) << 32 {
        return AccountMergeResult::SeqnumTooFar;
    }
    if entries::sponsorships(account).0 > 0 {
        return AccountMergeResult::IsSponsor;
    }
    let amount = account.balance;
    let signers = entries::signers(account);
    if balance::give(cx.state, &destination, &Asset::Native, amount).is_err() {
        return AccountMergeResult::DestFull;
    }
    for sponsor in signers.into_iter().filter_map(|(_, sponsor)| sponsor) {
        reserve::add_sponsoring(cx, &sponsor, -1);
    }
    reserve::remove(cx, state::account_key(&source), &source);
    cx.emit_payment(&Asset::Native, to, amount);
    AccountMergeResult::Success(amount)
}
