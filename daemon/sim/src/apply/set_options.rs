//! SetOptions: flags, thresholds, home domain, inflation destination and signers of an account.

use stellar_xdr::{
    AccountEntry, AccountId, OperationResultTr, SetOptionsOp, SetOptionsResult, Signer, Thresholds,
};

use super::{Applied, Cx, reserve};
use crate::entries;

/// All account flags there are.
const KNOWN_FLAGS: u32 = 0xf;
/// Flag without which an asset's clawback cannot be enabled.
const REVOCABLE: u32 = 2;
/// Flag of issuers whose assets can be taken back.
const CLAWBACK: u32 = 8;
/// Most signers that an account can have.
const MOST_SIGNERS: usize = 20;

/// Changes the options of the source.
pub(super) fn apply(cx: &mut Cx<'_>, op: &SetOptionsOp) -> Applied {
    let result = run(cx, op).err().unwrap_or(SetOptionsResult::Success);
    let ok = result == SetOptionsResult::Success;
    (OperationResultTr::SetOptions(result), ok)
}

fn run(cx: &mut Cx<'_>, op: &SetOptionsOp) -> Result<(), SetOptionsResult> {
    let source = cx.source.clone();
    if let Some(destination) = &op.inflation_dest
        && cx.state.account(destination).is_none()
    {
        return Err(SetOptionsResult::InvalidInflation);
    }
    if let Some(account) = cx.state.account_mut(&source) {
        change(account, op)?;
    }
    op.signer.as_ref().map_or(Ok(()), |signer| set_signer(cx, &source, signer))
}

fn change(account: &mut AccountEntry, op: &SetOptionsOp) -> Result<(), SetOptionsResult> {
    let (set, clear) = (op.set_flags.unwrap_or(0), op.clear_flags.unwrap_or(0));
    if (set | clear) & !KNOWN_FLAGS != 0 {
        return Err(SetOptionsResult::UnknownFlag);
    }
    if set & clear != 0 {
        return Err(SetOptionsResult::BadFlags);
    }
    account.flags = (account.flags & !clear) | set;
    if account.flags & CLAWBACK != 0 && account.flags & REVOCABLE == 0 {
        return Err(SetOptionsResult::AuthRevocableRequired);
    }
    if let Some(destination) = &op.inflation_dest {
        account.inflation_dest = Some(destination.clone());
    }
    let [master, low, medium, high] = account.thresholds.0;
    let weight = |wanted: Option<u32>, now: u8| match wanted.map(u8::try_from) {
        None => Ok(now),
        Some(weight) => weight.map_err(|_| SetOptionsResult::ThresholdOutOfRange),
    };
    account.thresholds = Thresholds([
        weight(op.master_weight, master)?,
        weight(op.low_threshold, low)?,
        weight(op.med_threshold, medium)?,
        weight(op.high_threshold, high)?,
    ]);
    if let Some(domain) = &op.home_domain {
        account.home_domain = domain.clone();
    }
    Ok(())
}

/// Signers stay sorted by key, as stellar-core keeps them.
fn set_signer(cx: &mut Cx<'_>, source: &AccountId, signer: &Signer) -> Result<(), SetOptionsResult> {
    let Some(account) = cx.state.account(source) else { return Ok(()) };
    let mut signers = entries::signers(account);
    let at = signers.binary_search_by(|(other, _)| other.key.cmp(&signer.key));
    match (at, signer.weight) {
        (Ok(at), 0) => {
            if let (_, Some(sponsor)) = signers.remove(at) {
                reserve::add_sponsoring(cx, &sponsor, -1);
                reserve::add_sponsored(cx, source, -1);
            }
            reserve::add_subentries(cx, source, -1);
        }
        (Ok(at), _) => {
            if let Some((existing, _)) = signers.get_mut(at) {
                existing.weight = signer.weight;
            }
        }
        (Err(_), 0) => return Err(SetOptionsResult::BadSigner),
        (Err(at), _) => {
            if signers.len() >= MOST_SIGNERS {
                return Err(SetOptionsResult::TooManySigners);
            }
            let sponsor = cx.sponsor_of(source);
            if !reserve::affords(cx, sponsor.as_ref().unwrap_or(source), 1) {
                return Err(SetOptionsResult::LowReserve);
            }
            if let Some(sponsor) = &sponsor {
                reserve::add_sponsoring(cx, sponsor, 1);
                reserve::add_sponsored(cx, source, 1);
            }
            signers.insert(at, (signer.clone(), sponsor));
            reserve::add_subentries(cx, source, 1);
        }
    }
    if let Some(account) = cx.state.account_mut(source) {
        entries::set_signers(account, signers);
    }
    Ok(())
}
