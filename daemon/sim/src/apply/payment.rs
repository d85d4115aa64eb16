//! Payment: one asset from one account to another.

use stellar_xdr::{OperationResultTr, PaymentOp, PaymentResult};

use super::{
    Applied, Cx,
    balance::{self, Refusal},
};
use crate::entries;

/// Applies a payment.
pub(super) fn apply(cx: &mut Cx<'_>, op: &PaymentOp) -> Applied {
    let result = pay(cx, op);
    let ok = result == PaymentResult::Success;
    (OperationResultTr::Payment(result), ok)
}

fn pay(cx: &mut Cx<'_>, op: &PaymentOp) -> PaymentResult {
    let destination = entries::unmuxed(&op.destination);
    if cx.state.account(&destination).is_none() {
        return PaymentResult::NoDestination;
    }
    let source = cx.source.clone();
    if let Err(refusal) = balance::give(cx.state, &destination, &op.asset, op.amount) {
        return match refusal {
            Refusal::NoLine => PaymentResult::NoTrust,
            Refusal::NotAuthorized => PaymentResult::NotAuthorized,
            Refusal::Short | Refusal::Full => PaymentResult::LineFull,
        };
    }
    if let Err(refusal) = balance::take(cx.state, &source, &op.asset, op.amount) {
        return match refusal {
            Refusal::NoLine => PaymentResult::SrcNoTrust,
            Refusal::NotAuthorized => PaymentResult::SrcNotAuthorized,
            Refusal::Short | Refusal::Full => PaymentResult::Underfunded,
        };
    }
    cx.emit_payment(&op.asset, &op.destination, op.amount);
    PaymentResult::Success
}
