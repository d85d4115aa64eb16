//! Columns of the texts of this module, for `table!`.

use std::fmt::{self, Write};

use stellar_xdr as xdr;

use super::{AssetParts, BalanceId, Lossy};
use crate::schema::{TextBuilder, text_cell};

text_cell!(
    /// An asset as `native` or `CODE:ISSUER`.
    AssetText, AssetParts<'l>, |value, to| show(value, to)
);
text_cell!(
    /// Protocol text that may hold any bytes.
    LossyText, Lossy<'l>, |value, to| show(value, to)
);
text_cell!(
    /// The 72-hex id of a claimable balance.
    BalanceText, &'l xdr::ClaimableBalanceId, |value, to| show(BalanceId(value), to)
);
text_cell!(
    /// The `Display` of a borrowed value, such as a signer's key or a contract's address.
    Shows<T: fmt::Display>, &'l T, |value, to| show(value, to)
);

fn show(value: impl fmt::Display, to: &mut TextBuilder) {
    // the builder takes any text: only a Display that gives up by itself could fail, and none here does
    let written = write!(to, "{value}");
    debug_assert!(written.is_ok(), "a Display implementation failed");
}
