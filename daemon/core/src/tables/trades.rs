//! Trades: one row per fill that a successful operation took from the order book or from a liquidity pool.
//!
//! Who gave what comes from the claim atoms of the result; the maker's price and the pool's fee and reserves only from
//! the ledger entry changes, which rebuilt history does not have.

mod slippage;
#[cfg(test)]
mod tests;

use stellar_xdr as xdr;

use super::{ExtractError, Input};
use crate::{
    decode::{Ledger, Transaction},
    ledger::Hash32,
    schema::{Account, Hex32, Muxed, Shown, Timestamp, Word, table},
    text::{AssetParts, LossyText, Strkey, account_of, key_of, muxed_of},
    words,
};

table! {
    /// One row per fill of a successful operation. The seller is the maker of the offer, or the pool; the buyer is the
    /// source of the operation. Selling columns say what the seller gave, buying columns what it took. Amounts are
    /// stroops.
    trades_row_v1 { key: [transaction_hash, operation_index, trade_index], ledger: ledger_sequence }
    columns {
        /// Ledger that holds the trade.
        ledger_sequence: i64,
        /// Hash of the transaction, of the outer one for a fee bump.
        transaction_hash: Hex32 [bloom],
        /// Position of the operation in its transaction, from 0.
        operation_index: i32,
        /// Position of the fill in the operation's result, from 0. Offers that were removed without a fill leave holes.
        trade_index: i32,
        /// `orderbook` or `liquidity_pool`.
        trade_type: Word,
        /// Close time of the ledger, UTC.
        trade_timestamp: Timestamp,
        /// Maker of the offer, G..., or the pool, L...
        seller_account: Shown<Strkey> [bloom],
        /// Code of the asset that the seller gave; NULL for the native asset.
        selling_asset_code: Option<LossyText>,
        /// Issuer of that asset, G...
        selling_asset_issuer: Option<Account>,
        /// Amount that the seller gave, stroops.
        selling_amount: i64,
        /// Source of the operation, G...
        buyer_account: Account [bloom],
        /// Code of the asset that the seller took; NULL for the native asset.
        buying_asset_code: Option<LossyText>,
        /// Issuer of that asset, G...
        buying_asset_issuer: Option<Account>,
        /// Amount that the seller took, stroops.
        buying_amount: i64,
        /// Units of the bought asset per unit of the sold one: the price of the maker's offer, or of a pool amount
        /// bought / amount sold. NULL in history rebuilt without ledger entry changes, and where the price has no
        /// denominator.
        price: Option<f64>,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// SEP-35 id of the operation.
        operation_id: i64,
        /// Type of the asset that the seller gave: `native`, `credit_alphanum4` or `credit_alphanum12`.
        selling_asset_type: Word,
        /// Type of the asset that the seller took.
        buying_asset_type: Word,
        /// Numerator of the price, exactly.
        price_n: Option<i64>,
        /// Denominator of the price, exactly.
        price_d: Option<i64>,
        /// Offer that was filled; NULL for a pool.
        selling_offer_id: Option<i64>,
        /// Offer that the operation left in the book, else its `operation_id` with bit 62 set, as Horizon numbers it.
        buying_offer_id: i64,
        /// Pool that was traded with, 64 hex digits; NULL for an offer.
        liquidity_pool_id: Option<Hex32> [bloom],
        /// Fee of the pool, basis points; NULL for an offer, and in history rebuilt without ledger entry changes.
        liquidity_pool_fee: Option<i32>,
        /// How far rounding to whole stroops moved the computed side of a path payment's trade with a pool, basis
        /// points, rounded down; 9223372036854775807 where the pool as it stood before the operation could not make
        /// the trade. NULL for an offer, and in history rebuilt without ledger entry changes.
        rounding_slippage: Option<i64>,
        /// Whether the amount given was fixed by the path payment (strict receive: true) or the amount taken (strict
        /// send: false); NULL for offers.
        seller_is_exact: Option<bool>,
        /// Muxed address of the buyer, M...; NULL where it is none.
        buyer_account_muxed: Option<Muxed>,
        /// Muxed address of the seller. NULL: results name makers by their account, and offers belong to accounts.
        seller_account_muxed: Option<Muxed>,
    }
}

/// Appends the trades of this ledger, in transaction and operation order and in the order in which they were made.
///
/// # Errors
/// A value that has no row, with the transaction, operation and fill that it stands in.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    let ledger = input.ledger;
    for tx in ledger.transactions.iter().filter(|tx| tx.successful()) {
        push_all(ledger, tx, out).map_err(|reason| ExtractError {
            seq: ledger.seq,
            table: SPEC.name,
            reason: format!("transaction {} {reason}", tx.hash),
        })?;
    }
    Ok(())
}

fn push_all(ledger: &Ledger, tx: &Transaction, out: &mut Columns) -> Result<(), String> {
    let (operations, results) = (tx.operations(), tx.operation_results().unwrap_or_default());
    if operations.len() != results.len() {
        return Err(format!("has {} operations and {} results", operations.len(), results.len()));
    }
    for (index, (operation, result)) in operations.iter().zip(results).enumerate() {
        let Some(exchange) = Exchange::of(result) else { continue };
        let taker = Taker {
            ledger,
            tx,
            index,
            source: tx.operation_source(operation),
            changes: tx.operation_changes(index),
            exchange,
        };
        for (n, atom) in exchange.atoms.iter().enumerate() {
            let fill = Fill::of(atom);
            // offers that could no longer be filled were removed on the way: that is no trade
            if (fill.sold, fill.bought) != (0, 0) {
                let row = row(&taker, n, &fill)
                    .map_err(|reason| format!("operation {index} claim atom {n}: {reason}"))?;
                out.push(row);
            }
        }
    }
    Ok(())
}

/// What an operation took from the order book and from pools.
#[derive(Clone, Copy, Debug)]
struct Exchange<'l> {
    atoms: &'l [xdr::ClaimAtom],
    /// Whether the amounts that the sellers gave were asked for, or those that they took; `None` for offers.
    seller_is_exact: Option<bool>,
    /// Offer that the operation left in the book.
    offer_id: Option<i64>,
}

impl<'l> Exchange<'l> {
    /// `None` for a result that makes no trades. The arm decides, not the type of the operation: in real ledgers
    /// create_passive_sell_offer comes with either of two.
    fn of(result: &'l xdr::OperationResult) -> Option<Self> {
        use xdr::OperationResultTr as Tr;
        let xdr::OperationResult::OpInner(tr) = result else { return None };
        let path =
            |atoms: &'l [_], is_exact| Some(Self { atoms, seller_is_exact: Some(is_exact), offer_id: None });
        if let Tr::PathPaymentStrictReceive(xdr::PathPaymentStrictReceiveResult::Success(success)) = tr {
            return path(&success.offers, true);
        }
        if let Tr::PathPaymentStrictSend(xdr::PathPaymentStrictSendResult::Success(success)) = tr {
            return path(&success.offers, false);
        }
        let (Tr::ManageSellOffer(xdr::ManageSellOfferResult::Success(success))
        | Tr::CreatePassiveSellOffer(xdr::ManageSellOfferResult::Success(success))
        | Tr::ManageBuyOffer(xdr::ManageBuyOfferResult::Success(success))) = tr
        else {
            return None;
        };
        let offer_id = match &success.offer {
            xdr::ManageOfferSuccessResultOffer::Created(offer)
            | xdr::ManageOfferSuccessResultOffer::Updated(offer) => Some(offer.offer_id),
            xdr::ManageOfferSuccessResultOffer::Deleted => None,
        };
        Some(Self { atoms: &success.offers_claimed, seller_is_exact: None, offer_id })
    }
}

/// The operation that takes, and what is known of it.
#[derive(Debug)]
struct Taker<'l> {
    ledger: &'l Ledger,
    tx: &'l Transaction,
    index: usize,
    source: xdr::MuxedAccount,
    changes: &'l [xdr::LedgerEntryChange],
    exchange: Exchange<'l>,
}

/// Who gives in a fill.
#[derive(Clone, Copy, Debug)]
enum Seller<'l> {
    /// An account's offer of that id.
    Offer([u8; 32], i64),
    Pool(&'l xdr::PoolId),
}

/// A claim atom of any layout.
#[derive(Debug)]
struct Fill<'l> {
    seller: Seller<'l>,
    sold_asset: &'l xdr::Asset,
    sold: i64,
    bought_asset: &'l xdr::Asset,
    bought: i64,
}

impl<'l> Fill<'l> {
    fn of(atom: &'l xdr::ClaimAtom) -> Self {
        match atom {
            xdr::ClaimAtom::V0(atom) => Self {
                seller: Seller::Offer(atom.seller_ed25519.0, atom.offer_id),
                sold_asset: &atom.asset_sold,
                sold: atom.amount_sold,
                bought_asset: &atom.asset_bought,
                bought: atom.amount_bought,
            },
            xdr::ClaimAtom::OrderBook(atom) => Self {
                seller: Seller::Offer(key_of(&atom.seller_id), atom.offer_id),
                sold_asset: &atom.asset_sold,
                sold: atom.amount_sold,
                bought_asset: &atom.asset_bought,
                bought: atom.amount_bought,
            },
            xdr::ClaimAtom::LiquidityPool(atom) => Self {
                seller: Seller::Pool(&atom.liquidity_pool_id),
                sold_asset: &atom.asset_sold,
                sold: atom.amount_sold,
                bought_asset: &atom.asset_bought,
                bought: atom.amount_bought,
            },
        }
    }
}

/// What only the ledger entry changes tell of a fill, and a pool's price, which they do not.
#[derive(Debug, Default)]
struct Terms {
    price: Option<(i64, i64)>,
    pool_fee: Option<i32>,
    slippage: Option<i64>,
}

impl Terms {
    fn of(taker: &Taker<'_>, fill: &Fill<'_>) -> Result<Self, String> {
        match fill.seller {
            Seller::Offer(maker, id) => {
                let offer = before(taker.changes, |data| {
                    let xdr::LedgerEntryData::Offer(offer) = data else { return None };
                    (offer.offer_id == id && key_of(&offer.seller_id) == maker).then_some(offer)
                });
                let offer = offer.map_err(|Missing| format!("no change shows offer {id}"))?;
                let price = offer.map(|offer| (i64::from(offer.price.n), i64::from(offer.price.d)));
                Ok(Self { price, ..Self::default() })
            }
            Seller::Pool(id) => {
                let pool = before(taker.changes, |data| {
                    let xdr::LedgerEntryData::LiquidityPool(pool) = data else { return None };
                    let xdr::LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
                    (pool.liquidity_pool_id == *id).then_some(body)
                });
                let pool = pool.map_err(|Missing| format!("no change shows pool {}", Hash32(id.0.0)))?;
                let slippage = match (pool, taker.exchange.seller_is_exact) {
                    (Some(pool), Some(is_exact)) => Some(slippage::of(pool, fill, is_exact)?),
                    _ => None,
                };
                Ok(Self {
                    price: Some((fill.bought, fill.sold)),
                    pool_fee: pool.map(|pool| pool.params.fee),
                    slippage,
                })
            }
        }
    }
}

/// An entry that an operation changed by its result, but not by its changes.
struct Missing;

/// The image that an operation's last change of the wanted entry starts from; `None` where there are no changes at
/// all.
fn before<'l, T>(
    changes: &'l [xdr::LedgerEntryChange],
    wanted: impl Fn(&'l xdr::LedgerEntryData) -> Option<T>,
) -> Result<Option<T>, Missing> {
    if changes.is_empty() {
        return Ok(None);
    }
    let mut states = changes.iter().rev().filter_map(|change| {
        if let xdr::LedgerEntryChange::State(entry) = change { wanted(&entry.data) } else { None }
    });
    states.next().map(Some).ok_or(Missing)
}

fn row<'r>(taker: &'r Taker<'_>, n: usize, fill: &Fill<'r>) -> Result<Row<'r>, String> {
    let seq = taker.ledger.seq;
    let closed_at = taker.ledger.closed_at_micros();
    let operation_id = taker.tx.operation_toid(seq, taker.index);
    for (column, amount) in [("selling_amount", fill.sold), ("buying_amount", fill.bought)] {
        if amount < 0 {
            return Err(format!("{column} is {amount}"));
        }
    }
    let terms = Terms::of(taker, fill)?;
    let (trade_type, seller, offer, pool) = match fill.seller {
        Seller::Offer(maker, id) => ("orderbook", Strkey::account(maker), Some(id), None),
        Seller::Pool(id) => ("liquidity_pool", Strkey::liquidity_pool(id.0.0), None, Some(Hash32(id.0.0))),
    };
    let (sold, bought) = (AssetParts::from(fill.sold_asset), AssetParts::from(fill.bought_asset));
    Ok(Row {
        ledger_sequence: i64::from(seq.get()),
        transaction_hash: taker.tx.hash,
        operation_index: i32::try_from(taker.index).map_err(|e| format!("operation_index: {e}"))?,
        trade_index: i32::try_from(n).map_err(|e| format!("trade_index: {e}"))?,
        trade_type,
        trade_timestamp: closed_at,
        seller_account: seller,
        selling_asset_code: sold.code(),
        selling_asset_issuer: sold.issuer().map(key_of),
        selling_amount: fill.sold,
        buyer_account: key_of(&account_of(&taker.source)),
        buying_asset_code: bought.code(),
        buying_asset_issuer: bought.issuer().map(key_of),
        buying_amount: fill.bought,
        price: terms.price.filter(|(_, d)| *d != 0).map(|(n, d)| n as f64 / d as f64),
        created_at: closed_at,
        operation_id,
        selling_asset_type: words::asset_type(sold.ty),
        buying_asset_type: words::asset_type(bought.ty),
        price_n: terms.price.map(|(n, _)| n),
        price_d: terms.price.map(|(_, d)| d),
        selling_offer_id: offer,
        buying_offer_id: taker.exchange.offer_id.unwrap_or(operation_id | OPERATION_OFFER),
        liquidity_pool_id: pool,
        liquidity_pool_fee: terms.pool_fee,
        rounding_slippage: terms.slippage,
        seller_is_exact: taker.exchange.seller_is_exact,
        buyer_account_muxed: muxed_of(&taker.source).map(|muxed| (muxed.id, muxed.ed25519.0)),
        seller_account_muxed: None,
    })
}

/// Marks the id of an operation where the id of an offer is expected.
const OPERATION_OFFER: i64 = 1 << 62;
