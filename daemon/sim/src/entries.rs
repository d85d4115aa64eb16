//! Small constructors: ids, assets, keys and entries as a current network writes them.

use stellar_xdr::{
    AccountEntry, AccountEntryExt, AccountEntryExtensionV1, AccountEntryExtensionV1Ext,
    AccountEntryExtensionV2, AccountEntryExtensionV2Ext, AccountEntryExtensionV3, AccountId, AlphaNum4,
    AlphaNum12, Asset, AssetCode4, AssetCode12, ChangeTrustAsset, ExtensionPoint, Hash, Int128Parts,
    LedgerKey, LedgerKeyTtl, Liabilities, MuxedAccount, MuxedAccountMed25519, PublicKey, ScAddress, ScSymbol,
    ScVal, SequenceNumber, Thresholds, TimePoint, TrustLineAsset, TrustLineEntry, TrustLineEntryExt,
    TrustLineEntryV1, TrustLineEntryV1Ext, Uint256, VecM,
};

use lake_core::Hash32;

use crate::encode;

/// Stroops per XLM, and the smallest units per whole credit asset.
pub(crate) const ONE: i64 = 10_000_000;
/// Reserve per entry, in stroops.
pub(crate) const BASE_RESERVE: i64 = 5_000_000;

/// The account with this key.
pub(crate) fn account_id(key: [u8; 32]) -> AccountId {
    AccountId(PublicKey::PublicKeyTypeEd25519(Uint256(key)))
}

/// The account's key.
pub(crate) fn key_bytes(id: &AccountId) -> [u8; 32] {
    let PublicKey::PublicKeyTypeEd25519(Uint256(key)) = &id.0;
    *key
}

/// The account as an unmuxed transaction or operation source.
pub(crate) fn plain(id: &AccountId) -> MuxedAccount {
    MuxedAccount::Ed25519(Uint256(key_bytes(id)))
}

/// The account with a memo id built in.
pub(crate) fn muxed(id: &AccountId, memo: u64) -> MuxedAccount {
    MuxedAccount::MuxedEd25519(MuxedAccountMed25519 { id: memo, ed25519: Uint256(key_bytes(id)) })
}

/// The account behind a possibly muxed one.
pub(crate) fn unmuxed(account: &MuxedAccount) -> AccountId {
    match account {
        MuxedAccount::Ed25519(key) => account_id(key.0),
        MuxedAccount::MuxedEd25519(muxed) => account_id(muxed.ed25519.0),
    }
}

/// A credit asset with a code of 1 to 12 characters.
pub(crate) fn credit(code: &str, issuer: &AccountId) -> Asset {
    let bytes = code.as_bytes();
    if let Some(code) = padded::<4>(bytes) {
        Asset::CreditAlphanum4(AlphaNum4 { asset_code: AssetCode4(code), issuer: issuer.clone() })
    } else {
        let code = padded::<12>(bytes).expect("asset codes of the network have at most 12 characters");
        Asset::CreditAlphanum12(AlphaNum12 { asset_code: AssetCode12(code), issuer: issuer.clone() })
    }
}

fn padded<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    out.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(out)
}

/// Code and issuer of an asset; `None` for the native one.
pub(crate) fn code_and_issuer(asset: &Asset) -> Option<(&[u8], &AccountId)> {
    let (code, issuer): (&[u8], _) = match asset {
        Asset::Native => return None,
        Asset::CreditAlphanum4(a) => (&a.asset_code.0, &a.issuer),
        Asset::CreditAlphanum12(a) => (&a.asset_code.0, &a.issuer),
    };
    let end = code.iter().position(|byte| *byte == 0).unwrap_or(code.len());
    Some((code.get(..end).unwrap_or(code), issuer))
}

/// Whether `id` issues `asset`.
pub(crate) fn issues(id: &AccountId, asset: &Asset) -> bool {
    code_and_issuer(asset).is_some_and(|(_, issuer)| issuer == id)
}

/// The asset in the form that trustline keys use.
pub(crate) fn line_of(asset: &Asset) -> TrustLineAsset {
    match asset.clone() {
        Asset::Native => TrustLineAsset::Native,
        Asset::CreditAlphanum4(a) => TrustLineAsset::CreditAlphanum4(a),
        Asset::CreditAlphanum12(a) => TrustLineAsset::CreditAlphanum12(a),
    }
}

/// The asset in the form that change-trust operations use.
pub(crate) fn change_of(asset: &Asset) -> ChangeTrustAsset {
    match asset.clone() {
        Asset::Native => ChangeTrustAsset::Native,
        Asset::CreditAlphanum4(a) => ChangeTrustAsset::CreditAlphanum4(a),
        Asset::CreditAlphanum12(a) => ChangeTrustAsset::CreditAlphanum12(a),
    }
}

/// A fresh account as `CreateAccount` makes it in `ledger`.
pub(crate) fn new_account(id: AccountId, balance: i64, ledger: u32) -> AccountEntry {
    AccountEntry {
        account_id: id,
        balance,
        seq_num: SequenceNumber(i64::from(ledger) << 32),
        num_sub_entries: 0,
        inflation_dest: None,
        flags: 0,
        home_domain: Default::default(),
        thresholds: Thresholds([1, 0, 0, 0]),
        signers: VecM::default(),
        ext: AccountEntryExt::V0,
    }
}

/// A trustline with nothing on it, authorized.
pub(crate) fn new_trustline(id: AccountId, asset: TrustLineAsset, limit: i64) -> TrustLineEntry {
    TrustLineEntry { account_id: id, asset, balance: 0, limit, flags: 1, ext: TrustLineEntryExt::V0 }
}

/// Buying and selling liabilities of an account.
pub(crate) fn account_liabilities(account: &AccountEntry) -> Liabilities {
    match &account.ext {
        AccountEntryExt::V0 => Liabilities::default(),
        AccountEntryExt::V1(v1) => v1.liabilities.clone(),
    }
}

/// Liabilities of an account, to change: the extension is made when it is missing.
pub(crate) fn account_liabilities_mut(account: &mut AccountEntry) -> &mut Liabilities {
    &mut extension_v1(account).liabilities
}

fn extension_v1(account: &mut AccountEntry) -> &mut AccountEntryExtensionV1 {
    if matches!(account.ext, AccountEntryExt::V0) {
        account.ext = AccountEntryExt::V1(AccountEntryExtensionV1::default());
    }
    match &mut account.ext {
        AccountEntryExt::V1(v1) => v1,
        AccountEntryExt::V0 => unreachable!("the extension was made above"),
    }
}

fn extension_v2(account: &mut AccountEntry) -> &mut AccountEntryExtensionV2 {
    let signers = account.signers.len();
    let v1 = extension_v1(account);
    if matches!(v1.ext, AccountEntryExtensionV1Ext::V0) {
        let sponsors = vec![stellar_xdr::SponsorshipDescriptor(None); signers];
        v1.ext = AccountEntryExtensionV1Ext::V2(AccountEntryExtensionV2 {
            signer_sponsoring_i_ds: encode::vecm(sponsors),
            ..Default::default()
        });
    }
    match &mut v1.ext {
        AccountEntryExtensionV1Ext::V2(v2) => v2,
        AccountEntryExtensionV1Ext::V0 => unreachable!("the extension was made above"),
    }
}

/// Gives the account `seq` and notes when that happened, as a transaction or a bump does since protocol 19.
pub(crate) fn set_sequence(account: &mut AccountEntry, seq: i64, ledger: u32, time: u64) {
    account.seq_num = SequenceNumber(seq);
    extension_v2(account).ext = AccountEntryExtensionV2Ext::V3(AccountEntryExtensionV3 {
        ext: ExtensionPoint::V0,
        seq_ledger: ledger,
        seq_time: TimePoint(time),
    });
}

/// Keeps the list of signer sponsors as long as the list of signers.
pub(crate) fn resize_signer_sponsors(account: &mut AccountEntry) {
    let signers = account.signers.len();
    if let AccountEntryExt::V1(v1) = &mut account.ext
        && let AccountEntryExtensionV1Ext::V2(v2) = &mut v1.ext
    {
        v2.signer_sponsoring_i_ds = encode::vecm(vec![stellar_xdr::SponsorshipDescriptor(None); signers]);
    }
}

/// Liabilities of a trustline.
pub(crate) fn line_liabilities(line: &TrustLineEntry) -> Liabilities {
    match &line.ext {
        TrustLineEntryExt::V0 => Liabilities::default(),
        TrustLineEntryExt::V1(v1) => v1.liabilities.clone(),
    }
}

/// Liabilities of a trustline, to change.
pub(crate) fn line_liabilities_mut(line: &mut TrustLineEntry) -> &mut Liabilities {
    if matches!(line.ext, TrustLineEntryExt::V0) {
        line.ext = TrustLineEntryExt::V1(TrustLineEntryV1 {
            liabilities: Liabilities::default(),
            ext: TrustLineEntryV1Ext::V0,
        });
    }
    match &mut line.ext {
        TrustLineEntryExt::V1(v1) => &mut v1.liabilities,
        TrustLineEntryExt::V0 => unreachable!("the extension was made above"),
    }
}

/// What an account must keep of its native balance.
pub(crate) fn minimum_balance(account: &AccountEntry, more_entries: u32) -> i64 {
    (2 + i64::from(account.num_sub_entries) + i64::from(more_entries)) * BASE_RESERVE
}

/// Key of the TTL entry that belongs to a contract entry.
pub(crate) fn ttl_key(key: &LedgerKey) -> LedgerKey {
    LedgerKey::Ttl(LedgerKeyTtl { key_hash: Hash(Hash32::sha256(&[&encode::xdr(key)]).0) })
}

/// A contract symbol.
pub(crate) fn symbol(name: &str) -> ScVal {
    ScVal::Symbol(sc_symbol(name))
}

/// A bare contract symbol.
pub(crate) fn sc_symbol(name: &str) -> ScSymbol {
    ScSymbol(name.try_into().expect("symbols of the network have at most 32 characters"))
}

/// A signed 128-bit contract number.
pub(crate) fn i128_val(value: i64) -> ScVal {
    let lo = u64::from_ne_bytes(value.to_ne_bytes());
    ScVal::I128(Int128Parts { hi: if value < 0 { -1 } else { 0 }, lo })
}

/// An account as a contract address.
pub(crate) fn address(id: &AccountId) -> ScVal {
    ScVal::Address(ScAddress::Account(id.clone()))
}
