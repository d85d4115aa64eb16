//! What the tables of evicted and of restored keys say of a key.

use stellar_xdr as xdr;

use crate::{
    changes::EntryKey,
    schema::text_cell,
    text::{Hex, Put},
    words,
};

/// A key of contract data or code: what can be evicted and restored. TTLs go with theirs.
#[derive(Debug)]
pub(super) struct ArchiveKey<'l> {
    pub(super) owner: Owner<'l>,
    pub(super) key_type: &'static str,
    pub(super) durability: &'static str,
    pub(super) key: Option<&'l xdr::ScVal>,
}

impl<'l> ArchiveKey<'l> {
    /// `None` for every other key.
    pub(super) fn of(key: EntryKey<'l>) -> Option<Self> {
        match key {
            EntryKey::ContractData(contract, key, durability) => Some(Self {
                owner: Owner::Contract(contract),
                key_type: words::sc_val_type(key.discriminant()),
                durability: words::durability(durability),
                key: Some(key),
            }),
            EntryKey::ContractCode(hash) => Some(Self {
                owner: Owner::Code(hash),
                key_type: "contract_code",
                durability: "persistent",
                key: None,
            }),
            EntryKey::Account(_)
            | EntryKey::Trustline(..)
            | EntryKey::Offer(..)
            | EntryKey::Data(..)
            | EntryKey::ClaimableBalance(_)
            | EntryKey::LiquidityPool(_)
            | EntryKey::ConfigSetting(_)
            | EntryKey::Ttl(_) => None,
        }
    }
}

/// Contract that owns data, or hash of code.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'l> {
    /// Owner of data.
    Contract(&'l xdr::ScAddress),
    /// Hash of code.
    Code(&'l xdr::Hash),
}

impl Put for Owner<'_> {
    fn put(&self, to: &mut Vec<u8>) {
        match self {
            Self::Contract(address) => address.put(to),
            Self::Code(hash) => Hex(&hash.0).put(to),
        }
    }
}

text_cell!(
    /// C... or G... of the owner of data, 64 hex digits for the hash of code.
    OwnerText, Owner<'l>, |value, to| to.put(value)
);
