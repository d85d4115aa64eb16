//! The typed columns of an operation.

use stellar_xdr::{self as xdr, OperationBody as Body};

use super::{Columns, Context, Row, pool_of, soroban};
use crate::{
    ledger::Hash32,
    text::{AssetParts, Lossy, PriceRatio, account_of, key_of, muxed_of},
    words,
};

/// Address of the contract that the operation calls or makes.
///
/// # Errors
/// What the XDR encoder says of the preimage of a new contract's id.
pub(super) fn contract(cx: &Context<'_>) -> Result<Option<xdr::ScAddress>, String> {
    if let Body::InvokeHostFunction(op) = &cx.operation.body {
        soroban::contract(cx, &op.host_function)
    } else {
        Ok(None)
    }
}

/// Appends the row of an operation. It is large: it stays where it is filled.
///
/// # Errors
/// A number that does not fit its column.
pub(super) fn push(
    cx: &Context<'_>,
    details: &[u8],
    path: Option<&[u8]>,
    contract: Option<&xdr::ScAddress>,
    out: &mut Columns,
) -> Result<(), String> {
    let index = i32::try_from(cx.index)
        .map_err(|_| format!("operation_index {} does not fit its column", cx.index))?;
    let mut row = blank(cx, index, details);
    row.path = path;
    row.soroban_contract_id = contract;
    fill(&mut row, cx)?;
    row.result_offer_id = cx.outcome.offer_id;
    row.result_balance_id = cx.outcome.balance_id;
    row.result_amount = cx.outcome.received;
    row.merged_amount = cx.outcome.merged;
    row.sent_amount = cx.outcome.sent;
    out.push(row);
    Ok(())
}

/// What every operation has; the rest NULL.
fn blank<'r>(cx: &'r Context<'_>, index: i32, details: &'r [u8]) -> Row<'r> {
    let ty = cx.operation.body.discriminant();
    Row {
        transaction_hash: cx.tx.hash,
        operation_index: index,
        ledger_sequence: i64::from(cx.ledger.seq.get()),
        source_account: key_of(&cx.source_account),
        r#type: i32::from(ty),
        type_string: words::operation_type(ty),
        created_at: cx.ledger.closed_at_micros(),
        transaction_successful: cx.successful,
        operation_result_code: cx.result.map(|r| words::operation_result_code(r.discriminant())),
        operation_trace_code: cx.result.and_then(words::operation_trace_code),
        source_account_muxed: muxed(&cx.source),
        transaction_id: cx.tx.toid(cx.ledger.seq),
        operation_id: cx.tx.operation_toid(cx.ledger.seq, cx.index),
        application_order: saturated(cx.tx.application_order),
        details_json: details,
        asset: None,
        asset_type: None,
        asset_code: None,
        asset_issuer: None,
        source_asset: None,
        source_asset_type: None,
        source_asset_code: None,
        source_asset_issuer: None,
        amount: None,
        source_amount: None,
        destination_min: None,
        starting_balance: None,
        destination: None,
        trustline_limit: None,
        trustor: None,
        authorize: None,
        authorize_to_maintain_liabilities: None,
        trust_line_flags: None,
        balance_id: None,
        claimants_count: None,
        sponsored_id: None,
        offer_id: None,
        price: None,
        price_r: None,
        buying_asset: None,
        buying_asset_type: None,
        buying_asset_code: None,
        buying_asset_issuer: None,
        selling_asset: None,
        selling_asset_type: None,
        selling_asset_code: None,
        selling_asset_issuer: None,
        soroban_operation: None,
        soroban_function: None,
        soroban_contract_id: None,
        soroban_auth_required: None,
        bump_to: None,
        set_flags: None,
        clear_flags: None,
        home_domain: None,
        master_weight: None,
        low_threshold: None,
        medium_threshold: None,
        high_threshold: None,
        data_name: None,
        data_value: None,
        function_name: None,
        arguments: None,
        inflation_dest: None,
        signer_key: None,
        signer_weight: None,
        clear_trust_line_flags: None,
        path: None,
        source_max: None,
        price_n: None,
        price_d: None,
        result_offer_id: None,
        result_balance_id: None,
        result_amount: None,
        merged_amount: None,
        sent_amount: None,
        destination_muxed: None,
        home_domain_bytes: None,
        data_name_bytes: None,
        liquidity_pool_id: None,
    }
}

fn fill<'r>(row: &mut Row<'r>, cx: &'r Context<'_>) -> Result<(), String> {
    match &cx.operation.body {
        Body::CreateAccount(op) => {
            row.destination = Some(key_of(&op.destination));
            row.starting_balance = Some(op.starting_balance);
        }
        Body::Payment(op) => {
            destination(row, &op.destination);
            asset(row, (&op.asset).into());
            row.amount = Some(op.amount);
        }
        Body::PathPaymentStrictReceive(op) => {
            destination(row, &op.destination);
            asset(row, (&op.dest_asset).into());
            source_asset(row, (&op.send_asset).into());
            row.amount = Some(op.dest_amount);
            row.source_amount = cx.outcome.sent;
            row.source_max = Some(op.send_max);
        }
        Body::PathPaymentStrictSend(op) => {
            destination(row, &op.destination);
            asset(row, (&op.dest_asset).into());
            source_asset(row, (&op.send_asset).into());
            row.amount = cx.outcome.received;
            row.source_amount = Some(op.send_amount);
            row.destination_min = Some(op.dest_min);
        }
        Body::ManageSellOffer(op) => {
            row.offer_id = Some(op.offer_id);
            offer(row, op.amount, &op.price, &op.buying, &op.selling);
        }
        Body::ManageBuyOffer(op) => {
            row.offer_id = Some(op.offer_id);
            offer(row, op.buy_amount, &op.price, &op.buying, &op.selling);
        }
        Body::CreatePassiveSellOffer(op) => offer(row, op.amount, &op.price, &op.buying, &op.selling),
        Body::SetOptions(op) => set_options(row, op),
        Body::ChangeTrust(op) => {
            asset(row, (&op.line).into());
            row.trustline_limit = Some(op.limit);
            row.liquidity_pool_id = pool_of(&op.line)?;
        }
        Body::AllowTrust(op) => allow_trust(row, cx, op),
        Body::AccountMerge(into) => destination(row, into),
        Body::ManageData(op) => {
            let name = Lossy(op.data_name.as_slice());
            row.data_name = Some(name);
            row.data_name_bytes = name.raw().map(|raw| raw.0);
            row.data_value = op.data_value.as_ref().map(|value| value.as_slice());
        }
        Body::BumpSequence(op) => row.bump_to = Some(op.bump_to.0),
        Body::CreateClaimableBalance(op) => {
            asset(row, (&op.asset).into());
            row.amount = Some(op.amount);
            row.balance_id = cx.outcome.balance_id;
            row.claimants_count = i32::try_from(op.claimants.len()).ok();
        }
        Body::ClaimClaimableBalance(op) => row.balance_id = Some(&op.balance_id),
        Body::ClawbackClaimableBalance(op) => row.balance_id = Some(&op.balance_id),
        Body::BeginSponsoringFutureReserves(op) => row.sponsored_id = Some(key_of(&op.sponsored_id)),
        Body::RevokeSponsorship(op) => revoke_sponsorship(row, op),
        Body::Clawback(op) => {
            asset(row, (&op.asset).into());
            row.amount = Some(op.amount);
        }
        Body::SetTrustLineFlags(op) => set_trust_line_flags(row, op),
        Body::LiquidityPoolDeposit(op) => row.liquidity_pool_id = Some(Hash32(op.liquidity_pool_id.0.0)),
        Body::LiquidityPoolWithdraw(op) => row.liquidity_pool_id = Some(Hash32(op.liquidity_pool_id.0.0)),
        Body::InvokeHostFunction(op) => invoke(row, op),
        Body::ExtendFootprintTtl(_) => row.soroban_operation = Some("extend_footprint_ttl"),
        Body::RestoreFootprint(_) => row.soroban_operation = Some("restore_footprint"),
        Body::Inflation | Body::EndSponsoringFutureReserves => {}
    }
    Ok(())
}

/// An unsigned number of the protocol in a signed column: the highest that fits where it does not.
fn saturated(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn muxed(address: &xdr::MuxedAccount) -> Option<(u64, [u8; 32])> {
    muxed_of(address).map(|muxed| (muxed.id, muxed.ed25519.0))
}

fn destination(row: &mut Row<'_>, address: &xdr::MuxedAccount) {
    row.destination = Some(key_of(&account_of(address)));
    row.destination_muxed = muxed(address);
}

fn asset<'r>(row: &mut Row<'r>, asset: AssetParts<'r>) {
    row.asset = asset.text();
    row.asset_type = Some(words::asset_type(asset.ty));
    row.asset_code = asset.code();
    row.asset_issuer = asset.issuer().map(key_of);
}

fn source_asset<'r>(row: &mut Row<'r>, asset: AssetParts<'r>) {
    row.source_asset = asset.text();
    row.source_asset_type = Some(words::asset_type(asset.ty));
    row.source_asset_code = asset.code();
    row.source_asset_issuer = asset.issuer().map(key_of);
}

fn offer<'r>(
    row: &mut Row<'r>,
    amount: i64,
    at: &xdr::Price,
    buying: &'r xdr::Asset,
    selling: &'r xdr::Asset,
) {
    row.amount = Some(amount);
    row.price = (at.d != 0).then(|| f64::from(at.n) / f64::from(at.d));
    row.price_r = Some(PriceRatio { n: at.n, d: at.d });
    row.price_n = Some(at.n);
    row.price_d = Some(at.d);
    let buying = AssetParts::from(buying);
    row.buying_asset = buying.text();
    row.buying_asset_type = Some(words::asset_type(buying.ty));
    row.buying_asset_code = buying.code();
    row.buying_asset_issuer = buying.issuer().map(key_of);
    let selling = AssetParts::from(selling);
    row.selling_asset = selling.text();
    row.selling_asset_type = Some(words::asset_type(selling.ty));
    row.selling_asset_code = selling.code();
    row.selling_asset_issuer = selling.issuer().map(key_of);
}

fn set_options<'r>(row: &mut Row<'r>, op: &'r xdr::SetOptionsOp) {
    row.set_flags = op.set_flags.map(saturated);
    row.clear_flags = op.clear_flags.map(saturated);
    row.master_weight = op.master_weight.map(saturated);
    row.low_threshold = op.low_threshold.map(saturated);
    row.medium_threshold = op.med_threshold.map(saturated);
    row.high_threshold = op.high_threshold.map(saturated);
    row.inflation_dest = op.inflation_dest.as_ref().map(key_of);
    if let Some(domain) = &op.home_domain {
        let domain = Lossy(domain.as_slice());
        row.home_domain = Some(domain);
        row.home_domain_bytes = domain.raw().map(|raw| raw.0);
    }
    if let Some(signer) = &op.signer {
        row.signer_key = Some(&signer.key);
        row.signer_weight = Some(saturated(signer.weight));
    }
}

fn allow_trust<'r>(row: &mut Row<'r>, cx: &'r Context<'_>, op: &'r xdr::AllowTrustOp) {
    asset(row, AssetParts::of_code(&op.asset, &cx.source_account));
    row.trustor = Some(key_of(&op.trustor));
    row.authorize = Some(op.authorize & 1 != 0);
    row.authorize_to_maintain_liabilities = Some(op.authorize == 2);
}

fn set_trust_line_flags<'r>(row: &mut Row<'r>, op: &'r xdr::SetTrustLineFlagsOp) {
    asset(row, (&op.asset).into());
    row.trustor = Some(key_of(&op.trustor));
    row.trust_line_flags = Some(saturated(op.set_flags));
    row.clear_trust_line_flags = Some(saturated(op.clear_flags));
    let becomes = |bit| {
        if op.set_flags & bit != 0 { Some(true) } else { (op.clear_flags & bit != 0).then_some(false) }
    };
    row.authorize = becomes(1);
    row.authorize_to_maintain_liabilities = becomes(2);
}

fn revoke_sponsorship<'r>(row: &mut Row<'r>, op: &'r xdr::RevokeSponsorshipOp) {
    match op {
        xdr::RevokeSponsorshipOp::Signer(signer) => row.signer_key = Some(&signer.signer_key),
        xdr::RevokeSponsorshipOp::LedgerEntry(key) => {
            if let xdr::LedgerKey::Offer(key) = key {
                row.offer_id = Some(key.offer_id);
            }
        }
    }
}

fn invoke<'r>(row: &mut Row<'r>, op: &'r xdr::InvokeHostFunctionOp) {
    row.soroban_operation = Some("invoke");
    row.soroban_auth_required = Some(!op.auth.is_empty());
    let preimage = match &op.host_function {
        xdr::HostFunction::InvokeContract(call) => {
            let name = Lossy(call.function_name.as_slice());
            row.soroban_function = Some(name);
            row.function_name = Some(name);
            row.arguments = Some(&call.args);
            return;
        }
        xdr::HostFunction::CreateContract(create) => &create.contract_id_preimage,
        xdr::HostFunction::CreateContractV2(create) => {
            row.arguments = Some(&create.constructor_args);
            &create.contract_id_preimage
        }
        xdr::HostFunction::UploadContractWasm(_) => return,
    };
    // only its text: the operation makes a contract for the asset, it moves none of it
    if let xdr::ContractIdPreimage::Asset(asset) = preimage {
        row.asset = Some(asset.into());
    }
}
