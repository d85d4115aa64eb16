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
    let metadata = storage.iter().find_map(|entry| match (&entry.key, &entry.val) {
        (xdr::ScVal::Symbol(name), xdr::ScVal::Map(Some(map))) if name.0.as_slice() == b"METADATA" => {
            Some(map)
        }
        _ => None,
    });
    let text = |name: &[u8]| match metadata.and_then(|map| field(map, name)) {
        Some(xdr::ScVal::String(text)) => Some(Lossy(&text.0)),
        _ => None,
    };
    let decimals = match metadata.and_then(|map| field(map, b"decimal")) {
        Some(xdr::ScVal::U32(decimals)) => Some(*decimals),
        _ => None,
    };
    Ok(Some(Token { asset, name: text(b"name"), symbol: text(b"symbol"), decimals }))
}

/// Holder and amount of a balance, shaped as asset contracts keep them: under `["Balance", holder]`, the map of
/// `amount`, `authorized` and `clawback`.
pub(super) fn balance(data: &xdr::ContractDataEntry) -> Option<(&xdr::ScAddress, i128)> {
    let xdr::ScVal::Vec(Some(key)) = &data.key else { return None };
    let [xdr::ScVal::Symbol(name), xdr::ScVal::Address(holder)] = key.0.as_slice() else { return None };
    let xdr::ScVal::Map(Some(map)) = &data.val else { return None };
    let [amount, authorized, clawback] = map.0.as_slice() else { return None };
    let is = |entry: &xdr::ScMapEntry, name: &[u8]| matches!(&entry.key, xdr::ScVal::Symbol(s) if s.0.as_slice() == name);
    let is_balance = name.0.as_slice() == b"Balance"
        && is(amount, b"amount")
        && is(authorized, b"authorized")
        && is(clawback, b"clawback")
        && matches!((&authorized.val, &clawback.val), (xdr::ScVal::Bool(_), xdr::ScVal::Bool(_)));
    let xdr::ScVal::I128(amount) = &amount.val else { return None };
    let amount = i128_of(amount);
    (is_balance && amount >= 0).then_some((holder, amount))
}

/// The value under the key `[name]`, as contract types of Rust are stored.
fn under<'l>(storage: &'l xdr::ScMap, name: &[u8]) -> Option<&'l xdr::ScVal> {
    storage.iter().find_map(|entry| {
        let xdr::ScVal::Vec(Some(key)) = &entry.key else { return None };
        let [xdr::ScVal::Symbol(word)] = key.0.as_slice() else { return None };
        (word.0.as_slice() == name).then_some(&entry.val)
    })
}

fn field<'l>(map: &'l xdr::ScMap, name: &[u8]) -> Option<&'l xdr::ScVal> {
    map.iter().find_map(|entry| match &entry.key {
        xdr::ScVal::Symbol(word) if word.0.as_slice() == name => Some(&entry.val),
        _ => None,
    })
}

/// The asset that `AssetInfo` names.
fn asset_of(info: &xdr::ScVal) -> Option<xdr::Asset> {
    let xdr::ScVal::Vec(Some(info)) = info else { return None };
    match info.0.as_slice() {
        [xdr::ScVal::Symbol(kind)] if kind.0.as_slice() == b"Native" => Some(xdr::Asset::Native),
        [xdr::ScVal::Symbol(kind), xdr::ScVal::Map(Some(map))] => {
            let xdr::ScVal::Bytes(issuer) = field(map, b"issuer")? else { return None };
            let issuer = xdr::Uint256(issuer.0.as_slice().try_into().ok()?);
            let issuer = xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(issuer));
            let code = match field(map, b"asset_code")? {
                xdr::ScVal::String(code) => code.0.as_slice(),
                xdr::ScVal::Bytes(code) => code.0.as_slice(),
                _ => return None,
            };
            match kind.0.as_slice() {
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
        _ => None,
    }
}

fn padded<const N: usize>(code: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    out.get_mut(..code.len())?.copy_from_slice(code);
    Some(out)
}
