//! Signers that are used up: a transaction authorized in advance takes its own signer with it (CAP-21 names the type).

use lake_core::Hash32;
use stellar_xdr::{SignerKey, Uint256};

use crate::{entries, state::State, tx::Built};

/// The signer that stands for exactly this transaction.
pub(crate) fn key(built: &Built) -> SignerKey {
    let Hash32(hash) = built.inner_hash.unwrap_or(built.hash);
    SignerKey::PreAuthTx(Uint256(hash))
}

/// Removes the signer from the source, whether the transaction succeeds or not.
pub(crate) fn spend(state: &mut State, built: &Built) {
    let Some(account) = state.account(&built.source) else { return };
    if account.signers.is_empty() {
        return;
    }
    let key = key(built);
    let mut signers = entries::signers(account);
    let Some(at) = signers.iter().position(|(signer, _)| signer.key == key) else { return };
    let (_, sponsor) = signers.remove(at);
    if let Some(account) = state.account_mut(&built.source) {
        entries::set_signers(account, signers);
        account.num_sub_entries = account.num_sub_entries.saturating_sub(1);
        if sponsor.is_some() {
            entries::add_sponsored(account, -1);
        }
    }
    if let Some(sponsor) = sponsor.and_then(|sponsor| state.account_mut(&sponsor)) {
        entries::add_sponsoring(sponsor, -1);
    }
}
