//! Columns of the texts of this module, for `table!`.

use stellar_xdr as xdr;

use super::{AssetParts, BalanceId, Lossy, Put};
use crate::schema::text_cell;

text_cell!(
    /// An asset as `native` or `CODE:ISSUER`.
    AssetText, AssetParts<'l>, |value, to| to.put(value)
);
text_cell!(
    /// Protocol text that may hold any bytes.
    LossyText, Lossy<'l>, |value, to| to.put(value)
);
text_cell!(
    /// The 72-hex id of a claimable balance.
    BalanceText, &'l xdr::ClaimableBalanceId, |value, to| to.put(BalanceId(value))
);
text_cell!(
    /// The text of a borrowed value, such as a signer's key or a contract's address.
    Shows<T: Put>, &'l T, |value, to| to.put(value)
);
