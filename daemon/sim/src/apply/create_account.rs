//! CreateAccount: a new account with a starting balance.

use stellar_xdr::{Asset, CreateAccountOp, CreateAccountResult, LedgerEntryData, OperationResultTr};

use super::{Applied, Cx, balance, reserve};
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
    let source = cx.source.clone();
    if balance::spendable(cx.state, &source, &Asset::Native).unwrap_or(0) < op.starting_balance {
        return CreateAccountResult::Underfunded;
    }
    let account = entries::new_account(op.destination.clone(), op.starting_balance, cx.state.ledger());
    if reserve::create(cx, key, LedgerEntryData::Account(account), &op.destination).is_err() {
        return CreateAccountResult::LowReserve;
    }
    if balance::take(cx.state, &source, &Asset::Native, op.starting_balance).is_err() {
        return CreateAccountResult::Underfunded;
    }
    cx.emit_payment(&Asset::Native, &entries::plain(&op.destination), op.starting_balance);
    CreateAccountResult::Success
}
