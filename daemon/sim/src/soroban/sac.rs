//! Stellar asset contracts (CAP-46-06): assets as contracts, for accounts and for contracts.

use stellar_xdr::{
    Asset, ContractEvent, ContractExecutable, ContractId, InvokeContractArgs, LedgerEntryData, LedgerKey,
    MuxedAccount, ScAddress, ScBytes, ScContractInstance, ScError, ScErrorCode, ScMap, ScMapEntry, ScVal,
    ScVec, Uint256,
};

use super::{
    create_entry_until, data_entry, data_key,
    token::{amount, map, string, variant},
};
use crate::{
    apply::{Cx, balance},
    encode, entries, events,
};

/// Contract errors of the asset contract (its `ContractError`).
const BALANCE_ERROR: u32 = 10;
const TRUSTLINE_MISSING: u32 = 13;
const BALANCE_DEAUTHORIZED: u32 = 11;

/// The instance of an asset's contract.
pub(super) fn instance(asset: &Asset, name: &ScVal) -> ScVal {
    let code_and_issuer = entries::code_and_issuer(asset);
    let code =
        code_and_issuer.map_or_else(|| "native".to_owned(), |(code, _)| String::from_utf8_lossy(code).into());
    let metadata = map(vec![("decimal", ScVal::U32(7)), ("name", name.clone()), ("symbol", string(&code))]);
    let mut storage = vec![ScMapEntry { key: entries::symbol("METADATA"), val: metadata }];
    let info = match (asset, code_and_issuer) {
        (Asset::Native, _) | (_, None) => vec![entries::symbol("Native")],
        (Asset::CreditAlphanum4(_) | Asset::CreditAlphanum12(_), Some((_, issuer))) => {
            let kind = if matches!(asset, Asset::CreditAlphanum4(_)) { "AlphaNum4" } else { "AlphaNum12" };
            let key = entries::key_bytes(issuer).to_vec();
            let issuer_bytes = ScVal::Bytes(ScBytes(key.try_into().expect("a key has 32 bytes")));
            storage.push(ScMapEntry { key: variant("Admin"), val: entries::address(issuer) });
            vec![entries::symbol(kind), map(vec![("asset_code", string(&code)), ("issuer", issuer_bytes)])]
        }
    };
    storage.push(ScMapEntry { key: variant("AssetInfo"), val: ScVal::Vec(Some(ScVec(encode::vecm(info)))) });
    let executable = ContractExecutable::StellarAsset;
    ScVal::ContractInstance(ScContractInstance { executable, storage: Some(ScMap(encode::vecm(storage))) })
}

/// Key of what a contract holds of an asset.
pub(crate) fn balance_key(asset: &ContractId, holder: &ScAddress) -> LedgerKey {
    data_key(&ScAddress::Contract(asset.clone()), balance_name(holder))
}

fn balance_name(holder: &ScAddress) -> ScVal {
    let name = vec![entries::symbol("Balance"), ScVal::Address(holder.clone())];
    ScVal::Vec(Some(ScVec(encode::vecm(name))))
}

/// What a contract holds of an asset.
struct Held {
    amount: i64,
    authorized: bool,
    clawback: bool,
}

fn held(cx: &Cx<'_>, key: &LedgerKey) -> Option<Held> {
    let Some(LedgerEntryData::ContractData(entry)) = cx.state.get(key) else { return None };
    let ScVal::Map(Some(fields)) = &entry.val else { return None };
    let [held, authorized, clawback] = fields.as_slice() else { return None };
    let yes = |value: &ScVal| matches!(value, ScVal::Bool(true));
    Some(Held { amount: amount(&held.val)?, authorized: yes(&authorized.val), clawback: yes(&clawback.val) })
}

fn hold(cx: &mut Cx<'_>, contract: &ContractId, holder: &ScAddress, held: &Held) {
    let key = balance_key(contract, holder);
    let value = map(vec![
        ("amount", entries::i128_val(held.amount)),
        ("authorized", ScVal::Bool(held.authorized)),
        ("clawback", ScVal::Bool(held.clawback)),
    ]);
    if let Some(LedgerEntryData::ContractData(entry)) = cx.state.get_mut(&key) {
        entry.val = value;
        return;
    }
    let entry = data_entry(&ScAddress::Contract(contract.clone()), balance_name(holder), value);
    let until = cx.state.ledger() + super::LIFETIME - 1;
    create_entry_until(cx, key, entry, until);
}

fn refused(refusal: balance::Refusal) -> ScError {
    match refusal {
        balance::Refusal::NoLine => ScError::Contract(TRUSTLINE_MISSING),
        balance::Refusal::NotAuthorized => ScError::Contract(BALANCE_DEAUTHORIZED),
        balance::Refusal::Short | balance::Refusal::Full => ScError::Contract(BALANCE_ERROR),
    }
}

fn add(cx: &mut Cx<'_>, to: &Token<'_>, holder: &ScAddress, change: i64) -> Result<(), ScError> {
    if let ScAddress::Account(id) = holder {
        let done = if change < 0 {
            balance::take(cx.state, id, to.asset, -change)
        } else {
            balance::give(cx.state, id, to.asset, change)
        };
        return done.map_err(refused);
    }
    let key = balance_key(to.contract, holder);
    let clawback = entries::code_and_issuer(to.asset)
        .and_then(|(_, issuer)| cx.state.account(issuer))
        .is_some_and(|issuer| issuer.flags & 8 != 0);
    let mut now = held(cx, &key).unwrap_or(Held { amount: 0, authorized: true, clawback });
    now.amount += change;
    if now.amount < 0 {
        return Err(ScError::Contract(BALANCE_ERROR));
    }
    if !now.authorized {
        return Err(ScError::Contract(BALANCE_DEAUTHORIZED));
    }
    hold(cx, to.contract, holder, &now);
    Ok(())
}

/// An asset and its contract.
struct Token<'a> {
    contract: &'a ContractId,
    asset: &'a Asset,
}

fn address(args: &InvokeContractArgs, index: usize) -> Result<ScAddress, ScError> {
    let Some(ScVal::Address(address)) = args.args.get(index) else {
        return Err(ScError::Value(ScErrorCode::UnexpectedType));
    };
    Ok(address.clone())
}

/// A destination: the address without its id, and the id.
fn recipient(address: ScAddress) -> (ScAddress, Option<ScVal>) {
    let ScAddress::MuxedAccount(muxed) = &address else { return (address, None) };
    let account = MuxedAccount::Ed25519(Uint256(muxed.ed25519.0));
    (ScAddress::Account(entries::unmuxed(&account)), Some(ScVal::U64(muxed.id)))
}

/// Runs a function of an asset's contract.
pub(super) fn run(
    cx: &mut Cx<'_>,
    contract: &ContractId,
    asset: &Asset,
    args: &InvokeContractArgs,
) -> Result<Vec<ContractEvent>, ScError> {
    let token = Token { contract, asset };
    let name: &[u8] = args.function_name.0.as_slice();
    let value = args.args.last().and_then(amount).unwrap_or(0);
    let (_, asset_name) = cx.assets.of(asset);
    match name {
        b"transfer" => {
            let from = address(args, 0)?;
            let (to, id) = recipient(address(args, 1)?);
            add(cx, &token, &from, -value)?;
            add(cx, &token, &to, value)?;
            Ok(vec![cx.assets.moved_for(asset, (from, to), value, id)])
        }
        b"mint" => {
            let (to, id) = recipient(address(args, 0)?);
            add(cx, &token, &to, value)?;
            let issuer = entries::code_and_issuer(asset).map(|(_, issuer)| issuer.clone());
            let issuer = issuer.ok_or(ScError::Auth(ScErrorCode::InvalidAction))?;
            Ok(vec![cx.assets.moved_for(asset, (ScAddress::Account(issuer), to), value, id)])
        }
        b"burn" => {
            let from = address(args, 0)?;
            add(cx, &token, &from, -value)?;
            let topics = vec![entries::symbol("burn"), ScVal::Address(from), asset_name];
            Ok(vec![events::contract_event(contract, topics, entries::i128_val(value))])
        }
        b"clawback" => {
            let from = address(args, 0)?;
            add(cx, &token, &from, -value)?;
            Ok(vec![cx.assets.clawed_back(asset, from, value)])
        }
        b"set_authorized" => {
            let holder = address(args, 0)?;
            let yes = matches!(args.args.last(), Some(ScVal::Bool(true)));
            set_authorized(cx, &token, &holder, yes)?;
            Ok(vec![cx.assets.set_authorized(asset, holder, yes)])
        }
        _ => Err(ScError::WasmVm(ScErrorCode::MissingValue)),
    }
}

fn set_authorized(cx: &mut Cx<'_>, token: &Token<'_>, holder: &ScAddress, yes: bool) -> Result<(), ScError> {
    if let ScAddress::Account(id) = holder {
        let line = cx.state.trustline_mut(id, &entries::line_of(token.asset));
        let line = line.ok_or(ScError::Contract(TRUSTLINE_MISSING))?;
        let both = entries::AUTHORIZED | entries::MAINTAINS;
        let flag = if yes { entries::AUTHORIZED } else { entries::MAINTAINS };
        line.flags = (line.flags & !both) | flag;
        return Ok(());
    }
    let key = balance_key(token.contract, holder);
    let mut now = held(cx, &key).ok_or(ScError::Contract(BALANCE_ERROR))?;
    now.authorized = yes;
    hold(cx, token.contract, holder, &now);
    Ok(())
}
