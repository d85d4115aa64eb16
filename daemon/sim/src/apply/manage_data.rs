//! ManageData: named values on an account.

use stellar_xdr::{
    DataEntry, DataEntryExt, LedgerEntryData, ManageDataOp, ManageDataResult, OperationResultTr,
};

use super::{Applied, Cx, reserve};
use crate::state;

/// Sets or deletes a value.
pub(super) fn apply(cx: &mut Cx<'_>, op: &ManageDataOp) -> Applied {
    let result = run(cx, op);
    let ok = result == ManageDataResult::Success;
    (OperationResultTr::ManageData(result), ok)
}

fn run(cx: &mut Cx<'_>, op: &ManageDataOp) -> ManageDataResult {
    let source = cx.source.clone();
    let key = state::data_name_key(&source, &op.data_name);
    let exists = cx.state.has(&key);
    match &op.data_value {
        None if !exists => return ManageDataResult::NameNotFound,
        None => reserve::remove(cx, key, &source),
        Some(value) => {
            let data = LedgerEntryData::Data(DataEntry {
                account_id: source.clone(),
                data_name: op.data_name.clone(),
                data_value: value.clone(),
                ext: DataEntryExt::V0,
            });
            if exists {
                cx.state.put(key, data);
            } else if reserve::create(cx, key, data, &source).is_err() {
                return ManageDataResult::LowReserve;
            }
        }
    }
    ManageDataResult::Success
}
