//! `details_json`: what Horizon's `details` says of an operation, field by field, with its names and forms.
//!
//! Horizon writes `"0.0000000"` for what a failed transaction never moved; so does this, unlike the columns. What only
//! ledger entry changes tell is left out where the meta has none.

use std::ops::Range;

use stellar_xdr::{self as xdr, OperationBody as Body};

use super::{Context, outcome, soroban};
use crate::{
    changes::PoolChange,
    text::{
        AssetParts, BalanceId, Base64, Json, Lossy, Price7, claimants,
        details::{address, amount, asset},
        pool_id, strkey_of,
    },
};

/// Writes the details of an operation. Returns where in the text the array of a payment's path stands.
///
/// # Errors
/// A value that has no text, with the reason.
pub(super) fn write(j: &mut Json, cx: &Context<'_>) -> Result<Option<Range<usize>>, String> {
    j.open(b'{');
    let path = fields(j, cx)?;
    if let Some(sponsor) = outcome::sponsor(&cx.operation.body, cx.changes) {
        j.key("sponsor").plain(strkey_of(sponsor));
    }
    j.close(b'}');
    Ok(path)
}

fn fields(j: &mut Json, cx: &Context<'_>) -> Result<Option<Range<usize>>, String> {
    match &cx.operation.body {
        Body::CreateAccount(op) => {
            address(j, "funder", &cx.source);
            j.key("account").plain(strkey_of(&op.destination));
            amount(j, "starting_balance", op.starting_balance);
        }
        Body::Payment(op) => {
            address(j, "from", &cx.source);
            address(j, "to", &op.destination);
            amount(j, "amount", op.amount);
            asset(j, "", (&op.asset).into());
        }
        Body::PathPaymentStrictReceive(op) => return Ok(Some(strict_receive(j, cx, op))),
        Body::PathPaymentStrictSend(op) => return Ok(Some(strict_send(j, cx, op))),
        Body::ManageSellOffer(op) => {
            j.key("offer_id").bare(op.offer_id);
            offer(j, op.amount, &op.price, &op.buying, &op.selling);
        }
        Body::ManageBuyOffer(op) => {
            j.key("offer_id").bare(op.offer_id);
            offer(j, op.buy_amount, &op.price, &op.buying, &op.selling);
        }
        Body::CreatePassiveSellOffer(op) => offer(j, op.amount, &op.price, &op.buying, &op.selling),
        Body::SetOptions(op) => set_options(j, op),
        Body::ChangeTrust(op) => change_trust(j, cx, op)?,
        Body::AllowTrust(op) => allow_trust(j, cx, op),
        Body::AccountMerge(destination) => {
            address(j, "account", &cx.source);
            address(j, "into", destination);
        }
        Body::ManageData(op) => {
            j.key("name").text(Lossy(op.data_name.as_slice()));
            match &op.data_value {
                Some(value) => j.key("value").plain(Base64(value.as_slice())),
                None => j.key("value").null(),
            }
        }
        Body::BumpSequence(op) => j.key("bump_to").plain(op.bump_to.0),
        Body::CreateClaimableBalance(op) => create_claimable_balance(j, op),
        Body::ClaimClaimableBalance(op) => {
            j.key("balance_id").plain(BalanceId(&op.balance_id));
            address(j, "claimant", &cx.source);
        }
        Body::BeginSponsoringFutureReserves(op) => j.key("sponsored_id").plain(strkey_of(&op.sponsored_id)),
        Body::EndSponsoringFutureReserves => {
            if let Some(sponsor) = begin_sponsor(cx) {
                address(j, "begin_sponsor", &sponsor);
            }
        }
        Body::RevokeSponsorship(op) => revoke_sponsorship(j, op),
        Body::Clawback(op) => {
            asset(j, "", (&op.asset).into());
            address(j, "from", &op.from);
            amount(j, "amount", op.amount);
        }
        Body::ClawbackClaimableBalance(op) => j.key("balance_id").plain(BalanceId(&op.balance_id)),
        Body::SetTrustLineFlags(op) => {
            j.key("trustor").plain(strkey_of(&op.trustor));
            asset(j, "", (&op.asset).into());
            flags(j, "set", op.set_flags, &TRUST_LINE_FLAGS);
            flags(j, "clear", op.clear_flags, &TRUST_LINE_FLAGS);
        }
        Body::LiquidityPoolDeposit(op) => pool_deposit(j, cx, op),
        Body::LiquidityPoolWithdraw(op) => pool_withdraw(j, cx, op),
        Body::InvokeHostFunction(op) => soroban::details(j, cx, &op.host_function)?,
        Body::ExtendFootprintTtl(op) => j.key("extend_to").bare(op.extend_to),
        Body::Inflation | Body::RestoreFootprint(_) => {}
    }
    Ok(None)
}

/// Horizon's names of the flags of an account.
const ACCOUNT_FLAGS: [(u32, &str); 4] =
    [(1, "auth_required"), (2, "auth_revocable"), (4, "auth_immutable"), (8, "auth_clawback_enabled")];

/// Horizon's names of the flags of a trustline; it is Horizon that misspells the second.
const TRUST_LINE_FLAGS: [(u32, &str); 3] =
    [(1, "authorized"), (2, "authorized_to_maintain_liabilites"), (4, "clawback_enabled")];

/// A price as decimal and as fraction.
fn price(j: &mut Json, name: &str, price: &xdr::Price) {
    match Price7::new(price) {
        Some(decimal) => j.key(name).plain(decimal),
        None => j.key(name).null(),
    }
    j.key_with(name, "_r").object(|j| {
        j.key("n").bare(price.n);
        j.key("d").bare(price.d);
    });
}

/// Numbers and names of those of the `known` flags that `set` has; nothing at all when it is 0.
fn flags(j: &mut Json, prefix: &str, set: u32, known: &[(u32, &str)]) {
    if set == 0 {
        return;
    }
    let present = || known.iter().filter(|(bit, _)| set & bit != 0);
    if present().next().is_none() {
        j.key_with(prefix, "_flags").null();
        j.key_with(prefix, "_flags_s").null();
        return;
    }
    j.key_with(prefix, "_flags").array(present(), |j, (bit, _)| j.bare(bit));
    j.key_with(prefix, "_flags_s").array(present(), |j, (_, name)| j.plain(name));
}

fn strict_receive(j: &mut Json, cx: &Context<'_>, op: &xdr::PathPaymentStrictReceiveOp) -> Range<usize> {
    address(j, "from", &cx.source);
    address(j, "to", &op.destination);
    amount(j, "amount", op.dest_amount);
    amount(j, "source_amount", cx.outcome.sent.unwrap_or(0));
    amount(j, "source_max", op.send_max);
    asset(j, "", (&op.dest_asset).into());
    asset(j, "source_", (&op.send_asset).into());
    path(j, &op.path)
}

fn strict_send(j: &mut Json, cx: &Context<'_>, op: &xdr::PathPaymentStrictSendOp) -> Range<usize> {
    address(j, "from", &cx.source);
    address(j, "to", &op.destination);
    amount(j, "amount", cx.outcome.received.unwrap_or(0));
    amount(j, "source_amount", op.send_amount);
    amount(j, "destination_min", op.dest_min);
    asset(j, "", (&op.dest_asset).into());
    asset(j, "source_", (&op.send_asset).into());
    path(j, &op.path)
}

fn path(j: &mut Json, hops: &[xdr::Asset]) -> Range<usize> {
    j.key("path");
    let start = j.as_bytes().len();
    j.array(hops, |j, hop| j.object(|j| asset(j, "", hop.into())));
    start..j.as_bytes().len()
}

fn offer(j: &mut Json, stroops: i64, at: &xdr::Price, buying: &xdr::Asset, selling: &xdr::Asset) {
    amount(j, "amount", stroops);
    price(j, "price", at);
    asset(j, "buying_", buying.into());
    asset(j, "selling_", selling.into());
}

fn set_options(j: &mut Json, op: &xdr::SetOptionsOp) {
    if let Some(account) = &op.inflation_dest {
        j.key("inflation_dest").plain(strkey_of(account));
    }
    flags(j, "set", op.set_flags.unwrap_or(0), &ACCOUNT_FLAGS);
    flags(j, "clear", op.clear_flags.unwrap_or(0), &ACCOUNT_FLAGS);
    let numbers = [
        ("master_key_weight", op.master_weight),
        ("low_threshold", op.low_threshold),
        ("med_threshold", op.med_threshold),
        ("high_threshold", op.high_threshold),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            j.key(name).bare(number);
        }
    }
    if let Some(domain) = &op.home_domain {
        j.key("home_domain").text(Lossy(domain.as_slice()));
    }
    if let Some(signer) = &op.signer {
        j.key("signer_key").plain(&signer.key);
        j.key("signer_weight").bare(signer.weight);
    }
}

fn change_trust(j: &mut Json, cx: &Context<'_>, op: &xdr::ChangeTrustOp) -> Result<(), String> {
    let line = AssetParts::from(&op.line);
    asset(j, "", line);
    match (super::pool_of(&op.line)?, line.issuer()) {
        (Some(pool), _) => j.key("liquidity_pool_id").plain(pool),
        (None, Some(issuer)) => j.key("trustee").plain(strkey_of(issuer)),
        (None, None) => j.key("trustee").null(),
    }
    address(j, "trustor", &cx.source);
    amount(j, "limit", op.limit);
    Ok(())
}

fn allow_trust(j: &mut Json, cx: &Context<'_>, op: &xdr::AllowTrustOp) {
    asset(j, "", AssetParts::of_code(&op.asset, &cx.source_account));
    address(j, "trustee", &cx.source);
    j.key("trustor").plain(strkey_of(&op.trustor));
    j.key("authorize").bare(op.authorize & 1 != 0);
    if op.authorize & 2 != 0 {
        j.key("authorize_to_maintain_liabilities").bare(true);
    }
    if op.authorize & 4 != 0 {
        j.key("clawback_enabled").bare(true);
    }
}

fn create_claimable_balance(j: &mut Json, op: &xdr::CreateClaimableBalanceOp) {
    j.key("asset").text(AssetParts::from(&op.asset));
    amount(j, "amount", op.amount);
    claimants(j.key("claimants"), &op.claimants);
}

/// Source of the operation that began the sponsorship which this one ends. Unknown in a failed transaction, whose
/// operations need not match.
fn begin_sponsor(cx: &Context<'_>) -> Option<xdr::MuxedAccount> {
    let before = cx.tx.operations().get(..cx.index).filter(|_| cx.successful)?;
    let begin = before.iter().rev().find(
        |op| matches!(&op.body, Body::BeginSponsoringFutureReserves(begin) if begin.sponsored_id == cx.source_account),
    )?;
    Some(cx.tx.operation_source(begin))
}

fn revoke_sponsorship(j: &mut Json, op: &xdr::RevokeSponsorshipOp) {
    let key = match op {
        xdr::RevokeSponsorshipOp::LedgerEntry(key) => key,
        xdr::RevokeSponsorshipOp::Signer(signer) => {
            j.key("signer_account_id").plain(strkey_of(&signer.account_id));
            j.key("signer_key").plain(&signer.signer_key);
            return;
        }
    };
    match key {
        xdr::LedgerKey::Account(key) => j.key("account_id").plain(strkey_of(&key.account_id)),
        xdr::LedgerKey::ClaimableBalance(key) => {
            j.key("claimable_balance_id").plain(BalanceId(&key.balance_id));
        }
        xdr::LedgerKey::Data(key) => {
            j.key("data_account_id").plain(strkey_of(&key.account_id));
            j.key("data_name").text(Lossy(key.data_name.as_slice()));
        }
        xdr::LedgerKey::Offer(key) => j.key("offer_id").plain(key.offer_id),
        xdr::LedgerKey::Trustline(key) => {
            j.key("trustline_account_id").plain(strkey_of(&key.account_id));
            match &key.asset {
                xdr::TrustLineAsset::PoolShare(pool) => {
                    j.key("trustline_liquidity_pool_id").plain(pool_id(pool));
                }
                line @ (xdr::TrustLineAsset::Native
                | xdr::TrustLineAsset::CreditAlphanum4(_)
                | xdr::TrustLineAsset::CreditAlphanum12(_)) => {
                    j.key("trustline_asset").text(AssetParts::from(line));
                }
            }
        }
        xdr::LedgerKey::LiquidityPool(key) => {
            j.key("liquidity_pool_id").plain(pool_id(&key.liquidity_pool_id));
        }
        // none of these can be sponsored: such an operation fails
        xdr::LedgerKey::ContractData(_)
        | xdr::LedgerKey::ContractCode(_)
        | xdr::LedgerKey::ConfigSetting(_)
        | xdr::LedgerKey::Ttl(_) => {}
    }
}

/// What is known of the two sides of a liquidity pool.
enum Reserves<'l> {
    /// The transaction succeeded and the meta shows the pool.
    Changed(PoolChange<'l>),
    /// The transaction failed: Horizon writes empty assets and amounts of 0.
    Untouched,
    /// The transaction succeeded, the meta shows no pool.
    Unknown,
}

fn reserves<'l>(cx: &Context<'l>, pool: &xdr::PoolId) -> Reserves<'l> {
    match PoolChange::find(pool, cx.changes) {
        _ if !cx.successful => Reserves::Untouched,
        Some(change) => Reserves::Changed(change),
        None => Reserves::Unknown,
    }
}

/// Amounts of the two assets of a pool.
fn sides(j: &mut Json, name: &str, of: &Reserves<'_>, stroops: [i64; 2]) {
    let assets = match of {
        Reserves::Changed(change) => [Some(&change.pool.params.asset_a), Some(&change.pool.params.asset_b)],
        Reserves::Untouched | Reserves::Unknown => [None, None],
    };
    j.key(name).array(assets.into_iter().zip(stroops), |j, (asset, stroops)| {
        j.object(|j| {
            match (asset, of) {
                (Some(asset), _) => j.key("asset").text(AssetParts::from(asset)),
                (None, Reserves::Untouched) => j.key("asset").plain(""),
                (None, Reserves::Changed(_) | Reserves::Unknown) => {}
            }
            amount(j, "amount", stroops);
        });
    });
}

fn pool_deposit(j: &mut Json, cx: &Context<'_>, op: &xdr::LiquidityPoolDepositOp) {
    let of = reserves(cx, &op.liquidity_pool_id);
    j.key("liquidity_pool_id").plain(pool_id(&op.liquidity_pool_id));
    sides(j, "reserves_max", &of, [op.max_amount_a, op.max_amount_b]);
    price(j, "min_price", &op.min_price);
    price(j, "max_price", &op.max_price);
    let (deposited, shares) = match &of {
        Reserves::Changed(change) => (change.reserves, change.shares),
        Reserves::Untouched => ([0, 0], 0),
        Reserves::Unknown => return,
    };
    sides(j, "reserves_deposited", &of, deposited);
    amount(j, "shares_received", shares);
}

fn pool_withdraw(j: &mut Json, cx: &Context<'_>, op: &xdr::LiquidityPoolWithdrawOp) {
    let of = reserves(cx, &op.liquidity_pool_id);
    j.key("liquidity_pool_id").plain(pool_id(&op.liquidity_pool_id));
    sides(j, "reserves_min", &of, [op.min_amount_a, op.min_amount_b]);
    amount(j, "shares", op.amount);
    let received = match &of {
        Reserves::Changed(change) => change.reserves.map(i64::saturating_neg),
        Reserves::Untouched => [0, 0],
        Reserves::Unknown => return,
    };
    sides(j, "reserves_received", &of, received);
}
