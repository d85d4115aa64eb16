//! SetOptions: flags, thresholds, home domain and signers of an account.

use stellar_xdr::{AccountEntry, OperationResultTr, SetOptionsOp, SetOptionsResult, Signer, Thresholds};

use super::{Applied, Cx};
use crate::{encode, entries};

/// All account flags there are.
const KNOWN_FLAGS: u32 = 0xf;

/// Changes the options of the source.
pub(super) fn apply(cx: &mut Cx<'_>, op: &SetOptionsOp) -> Applied {
    let source = cx.source.clone();
    let result =
        cx.state.account_mut(&source).map_or(SetOptionsResult::LowReserve, |account| run(account, op));
    let ok = result == SetOptionsResult::Success;
    (OperationResultTr::SetOptions(result), ok)
}

fn run(account: &mut AccountEntry, op: &SetOptionsOp) -> SetOptionsResult {
    let (set, clear) = (op.set_flags.unwrap_or(0), op.clear_flags.unwrap_or(0));
    if (set | clear) & !KNOWN_FLAGS != 0 {
        return SetOptionsResult::UnknownFlag;
    }
    if set & clear != 0 {
        return SetOptionsResult::BadFlags;
    }
    account.flags = (account.flags & !clear) | set;
    if let Some(destination) = &op.inflation_dest {
        account.inflation_dest = Some(destination.clone());
    }
    let [master, low, medium, high] = account.thresholds.0;
    let mut out_of_range = false;
    let mut weight = |wanted: Option<u32>, now: u8| match wanted.map(u8::try_from) {
        None => now,
        Some(Ok(weight)) => weight,
        Some(Err(_)) => {
            out_of_range = true;
            now
        }
    };
    account.thresholds = Thresholds([
        weight(op.master_weight, master),
        weight(op.low_threshold, low),
        weight(op.med_threshold, medium),
        weight(op.high_threshold, high),
    ]);
    if out_of_range {
        return SetOptionsResult::ThresholdOutOfRange;
    }
    if let Some(domain) = &op.home_domain {
        account.home_domain = domain.clone();
    }
    op.signer.as_ref().map_or(SetOptionsResult::Success, |signer| set_signer(account, signer))
}

/// Signers stay sorted by key, as stellar-core keeps them.
fn set_signer(account: &mut AccountEntry, signer: &Signer) -> SetOptionsResult {
    let mut signers = account.signers.to_vec();
    let at = signers.binary_search_by(|other| other.key.cmp(&signer.key));
    match (at, signer.weight) {
        (Ok(at), 0) => {
            signers.remove(at);
            account.num_sub_entries -= 1;
        }
        (Ok(at), _) => {
            if let Some(existing) = signers.get_mut(at) {
                existing.weight = signer.weight;
            }
        }
        (Err(_), 0) => return SetOptionsResult::BadSigner,
        (Err(at), _) => {
            if signers.len() >= 20 {
                return SetOptionsResult::TooManySigners;
            }
            if account.balance < entries::minimum_balance(account, 1) {
                return SetOptionsResult::LowReserve;
            }
            signers.insert(at, signer.clone());
            account.num_sub_entries += 1;
        }
    }
    account.signers = encode::vecm(signers);
    entries::resize_signer_sponsors(account);
    SetOptionsResult::Success
}
