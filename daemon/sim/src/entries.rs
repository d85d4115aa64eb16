//! Small constructors: ids, assets, keys and entries as a current network writes them.

use stellar_xdr::{
    AccountEntry, AccountEntryExt, AccountEntryExtensionV1, AccountEntryExtensionV1Ext,
    AccountEntryExtensionV2, AccountEntryExtensionV2Ext, AccountEntryExtensionV3, AccountId, AlphaNum4,
    AlphaNum12, Asset, AssetCode4, AssetCode12, ChangeTrustAsset, ExtensionPoint, Hash, Int128Parts,
    LedgerEntry, LedgerEntryExt, LedgerKey, LedgerKeyTtl, Liabilities, MuxedAccount, MuxedAccountMed25519,
    PublicKey, ScAddress, ScSymbol, ScVal, SequenceNumber, Signer, SponsorshipDescriptor, Thresholds,
    TimePoint, TrustLineAsset, TrustLineEntry, TrustLineEntryExt, TrustLineEntryExtensionV2,
    TrustLineEntryExtensionV2Ext, TrustLineEntryV1, TrustLineEntryV1Ext, Uint256, VecM,
};

use lake_core::Hash32;

use crate::encode;

/// Stroops per XLM, and the smallest units per whole credit asset.
pub(crate) const ONE: i64 = 10_000_000;
/// Reserve per entry at genesis, in stroops.
pub(crate) const BASE_RESERVE: i64 = 5_000_000;
/// Flag of a trustline that may be used.
pub(crate) const AUTHORIZED: u32 = 1;
/// Flag of a trustline that keeps its offers and no more.
pub(crate) const MAINTAINS: u32 = 2;
/// Flag of a trustline, or of a claimable balance's source, that its issuer can take from.
pub(crate) const CLAWBACK: u32 = 4;

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

/// A trustline with nothing on it.
pub(crate) fn new_trustline(id: AccountId, asset: TrustLineAsset, limit: i64, flags: u32) -> TrustLineEntry {
    TrustLineEntry { account_id: id, asset, balance: 0, limit, flags, ext: TrustLineEntryExt::V0 }
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
        let sponsors = vec![SponsorshipDescriptor(None); signers];
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

/// Ledger and time in which the account's sequence number was set; 0 when it was not since protocol 19.
pub(crate) fn sequence_noted(account: &AccountEntry) -> (u32, u64) {
    match &account.ext {
        AccountEntryExt::V1(AccountEntryExtensionV1 {
            ext:
                AccountEntryExtensionV1Ext::V2(AccountEntryExtensionV2 {
                    ext: AccountEntryExtensionV2Ext::V3(v3),
                    ..
                }),
            ..
        }) => (v3.seq_ledger, v3.seq_time.0),
        AccountEntryExt::V0 | AccountEntryExt::V1(_) => (0, 0),
    }
}

/// Who sponsors the signers of an account, as far as the list goes.
fn signer_sponsors(account: &AccountEntry) -> &[SponsorshipDescriptor] {
    match &account.ext {
        AccountEntryExt::V1(AccountEntryExtensionV1 { ext: AccountEntryExtensionV1Ext::V2(v2), .. }) => {
            &v2.signer_sponsoring_i_ds
        }
        AccountEntryExt::V0 | AccountEntryExt::V1(_) => &[],
    }
}

/// Whether the signers of two images of an account have the same sponsors. A list that is not there sponsors nobody.
pub(crate) fn same_sponsors(a: &AccountEntry, b: &AccountEntry) -> bool {
    let sponsors = |account| signer_sponsors(account).iter().filter_map(|sponsor| sponsor.0.as_ref());
    signer_sponsors(a) == signer_sponsors(b) || sponsors(a).chain(sponsors(b)).next().is_none()
}

/// The signers of an account, each with its sponsor.
pub(crate) fn signers(account: &AccountEntry) -> Vec<(Signer, Option<AccountId>)> {
    let sponsors = signer_sponsors(account).iter().map(|sponsor| sponsor.0.clone());
    account.signers.iter().cloned().zip(sponsors.chain(std::iter::repeat(None))).collect()
}

/// Sets the signers of an account: the list of sponsors is made when one needs it and kept as long as the other.
pub(crate) fn set_signers(account: &mut AccountEntry, signers: Vec<(Signer, Option<AccountId>)>) {
    let sponsored = signers.iter().any(|(_, sponsor)| sponsor.is_some());
    let (signers, sponsors): (Vec<_>, Vec<_>) = signers.into_iter().unzip();
    account.signers = encode::vecm(signers);
    let has_list = matches!(&account.ext, AccountEntryExt::V1(v1)
        if matches!(v1.ext, AccountEntryExtensionV1Ext::V2(_)));
    if sponsored || has_list {
        let sponsors = sponsors.into_iter().map(SponsorshipDescriptor).collect();
        extension_v2(account).signer_sponsoring_i_ds = encode::vecm(sponsors);
    }
}

/// How many reserves the account pays for others, and how many others pay for it.
pub(crate) fn sponsorships(account: &AccountEntry) -> (u32, u32) {
    match &account.ext {
        AccountEntryExt::V1(AccountEntryExtensionV1 { ext: AccountEntryExtensionV1Ext::V2(v2), .. }) => {
            (v2.num_sponsoring, v2.num_sponsored)
        }
        AccountEntryExt::V0 | AccountEntryExt::V1(_) => (0, 0),
    }
}

/// Changes how many reserves the account pays for others.
pub(crate) fn add_sponsoring(account: &mut AccountEntry, count: i32) {
    let v2 = extension_v2(account);
    v2.num_sponsoring = v2.num_sponsoring.saturating_add_signed(count);
}

/// Changes how many reserves others pay for the account.
pub(crate) fn add_sponsored(account: &mut AccountEntry, count: i32) {
    let v2 = extension_v2(account);
    v2.num_sponsored = v2.num_sponsored.saturating_add_signed(count);
}

/// Who sponsors an entry.
pub(crate) fn sponsor(entry: &LedgerEntry) -> Option<&AccountId> {
    match &entry.ext {
        LedgerEntryExt::V0 => None,
        LedgerEntryExt::V1(v1) => v1.sponsoring_id.0.as_ref(),
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

/// Changes how many pools the line's asset is in.
pub(crate) fn add_pool_use(line: &mut TrustLineEntry, count: i32) {
    line_liabilities_mut(line);
    if let TrustLineEntryExt::V1(v1) = &mut line.ext {
        if matches!(v1.ext, TrustLineEntryV1Ext::V0) {
            v1.ext = TrustLineEntryV1Ext::V2(TrustLineEntryExtensionV2 {
                liquidity_pool_use_count: 0,
                ext: TrustLineEntryExtensionV2Ext::V0,
            });
        }
        if let TrustLineEntryV1Ext::V2(v2) = &mut v1.ext {
            v2.liquidity_pool_use_count += count;
        }
    }
}

/// How many pools the line's asset is in.
pub(crate) fn pool_use(line: &TrustLineEntry) -> i32 {
    match &line.ext {
        TrustLineEntryExt::V1(TrustLineEntryV1 { ext: TrustLineEntryV1Ext::V2(v2), .. }) => {
            v2.liquidity_pool_use_count
        }
        TrustLineEntryExt::V0 | TrustLineEntryExt::V1(_) => 0,
    }
}

/// What an account must keep of its native balance at this reserve per entry, with so many entries more than it has.
pub(crate) fn minimum_balance(account: &AccountEntry, more_entries: u32, reserve: i64) -> i64 {
    let (sponsoring, sponsored) = sponsorships(account);
    let entries = i64::from(account.num_sub_entries) + i64::from(more_entries) + i64::from(sponsoring);
    (2 + entries - i64::from(sponsored)) * reserve
}

/// Whether an account can keep so many entries more.
pub(crate) fn has_reserve(account: &AccountEntry, more_entries: u32, reserve: i64) -> bool {
    account.balance - account_liabilities(account).selling >= minimum_balance(account, more_entries, reserve)
}

/// SHA-256 of a key.
pub(crate) fn key_hash(key: &LedgerKey) -> Hash {
    Hash(Hash32::sha256(&[&encode::xdr(key)]).0)
}

/// Key of the TTL entry that belongs to a contract entry.
pub(crate) fn ttl_key(key: &LedgerKey) -> LedgerKey {
    LedgerKey::Ttl(LedgerKeyTtl { key_hash: key_hash(key) })
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
