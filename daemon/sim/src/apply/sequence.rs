//! BumpSequence: an account's sequence number jumps ahead.

use stellar_xdr::{BumpSequenceOp, BumpSequenceResult, OperationResultTr};

use super::{Applied, Cx};
use crate::entries;

/// Raises the sequence number; a lower target changes nothing and succeeds.
pub(super) fn bump(cx: &mut Cx<'_>, op: &BumpSequenceOp) -> Applied {
    let target = op.bump_to.0;
    let result = if target < 0 { BumpSequenceResult::BadSeq } else { BumpSequenceResult::Success };
    let (source, ledger, time) = (cx.source.clone(), cx.state.ledger(), cx.time);
    if cx.state.account(&source).is_some_and(|account| account.seq_num.0 < target)
        && let Some(account) = cx.state.account_mut(&source)
    {
        entries::set_sequence(account, target, ledger, time);
    }
    let ok = result == BumpSequenceResult::Success;
    (OperationResultTr::BumpSequence(result), ok)
}
