//! A token contract: balances and counters in contract data, and the events of a token.

use stellar_xdr::{
    AccountId, ContractEvent, ContractExecutable, ContractId, InvokeContractArgs, LedgerEntryData, LedgerKey,
    ScAddress, ScContractInstance, ScError, ScErrorCode, ScMap, ScMapEntry, ScString, ScVal, ScVec,
};

use super::{create_entry, data_entry, data_key, extend, instance_key};
use crate::{apply::Cx, encode, entries, events};

/// Contract error for a balance that is too small.
const BALANCE_ERROR: u32 = 10;

/// The instance of a fresh token whose constructor arguments are name, symbol and decimals.
pub(super) fn instance(executable: &ContractExecutable, arguments: Vec<ScVal>, admin: &AccountId) -> ScVal {
    let mut arguments = arguments.into_iter();
    let mut next = || arguments.next().unwrap_or(ScVal::Void);
    let (name, symbol, decimal) = (next(), next(), next());
    let metadata = map(vec![("decimal", decimal), ("name", name), ("symbol", symbol)]);
    let executable = executable.clone();
    // Keys in the order of contract values: symbols before vectors.
    let storage = vec![
        ScMapEntry { key: entries::symbol("METADATA"), val: metadata },
        ScMapEntry { key: variant("Admin"), val: entries::address(admin) },
        ScMapEntry { key: variant("Calls"), val: ScVal::U64(0) },
        ScMapEntry { key: variant("Supply"), val: entries::i128_val(0) },
    ];
    ScVal::ContractInstance(ScContractInstance { executable, storage: Some(ScMap(encode::vecm(storage))) })
}

/// A string value.
pub(crate) fn string(text: &str) -> ScVal {
    ScVal::String(ScString(text.as_bytes().to_vec().try_into().expect("a name is short")))
}

pub(super) fn map(fields: Vec<(&str, ScVal)>) -> ScVal {
    let fields = fields.into_iter().map(|(key, val)| ScMapEntry { key: entries::symbol(key), val }).collect();
    ScVal::Map(Some(ScMap(encode::vecm(fields))))
}

/// A variant without fields of the contract's storage key.
pub(super) fn variant(name: &str) -> ScVal {
    ScVal::Vec(Some(ScVec(encode::vecm(vec![entries::symbol(name)]))))
}

/// Key of what `holder` has of the token.
pub(crate) fn balance_key(contract: &ContractId, holder: &AccountId) -> LedgerKey {
    data_key(&ScAddress::Contract(contract.clone()), balance_name(holder))
}

fn balance_name(holder: &AccountId) -> ScVal {
    ScVal::Vec(Some(ScVec(encode::vecm(vec![entries::symbol("Balance"), entries::address(holder)]))))
}

/// What `holder` has of the token, in its smallest unit.
pub(crate) fn balance(state: &crate::state::State, contract: &ContractId, holder: &AccountId) -> Option<i64> {
    let LedgerEntryData::ContractData(entry) = state.get(&balance_key(contract, holder))? else {
        return None;
    };
    let ScVal::Map(Some(fields)) = &entry.val else { return None };
    fields.first().and_then(|field| amount(&field.val))
}

/// A contract number that fits 64 bits.
pub(super) fn amount(value: &ScVal) -> Option<i64> {
    let ScVal::I128(parts) = value else { return None };
    i64::try_from(parts.lo).ok().filter(|_| parts.hi == 0)
}

/// What the parts of a call mean.
struct Call<'a> {
    contract: &'a ContractId,
    from: Option<AccountId>,
    to: Option<AccountId>,
    amount: i64,
}

fn parse(args: &InvokeContractArgs) -> Option<Call<'_>> {
    let ScAddress::Contract(contract) = &args.contract_address else { return None };
    let holder = |value: Option<&ScVal>| {
        let Some(ScVal::Address(ScAddress::Account(id))) = value else { return None };
        Some(id.clone())
    };
    let (first, second) = (args.args.first(), args.args.get(1));
    let last = args.args.last().and_then(amount)?;
    let name: &[u8] = args.function_name.0.as_slice();
    let (from, to) = match name {
        b"transfer" => (Some(holder(first)?), Some(holder(second)?)),
        b"mint" => (None, Some(holder(first)?)),
        b"burn" => (Some(holder(first)?), None),
        _ => return None,
    };
    Some(Call { contract, from, to, amount: last })
}

/// Runs a function of a token.
pub(super) fn run(cx: &mut Cx<'_>, args: &InvokeContractArgs) -> Result<Vec<ContractEvent>, ScError> {
    let call = parse(args).ok_or(ScError::WasmVm(ScErrorCode::MissingValue))?;
    run_call(cx, args, &call)
}

fn run_call(
    cx: &mut Cx<'_>,
    args: &InvokeContractArgs,
    call: &Call<'_>,
) -> Result<Vec<ContractEvent>, ScError> {
    if let Some(from) = &call.from {
        let has = balance(cx.state, call.contract, from).unwrap_or(0);
        if has < call.amount {
            return Err(ScError::Contract(BALANCE_ERROR));
        }
        set_balance(cx, call.contract, from, has - call.amount);
    }
    if let Some(to) = &call.to {
        let has = balance(cx.state, call.contract, to).unwrap_or(0);
        set_balance(cx, call.contract, to, has + call.amount);
    }
    let supply = match (&call.from, &call.to) {
        (None, Some(_)) => call.amount,
        (Some(_), None) => -call.amount,
        (Some(_), Some(_)) | (None, None) => 0,
    };
    count_call(cx, call.contract, supply);
    let mut topics = vec![ScVal::Symbol(args.function_name.clone())];
    topics.extend(call.from.iter().chain(&call.to).map(entries::address));
    Ok(vec![events::contract_event(call.contract, topics, entries::i128_val(call.amount))])
}

fn set_balance(cx: &mut Cx<'_>, contract: &ContractId, holder: &AccountId, amount: i64) {
    let key = balance_key(contract, holder);
    let value = map(vec![
        ("amount", entries::i128_val(amount)),
        ("authorized", ScVal::Bool(true)),
        ("clawback", ScVal::Bool(false)),
    ]);
    if let Some(LedgerEntryData::ContractData(entry)) = cx.state.get_mut(&key) {
        entry.val = value;
        extend(cx, &key);
    } else {
        let address = ScAddress::Contract(contract.clone());
        let entry = data_entry(&address, balance_name(holder), value);
        create_entry(cx, key, entry);
    }
}

/// The instance counts its calls and keeps the supply.
fn count_call(cx: &mut Cx<'_>, contract: &ContractId, minted: i64) {
    let key = instance_key(contract);
    if let Some(LedgerEntryData::ContractData(entry)) = cx.state.get_mut(&key)
        && let ScVal::ContractInstance(instance) = &mut entry.val
        && let Some(storage) = &mut instance.storage
    {
        let mut fields = storage.to_vec();
        for field in &mut fields {
            if let ScVal::U64(calls) = &mut field.val {
                *calls += 1;
            } else if let Some(supply) = amount(&field.val) {
                field.val = entries::i128_val(supply + minted);
            }
        }
        *storage = ScMap(encode::vecm(fields));
    }
    extend(cx, &key);
    extend(cx, &super::call::token_code_key());
}
