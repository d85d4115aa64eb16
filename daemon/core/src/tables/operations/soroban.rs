//! Operations that run contracts: what they call, with which arguments, and what it did to asset balances.

use stellar_xdr::{self as xdr, WriteXdr};

use super::Context;
use crate::{
    balance_change::BalanceChange,
    text::{AssetParts, Base64, Decimal7, Json, contract_id, details},
    words,
};

/// Writes the details of a host function.
///
/// # Errors
/// What the XDR encoder says of a parameter or an asset.
pub(super) fn details(j: &mut Json, cx: &Context<'_>, function: &xdr::HostFunction) -> Result<(), String> {
    j.key("function").plain(words::host_function_type(function.discriminant()));
    match function {
        xdr::HostFunction::InvokeContract(call) => {
            j.key("parameters").open(b'[');
            parameter(j, &xdr::ScVal::Address(call.contract_address.clone()))?;
            parameter(j, &xdr::ScVal::Symbol(call.function_name.clone()))?;
            parameters(j, &call.args)?;
            j.close(b']');
            balance_changes(j, cx)
        }
        xdr::HostFunction::CreateContract(create) => {
            preimage(j, &create.contract_id_preimage);
            Ok(())
        }
        xdr::HostFunction::CreateContractV2(create) => {
            preimage(j, &create.contract_id_preimage);
            j.key("parameters").open(b'[');
            parameters(j, &create.constructor_args)?;
            j.close(b']');
            balance_changes(j, cx)
        }
        xdr::HostFunction::UploadContractWasm(_) => Ok(()),
    }
}

fn preimage(j: &mut Json, preimage: &xdr::ContractIdPreimage) {
    match preimage {
        xdr::ContractIdPreimage::Address(from) => {
            j.key("from").plain("address");
            j.key("address").plain(&from.address);
        }
        xdr::ContractIdPreimage::Asset(asset) => {
            j.key("from").plain("asset");
            j.key("asset").text(AssetParts::from(asset));
        }
    }
}

fn parameters(j: &mut Json, values: &[xdr::ScVal]) -> Result<(), String> {
    values.iter().try_for_each(|value| parameter(j, value))
}

fn parameter(j: &mut Json, value: &xdr::ScVal) -> Result<(), String> {
    let bytes = value.to_xdr(xdr::Limits::none()).map_err(|e| format!("a parameter of its call: {e}"))?;
    j.object(|j| {
        j.key("type").plain(words::parameter_type(value.discriminant()));
        j.key("value").plain(Base64(&bytes));
    });
    Ok(())
}

/// Horizon writes `null` where there is none.
fn balance_changes(j: &mut Json, cx: &Context<'_>) -> Result<(), String> {
    j.key("asset_balance_changes");
    let mut any = false;
    for event in cx.tx.operation_events(cx.index) {
        let change =
            BalanceChange::of(event, cx.network).map_err(|e| format!("the asset of an event: {e}"))?;
        let Some(change) = change else { continue };
        if !any {
            j.open(b'[');
            any = true;
        }
        balance_change(j, &change);
    }
    if any {
        j.close(b']')
    } else {
        j.null()
    }
    Ok(())
}

fn balance_change(j: &mut Json, change: &BalanceChange<'_>) {
    j.object(|j| {
        if let Some(from) = change.from {
            j.key("from").plain(from);
        }
        if let Some(to) = change.to {
            j.key("to").plain(to);
        }
        j.key("type").plain(change.ty);
        j.key("amount").plain(Decimal7(change.amount));
        details::asset(j, "", (&change.asset).into());
        if let Some(id) = change.to_muxed_id {
            j.key("destination_muxed_id").plain(id);
        }
    });
}

/// Address of the contract that a host function calls or makes; `None` for an upload.
///
/// # Errors
/// What the XDR encoder says of the preimage of a new contract's id.
pub(super) fn contract(
    cx: &Context<'_>,
    function: &xdr::HostFunction,
) -> Result<Option<xdr::ScAddress>, String> {
    let preimage = match function {
        xdr::HostFunction::InvokeContract(call) => return Ok(Some(call.contract_address.clone())),
        xdr::HostFunction::CreateContract(create) => &create.contract_id_preimage,
        xdr::HostFunction::CreateContractV2(create) => &create.contract_id_preimage,
        xdr::HostFunction::UploadContractWasm(_) => return Ok(None),
    };
    let id = contract_id(cx.network, preimage).map_err(|e| format!("the id of its new contract: {e}"))?;
    Ok(Some(xdr::ScAddress::Contract(id)))
}
