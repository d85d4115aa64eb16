//! Values that write themselves as text straight into bytes.
//!
//! Cells are written by the ten thousand per ledger; a `Display` costs each of them several calls through pointers.

use stellar_xdr as xdr;

use super::Strkey;

/// A value with a text.
pub trait Put {
    /// Appends the text, which must be UTF-8.
    fn put(&self, to: &mut Vec<u8>);
}

impl<T: Put + ?Sized> Put for &T {
    #[inline]
    fn put(&self, to: &mut Vec<u8>) {
        (**self).put(to);
    }
}

impl Put for str {
    #[inline]
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.as_bytes());
    }
}

impl Put for String {
    fn put(&self, to: &mut Vec<u8>) {
        self.as_str().put(to);
    }
}

impl Put for bool {
    fn put(&self, to: &mut Vec<u8>) {
        if *self { "true" } else { "false" }.put(to);
    }
}

impl Put for u64 {
    fn put(&self, to: &mut Vec<u8>) {
        digits(*self, 1, to);
    }
}

impl Put for i64 {
    fn put(&self, to: &mut Vec<u8>) {
        if *self < 0 {
            to.push(b'-');
        }
        digits(self.unsigned_abs(), 1, to);
    }
}

impl Put for u128 {
    fn put(&self, to: &mut Vec<u8>) {
        /// The largest power of ten in 64 bits.
        const SPLIT: u64 = 10_u64.pow(19);
        if let Ok(short) = u64::try_from(*self) {
            return digits(short, 1, to);
        }
        (*self / u128::from(SPLIT)).put(to);
        let low = *self % u128::from(SPLIT);
        digits(u64::try_from(low).unwrap_or_default(), 19, to);
    }
}

impl Put for i128 {
    fn put(&self, to: &mut Vec<u8>) {
        if *self < 0 {
            to.push(b'-');
        }
        self.unsigned_abs().put(to);
    }
}

macro_rules! widened {
    ($($small:ty => $wide:ty),+) => {$(
        impl Put for $small {
            fn put(&self, to: &mut Vec<u8>) {
                <$wide>::from(*self).put(to);
            }
        }
    )+};
}
widened!(u32 => u64, i32 => i64);

/// Appends the decimal digits of `n`, at least `least` of them.
pub(crate) fn digits(mut n: u64, least: usize, to: &mut Vec<u8>) {
    let mut room = [b'0'; 20];
    let mut used = 0;
    for slot in room.as_rchunks_mut::<2>().1.iter_mut().rev() {
        if n == 0 {
            break;
        }
        let pair = usize::try_from(n % 100).ok().and_then(|pair| PAIRS.get(pair));
        *slot = pair.copied().unwrap_or_default();
        used += if n < 10 { 1 } else { 2 };
        n /= 100;
    }
    let from = room.len().saturating_sub(used.max(least));
    to.extend_from_slice(room.get(from..).unwrap_or_default());
}

/// Both digits of the numbers below 100.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let (mut tens, mut ones) = (b'0', b'0');
    let mut slots: &mut [[u8; 2]] = &mut pairs;
    while let Some((slot, rest)) = slots.split_first_mut() {
        *slot = [tens, ones];
        slots = rest;
        if ones == b'9' {
            (tens, ones) = (tens + 1, b'0');
        } else {
            ones += 1;
        }
    }
    pairs
};

/// Gives a type that is written by [`Put`] the same text for messages and tests.
macro_rules! display_by_put {
    ($($name:ty),+ $(,)?) => {$(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut text = Vec::new();
                $crate::text::Put::put(self, &mut text);
                f.write_str(&String::from_utf8_lossy(&text))
            }
        }
    )+};
}
pub(crate) use display_by_put;

/// Appends what a value shows: for those that are rare.
pub(crate) fn put_display(value: impl std::fmt::Display, to: &mut Vec<u8>) {
    // A buffer in memory takes any text: only a Display that gives up by itself could fail, and none here does.
    let written = std::io::Write::write_fmt(to, format_args!("{value}"));
    debug_assert!(written.is_ok(), "a Display implementation failed");
}

impl Put for xdr::ScAddress {
    fn put(&self, to: &mut Vec<u8>) {
        match self {
            Self::Account(account) => super::strkey_of(account).put(to),
            Self::Contract(xdr::ContractId(id)) => Strkey::contract(id.0).put(to),
            Self::MuxedAccount(muxed) => Strkey::muxed_account(muxed.id, muxed.ed25519.0).put(to),
            Self::LiquidityPool(xdr::PoolId(id)) => Strkey::liquidity_pool(id.0).put(to),
            Self::ClaimableBalance(_) | Self::MuxedContract(_) => put_display(self, to),
        }
    }
}

impl Put for xdr::MuxedAccountMed25519 {
    fn put(&self, to: &mut Vec<u8>) {
        Strkey::muxed_account(self.id, self.ed25519.0).put(to);
    }
}

impl Put for xdr::SignerKey {
    fn put(&self, to: &mut Vec<u8>) {
        match self {
            Self::Ed25519(key) => Strkey::account(key.0).put(to),
            Self::PreAuthTx(_) | Self::HashX(_) | Self::Ed25519SignedPayload(_) => put_display(self, to),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: impl Put) -> String {
        let mut text = Vec::new();
        value.put(&mut text);
        String::from_utf8(text).unwrap_or_default()
    }

    proptest! {
        #[test]
        fn numbers_have_the_digits_that_the_standard_library_gives_them(a: u64, b: i64, c: u128, d: i128, shift in 0..128_u32) {
            prop_assert_eq!(text(a), a.to_string());
            prop_assert_eq!(text(b), b.to_string());
            prop_assert_eq!(text(c >> shift), (c >> shift).to_string());
            prop_assert_eq!(text(d >> shift), (d >> shift).to_string());
        }

        #[test]
        fn addresses_are_those_of_the_xdr_crate(key: [u8; 32], id: u64) {
            let addresses = [
                xdr::ScAddress::Account(xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(xdr::Uint256(key)))),
                xdr::ScAddress::Contract(xdr::ContractId(xdr::Hash(key))),
                xdr::ScAddress::MuxedAccount(xdr::MuxedEd25519Account { id, ed25519: xdr::Uint256(key) }),
                xdr::ScAddress::LiquidityPool(xdr::PoolId(xdr::Hash(key))),
                xdr::ScAddress::ClaimableBalance(xdr::ClaimableBalanceId::ClaimableBalanceIdTypeV0(xdr::Hash(key))),
            ];
            for address in addresses {
                prop_assert_eq!(text(&address), address.to_string());
            }
        }
    }

    #[test]
    fn numbers_are_exact_at_the_ends_of_their_ranges() {
        assert_eq!(text(0_u64), "0");
        assert_eq!(text(i64::MIN), i64::MIN.to_string());
        assert_eq!(text(i128::MIN), i128::MIN.to_string());
        assert_eq!(text(u128::MAX), u128::MAX.to_string());
        assert_eq!(text(u128::from(u64::MAX) + 1), "18446744073709551616");
    }
}
