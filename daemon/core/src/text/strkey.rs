//! Addresses as strkeys (SEP-23), for the kinds that rows are full of.
//!
//! A dense ledger shows tens of thousands of addresses, so these are encoded with a table and without a heap; the rare
//! kinds are left to the `stellar-strkey` crate, which also tests this one.

use std::{cell::RefCell, fmt};

use super::Put;

/// First byte of each kind, which makes its first letter.
const ACCOUNT: u8 = 6 << 3;
const MUXED_ACCOUNT: u8 = 12 << 3;
const CONTRACT: u8 = 2 << 3;
const LIQUIDITY_POOL: u8 = 11 << 3;

/// The text of an address: at most 69 letters and digits, kept in place.
#[derive(Clone, Copy)]
pub struct Strkey {
    text: [u8; Self::ROOM],
    len: usize,
}

impl Strkey {
    /// Letters of all but muxed addresses.
    const MOST_COMMON: usize = 56;

    /// Letters of a muxed address, 69, and those that its last bits share with zeros.
    const ROOM: usize = 72;

    /// Bytes of a muxed address, 43, and zeros, so that eight of them begin at each fifth.
    const BYTES: usize = 48;

    /// `G...` of an ed25519 key.
    pub fn account(key: [u8; 32]) -> Self {
        Self::remembered(ACCOUNT, key)
    }

    /// `M...` of an ed25519 key and a multiplexing id.
    pub fn muxed_account(id: u64, key: [u8; 32]) -> Self {
        Self::of::<43>(MUXED_ACCOUNT, &key, &id.to_be_bytes())
    }

    /// `C...` of a contract's id.
    pub fn contract(id: [u8; 32]) -> Self {
        Self::remembered(CONTRACT, id)
    }

    /// `L...` of a liquidity pool's id.
    pub fn liquidity_pool(id: [u8; 32]) -> Self {
        Self::of::<35>(LIQUIDITY_POOL, &id, &[])
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let text = self.text.get(..self.len).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// The text of a kind and key, made anew only if the thread has met another since in the same slot.
    fn remembered(kind: u8, key: [u8; 32]) -> Self {
        let [.., last] = key;
        SEEN.with_borrow_mut(|seen| {
            let Some(slot) = seen.get_mut(usize::from(last)) else { return Self::of::<35>(kind, &key, &[]) };
            if slot.kind != kind || slot.key != key {
                *slot = Seen { kind, key, strkey: Self::of::<35>(kind, &key, &[]) };
            }
            slot.strkey
        })
    }

    /// Kind, payload and checksum, `N` bytes in all, five bits to a letter.
    fn of<const N: usize>(kind: u8, key: &[u8; 32], id: &[u8]) -> Self {
        let mut bytes = [0; Self::BYTES];
        if let Some([first, payload @ .., low, high]) = bytes.get_mut(..N) {
            *first = kind;
            let (for_key, for_id) = payload.split_at_mut(key.len().min(payload.len()));
            for_key.iter_mut().zip(key).for_each(|(slot, byte)| *slot = *byte);
            for_id.iter_mut().zip(id).for_each(|(slot, byte)| *slot = *byte);
            [*low, *high] = crc16(kind, payload).to_le_bytes();
        }
        let mut text = [0; Self::ROOM];
        let fives = bytes.windows(8).step_by(5).take(N.div_ceil(5));
        for (letters, five) in text.as_chunks_mut::<8>().0.iter_mut().zip(fives) {
            *letters = eight_letters(u64::from_be_bytes(five.try_into().unwrap_or_default()) >> 24);
        }
        Self { text, len: (N * 8).div_ceil(5) }
    }
}

/// An address and its text. Ledgers name the same few addresses again and again.
#[derive(Clone, Copy)]
struct Seen {
    kind: u8,
    key: [u8; 32],
    strkey: Strkey,
}

thread_local! {
    /// By the last byte of the key. No kind is 0xff.
    static SEEN: RefCell<[Seen; 256]> = const {
        let strkey = Strkey { text: [0; Strkey::ROOM], len: 0 };
        RefCell::new([Seen { kind: 0xff, key: [0; 32], strkey }; 256])
    };
}

/// Letters of base32 (RFC 4648) for forty bits.
const fn eight_letters(bits: u64) -> [u8; 8] {
    // To eight bytes of five: halves, quarters, eighths.
    let bits = (bits & 0xf_ffff) | ((bits >> 20) << 32);
    let bits = (bits & 0x0000_03ff_0000_03ff) | ((bits & 0x000f_fc00_000f_fc00) << 6);
    let bits = (bits & 0x001f_001f_001f_001f) | ((bits & 0x03e0_03e0_03e0_03e0) << 3);
    // 26 and above are digits, `2` stands 41 before what would follow `Z`. No byte carries into its neighbour.
    let is_digit = (bits.wrapping_add(0x6666_6666_6666_6666) >> 7) & 0x0101_0101_0101_0101;
    bits.wrapping_add(0x4141_4141_4141_4141).wrapping_sub(is_digit.wrapping_mul(41)).to_be_bytes()
}

impl Put for Strkey {
    #[inline]
    fn put(&self, to: &mut Vec<u8>) {
        match self.text.first_chunk::<{ Self::MOST_COMMON }>() {
            // Of known length it is a few instructions.
            Some(text) if self.len == Self::MOST_COMMON => to.extend_from_slice(text),
            _ => to.extend_from_slice(self.text.get(..self.len).unwrap_or_default()),
        }
    }
}

impl fmt::Display for Strkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Strkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// CRC-16/XMODEM of a byte and of words of eight bytes, a word at a time.
fn crc16(first: u8, words: &[u8]) -> u16 {
    let [t0, t1, t2, t3, t4, t5, t6, t7] = &AFTER_ZEROS;
    let look = |table: &[u16; 256], byte: u8| table.get(usize::from(byte)).copied().unwrap_or_default();
    words.as_chunks::<8>().0.iter().fold(look(t0, first), |crc, [a, b, c, d, e, f, g, h]| {
        let [high, low] = crc.to_be_bytes();
        look(t7, a ^ high)
            ^ look(t6, b ^ low)
            ^ look(t5, *c)
            ^ look(t4, *d)
            ^ look(t3, *e)
            ^ look(t2, *f)
            ^ look(t1, *g)
            ^ look(t0, *h)
    })
}

/// Checksums of each byte that so many zero bytes follow.
static AFTER_ZEROS: [[u16; 256]; 8] =
    [table(0), table(1), table(2), table(3), table(4), table(5), table(6), table(7)];

const fn table(zeros: u32) -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u16;
    let mut slots: &mut [u16] = &mut table;
    while let Some((slot, rest)) = slots.split_first_mut() {
        let mut crc = byte << 8;
        let mut bit = 0;
        while bit < 8 * (zeros + 1) {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        *slot = crc;
        slots = rest;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn addresses_equal_those_of_the_strkey_crate(key: [u8; 32], id: u64) {
            let account = stellar_strkey::ed25519::PublicKey(key);
            prop_assert_eq!(Strkey::account(key).to_string(), format!("{account}"));
            let muxed = stellar_strkey::ed25519::MuxedAccount { ed25519: key, id };
            prop_assert_eq!(Strkey::muxed_account(id, key).to_string(), format!("{muxed}"));
            let contract = stellar_strkey::Contract(key);
            prop_assert_eq!(Strkey::contract(key).to_string(), format!("{contract}"));
            let pool = stellar_strkey::LiquidityPool(key);
            prop_assert_eq!(Strkey::liquidity_pool(key).to_string(), format!("{pool}"));
        }
    }
}
