//! Operations of Soroban transactions: calling host functions, extending and restoring entries.

use stellar_xdr::{
    ExtendFootprintTtlOp, ExtendFootprintTtlResult, InvokeHostFunctionOp, InvokeHostFunctionResult,
    OperationResultTr, RestoreFootprintResult,
};

use super::{Applied, Cx};
use crate::soroban::{self, footprint};

/// Runs a host function.
pub(super) fn invoke(cx: &mut Cx<'_>, op: &InvokeHostFunctionOp) -> Applied {
    let mut result = soroban::run(cx, op);
    if matches!(result, InvokeHostFunctionResult::Success(_)) && !footprint::affordable(cx) {
        cx.soroban.return_value = None;
        result = InvokeHostFunctionResult::InsufficientRefundableFee;
    }
    let ok = matches!(result, InvokeHostFunctionResult::Success(_));
    (OperationResultTr::InvokeHostFunction(result), ok)
}

/// Lets the entries that the transaction names live longer.
pub(super) fn extend(cx: &mut Cx<'_>, op: &ExtendFootprintTtlOp) -> Applied {
    footprint::extend(cx, op.extend_to);
    let ok = footprint::affordable(cx);
    let result = if ok {
        ExtendFootprintTtlResult::Success
    } else {
        ExtendFootprintTtlResult::InsufficientRefundableFee
    };
    (OperationResultTr::ExtendFootprintTtl(result), ok)
}

/// Brings the archived entries back that the transaction names.
pub(super) fn restore(cx: &mut Cx<'_>) -> Applied {
    footprint::restore(cx);
    let ok = footprint::affordable(cx);
    let result =
        if ok { RestoreFootprintResult::Success } else { RestoreFootprintResult::InsufficientRefundableFee };
    (OperationResultTr::RestoreFootprint(result), ok)
}
