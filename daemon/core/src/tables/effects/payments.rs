//! Effects of operations that move amounts between accounts, and of the trades that they make.

use stellar_xdr::{self as xdr, OperationResultTr as Tr};

use super::{
    emit::{Cells, Effects, Who},
    kind::Kind,
    pools,
};
use crate::{
    tables::operations::outcome,
    text::{AssetParts, Strkey, details, key_of},
};

pub(super) fn create_account(e: &mut Effects<'_>, op: &xdr::CreateAccountOp) {
    e.push_account_created(&op.destination, op.starting_balance);
    e.push_amount(Kind::AccountDebited, &e.op.source, op.starting_balance, (&xdr::Asset::Native).into());
    e.push_master_key(&op.destination);
}

pub(super) fn payment(e: &mut Effects<'_>, op: &xdr::PaymentOp) {
    e.push_amount(Kind::AccountCredited, &op.destination, op.amount, (&op.asset).into());
    e.push_amount(Kind::AccountDebited, &e.op.source, op.amount, (&op.asset).into());
}

pub(super) fn strict_receive(
    e: &mut Effects<'_>,
    op: &xdr::PathPaymentStrictReceiveOp,
) -> Result<(), String> {
    let result = e.op.result()?;
    let Tr::PathPaymentStrictReceive(xdr::PathPaymentStrictReceiveResult::Success(success)) = result else {
        return Err(unexpected(result));
    };
    let sent = outcome::sent(&success.offers, &success.last)?;
    e.push_amount(Kind::AccountCredited, &op.destination, op.dest_amount, (&op.dest_asset).into());
    e.push_amount(Kind::AccountDebited, &e.op.source, sent, (&op.send_asset).into());
    trades(e, &success.offers)
}

pub(super) fn strict_send(e: &mut Effects<'_>, op: &xdr::PathPaymentStrictSendOp) -> Result<(), String> {
    let result = e.op.result()?;
    let Tr::PathPaymentStrictSend(xdr::PathPaymentStrictSendResult::Success(success)) = result else {
        return Err(unexpected(result));
    };
    e.push_amount(Kind::AccountCredited, &op.destination, success.last.amount, (&op.dest_asset).into());
    e.push_amount(Kind::AccountDebited, &e.op.source, op.send_amount, (&op.send_asset).into());
    trades(e, &success.offers)
}

/// An offer has no effect of its own, only the trades that it makes at once.
pub(super) fn offer(e: &mut Effects<'_>) -> Result<(), String> {
    let result = e.op.result()?;
    // in real ledgers a passive offer comes with either arm
    let (Tr::ManageSellOffer(xdr::ManageSellOfferResult::Success(success))
    | Tr::CreatePassiveSellOffer(xdr::ManageSellOfferResult::Success(success))
    | Tr::ManageBuyOffer(xdr::ManageBuyOfferResult::Success(success))) = result
    else {
        return Err(unexpected(result));
    };
    trades(e, &success.offers_claimed)
}

pub(super) fn merge(e: &mut Effects<'_>, destination: &xdr::MuxedAccount) -> Result<(), String> {
    let result = e.op.result()?;
    let Tr::AccountMerge(xdr::AccountMergeResult::Success(balance)) = result else {
        return Err(unexpected(result));
    };
    let native = AssetParts::from(&xdr::Asset::Native);
    e.push_amount(Kind::AccountDebited, &e.op.source, *balance, native);
    e.push_amount(Kind::AccountCredited, destination, *balance, native);
    e.push_source(Kind::AccountRemoved, Cells::default(), |_| ());
    Ok(())
}

pub(super) fn inflation(e: &mut Effects<'_>) -> Result<(), String> {
    let result = e.op.result()?;
    let Tr::Inflation(xdr::InflationResult::Success(payouts)) = result else {
        return Err(unexpected(result));
    };
    for payout in payouts.iter() {
        let native = AssetParts::from(&xdr::Asset::Native);
        e.push_amount(Kind::AccountCredited, &payout.destination, payout.amount, native);
    }
    Ok(())
}

/// The issuer is credited although what it takes back ceases to exist.
pub(super) fn clawback(e: &mut Effects<'_>, op: &xdr::ClawbackOp) {
    e.push_amount(Kind::AccountCredited, &e.op.source, op.amount, (&op.asset).into());
    e.push_amount(Kind::AccountDebited, &op.from, op.amount, (&op.asset).into());
}

fn unexpected(result: &xdr::OperationResultTr) -> String {
    format!("its transaction succeeded, its result is {result:?}")
}

/// The effects of the fills of an operation; those that moved nothing have none.
fn trades(e: &mut Effects<'_>, fills: &[xdr::ClaimAtom]) -> Result<(), String> {
    for fill in fills {
        match fill {
            xdr::ClaimAtom::V0(f) => trade(
                e,
                &Trade {
                    offer_id: f.offer_id,
                    seller: f.seller_ed25519.0,
                    sold: (&f.asset_sold, f.amount_sold),
                    bought: (&f.asset_bought, f.amount_bought),
                },
            ),
            xdr::ClaimAtom::OrderBook(f) => trade(
                e,
                &Trade {
                    offer_id: f.offer_id,
                    seller: key_of(&f.seller_id),
                    sold: (&f.asset_sold, f.amount_sold),
                    bought: (&f.asset_bought, f.amount_bought),
                },
            ),
            xdr::ClaimAtom::LiquidityPool(f) => {
                if f.amount_sold != 0 || f.amount_bought != 0 {
                    pools::trade(e, f)?;
                }
            }
        }
    }
    Ok(())
}

/// A fill of an offer; sold and bought by its seller.
struct Trade<'l> {
    offer_id: i64,
    seller: [u8; 32],
    sold: (&'l xdr::Asset, i64),
    bought: (&'l xdr::Asset, i64),
}

/// One effect for the operation's source, who buys, and one for the offer's owner. To each the other one is the
/// `seller`.
fn trade(e: &mut Effects<'_>, t: &Trade<'_>) {
    if t.sold.1 == 0 && t.bought.1 == 0 {
        return;
    }
    let buyer = &e.op.source;
    let cells = |seller| Cells { offer_id: Some(t.offer_id), seller: Some(seller), ..Cells::default() };
    e.push(Kind::Trade, buyer, cells(t.seller), |j| {
        j.key("offer_id").bare(t.offer_id);
        j.key("seller").plain(Strkey::account(t.seller));
        side(j, ["bought_amount", "bought_"], t.sold);
        side(j, ["sold_amount", "sold_"], t.bought);
    });
    e.push(Kind::Trade, t.seller, cells(Who::from(buyer).key), |j| {
        j.key("offer_id").bare(t.offer_id);
        details::address(j, "seller", buyer);
        side(j, ["bought_amount", "bought_"], t.bought);
        side(j, ["sold_amount", "sold_"], t.sold);
    });
}

fn side(j: &mut crate::text::Json, [name, prefix]: [&str; 2], (asset, stroops): (&xdr::Asset, i64)) {
    details::amount(j, name, stroops);
    details::asset(j, prefix, asset.into());
}
