//! Entries by what they are: typed access and keys.

use stellar_xdr::{
    AccountEntry, AccountId, ClaimableBalanceEntry, ClaimableBalanceId, LedgerEntryData, LedgerKey,
    LedgerKeyAccount, LedgerKeyClaimableBalance, LedgerKeyData, LedgerKeyLiquidityPool, LedgerKeyOffer,
    LedgerKeyTrustLine, LiquidityPoolEntryBody, LiquidityPoolEntryConstantProduct, OfferEntry, PoolId,
    String64, TrustLineAsset, TrustLineEntry,
};

use super::State;

impl State {
    /// An account.
    pub(crate) fn account(&self, id: &AccountId) -> Option<&AccountEntry> {
        let LedgerEntryData::Account(account) = self.get(&account_key(id))? else { return None };
        Some(account)
    }

    /// An account, to change.
    pub(crate) fn account_mut(&mut self, id: &AccountId) -> Option<&mut AccountEntry> {
        let LedgerEntryData::Account(account) = self.get_mut(&account_key(id))? else { return None };
        Some(account)
    }

    /// Loads an account and writes it back as it was.
    pub(crate) fn touch_account(&mut self, id: &AccountId) {
        // The old image in the log is what makes it a change.
        let _: Option<&mut AccountEntry> = self.account_mut(id);
    }

    /// A trustline.
    pub(crate) fn trustline(&self, id: &AccountId, asset: &TrustLineAsset) -> Option<&TrustLineEntry> {
        let LedgerEntryData::Trustline(line) = self.get(&trustline_key(id, asset))? else { return None };
        Some(line)
    }

    /// A trustline, to change.
    pub(crate) fn trustline_mut(
        &mut self,
        id: &AccountId,
        asset: &TrustLineAsset,
    ) -> Option<&mut TrustLineEntry> {
        let LedgerEntryData::Trustline(line) = self.get_mut(&trustline_key(id, asset))? else { return None };
        Some(line)
    }

    /// An offer.
    pub(crate) fn offer(&self, seller: &AccountId, id: i64) -> Option<&OfferEntry> {
        let LedgerEntryData::Offer(offer) = self.get(&offer_key(seller, id))? else { return None };
        Some(offer)
    }

    /// A claimable balance.
    pub(crate) fn claimable(&self, id: &ClaimableBalanceId) -> Option<&ClaimableBalanceEntry> {
        let LedgerEntryData::ClaimableBalance(balance) = self.get(&claimable_key(id))? else { return None };
        Some(balance)
    }

    /// A liquidity pool.
    pub(crate) fn pool(&self, id: &PoolId) -> Option<&LiquidityPoolEntryConstantProduct> {
        let LedgerEntryData::LiquidityPool(pool) = self.get(&pool_key(id))? else { return None };
        let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
        Some(body)
    }

    /// A liquidity pool, to change.
    pub(crate) fn pool_mut(&mut self, id: &PoolId) -> Option<&mut LiquidityPoolEntryConstantProduct> {
        let LedgerEntryData::LiquidityPool(pool) = self.get_mut(&pool_key(id))? else { return None };
        let LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &mut pool.body;
        Some(body)
    }
}

/// Key of an account.
pub(crate) fn account_key(id: &AccountId) -> LedgerKey {
    LedgerKey::Account(LedgerKeyAccount { account_id: id.clone() })
}

/// Key of a trustline.
pub(crate) fn trustline_key(id: &AccountId, asset: &TrustLineAsset) -> LedgerKey {
    LedgerKey::Trustline(LedgerKeyTrustLine { account_id: id.clone(), asset: asset.clone() })
}

/// Key of an offer.
pub(crate) fn offer_key(seller: &AccountId, id: i64) -> LedgerKey {
    LedgerKey::Offer(LedgerKeyOffer { seller_id: seller.clone(), offer_id: id })
}

/// Key of a named value.
pub(crate) fn data_name_key(id: &AccountId, name: &String64) -> LedgerKey {
    LedgerKey::Data(LedgerKeyData { account_id: id.clone(), data_name: name.clone() })
}

/// Key of a claimable balance.
pub(crate) fn claimable_key(id: &ClaimableBalanceId) -> LedgerKey {
    LedgerKey::ClaimableBalance(LedgerKeyClaimableBalance { balance_id: id.clone() })
}

/// Key of a liquidity pool.
pub(crate) fn pool_key(id: &PoolId) -> LedgerKey {
    LedgerKey::LiquidityPool(LedgerKeyLiquidityPool { liquidity_pool_id: id.clone() })
}
