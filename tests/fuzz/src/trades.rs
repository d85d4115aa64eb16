//! Invented trades whose result and changes agree, which chance would never bring about.

use arbitrary::{Arbitrary, Result, Unstructured};
use stellar_xdr::{
    AccountId, ClaimAtom, LedgerEntry, LedgerEntryChange, LedgerEntryData,
    LiquidityPoolConstantProductParameters, LiquidityPoolEntry, LiquidityPoolEntryBody,
    LiquidityPoolEntryConstantProduct, ManageOfferSuccessResult, ManageSellOfferResult, OfferEntry,
    OperationResult, OperationResultTr, PathPaymentStrictReceiveResult,
    PathPaymentStrictReceiveResultSuccess, PathPaymentStrictSendResult, PathPaymentStrictSendResultSuccess,
    PublicKey, TransactionResultMetaV1, TransactionResultResult,
};

use crate::changes::edit;

/// Lets every operation of a transaction trade, and shows in its changes what it traded with.
pub fn invent(operations: usize, one: &mut TransactionResultMetaV1, u: &mut Unstructured<'_>) -> Result<()> {
    let mut results = Vec::new();
    let mut states = Vec::new();
    for _ in 0..operations {
        let mut atoms = Vec::new();
        let mut shown = Vec::new();
        for _ in 0..u.int_in_range(1..=3)? {
            let atom = atom(u)?;
            shown.push(LedgerEntryChange::State(LedgerEntry {
                data: seller(&atom, u)?,
                ..LedgerEntry::default()
            }));
            atoms.push(atom);
        }
        results.push(OperationResult::OpInner(result(atoms, u)?));
        states.push(shown);
    }
    one.result.result.result = TransactionResultResult::TxSuccess(results.try_into().unwrap_or_default());
    edit(&mut one.tx_apply_processing, operations, |operation, changes| {
        if let Some(shown) = operation.and_then(|n| states.get_mut(n)) {
            let mut all = std::mem::take(&mut changes.0).into_vec();
            all.append(shown);
            changes.0 = all.try_into().unwrap_or_default();
        }
    });
    Ok(())
}

fn result(atoms: Vec<ClaimAtom>, u: &mut Unstructured<'_>) -> Result<OperationResultTr> {
    let offers = atoms.try_into().unwrap_or_default();
    Ok(match u.int_in_range(0..=3)? {
        0 => OperationResultTr::PathPaymentStrictReceive(PathPaymentStrictReceiveResult::Success(
            PathPaymentStrictReceiveResultSuccess { offers, ..Default::default() },
        )),
        1 => OperationResultTr::PathPaymentStrictSend(PathPaymentStrictSendResult::Success(
            PathPaymentStrictSendResultSuccess { offers, ..Default::default() },
        )),
        2 => OperationResultTr::ManageSellOffer(ManageSellOfferResult::Success(ManageOfferSuccessResult {
            offers_claimed: offers,
            offer: Arbitrary::arbitrary(u)?,
        })),
        _ => OperationResultTr::CreatePassiveSellOffer(ManageSellOfferResult::Success(
            ManageOfferSuccessResult { offers_claimed: offers, offer: Arbitrary::arbitrary(u)? },
        )),
    })
}

/// Amounts of all sizes: most of the range is beyond what pools can hold.
fn amount(u: &mut Unstructured<'_>) -> Result<i64> {
    let bits = u.int_in_range(0..=64)?;
    Ok(i64::arbitrary(u)?.checked_shr(bits).unwrap_or_default())
}

fn atom(u: &mut Unstructured<'_>) -> Result<ClaimAtom> {
    let mut atom = ClaimAtom::arbitrary(u)?;
    let (sold, bought) = match &mut atom {
        ClaimAtom::V0(atom) => (&mut atom.amount_sold, &mut atom.amount_bought),
        ClaimAtom::OrderBook(atom) => (&mut atom.amount_sold, &mut atom.amount_bought),
        ClaimAtom::LiquidityPool(atom) => (&mut atom.amount_sold, &mut atom.amount_bought),
    };
    (*sold, *bought) = (amount(u)?, amount(u)?);
    if u.ratio(15, 16)? {
        (*sold, *bought) = (sold.saturating_abs(), bought.saturating_abs());
    }
    Ok(atom)
}

/// The offer or pool of a claim atom.
fn seller(atom: &ClaimAtom, u: &mut Unstructured<'_>) -> Result<LedgerEntryData> {
    let offer = |seller_id, offer_id, u: &mut Unstructured<'_>| {
        let price = Arbitrary::arbitrary(u)?;
        Ok(LedgerEntryData::Offer(OfferEntry { seller_id, offer_id, price, ..OfferEntry::default() }))
    };
    match atom {
        ClaimAtom::V0(atom) => {
            let seller = AccountId(PublicKey::PublicKeyTypeEd25519(atom.seller_ed25519.clone()));
            offer(seller, atom.offer_id, u)
        }
        ClaimAtom::OrderBook(atom) => offer(atom.seller_id.clone(), atom.offer_id, u),
        ClaimAtom::LiquidityPool(atom) => {
            let params = LiquidityPoolConstantProductParameters {
                asset_a: atom.asset_sold.clone(),
                asset_b: atom.asset_bought.clone(),
                fee: if u.ratio(7, 8)? { 30 } else { Arbitrary::arbitrary(u)? },
            };
            let body = LiquidityPoolEntryConstantProduct {
                params,
                reserve_a: amount(u)?.saturating_abs(),
                reserve_b: amount(u)?.saturating_abs(),
                total_pool_shares: amount(u)?,
                pool_shares_trust_line_count: 1,
            };
            Ok(LedgerEntryData::LiquidityPool(LiquidityPoolEntry {
                liquidity_pool_id: atom.liquidity_pool_id.clone(),
                body: LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body),
            }))
        }
    }
}
