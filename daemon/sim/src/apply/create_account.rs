//! CreateAccount: a new account with a starting balance.

use stellar_xdr::{Asset, CreateAccountOp, CreateAccountResult, LedgerEntryData, OperationResultTr};

use super::{Applied, Cx, balance};
use crate::{entries, state};

/// Creates an account.
pub(super) fn apply(cx: &mut Cx<'_>, op: &CreateAccountOp) -> Applied {
    let result = create(cx, op);
    let ok = result == CreateAccountResult::Success;
    (OperationResultTr::CreateAccount(result), ok)
}

fn create(cx: &mut Cx<'_>, op: &CreateAccountOp) -> CreateAccountResult {
    let key = state::account_key(&op.destination);
    if cx.state.has(&key) {
        return CreateAccountResult::AlreadyExist;
    }
    if op.starting_balance < 2 * entries::BASE_RESERVE {
        return CreateAccountResult::LowReserve;
    }
    let source = cx.source.clone();
    if balance::take(cx.state, &source, &Asset::Native, op.starting_balance).is_err() {
        return CreateAccountResult::Underfunded;
    }
    let account = entries::new_account(op.destination.clone(), op.starting_balance, cx.state.ledger());
    cx.state.put(key, LedgerEntryData::Account(account));
    let amount = entries::i128_val(op.starting_balance);
    let event = cx.assets.moved(&Asset::Native, &source, &op.destination, amount);
    cx.emit(&event);
    CreateAccountResult::Success
}
