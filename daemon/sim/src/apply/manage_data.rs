//! ManageData: named values on an account.

use stellar_xdr::{
    DataEntry, DataEntryExt, LedgerEntryData, LedgerKey, LedgerKeyData, ManageDataOp, ManageDataResult,
    OperationResultTr,
};

use super::{Applied, Cx};
use crate::entries;

/// Sets or deletes a value.
pub(super) fn apply(cx: &mut Cx<'_>, op: &ManageDataOp) -> Applied {
    let result = run(cx, op);
    let ok = result == ManageDataResult::Success;
    (OperationResultTr::ManageData(result), ok)
}

fn run(cx: &mut Cx<'_>, op: &ManageDataOp) -> ManageDataResult {
    let source = cx.source.clone();
    let key = LedgerKey::Data(LedgerKeyData { account_id: source.clone(), data_name: op.data_name.clone() });
    let exists = cx.state.has(&key);
    match &op.data_value {
        None if !exists => return ManageDataResult::NameNotFound,
        None => {
            cx.state.remove(key);
            if let Some(account) = cx.state.account_mut(&source) {
                account.num_sub_entries -= 1;
            }
        }
        Some(value) => {
            if !exists && let Some(account) = cx.state.account_mut(&source) {
                if account.balance < entries::minimum_balance(account, 1) {
                    return ManageDataResult::LowReserve;
                }
                account.num_sub_entries += 1;
            }
            let entry = DataEntry {
                account_id: source,
                data_name: op.data_name.clone(),
                data_value: value.clone(),
                ext: DataEntryExt::V0,
            };
            cx.state.put(key, LedgerEntryData::Data(entry));
        }
    }
    ManageDataResult::Success
}
