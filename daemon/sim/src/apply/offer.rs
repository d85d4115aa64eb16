//! ManageSellOffer and ManageBuyOffer: create, change and delete offers, crossing what is there.

use stellar_xdr::{
    Asset, ClaimAtom, CreatePassiveSellOfferOp, LedgerEntryData, ManageBuyOfferOp, ManageBuyOfferResult,
    ManageOfferSuccessResult, ManageOfferSuccessResultOffer, ManageSellOfferOp, ManageSellOfferResult,
    OfferEntry, OfferEntryExt, OperationResultTr, Price,
};

use super::{
    Applied, Cx,
    balance::{self, Refusal},
    cross::{self, Limits},
    reserve,
};
use crate::{encode, state};

/// Why an offer was refused: the failures that both operations share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    SellNoTrust,
    BuyNoTrust,
    SellNotAuthorized,
    BuyNotAuthorized,
    LineFull,
    Underfunded,
    CrossSelf,
    NotFound,
    LowReserve,
}

/// An offer operation in the seller's terms.
#[derive(Debug)]
struct Wanted<'a> {
    selling: &'a Asset,
    buying: &'a Asset,
    /// Most to sell.
    give: i64,
    /// Most to buy.
    get: i64,
    /// `buying` per `selling`.
    price: Price,
    offer_id: i64,
    /// Whether it leaves offers of exactly its price alone.
    passive: bool,
}

/// Applies a sell offer.
pub(super) fn sell(cx: &mut Cx<'_>, op: &ManageSellOfferOp) -> Applied {
    let wanted = Wanted {
        selling: &op.selling,
        buying: &op.buying,
        give: op.amount,
        get: i64::MAX,
        price: op.price.clone(),
        offer_id: op.offer_id,
        passive: false,
    };
    let (result, ok) = sell_result(manage(cx, &wanted));
    (OperationResultTr::ManageSellOffer(result), ok)
}

fn sell_result(outcome: Result<ManageOfferSuccessResult, Failure>) -> (ManageSellOfferResult, bool) {
    let ok = outcome.is_ok();
    let result = match outcome {
        Ok(success) => ManageSellOfferResult::Success(success),
        Err(Failure::SellNoTrust) => ManageSellOfferResult::SellNoTrust,
        Err(Failure::BuyNoTrust) => ManageSellOfferResult::BuyNoTrust,
        Err(Failure::SellNotAuthorized) => ManageSellOfferResult::SellNotAuthorized,
        Err(Failure::BuyNotAuthorized) => ManageSellOfferResult::BuyNotAuthorized,
        Err(Failure::LineFull) => ManageSellOfferResult::LineFull,
        Err(Failure::Underfunded) => ManageSellOfferResult::Underfunded,
        Err(Failure::CrossSelf) => ManageSellOfferResult::CrossSelf,
        Err(Failure::NotFound) => ManageSellOfferResult::NotFound,
        Err(Failure::LowReserve) => ManageSellOfferResult::LowReserve,
    };
    (result, ok)
}

/// Applies a passive sell offer: its result has the arm of a sell offer, as stellar-core writes it.
pub(super) fn sell_passively(cx: &mut Cx<'_>, op: &CreatePassiveSellOfferOp) -> Applied {
    let wanted = Wanted {
        selling: &op.selling,
        buying: &op.buying,
        give: op.amount,
        get: i64::MAX,
        price: op.price.clone(),
        offer_id: 0,
        passive: true,
    };
    let (result, ok) = sell_result(manage(cx, &wanted));
    (OperationResultTr::ManageSellOffer(result), ok)
}

/// Applies a buy offer: its price is `selling` per `buying`, so the offer's is the inverse.
pub(super) fn buy(cx: &mut Cx<'_>, op: &ManageBuyOfferOp) -> Applied {
    let wanted = Wanted {
        selling: &op.selling,
        buying: &op.buying,
        give: cross::mul_div_ceil(op.buy_amount, op.price.n, op.price.d),
        get: op.buy_amount,
        price: Price { n: op.price.d, d: op.price.n },
        offer_id: op.offer_id,
        passive: false,
    };
    let outcome = manage(cx, &wanted);
    let ok = outcome.is_ok();
    let result = match outcome {
        Ok(success) => ManageBuyOfferResult::Success(success),
        Err(Failure::SellNoTrust) => ManageBuyOfferResult::SellNoTrust,
        Err(Failure::BuyNoTrust) => ManageBuyOfferResult::BuyNoTrust,
        Err(Failure::SellNotAuthorized) => ManageBuyOfferResult::SellNotAuthorized,
        Err(Failure::BuyNotAuthorized) => ManageBuyOfferResult::BuyNotAuthorized,
        Err(Failure::LineFull) => ManageBuyOfferResult::LineFull,
        Err(Failure::Underfunded) => ManageBuyOfferResult::Underfunded,
        Err(Failure::CrossSelf) => ManageBuyOfferResult::CrossSelf,
        Err(Failure::NotFound) => ManageBuyOfferResult::NotFound,
        Err(Failure::LowReserve) => ManageBuyOfferResult::LowReserve,
    };
    (OperationResultTr::ManageBuyOffer(result), ok)
}

fn manage(cx: &mut Cx<'_>, wanted: &Wanted<'_>) -> Result<ManageOfferSuccessResult, Failure> {
    let source = cx.source.clone();
    let existing = match wanted.offer_id {
        0 => None,
        id => Some(cx.state.offer(&source, id).cloned().ok_or(Failure::NotFound)?),
    };
    if let Some(old) = &existing {
        cross::commit(cx, old, -1);
        if wanted.give == 0 {
            cross::erase(cx, old);
            return Ok(success(Vec::new(), ManageOfferSuccessResultOffer::Deleted));
        }
    }
    check(cx, wanted)?;
    let inverse = wanted.price.clone();
    // A maker asks n/d of what is sold here per unit bought: fine up to the inverse of the own price.
    let acceptable = |maker: &Price| {
        let (ask, bid) =
            (i64::from(maker.n) * i64::from(inverse.n), i64::from(maker.d) * i64::from(inverse.d));
        if wanted.passive { ask < bid } else { ask <= bid }
    };
    let limits = Limits { give: wanted.give, get: wanted.get };
    let crossed = cross::cross(cx, &source, (wanted.selling, wanted.buying), limits, acceptable)
        .map_err(|_| Failure::CrossSelf)?;
    balance::add(cx.state, &source, wanted.selling, -crossed.given);
    balance::add(cx.state, &source, wanted.buying, crossed.got);
    cross::emit_trades(cx, &source, &crossed.atoms);
    let left = if crossed.got >= wanted.get { 0 } else { wanted.give - crossed.given };
    let offer = place(cx, wanted, existing.as_ref(), left)?;
    Ok(success(crossed.atoms, offer))
}

fn check(cx: &Cx<'_>, wanted: &Wanted<'_>) -> Result<(), Failure> {
    match balance::may_hold(cx.state, &cx.source, wanted.selling) {
        Ok(()) => {}
        Err(Refusal::NotAuthorized) => return Err(Failure::SellNotAuthorized),
        Err(Refusal::NoLine | Refusal::Short | Refusal::Full) => return Err(Failure::SellNoTrust),
    }
    match balance::may_hold(cx.state, &cx.source, wanted.buying) {
        Ok(()) => {}
        Err(Refusal::NotAuthorized) => return Err(Failure::BuyNotAuthorized),
        Err(Refusal::NoLine | Refusal::Short | Refusal::Full) => return Err(Failure::BuyNoTrust),
    }
    if balance::spendable(cx.state, &cx.source, wanted.selling).unwrap_or(0) < wanted.give {
        return Err(Failure::Underfunded);
    }
    let most = cross::mul_div_ceil(wanted.give, wanted.price.n, wanted.price.d);
    if balance::room(cx.state, &cx.source, wanted.buying).unwrap_or(0) < most {
        return Err(Failure::LineFull);
    }
    Ok(())
}

/// Puts what is left of the offer into the book.
fn place(
    cx: &mut Cx<'_>,
    wanted: &Wanted<'_>,
    existing: Option<&OfferEntry>,
    left: i64,
) -> Result<ManageOfferSuccessResultOffer, Failure> {
    let source = cx.source.clone();
    if left == 0 {
        if let Some(old) = existing {
            cross::erase(cx, old);
        }
        return Ok(ManageOfferSuccessResultOffer::Deleted);
    }
    let offer_id = match existing {
        Some(old) => old.offer_id,
        None => {
            *cx.id_pool += 1;
            i64::try_from(*cx.id_pool).unwrap_or(i64::MAX)
        }
    };
    let offer = OfferEntry {
        seller_id: source.clone(),
        offer_id,
        selling: wanted.selling.clone(),
        buying: wanted.buying.clone(),
        amount: left,
        price: wanted.price.clone(),
        flags: existing.map_or(u32::from(wanted.passive), |old| old.flags),
        ext: OfferEntryExt::V0,
    };
    cross::commit(cx, &offer, 1);
    let key = state::offer_key(&source, offer_id);
    let data = LedgerEntryData::Offer(offer.clone());
    if existing.is_some() {
        cx.state.put(key, data);
    } else {
        reserve::create(cx, key, data, &source).map_err(|_| Failure::LowReserve)?;
    }
    Ok(match existing {
        Some(_) => ManageOfferSuccessResultOffer::Updated(offer),
        None => ManageOfferSuccessResultOffer::Created(offer),
    })
}

fn success(atoms: Vec<ClaimAtom>, offer: ManageOfferSuccessResultOffer) -> ManageOfferSuccessResult {
    ManageOfferSuccessResult { offers_claimed: encode::vecm(atoms), offer }
}
