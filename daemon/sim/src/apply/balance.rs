//! Money on accounts and trustlines: what can be spent or received, and moving it.

use stellar_xdr::{AccountId, Asset};

use crate::{entries, state::State};

/// Why money could not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The account does not hold the asset.
    NoLine,
    /// The line is not authorized.
    NotAuthorized,
    /// Too little to spend.
    Short,
    /// No room to receive.
    Full,
}

/// What `id` can spend of `asset`: the balance less reserve and selling liabilities. `None` without a line.
pub(crate) fn spendable(state: &State, id: &AccountId, asset: &Asset) -> Option<i64> {
    if *asset == Asset::Native {
        let account = state.account(id)?;
        let kept = entries::minimum_balance(account, 0, state.base_reserve())
            + entries::account_liabilities(account).selling;
        return Some((account.balance - kept).max(0));
    }
    if entries::issues(id, asset) {
        return Some(i64::MAX);
    }
    let line = state.trustline(id, &entries::line_of(asset))?;
    Some((line.balance - entries::line_liabilities(line).selling).max(0))
}

/// What `id` can receive of `asset`: the limit less balance and buying liabilities. `None` without a line.
pub(crate) fn room(state: &State, id: &AccountId, asset: &Asset) -> Option<i64> {
    if *asset == Asset::Native {
        let account = state.account(id)?;
        return Some(i64::MAX - account.balance - entries::account_liabilities(account).buying);
    }
    if entries::issues(id, asset) {
        return Some(i64::MAX);
    }
    let line = state.trustline(id, &entries::line_of(asset))?;
    Some((line.limit - line.balance - entries::line_liabilities(line).buying).max(0))
}

/// Whether `id` may hold `asset`: it has an authorized line, issues it, or the asset is native.
pub(crate) fn may_hold(state: &State, id: &AccountId, asset: &Asset) -> Result<(), Refusal> {
    if *asset == Asset::Native || entries::issues(id, asset) {
        return Ok(());
    }
    match state.trustline(id, &entries::line_of(asset)) {
        None => Err(Refusal::NoLine),
        Some(line) if line.flags & entries::AUTHORIZED == 0 => Err(Refusal::NotAuthorized),
        Some(_) => Ok(()),
    }
}

/// Takes `amount` from `id`.
pub(crate) fn take(state: &mut State, id: &AccountId, asset: &Asset, amount: i64) -> Result<(), Refusal> {
    if *asset == Asset::Native {
        let reserve = state.base_reserve();
        let account = state.account_mut(id).ok_or(Refusal::NoLine)?;
        let kept =
            entries::minimum_balance(account, 0, reserve) + entries::account_liabilities(account).selling;
        if account.balance - kept < amount {
            return Err(Refusal::Short);
        }
        account.balance -= amount;
    } else if !entries::issues(id, asset) {
        let line = state.trustline_mut(id, &entries::line_of(asset)).ok_or(Refusal::NoLine)?;
        if line.flags & entries::AUTHORIZED == 0 {
            return Err(Refusal::NotAuthorized);
        }
        if line.balance - entries::line_liabilities(line).selling < amount {
            return Err(Refusal::Short);
        }
        line.balance -= amount;
    }
    Ok(())
}

/// Gives `amount` to `id`.
pub(crate) fn give(state: &mut State, id: &AccountId, asset: &Asset, amount: i64) -> Result<(), Refusal> {
    if *asset == Asset::Native {
        let account = state.account_mut(id).ok_or(Refusal::NoLine)?;
        if i64::MAX - account.balance - entries::account_liabilities(account).buying < amount {
            return Err(Refusal::Full);
        }
        account.balance += amount;
    } else if !entries::issues(id, asset) {
        let line = state.trustline_mut(id, &entries::line_of(asset)).ok_or(Refusal::NoLine)?;
        if line.flags & entries::AUTHORIZED == 0 {
            return Err(Refusal::NotAuthorized);
        }
        if line.limit - line.balance - entries::line_liabilities(line).buying < amount {
            return Err(Refusal::Full);
        }
        line.balance += amount;
    }
    Ok(())
}

/// Adds to a balance that is known to take it. Issuers have none of their own asset.
pub(crate) fn add(state: &mut State, id: &AccountId, asset: &Asset, amount: i64) {
    if *asset == Asset::Native {
        if let Some(account) = state.account_mut(id) {
            account.balance += amount;
        }
    } else if !entries::issues(id, asset)
        && let Some(line) = state.trustline_mut(id, &entries::line_of(asset))
    {
        line.balance += amount;
    }
}
