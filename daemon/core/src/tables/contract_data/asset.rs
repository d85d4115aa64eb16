//! What the storage of an asset's contract says: which asset it stands for, and whose balances it keeps (CAP-46-6).

use stellar_xdr as xdr;

use crate::{
    ledger::Hash32,
    text::{Lossy, i128_of, stellar_asset_contract},
};

/// The token of an asset's contract.
#[derive(Debug)]
pub(super) struct Token<'l> {
    pub(super) asset: xdr::Asset,
    pub(super) name: Option<Lossy<'l>>,
    pub(super) symbol: Option<Lossy<'l>>,
    pub(super) decimals: Option<u32>,
}

/// The token whose contract `data` is the instance of. Any contract may store the same words: only the one whose id is
/// made from the asset is that asset's.
pub(super) fn token(network: Hash32, data: &xdr::ContractDataEntry) -> Result<Option<Token<'_>>, xdr::Error> {
    let xdr::ScVal::ContractInstance(instance) = &data.val else { return Ok(None) };
    let (xdr::ContractExecutable::StellarAsset, Some(storage)) = (&instance.executable, &instance.storage)
    else {
        return Ok(None);
    };
    let Some(asset) = under(storage, b"AssetInfo").and_then(asset_of) else { return Ok(None) };
    let xdr::ScAddress::Contract(id) = &data.contract else { return Ok(None) };
    if stellar_asset_contract(network, asset.clone())? != *id {
        return Ok(None);
    }
    let metadata = storage.iter().find(|entry| is_symbol(&entry.key, b"METADATA")).map(|entry| &entry.val);
    let metadata = |name: &[u8]| {
        let Some(xdr::ScVal::Map(Some(map))) = metadata else { return None };
        field(map, name)
    };
    let text = |name: &[u8]| {
        let Some(xdr::ScVal::String(text)) = metadata(name) else { return None };
        Some(Lossy(&text.0))
    };
    let decimals =
        if let Some(xdr::ScVal::U32(decimals)) = metadata(b"decimal") { Some(*decimals) } else { None };
    Ok(Some(Token { asset, name: text(b"name"), symbol: text(b"symbol"), decimals }))
}

/// Holder and amount of a balance, shaped as asset contracts keep them: under `["Balance", holder]`, the map of
/// `amount`, `authorized` and `clawback`.
pub(super) fn balance(data: &xdr::ContractDataEntry) -> Option<(&xdr::ScAddress, i128)> {
    let xdr::ScVal::Vec(Some(key)) = &data.key else { return None };
    let [name, xdr::ScVal::Address(holder)] = key.0.as_slice() else { return None };
    let xdr::ScVal::Map(Some(map)) = &data.val else { return None };
    let [amount, authorized, clawback] = map.0.as_slice() else { return None };
    let is_balance = is_symbol(name, b"Balance")
        && is_symbol(&amount.key, b"amount")
        && is_symbol(&authorized.key, b"authorized")
        && is_symbol(&clawback.key, b"clawback")
        && matches!((&authorized.val, &clawback.val), (xdr::ScVal::Bool(_), xdr::ScVal::Bool(_)));
    let xdr::ScVal::I128(amount) = &amount.val else { return None };
    let amount = i128_of(amount);
    (is_balance && amount >= 0).then_some((holder, amount))
}

/// The value under the key `[name]`, as contract types of Rust are stored.
fn under<'l>(storage: &'l xdr::ScMap, name: &[u8]) -> Option<&'l xdr::ScVal> {
    storage.iter().find_map(|entry| {
        let xdr::ScVal::Vec(Some(key)) = &entry.key else { return None };
        let [word] = key.0.as_slice() else { return None };
        is_symbol(word, name).then_some(&entry.val)
    })
}

fn field<'l>(map: &'l xdr::ScMap, name: &[u8]) -> Option<&'l xdr::ScVal> {
    map.iter().find(|entry| is_symbol(&entry.key, name)).map(|entry| &entry.val)
}

fn is_symbol(value: &xdr::ScVal, name: &[u8]) -> bool {
    matches!(value, xdr::ScVal::Symbol(word) if word.0.as_slice() == name)
}

/// The asset that `AssetInfo` names.
fn asset_of(info: &xdr::ScVal) -> Option<xdr::Asset> {
    let xdr::ScVal::Vec(Some(info)) = info else { return None };
    let (xdr::ScVal::Symbol(kind), details) = info.0.split_first()? else { return None };
    let kind = kind.0.as_slice();
    let [xdr::ScVal::Map(Some(map))] = details else {
        return (kind == b"Native" && details.is_empty()).then_some(xdr::Asset::Native);
    };
    let xdr::ScVal::Bytes(issuer) = field(map, b"issuer")? else { return None };
    let issuer = xdr::Uint256(issuer.0.as_slice().try_into().ok()?);
    let issuer = xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(issuer));
    let xdr::ScVal::String(code) = field(map, b"asset_code")? else { return None };
    let code = code.0.as_slice();
    match kind {
        b"AlphaNum4" => {
            let asset_code = xdr::AssetCode4(padded(code)?);
            Some(xdr::Asset::CreditAlphanum4(xdr::AlphaNum4 { asset_code, issuer }))
        }
        b"AlphaNum12" => {
            let asset_code = xdr::AssetCode12(padded(code)?);
            Some(xdr::Asset::CreditAlphanum12(xdr::AlphaNum12 { asset_code, issuer }))
        }
        _ => None,
    }
}

fn padded<const N: usize>(code: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    out.get_mut(..code.len())?.copy_from_slice(code);
    Some(out)
}
