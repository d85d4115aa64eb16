//! Fields that Horizon's details of operations and effects have in common.

use stellar_xdr as xdr;

use super::{AssetParts, Json, Stroops, account_of, muxed_of, strkey_of};
use crate::words;

/// The account of an address, and the address itself with its multiplexing id where it has one.
pub(crate) fn address(j: &mut Json, name: &str, address: &xdr::MuxedAccount) {
    j.key(name).plain(strkey_of(&account_of(address)));
    if let Some(muxed) = muxed_of(address) {
        j.key_with(name, "_muxed").plain(muxed);
        j.key_with(name, "_muxed_id").bare(muxed.id);
    }
}

/// An amount as a decimal of the asset's unit.
pub(crate) fn amount(j: &mut Json, name: &str, stroops: i64) {
    j.key(name).plain(Stroops(stroops));
}

/// Type, code and issuer of an asset, under names that begin with `prefix`.
pub(crate) fn asset(j: &mut Json, prefix: &str, asset: AssetParts<'_>) {
    j.key_with(prefix, "asset_type").plain(words::asset_type(asset.ty));
    if let Some((code, issuer)) = asset.credit {
        j.key_with(prefix, "asset_code").text(code);
        j.key_with(prefix, "asset_issuer").plain(strkey_of(issuer));
    }
}
