//! Offers: every offer of the order book that a ledger changed.

use super::{
    ExtractError, Input,
    state::{State, int, of_type},
};
use crate::{
    schema::{Account, Shown, Timestamp, Word, table},
    text::{AssetParts, LossyText, PriceRatio, key_of},
    words,
};

table! {
    /// One row per offer that a ledger changed: the offer after the ledger's last change.
    offers_snapshot_v1 {
        key: [offer_id, ledger_sequence], ledger: ledger_sequence,
        state: offers
    }
    columns {
        /// Id of the offer.
        offer_id: i64,
        /// Account whose offer it is, G...
        seller_account: Account [bloom],
        /// Ledger of the change.
        ledger_sequence: i64,
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
        /// native, credit_alphanum4 or credit_alphanum12.
        selling_asset_type: Word,
        /// Code of the asset that is sold; NULL for the native one.
        selling_asset_code: Option<LossyText>,
        /// Issuer of the asset that is sold, G...; NULL for the native one.
        selling_asset_issuer: Option<Account>,
        /// native, credit_alphanum4 or credit_alphanum12.
        buying_asset_type: Word,
        /// Code of the asset that is bought; NULL for the native one.
        buying_asset_code: Option<LossyText>,
        /// Issuer of the asset that is bought, G...; NULL for the native one.
        buying_asset_issuer: Option<Account>,
        /// What is left to sell, stroops.
        amount: i64,
        /// Units of the bought asset for one of the sold one: `price_n / price_d`.
        price: f64,
        /// Flags: 1 passive.
        flags: i32,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// Numerator of the price.
        price_n: i32,
        /// Denominator of the price.
        price_d: i32,
        /// The price as its fraction, `n/d`.
        price_r: Shown<PriceRatio>,
        /// Account that pays the offer's reserve, G...; NULL when the seller does.
        sponsor: Option<Account>,
        /// Ledger that last changed the entry.
        last_modified_ledger: i32,
        /// Net change in the ledger: 0 created, 1 updated, 2 removed.
        ledger_entry_change: i32,
        /// Whether the offer is gone; the row then repeats the state that the ledger found it in.
        deleted: bool,
    }
}

/// Appends a row per offer that the ledger changed.
///
/// # Errors
/// A number that does not fit its column, a price without a denominator.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    for (change, offer) in of_type!(input, Offer) {
        let state = State::of(input, &SPEC, change)?;
        let (selling, buying) = (AssetParts::from(&offer.selling), AssetParts::from(&offer.buying));
        let (n, d) = (offer.price.n, offer.price.d);
        if d == 0 {
            let reason = format!("offer {}: its price {n}/0 has no denominator", offer.offer_id);
            return Err(ExtractError { seq: input.ledger.seq, table: SPEC.name, reason });
        }
        out.push(Row {
            offer_id: offer.offer_id,
            seller_account: key_of(&offer.seller_id),
            ledger_sequence: state.ledger_sequence,
            closed_at: state.closed_at,
            selling_asset_type: words::asset_type(selling.ty),
            selling_asset_code: selling.code(),
            selling_asset_issuer: selling.issuer().map(key_of),
            buying_asset_type: words::asset_type(buying.ty),
            buying_asset_code: buying.code(),
            buying_asset_issuer: buying.issuer().map(key_of),
            amount: offer.amount,
            price: f64::from(n) / f64::from(d),
            flags: int(input, &SPEC, "flags", offer.flags)?,
            created_at: state.closed_at,
            price_n: n,
            price_d: d,
            price_r: PriceRatio { n, d },
            sponsor: state.sponsor,
            last_modified_ledger: state.modified(input, &SPEC)?,
            ledger_entry_change: state.ledger_entry_change,
            deleted: state.deleted,
        });
    }
    Ok(())
}
