//! What stands in the nested extensions of ledger entries (`Stellar-ledger-entries.x`).

use stellar_xdr as xdr;

/// The account that an entry is.
pub fn account(entry: &xdr::LedgerEntry) -> Option<&xdr::AccountEntry> {
    if let xdr::LedgerEntryData::Account(account) = &entry.data { Some(account) } else { None }
}

/// Account that pays the reserve of an entry (CAP-33).
pub fn sponsor(entry: &xdr::LedgerEntry) -> Option<&xdr::AccountId> {
    match &entry.ext {
        xdr::LedgerEntryExt::V0 => None,
        xdr::LedgerEntryExt::V1(v1) => v1.sponsoring_id.0.as_ref(),
    }
}

/// What an account's offers may still buy and sell, stroops (CAP-3); zero where the account has no such extension.
pub fn account_liabilities(account: &xdr::AccountEntry) -> xdr::Liabilities {
    match &account.ext {
        xdr::AccountEntryExt::V0 => xdr::Liabilities { buying: 0, selling: 0 },
        xdr::AccountEntryExt::V1(v1) => v1.liabilities.clone(),
    }
}

/// The same of a trustline.
pub fn trustline_liabilities(line: &xdr::TrustLineEntry) -> xdr::Liabilities {
    match &line.ext {
        xdr::TrustLineEntryExt::V0 => xdr::Liabilities { buying: 0, selling: 0 },
        xdr::TrustLineEntryExt::V1(v1) => v1.liabilities.clone(),
    }
}

/// Sponsorships that an account is part of (CAP-33).
pub fn account_sponsorships(account: &xdr::AccountEntry) -> Option<&xdr::AccountEntryExtensionV2> {
    match &account.ext {
        xdr::AccountEntryExt::V0 => None,
        xdr::AccountEntryExt::V1(v1) => match &v1.ext {
            xdr::AccountEntryExtensionV1Ext::V0 => None,
            xdr::AccountEntryExtensionV1Ext::V2(v2) => Some(v2),
        },
    }
}

/// Ledger and time of an account's last change of its sequence number (CAP-21).
pub fn account_sequence(account: &xdr::AccountEntry) -> Option<&xdr::AccountEntryExtensionV3> {
    match &account_sponsorships(account)?.ext {
        xdr::AccountEntryExtensionV2Ext::V0 => None,
        xdr::AccountEntryExtensionV2Ext::V3(v3) => Some(v3),
    }
}

/// Signers of an account, each with the account that sponsors it.
pub fn signers(
    account: &xdr::AccountEntry,
) -> impl Iterator<Item = (&xdr::Signer, Option<&xdr::AccountId>)> + Clone {
    let sponsors = account_sponsorships(account).map_or(&[][..], |v2| &v2.signer_sponsoring_i_ds);
    account.signers.iter().enumerate().map(|(n, signer)| (signer, sponsors.get(n).and_then(|s| s.0.as_ref())))
}

/// Flags of a claimable balance (CAP-35).
pub fn claimable_balance_flags(balance: &xdr::ClaimableBalanceEntry) -> u32 {
    match &balance.ext {
        xdr::ClaimableBalanceEntryExt::V0 => 0,
        xdr::ClaimableBalanceEntryExt::V1(v1) => v1.flags,
    }
}
