//! What the results and ledger entry changes tell of an operation, beyond what the operation asked for.

use stellar_xdr as xdr;

use crate::changes::{entry, pairs};

/// What an operation of a successful transaction brought about, as its result says. All `None` for a failed one:
/// what its operations did was rolled back.
#[derive(Debug, Default)]
pub(super) struct Outcome<'l> {
    /// Offer that was left in the book, new or updated.
    pub(super) offer_id: Option<i64>,
    /// Claimable balance that was created.
    pub(super) balance_id: Option<&'l xdr::ClaimableBalanceId>,
    /// Stroops that arrived: of a path payment, a merge or an inflation run.
    pub(super) received: Option<i64>,
    /// Stroops that left the source of a path payment.
    pub(super) sent: Option<i64>,
    /// Balance of a merged account.
    pub(super) merged: Option<i64>,
}

impl<'l> Outcome<'l> {
    /// What `result` says.
    ///
    /// # Errors
    /// Amounts that do not add up in 64 bits.
    pub(super) fn of(result: &'l xdr::OperationResult) -> Result<Self, String> {
        use xdr::OperationResultTr as Tr;
        let tr = match result {
            xdr::OperationResult::OpInner(tr) => tr,
            xdr::OperationResult::OpBadAuth
            | xdr::OperationResult::OpNoAccount
            | xdr::OperationResult::OpNotSupported
            | xdr::OperationResult::OpTooManySubentries
            | xdr::OperationResult::OpExceededWorkLimit
            | xdr::OperationResult::OpTooManySponsoring => return Ok(Self::default()),
        };
        let mut outcome = Self::default();
        match tr {
            Tr::PathPaymentStrictReceive(xdr::PathPaymentStrictReceiveResult::Success(success)) => {
                outcome.received = Some(success.last.amount);
                outcome.sent = Some(sent(&success.offers, &success.last)?);
            }
            Tr::PathPaymentStrictSend(xdr::PathPaymentStrictSendResult::Success(success)) => {
                outcome.received = Some(success.last.amount);
                outcome.sent = Some(sent(&success.offers, &success.last)?);
            }
            // in real ledgers a passive offer comes with either arm
            Tr::ManageSellOffer(xdr::ManageSellOfferResult::Success(success))
            | Tr::CreatePassiveSellOffer(xdr::ManageSellOfferResult::Success(success))
            | Tr::ManageBuyOffer(xdr::ManageBuyOfferResult::Success(success)) => {
                outcome.offer_id = match &success.offer {
                    xdr::ManageOfferSuccessResultOffer::Created(offer)
                    | xdr::ManageOfferSuccessResultOffer::Updated(offer) => Some(offer.offer_id),
                    xdr::ManageOfferSuccessResultOffer::Deleted => None,
                };
            }
            Tr::AccountMerge(xdr::AccountMergeResult::Success(balance)) => {
                outcome.merged = Some(*balance);
                outcome.received = Some(*balance);
            }
            Tr::Inflation(xdr::InflationResult::Success(payouts)) => {
                outcome.received = Some(sum(payouts.iter().map(|payout| payout.amount))?);
            }
            Tr::CreateClaimableBalance(xdr::CreateClaimableBalanceResult::Success(id)) => {
                outcome.balance_id = Some(id);
            }
            Tr::PathPaymentStrictReceive(_)
            | Tr::PathPaymentStrictSend(_)
            | Tr::ManageSellOffer(_)
            | Tr::CreatePassiveSellOffer(_)
            | Tr::ManageBuyOffer(_)
            | Tr::AccountMerge(_)
            | Tr::Inflation(_)
            | Tr::CreateClaimableBalance(_)
            | Tr::CreateAccount(_)
            | Tr::Payment(_)
            | Tr::SetOptions(_)
            | Tr::ChangeTrust(_)
            | Tr::AllowTrust(_)
            | Tr::ManageData(_)
            | Tr::BumpSequence(_)
            | Tr::ClaimClaimableBalance(_)
            | Tr::BeginSponsoringFutureReserves(_)
            | Tr::EndSponsoringFutureReserves(_)
            | Tr::RevokeSponsorship(_)
            | Tr::Clawback(_)
            | Tr::ClawbackClaimableBalance(_)
            | Tr::SetTrustLineFlags(_)
            | Tr::LiquidityPoolDeposit(_)
            | Tr::LiquidityPoolWithdraw(_)
            | Tr::InvokeHostFunction(_)
            | Tr::ExtendFootprintTtl(_)
            | Tr::RestoreFootprint(_) => {}
        }
        Ok(outcome)
    }
}

/// What left the source: the fills of the first hop, or the payment itself where nothing was exchanged. A path may
/// come back to its first asset, so only the fills before the first other asset count.
pub(in crate::tables) fn sent(
    fills: &[xdr::ClaimAtom],
    last: &xdr::SimplePaymentResult,
) -> Result<i64, String> {
    let mut bought = fills.iter().map(bought);
    let Some((asset, first)) = bought.next() else { return Ok(last.amount) };
    let rest = bought.take_while(|(other, _)| *other == asset).map(|(_, amount)| amount);
    sum(std::iter::once(first).chain(rest))
}

/// Asset and amount that the maker or pool of a fill took in.
fn bought(fill: &xdr::ClaimAtom) -> (&xdr::Asset, i64) {
    match fill {
        xdr::ClaimAtom::V0(fill) => (&fill.asset_bought, fill.amount_bought),
        xdr::ClaimAtom::OrderBook(fill) => (&fill.asset_bought, fill.amount_bought),
        xdr::ClaimAtom::LiquidityPool(fill) => (&fill.asset_bought, fill.amount_bought),
    }
}

fn sum(amounts: impl Iterator<Item = i64>) -> Result<i64, String> {
    let total: i128 = amounts.map(i128::from).sum();
    i64::try_from(total)
        .map_err(|_| format!("the amounts of its result add up to {total}, more than 64 bits hold"))
}

/// Sponsor of what the operation created: of a new entry, or of the signer that it set. `None` where the meta shows
/// none.
pub(super) fn sponsor<'l>(
    body: &xdr::OperationBody,
    changes: &'l [xdr::LedgerEntryChange],
) -> Option<&'l xdr::AccountId> {
    let signer = if let xdr::OperationBody::SetOptions(op) = body { op.signer.as_ref() } else { None };
    pairs(changes).find_map(|pair| {
        let after = pair.after?;
        let of_signer = signer.and_then(|signer| {
            let sponsor = signer_sponsor(after, &signer.key)?;
            let former = pair.before.and_then(|entry| signer_sponsor(entry, &signer.key));
            (former != Some(sponsor)).then_some(sponsor)
        });
        of_signer.or_else(|| if pair.before.is_none() { entry::sponsor(after) } else { None })
    })
}

fn signer_sponsor<'l>(entry: &'l xdr::LedgerEntry, key: &xdr::SignerKey) -> Option<&'l xdr::AccountId> {
    entry::signers(entry::account(entry)?).find(|(signer, _)| signer.key == *key)?.1
}
