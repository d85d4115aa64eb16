//! The key of a ledger entry, borrowed from wherever the entry or its key stands.

use stellar_xdr::{self as xdr, Limited, Limits, WriteXdr};

use crate::ledger::Hash32;

/// `LedgerKey` of `Stellar-ledger-entries.x`, borrowed: equal for an entry and for its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKey<'l> {
    /// An account.
    Account(&'l xdr::AccountId),
    /// A trustline.
    Trustline(&'l xdr::AccountId, &'l xdr::TrustLineAsset),
    /// An offer: its seller and id.
    Offer(&'l xdr::AccountId, i64),
    /// A data entry of an account.
    Data(&'l xdr::AccountId, &'l xdr::String64),
    /// A claimable balance.
    ClaimableBalance(&'l xdr::ClaimableBalanceId),
    /// A liquidity pool.
    LiquidityPool(&'l xdr::PoolId),
    /// Data of a contract.
    ContractData(&'l xdr::ScAddress, &'l xdr::ScVal, xdr::ContractDataDurability),
    /// Code of contracts.
    ContractCode(&'l xdr::Hash),
    /// A setting of the network.
    ConfigSetting(xdr::ConfigSettingId),
    /// Time to live of contract data or code, by the hash of their key.
    Ttl(&'l xdr::Hash),
}

impl<'l> EntryKey<'l> {
    /// Key of an entry.
    pub fn of(entry: &'l xdr::LedgerEntry) -> Self {
        match &entry.data {
            xdr::LedgerEntryData::Account(e) => Self::Account(&e.account_id),
            xdr::LedgerEntryData::Trustline(e) => Self::Trustline(&e.account_id, &e.asset),
            xdr::LedgerEntryData::Offer(e) => Self::Offer(&e.seller_id, e.offer_id),
            xdr::LedgerEntryData::Data(e) => Self::Data(&e.account_id, &e.data_name),
            xdr::LedgerEntryData::ClaimableBalance(e) => Self::ClaimableBalance(&e.balance_id),
            xdr::LedgerEntryData::LiquidityPool(e) => Self::LiquidityPool(&e.liquidity_pool_id),
            xdr::LedgerEntryData::ContractData(e) => Self::ContractData(&e.contract, &e.key, e.durability),
            xdr::LedgerEntryData::ContractCode(e) => Self::ContractCode(&e.hash),
            xdr::LedgerEntryData::ConfigSetting(e) => Self::ConfigSetting(e.discriminant()),
            xdr::LedgerEntryData::Ttl(e) => Self::Ttl(&e.key_hash),
        }
    }

    /// Type of the entries that have such keys.
    pub const fn entry_type(self) -> xdr::LedgerEntryType {
        match self {
            Self::Account(_) => xdr::LedgerEntryType::Account,
            Self::Trustline(..) => xdr::LedgerEntryType::Trustline,
            Self::Offer(..) => xdr::LedgerEntryType::Offer,
            Self::Data(..) => xdr::LedgerEntryType::Data,
            Self::ClaimableBalance(_) => xdr::LedgerEntryType::ClaimableBalance,
            Self::LiquidityPool(_) => xdr::LedgerEntryType::LiquidityPool,
            Self::ContractData(..) => xdr::LedgerEntryType::ContractData,
            Self::ContractCode(_) => xdr::LedgerEntryType::ContractCode,
            Self::ConfigSetting(_) => xdr::LedgerEntryType::ConfigSetting,
            Self::Ttl(_) => xdr::LedgerEntryType::Ttl,
        }
    }

    /// SHA-256 of the key's XDR: what `TtlEntry.keyHash` holds for data and code.
    ///
    /// # Errors
    /// As [`Self::to_xdr`].
    pub fn hash(self) -> Result<Hash32, xdr::Error> {
        Ok(Hash32::sha256(&[&self.to_xdr()?]))
    }

    /// The key's XDR.
    ///
    /// # Errors
    /// What the XDR encoder says; no key that was decoded is known to fail.
    pub fn to_xdr(self) -> Result<Vec<u8>, xdr::Error> {
        let mut out = Limited::new(Vec::with_capacity(128), Limits::none());
        self.entry_type().write_xdr(&mut out)?;
        match self {
            Self::Account(account) => account.write_xdr(&mut out)?,
            Self::Trustline(account, asset) => {
                account.write_xdr(&mut out)?;
                asset.write_xdr(&mut out)?;
            }
            Self::Offer(seller, id) => {
                seller.write_xdr(&mut out)?;
                id.write_xdr(&mut out)?;
            }
            Self::Data(account, name) => {
                account.write_xdr(&mut out)?;
                name.write_xdr(&mut out)?;
            }
            Self::ClaimableBalance(id) => id.write_xdr(&mut out)?,
            Self::LiquidityPool(id) => id.write_xdr(&mut out)?,
            Self::ContractData(contract, key, durability) => {
                contract.write_xdr(&mut out)?;
                key.write_xdr(&mut out)?;
                durability.write_xdr(&mut out)?;
            }
            Self::ContractCode(hash) | Self::Ttl(hash) => hash.write_xdr(&mut out)?,
            Self::ConfigSetting(id) => id.write_xdr(&mut out)?,
        }
        Ok(out.inner)
    }
}

impl<'l> From<&'l xdr::LedgerKey> for EntryKey<'l> {
    fn from(key: &'l xdr::LedgerKey) -> Self {
        match key {
            xdr::LedgerKey::Account(k) => Self::Account(&k.account_id),
            xdr::LedgerKey::Trustline(k) => Self::Trustline(&k.account_id, &k.asset),
            xdr::LedgerKey::Offer(k) => Self::Offer(&k.seller_id, k.offer_id),
            xdr::LedgerKey::Data(k) => Self::Data(&k.account_id, &k.data_name),
            xdr::LedgerKey::ClaimableBalance(k) => Self::ClaimableBalance(&k.balance_id),
            xdr::LedgerKey::LiquidityPool(k) => Self::LiquidityPool(&k.liquidity_pool_id),
            xdr::LedgerKey::ContractData(k) => Self::ContractData(&k.contract, &k.key, k.durability),
            xdr::LedgerKey::ContractCode(k) => Self::ContractCode(&k.hash),
            xdr::LedgerKey::ConfigSetting(k) => Self::ConfigSetting(k.config_setting_id),
            xdr::LedgerKey::Ttl(k) => Self::Ttl(&k.key_hash),
        }
    }
}
