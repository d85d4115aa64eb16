//! Assets as text, and the contracts that stand for them.

use stellar_xdr::{self as xdr, WriteXdr};

use super::{Lossy, Put, put::display_by_put, strkey_of};
use crate::ledger::Hash32;

/// What the columns say of an asset. Shown as `native` or `CODE:ISSUER`.
#[derive(Clone, Copy, Debug)]
pub struct AssetParts<'a> {
    /// Type of the asset.
    pub ty: xdr::AssetType,
    /// Code and issuer; `None` for the native asset and for pool shares.
    pub credit: Option<(Lossy<'a>, &'a xdr::AccountId)>,
}

impl<'a> AssetParts<'a> {
    /// Parts of a code and its issuer, as `allow_trust` gives them.
    pub fn of_code(code: &'a xdr::AssetCode, issuer: &'a xdr::AccountId) -> Self {
        match code {
            xdr::AssetCode::CreditAlphanum4(code) => Self::alphanum4(code, issuer),
            xdr::AssetCode::CreditAlphanum12(code) => Self::alphanum12(code, issuer),
        }
    }

    /// The text, where the asset has one: pool shares have none.
    pub fn text(self) -> Option<Self> {
        match self.ty {
            xdr::AssetType::PoolShare => None,
            xdr::AssetType::Native | xdr::AssetType::CreditAlphanum4 | xdr::AssetType::CreditAlphanum12 => {
                Some(self)
            }
        }
    }

    /// Code without its padding.
    pub fn code(self) -> Option<Lossy<'a>> {
        self.credit.map(|(code, _)| code)
    }

    /// Issuer.
    pub fn issuer(self) -> Option<&'a xdr::AccountId> {
        self.credit.map(|(_, issuer)| issuer)
    }

    const NATIVE: Self = Self { ty: xdr::AssetType::Native, credit: None };
    const SHARES: Self = Self { ty: xdr::AssetType::PoolShare, credit: None };

    fn alphanum4(code: &'a xdr::AssetCode4, issuer: &'a xdr::AccountId) -> Self {
        Self { ty: xdr::AssetType::CreditAlphanum4, credit: Some((trim(&code.0), issuer)) }
    }

    fn alphanum12(code: &'a xdr::AssetCode12, issuer: &'a xdr::AccountId) -> Self {
        Self { ty: xdr::AssetType::CreditAlphanum12, credit: Some((trim(&code.0), issuer)) }
    }
}

impl<'a> From<&'a xdr::Asset> for AssetParts<'a> {
    fn from(asset: &'a xdr::Asset) -> Self {
        match asset {
            xdr::Asset::Native => Self::NATIVE,
            xdr::Asset::CreditAlphanum4(a) => Self::alphanum4(&a.asset_code, &a.issuer),
            xdr::Asset::CreditAlphanum12(a) => Self::alphanum12(&a.asset_code, &a.issuer),
        }
    }
}

impl<'a> From<&'a xdr::ChangeTrustAsset> for AssetParts<'a> {
    fn from(asset: &'a xdr::ChangeTrustAsset) -> Self {
        match asset {
            xdr::ChangeTrustAsset::Native => Self::NATIVE,
            xdr::ChangeTrustAsset::CreditAlphanum4(a) => Self::alphanum4(&a.asset_code, &a.issuer),
            xdr::ChangeTrustAsset::CreditAlphanum12(a) => Self::alphanum12(&a.asset_code, &a.issuer),
            xdr::ChangeTrustAsset::PoolShare(_) => Self::SHARES,
        }
    }
}

impl<'a> From<&'a xdr::TrustLineAsset> for AssetParts<'a> {
    fn from(asset: &'a xdr::TrustLineAsset) -> Self {
        match asset {
            xdr::TrustLineAsset::Native => Self::NATIVE,
            xdr::TrustLineAsset::CreditAlphanum4(a) => Self::alphanum4(&a.asset_code, &a.issuer),
            xdr::TrustLineAsset::CreditAlphanum12(a) => Self::alphanum12(&a.asset_code, &a.issuer),
            xdr::TrustLineAsset::PoolShare(_) => Self::SHARES,
        }
    }
}

impl Put for AssetParts<'_> {
    fn put(&self, to: &mut Vec<u8>) {
        match self.credit {
            Some((code, issuer)) => {
                code.put(to);
                to.push(b':');
                strkey_of(issuer).put(to);
            }
            None => crate::words::asset_type(self.ty).put(to),
        }
    }
}

display_by_put!(AssetParts<'_>);

/// Only the padding at the end goes: a NUL inside a code stays.
fn trim(code: &[u8]) -> Lossy<'_> {
    let end = code.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    Lossy(code.get(..end).unwrap_or(code))
}

/// The asset that `native` or `CODE:ISSUER` names; `None` when the text names none.
pub fn parse_asset(text: &[u8]) -> Option<xdr::Asset> {
    if text == b"native" {
        return Some(xdr::Asset::Native);
    }
    let (code, issuer) = std::str::from_utf8(text).ok()?.split_once(':')?;
    if code.is_empty() || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let issuer: xdr::AccountId = issuer.parse().ok()?;
    Some(if code.len() <= 4 {
        xdr::Asset::CreditAlphanum4(xdr::AlphaNum4 { asset_code: xdr::AssetCode4(padded(code)?), issuer })
    } else {
        xdr::Asset::CreditAlphanum12(xdr::AlphaNum12 { asset_code: xdr::AssetCode12(padded(code)?), issuer })
    })
}

fn padded<const N: usize>(code: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    out.get_mut(..code.len())?.copy_from_slice(code.as_bytes());
    Some(out)
}

/// Id of the contract that `preimage` makes on a network.
///
/// # Errors
/// What the XDR encoder says; no decoded preimage is known to fail.
pub fn contract_id(
    network: Hash32,
    preimage: &xdr::ContractIdPreimage,
) -> Result<xdr::ContractId, xdr::Error> {
    const ENVELOPE_TYPE_CONTRACT_ID: [u8; 4] = [0, 0, 0, 8];
    let preimage = preimage.to_xdr(xdr::Limits::none())?;
    let hash = Hash32::sha256(&[&ENVELOPE_TYPE_CONTRACT_ID, &network.0, &preimage]);
    Ok(xdr::ContractId(xdr::Hash(hash.0)))
}

/// Id of the contract that stands for an asset on a network.
///
/// # Errors
/// As [`contract_id`].
pub fn stellar_asset_contract(network: Hash32, asset: xdr::Asset) -> Result<xdr::ContractId, xdr::Error> {
    contract_id(network, &xdr::ContractIdPreimage::Asset(asset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Network;

    const ISSUER: &str = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN";

    /// Mistake D21 of the reference.
    #[test]
    fn assets_are_named_by_code_and_issuer() {
        for text in [
            "native".to_owned(),
            format!("USDC:{ISSUER}"),
            format!("ABCDEFGHIJKL:{ISSUER}"),
            format!("A:{ISSUER}"),
        ] {
            let asset = parse_asset(text.as_bytes()).unwrap_or_else(|| panic!("{text} names an asset"));
            assert_eq!(AssetParts::from(&asset).to_string(), text);
        }
    }

    #[test]
    fn text_that_names_no_asset_is_refused() {
        for text in [
            "",
            "USDC",
            ":G",
            "XLM:native",
            &format!("ABCDEFGHIJKLM:{ISSUER}"),
            &format!("U-D:{ISSUER}"),
            "USDC:GA5Z",
        ] {
            assert!(parse_asset(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn only_padding_is_cut_from_a_code() {
        assert_eq!(trim(b"A\0B\0").0, b"A\0B");
        assert_eq!(trim(b"\0\0\0\0").0, b"");
        assert_eq!(trim(b"USDC").0, b"USDC");
    }

    #[test]
    fn the_native_asset_has_the_contract_that_each_network_knows() {
        let id = |passphrase| {
            stellar_asset_contract(Network::new(passphrase).id(), xdr::Asset::Native).map(|id| id.to_string())
        };
        assert_eq!(
            id("Public Global Stellar Network ; September 2015").ok().as_deref(),
            Some("CAS3J7GYLGXMF6TDJBBYYSE3HQ6BBSMLNUQ34T6TZMYMW2EVH34XOWMA")
        );
        assert_eq!(
            id("Test SDF Network ; September 2015").ok().as_deref(),
            Some("CDLZFC3SYJYDZT7K67VZ75HPJVIEUVNIXF47ZG2FB2RMQQVU2HHGCYSC")
        );
    }
}
