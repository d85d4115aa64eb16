//! A contract that keeps notes: values under keys of any type, as long as the network keeps them and no longer.

use stellar_xdr::{
    ContractDataDurability, ContractEvent, ContractEventType, ContractExecutable, ContractId, Hash,
    InvokeContractArgs, LedgerEntryData, LedgerKey, LedgerKeyContractData, ScAddress, ScBytes, ScError,
    ScErrorCode, ScVal, ScVec,
};

use super::{create_entry_until, data_entry_of, footprint, instance_key};
use crate::{apply::Cx, encode, entries, events};

/// Contract error of a call that is meant to fail.
const MEANT: u32 = 7;

/// What a call leaves: events, and events of calls within it that were rolled back.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Events of the call.
    pub(super) events: Vec<ContractEvent>,
    /// Events of failed calls within it: only the trace has them.
    pub(super) rolled_back: Vec<ContractEvent>,
}

/// Key of a note.
pub(crate) fn key(contract: &ContractId, key: ScVal, durability: ContractDataDurability) -> LedgerKey {
    let contract = ScAddress::Contract(contract.clone());
    LedgerKey::ContractData(LedgerKeyContractData { contract, key, durability })
}

/// Runs a function of the contract: `put(key, value, kept)`, `del(key, kept)`, `update(code)`, `attempt(key)` or
/// `fail(key)`.
pub(super) fn run(
    cx: &mut Cx<'_>,
    contract: &ContractId,
    args: &InvokeContractArgs,
) -> Result<Told, (ScError, Told)> {
    let missing = || (ScError::Context(ScErrorCode::MissingValue), Told::default());
    let name: &[u8] = args.function_name.0.as_slice();
    let note = args.args.first().cloned().ok_or_else(missing)?;
    let kept = match args.args.last() {
        Some(ScVal::Bool(false)) => ContractDataDurability::Temporary,
        _ => ContractDataDurability::Persistent,
    };
    let key = key(contract, note.clone(), kept);
    let event = |data: ScVal| {
        let topics = vec![ScVal::Symbol(args.function_name.clone()), note.clone()];
        events::contract_event(contract, topics, data)
    };
    match name {
        b"put" => {
            let value = args.args.get(1).cloned().ok_or_else(missing)?;
            put(cx, key, note.clone(), value.clone());
            Ok(Told { events: vec![event(value)], rolled_back: Vec::new() })
        }
        b"del" => {
            if !cx.state.has(&key) {
                return Err((ScError::Storage(ScErrorCode::MissingValue), Told::default()));
            }
            cx.state.remove_with_ttl(key);
            Ok(Told { events: vec![event(ScVal::Void)], rolled_back: Vec::new() })
        }
        b"update" => {
            let ScVal::Bytes(hash) = &note else { return Err(missing()) };
            let updated = update(cx, contract, hash).ok_or_else(missing)?;
            Ok(Told { events: vec![updated], rolled_back: Vec::new() })
        }
        b"attempt" => {
            Ok(Told { events: vec![event(ScVal::Bool(true))], rolled_back: vec![event(ScVal::Void)] })
        }
        _ => {
            let told = Told { events: Vec::new(), rolled_back: vec![event(ScVal::Void)] };
            Err((ScError::Contract(MEANT), told))
        }
    }
}

fn put(cx: &mut Cx<'_>, key: LedgerKey, note: ScVal, value: ScVal) {
    let alive = cx.state.lives(&key);
    if alive && let Some(LedgerEntryData::ContractData(entry)) = cx.state.get_mut(&key) {
        entry.val = value;
        return;
    }
    let LedgerKey::ContractData(name) = &key else { return };
    let data = data_entry_of(&name.contract, note, value, name.durability);
    let until = footprint::first_end(cx.state, &key);
    create_entry_until(cx, key, data, until);
}

/// Runs other code from now on: the host says so with a system event.
fn update(cx: &mut Cx<'_>, contract: &ContractId, hash: &ScBytes) -> Option<ContractEvent> {
    let hash = Hash(hash.0.as_slice().try_into().ok()?);
    let key = instance_key(contract);
    let LedgerEntryData::ContractData(entry) = cx.state.get_mut(&key)? else { return None };
    let ScVal::ContractInstance(instance) = &mut entry.val else { return None };
    let new = ContractExecutable::Wasm(hash);
    let old = std::mem::replace(&mut instance.executable, new.clone());
    let topics = vec![entries::symbol("executable_update"), executable(&old)?, executable(&new)?];
    let data = ScVal::Vec(Some(ScVec::default()));
    let event = events::contract_event(contract, topics, data);
    Some(ContractEvent { type_: ContractEventType::System, ..event })
}

fn executable(executable: &ContractExecutable) -> Option<ScVal> {
    let ContractExecutable::Wasm(hash) = executable else { return None };
    let bytes = ScVal::Bytes(ScBytes(hash.0.to_vec().try_into().ok()?));
    Some(ScVal::Vec(Some(ScVec(encode::vecm(vec![entries::symbol("Wasm"), bytes])))))
}

/// Uses up a nonce of an address that authorized a call; `false` when it is used already.
pub(super) fn use_nonce(cx: &mut Cx<'_>, address: &ScAddress, nonce: i64, until: u32) -> bool {
    let name = ScVal::LedgerKeyNonce(stellar_xdr::ScNonceKey { nonce });
    let durability = ContractDataDurability::Temporary;
    let key = nonce_key(address, nonce);
    if cx.state.lives(&key) {
        return false;
    }
    create_entry_until(cx, key, data_entry_of(address, name, ScVal::Void, durability), until);
    true
}

/// Key of a nonce.
pub(crate) fn nonce_key(address: &ScAddress, nonce: i64) -> LedgerKey {
    LedgerKey::ContractData(LedgerKeyContractData {
        contract: address.clone(),
        key: ScVal::LedgerKeyNonce(stellar_xdr::ScNonceKey { nonce }),
        durability: ContractDataDurability::Temporary,
    })
}

/// Small values of many types, to serve as keys and values of notes.
pub(crate) fn value(number: u32) -> ScVal {
    use stellar_xdr as xdr;
    let n = u64::from(number);
    let symbol = entries::symbol("Note");
    match number % 20 {
        0 => symbol,
        1 => ScVal::U32(number),
        2 => ScVal::U64(n),
        3 => ScVal::I32(-5),
        4 => ScVal::I64(i64::MIN),
        5 => ScVal::U128(xdr::UInt128Parts { hi: u64::MAX, lo: n }),
        6 => ScVal::I128(xdr::Int128Parts { hi: i64::MIN, lo: n }),
        7 => ScVal::U256(xdr::UInt256Parts { hi_hi: u64::MAX, hi_lo: 0, lo_hi: 1, lo_lo: n }),
        8 => ScVal::I256(xdr::Int256Parts { hi_hi: -1, hi_lo: u64::MAX, lo_hi: u64::MAX, lo_lo: n }),
        9 => ScVal::Bool(true),
        10 => super::token::string("a \"note\" with\nlines"),
        11 => ScVal::Bytes(xdr::ScBytes(vec![0, 1, 0xff].try_into().expect("three bytes are few"))),
        12 => ScVal::Timepoint(xdr::TimePoint(n)),
        13 => ScVal::Duration(xdr::Duration(n)),
        14 => ScVal::Address(ScAddress::Account(entries::account_id([7; 32]))),
        15 => ScVal::Address(ScAddress::Contract(ContractId(xdr::Hash([9; 32])))),
        16 => ScVal::Vec(Some(xdr::ScVec(crate::encode::vecm(vec![symbol, ScVal::U32(number)])))),
        17 => ScVal::Map(Some(xdr::ScMap(crate::encode::vecm(vec![xdr::ScMapEntry {
            key: symbol,
            val: ScVal::U32(number),
        }])))),
        18 => ScVal::Error(ScError::Contract(number)),
        _ => ScVal::Void,
    }
}
