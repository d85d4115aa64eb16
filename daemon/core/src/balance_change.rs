//! Changes of asset balances that a contract call tells in the events of the assets' own contracts.

use stellar_xdr as xdr;

use crate::{
    ledger::Hash32,
    text::{i128_of, parse_asset, stellar_asset_contract},
};

/// One transfer, mint, clawback or burn.
#[derive(Debug)]
pub(crate) struct BalanceChange<'l> {
    /// `transfer`, `mint`, `clawback` or `burn`.
    pub(crate) ty: &'static str,
    /// Whose balance went down; `None` for a mint.
    pub(crate) from: Option<&'l xdr::ScAddress>,
    /// Whose balance went up; `None` for a clawback and a burn.
    pub(crate) to: Option<&'l xdr::ScAddress>,
    /// Stroops.
    pub(crate) amount: i128,
    /// The asset.
    pub(crate) asset: xdr::Asset,
    /// Multiplexing id of the destination.
    pub(crate) to_muxed_id: Option<u64>,
}

impl<'l> BalanceChange<'l> {
    /// What `event` tells; `None` unless it was the contract of the asset it names that emitted it.
    ///
    /// # Errors
    /// What the XDR encoder says of the asset.
    pub(crate) fn of(event: &'l xdr::ContractEvent, network: Hash32) -> Result<Option<Self>, xdr::Error> {
        let (Some(contract), Some(change)) = (&event.contract_id, Self::claimed(event)) else {
            return Ok(None);
        };
        // any contract may emit such an event: only the asset's own is to be believed
        let genuine = stellar_asset_contract(network, change.asset.clone())? == *contract;
        Ok(genuine.then_some(change))
    }

    fn claimed(event: &'l xdr::ContractEvent) -> Option<Self> {
        let xdr::ContractEventBody::V0(body) = &event.body;
        if event.type_ != xdr::ContractEventType::Contract {
            return None;
        }
        let (xdr::ScVal::Symbol(name), rest) = body.topics.split_first()? else { return None };
        let (xdr::ScVal::String(asset), who) = rest.split_last()? else { return None };
        // mint and clawback named the asset's administrator first until protocol 23
        let (ty, from, to) = match (name.0.as_slice(), who) {
            (b"transfer", [from, to]) => ("transfer", Some(address(from)?), Some(address(to)?)),
            (b"mint", [to]) => ("mint", None, Some(address(to)?)),
            (b"mint", [admin, to]) => ("mint", None, Some(address(admin).and(address(to))?)),
            (b"clawback", [from]) => ("clawback", Some(address(from)?), None),
            (b"clawback", [admin, from]) => ("clawback", Some(address(admin).and(address(from))?), None),
            (b"burn", [from]) => ("burn", Some(address(from)?), None),
            _ => return None,
        };
        let (amount, to_muxed_id) = amount(&body.data)?;
        Some(Self { ty, from, to, amount, asset: parse_asset(asset.0.as_slice())?, to_muxed_id })
    }
}

fn address(value: &xdr::ScVal) -> Option<&xdr::ScAddress> {
    if let xdr::ScVal::Address(address) = value { Some(address) } else { None }
}

/// Amount and multiplexing id: an i128, or from protocol 23 a map of `amount` and `to_muxed_id`.
fn amount(data: &xdr::ScVal) -> Option<(i128, Option<u64>)> {
    if let xdr::ScVal::I128(parts) = data {
        return Some((i128_of(parts), None));
    }
    let xdr::ScVal::Map(Some(map)) = data else { return None };
    let [first, second] = map.0.as_slice() else { return None };
    let (mut amount, mut id) = (None, None);
    for entry in [first, second] {
        let xdr::ScVal::Symbol(key) = &entry.key else { return None };
        match (key.0.as_slice(), &entry.val) {
            (b"amount", xdr::ScVal::I128(parts)) => amount = Some(i128_of(parts)),
            (b"to_muxed_id", xdr::ScVal::U64(n)) => id = Some(*n),
            _ => return None,
        }
    }
    Some((amount?, Some(id?)))
}
