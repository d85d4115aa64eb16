//! How values are written as text, in columns and in JSON: addresses, assets, amounts, bytes that may not be UTF-8.
//!
//! Most are types with `Display`, so that a cell is written straight into its column.

mod asset;
mod cells;
mod claimants;
pub(crate) mod details;
mod json;
mod number;
pub(crate) mod put;
pub(crate) mod sep51;
mod strkey;

use serde::Serialize;
use stellar_xdr as xdr;

use crate::ledger::Hash32;
use put::display_by_put;

pub use asset::{AssetParts, contract_id, parse_asset, stellar_asset_contract};
pub use cells::{AssetText, BalanceText, LossyText, Shows};
pub use claimants::claimants;
pub(crate) use claimants::predicate;
pub use json::Json;
pub use number::{Decimal7, IsoTime, Price7, PriceRatio, Stroops, i128_of};
pub use put::Put;
pub use strkey::Strkey;

/// Bytes as lower-case hex.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl Put for Hex<'_> {
    fn put(&self, to: &mut Vec<u8>) {
        let (blocks, rest) = self.0.as_chunks::<32>();
        for block in blocks {
            Hash32(*block).put(to);
        }
        for byte in rest {
            to.extend_from_slice(&hex_digits(*byte));
        }
    }
}

impl Put for Hash32 {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.0.map(hex_digits).as_flattened());
    }
}

/// Arithmetic, not a table: it is done for many bytes at once.
#[inline]
const fn hex_digits(byte: u8) -> [u8; 2] {
    const fn digit(n: u8) -> u8 {
        n.wrapping_add(if n < 10 { b'0' } else { b'a' - 10 })
    }
    [digit(byte >> 4), digit(byte & 15)]
}

/// Bytes as standard base64 with padding.
#[derive(Clone, Copy, Debug)]
pub struct Base64<'a>(pub &'a [u8]);

impl Put for Base64<'_> {
    fn put(&self, to: &mut Vec<u8>) {
        // The encoder itself would make room for these bytes and not one more, each time.
        to.reserve(base64_simd::STANDARD.encoded_length(self.0.len()));
        base64_simd::STANDARD.encode_append(self.0, to);
    }
}

/// Text of a protocol string, which may hold any bytes: each byte that is not part of valid UTF-8 becomes U+FFFD, as
/// Horizon writes it.
#[derive(Clone, Copy, Debug)]
pub struct Lossy<'a>(pub &'a [u8]);

impl<'a> Lossy<'a> {
    /// The bytes themselves, where the text does not give them back.
    pub fn raw(self) -> Option<Base64<'a>> {
        std::str::from_utf8(self.0).is_err().then_some(Base64(self.0))
    }
}

impl Put for Lossy<'_> {
    fn put(&self, to: &mut Vec<u8>) {
        if self.0.is_ascii() {
            return to.extend_from_slice(self.0);
        }
        for chunk in self.0.utf8_chunks() {
            chunk.valid().put(to);
            for _ in chunk.invalid() {
                "\u{fffd}".put(to);
            }
        }
    }
}

/// The 72-hex id of a claimable balance: type prefix, then hash.
#[derive(Clone, Copy, Debug)]
pub struct BalanceId<'a>(pub &'a xdr::ClaimableBalanceId);

impl Put for BalanceId<'_> {
    fn put(&self, to: &mut Vec<u8>) {
        match self.0 {
            xdr::ClaimableBalanceId::ClaimableBalanceIdTypeV0(hash) => {
                "00000000".put(to);
                Hex(&hash.0).put(to);
            }
        }
    }
}

display_by_put!(Hex<'_>, Base64<'_>, Lossy<'_>, BalanceId<'_>);

/// The 64-hex id of a liquidity pool.
pub fn pool_id(id: &xdr::PoolId) -> Hex<'_> {
    Hex(&id.0.0)
}

/// The ed25519 key of an account.
pub const fn key_of(account: &xdr::AccountId) -> [u8; 32] {
    match &account.0 {
        xdr::PublicKey::PublicKeyTypeEd25519(key) => key.0,
    }
}

/// The account behind an address: G..., whatever multiplexing id it carries.
pub fn account_of(address: &xdr::MuxedAccount) -> xdr::AccountId {
    let key = match address {
        xdr::MuxedAccount::Ed25519(key) => key.clone(),
        xdr::MuxedAccount::MuxedEd25519(muxed) => muxed.ed25519.clone(),
    };
    xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(key))
}

/// The M... address, where it is one.
pub fn muxed_of(address: &xdr::MuxedAccount) -> Option<&xdr::MuxedAccountMed25519> {
    match address {
        xdr::MuxedAccount::Ed25519(_) => None,
        xdr::MuxedAccount::MuxedEd25519(muxed) => Some(muxed),
    }
}

/// `G...` of an account.
pub fn strkey_of(account: &xdr::AccountId) -> Strkey {
    Strkey::account(key_of(account))
}

/// SEP-51 JSON of an XDR value.
///
/// # Errors
/// What the serializer says; no value of the protocol is known to fail.
pub fn sep51<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_invalid_byte_becomes_one_replacement_character() {
        let cut_sequence = Lossy(b"a\xe2\x82b\xff");
        assert_eq!(cut_sequence.to_string(), "a\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(cut_sequence.raw().map(|raw| raw.to_string()).as_deref(), Some("YeKCYv8="));
    }

    #[test]
    fn valid_text_needs_no_raw_bytes() {
        assert_eq!(Lossy("grüße".as_bytes()).to_string(), "grüße");
        assert!(Lossy("grüße".as_bytes()).raw().is_none());
    }

    #[test]
    fn a_balance_id_carries_its_type_prefix() {
        let id = xdr::ClaimableBalanceId::ClaimableBalanceIdTypeV0(xdr::Hash([0xab; 32]));
        assert_eq!(BalanceId(&id).to_string(), format!("00000000{}", "ab".repeat(32)));
    }

    #[test]
    fn a_muxed_address_flattens_to_its_account() {
        let muxed = xdr::MuxedAccountMed25519 { id: 7, ed25519: xdr::Uint256([3; 32]) };
        let plain = xdr::MuxedAccount::Ed25519(xdr::Uint256([3; 32]));
        let address = xdr::MuxedAccount::MuxedEd25519(muxed);
        assert_eq!(account_of(&address), account_of(&plain));
        assert!(account_of(&address).to_string().starts_with('G'));
        assert!(muxed_of(&address).is_some_and(|m| m.to_string().starts_with('M')));
        assert!(muxed_of(&plain).is_none());
    }
}
