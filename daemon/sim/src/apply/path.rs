//! Path payments: one asset sent, another received, through the order book.

use stellar_xdr::{
    AccountId, Asset, ClaimAtom, MuxedAccount, OperationResultTr, PathPaymentStrictReceiveOp,
    PathPaymentStrictReceiveResult, PathPaymentStrictReceiveResultSuccess, PathPaymentStrictSendOp,
    PathPaymentStrictSendResult, PathPaymentStrictSendResultSuccess, SimplePaymentResult,
};

use super::{
    Applied, Cx,
    balance::{self, Refusal},
    cross::{self, Limits},
    pool,
};
use crate::{encode, entries};

/// Why a path payment failed: the failures that both operations share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    NoDestination,
    Source(Refusal),
    Destination(Refusal),
    TooFewOffers,
    CrossSelf,
    /// The price is worse than the limit given.
    Limit,
}

/// Applies a payment with a fixed amount to send.
pub(super) fn strict_send(cx: &mut Cx<'_>, op: &PathPaymentStrictSendOp) -> Applied {
    let outcome = send(cx, op);
    let ok = outcome.is_ok();
    let result = match outcome {
        Ok((atoms, last)) => PathPaymentStrictSendResult::Success(PathPaymentStrictSendResultSuccess {
            offers: encode::vecm(atoms),
            last,
        }),
        Err(Failure::NoDestination) => PathPaymentStrictSendResult::NoDestination,
        Err(Failure::Source(Refusal::NoLine)) => PathPaymentStrictSendResult::SrcNoTrust,
        Err(Failure::Source(Refusal::NotAuthorized)) => PathPaymentStrictSendResult::SrcNotAuthorized,
        Err(Failure::Source(Refusal::Short | Refusal::Full)) => PathPaymentStrictSendResult::Underfunded,
        Err(Failure::Destination(Refusal::NoLine)) => PathPaymentStrictSendResult::NoTrust,
        Err(Failure::Destination(Refusal::NotAuthorized)) => PathPaymentStrictSendResult::NotAuthorized,
        Err(Failure::Destination(Refusal::Short | Refusal::Full)) => PathPaymentStrictSendResult::LineFull,
        Err(Failure::TooFewOffers) => PathPaymentStrictSendResult::TooFewOffers,
        Err(Failure::CrossSelf) => PathPaymentStrictSendResult::OfferCrossSelf,
        Err(Failure::Limit) => PathPaymentStrictSendResult::UnderDestmin,
    };
    (OperationResultTr::PathPaymentStrictSend(result), ok)
}

/// Applies a payment with a fixed amount to receive.
pub(super) fn strict_receive(cx: &mut Cx<'_>, op: &PathPaymentStrictReceiveOp) -> Applied {
    let outcome = receive(cx, op);
    let ok = outcome.is_ok();
    let result = match outcome {
        Ok((atoms, last)) => PathPaymentStrictReceiveResult::Success(PathPaymentStrictReceiveResultSuccess {
            offers: encode::vecm(atoms),
            last,
        }),
        Err(Failure::NoDestination) => PathPaymentStrictReceiveResult::NoDestination,
        Err(Failure::Source(Refusal::NoLine)) => PathPaymentStrictReceiveResult::SrcNoTrust,
        Err(Failure::Source(Refusal::NotAuthorized)) => PathPaymentStrictReceiveResult::SrcNotAuthorized,
        Err(Failure::Source(Refusal::Short | Refusal::Full)) => PathPaymentStrictReceiveResult::Underfunded,
        Err(Failure::Destination(Refusal::NoLine)) => PathPaymentStrictReceiveResult::NoTrust,
        Err(Failure::Destination(Refusal::NotAuthorized)) => PathPaymentStrictReceiveResult::NotAuthorized,
        Err(Failure::Destination(Refusal::Short | Refusal::Full)) => PathPaymentStrictReceiveResult::LineFull,
        Err(Failure::TooFewOffers) => PathPaymentStrictReceiveResult::TooFewOffers,
        Err(Failure::CrossSelf) => PathPaymentStrictReceiveResult::OfferCrossSelf,
        Err(Failure::Limit) => PathPaymentStrictReceiveResult::OverSendmax,
    };
    (OperationResultTr::PathPaymentStrictReceive(result), ok)
}

type Done = (Vec<ClaimAtom>, SimplePaymentResult);

fn hops<'a>(first: &'a Asset, path: &'a [Asset], last: &'a Asset) -> Vec<(&'a Asset, &'a Asset)> {
    let all: Vec<&Asset> = std::iter::once(first).chain(path).chain(std::iter::once(last)).collect();
    all.windows(2)
        .filter_map(|pair| match pair {
            [from, to] if from != to => Some((*from, *to)),
            _ => None,
        })
        .collect()
}

fn send(cx: &mut Cx<'_>, op: &PathPaymentStrictSendOp) -> Result<Done, Failure> {
    let (source, destination) = parties(cx, &op.destination)?;
    balance::take(cx.state, &source, &op.send_asset, op.send_amount).map_err(Failure::Source)?;
    balance::may_hold(cx.state, &destination, &op.dest_asset).map_err(Failure::Destination)?;
    let mut amount = op.send_amount;
    let mut atoms = Vec::new();
    for pair in hops(&op.send_asset, &op.path, &op.dest_asset) {
        let limits = Limits { give: amount, get: i64::MAX };
        if let Some(traded) = pool::trade(cx, pair, limits) {
            amount = traded.got;
            atoms.extend(traded.atoms);
            continue;
        }
        let crossed = cross::cross(cx, &source, pair, limits, |_| true).map_err(|_| Failure::CrossSelf)?;
        // The whole amount must find takers, up to what rounding leaves over: that stays with the last maker.
        let left = amount - crossed.given;
        if crossed.got == 0 || cx.state.best_offer(pair.1, pair.0).is_none() && left > 0 {
            return Err(Failure::TooFewOffers);
        }
        let crossed = hand_over_rest(cx, pair.0, crossed, left);
        amount = crossed.got;
        atoms.extend(crossed.atoms);
    }
    if amount < op.dest_min {
        return Err(Failure::Limit);
    }
    balance::give(cx.state, &destination, &op.dest_asset, amount).map_err(Failure::Destination)?;
    Ok(finish(cx, &source, atoms, (&op.destination, &op.dest_asset, amount)))
}

/// Gives the last maker of a hop what rounding left over, so that nothing sent gets lost.
fn hand_over_rest(cx: &mut Cx<'_>, asset: &Asset, mut crossed: cross::Crossed, left: i64) -> cross::Crossed {
    if left > 0
        && let Some(ClaimAtom::OrderBook(atom)) = crossed.atoms.last_mut()
    {
        atom.amount_bought += left;
        let seller = atom.seller_id.clone();
        balance::add(cx.state, &seller, asset, left);
        crossed.given += left;
    }
    crossed
}

fn receive(cx: &mut Cx<'_>, op: &PathPaymentStrictReceiveOp) -> Result<Done, Failure> {
    let (source, destination) = parties(cx, &op.destination)?;
    balance::give(cx.state, &destination, &op.dest_asset, op.dest_amount).map_err(Failure::Destination)?;
    let mut amount = op.dest_amount;
    let mut hops_atoms = Vec::new();
    for pair in hops(&op.send_asset, &op.path, &op.dest_asset).into_iter().rev() {
        let limits = Limits { give: i64::MAX, get: amount };
        if let Some(traded) = pool::trade(cx, pair, limits) {
            amount = traded.given;
            hops_atoms.push(traded.atoms);
            continue;
        }
        let crossed = cross::cross(cx, &source, pair, limits, |_| true).map_err(|_| Failure::CrossSelf)?;
        if crossed.got < amount {
            return Err(Failure::TooFewOffers);
        }
        amount = crossed.given;
        hops_atoms.push(crossed.atoms);
    }
    if amount > op.send_max {
        return Err(Failure::Limit);
    }
    balance::take(cx.state, &source, &op.send_asset, amount).map_err(Failure::Source)?;
    let atoms = hops_atoms.into_iter().rev().flatten().collect();
    Ok(finish(cx, &source, atoms, (&op.destination, &op.dest_asset, op.dest_amount)))
}

fn parties(cx: &Cx<'_>, destination: &MuxedAccount) -> Result<(AccountId, AccountId), Failure> {
    let destination = entries::unmuxed(destination);
    if cx.state.account(&destination).is_none() {
        return Err(Failure::NoDestination);
    }
    Ok((cx.source.clone(), destination))
}

fn finish(
    cx: &mut Cx<'_>,
    source: &AccountId,
    atoms: Vec<ClaimAtom>,
    (to, asset, amount): (&MuxedAccount, &Asset, i64),
) -> Done {
    let destination = entries::unmuxed(to);
    cross::emit_trades(cx, source, &atoms);
    cx.emit_payment(asset, to, amount);
    (atoms, SimplePaymentResult { destination, asset: asset.clone(), amount })
}
