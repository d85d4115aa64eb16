//! InvokeHostFunction: uploading code, creating contracts and calling them.

use stellar_xdr::{InvokeHostFunctionOp, InvokeHostFunctionResult, OperationResultTr};

use super::{Applied, Cx};
use crate::soroban;

/// Runs a host function.
pub(super) fn invoke(cx: &mut Cx<'_>, op: &InvokeHostFunctionOp) -> Applied {
    let result = soroban::run(cx, &op.host_function);
    let ok = matches!(result, InvokeHostFunctionResult::Success(_));
    (OperationResultTr::InvokeHostFunction(result), ok)
}
