//! Smart contracts: host functions over contract data, code and TTL entries, and what they leave in the metadata.

pub(crate) mod call;
mod diagnostics;
pub(crate) mod fees;
pub(crate) mod token;

use lake_core::Hash32;
use stellar_xdr::{
    BytesM, ContractCodeCostInputs, ContractCodeEntry, ContractCodeEntryExt, ContractCodeEntryV1,
    ContractDataDurability, ContractDataEntry, ContractExecutable, ContractId, ContractIdPreimage,
    CreateContractArgsV2, ExtensionPoint, Hash, HostFunction, InvokeHostFunctionResult,
    InvokeHostFunctionSuccessPreImage, LedgerEntryData, LedgerKey, LedgerKeyContractCode,
    LedgerKeyContractData, ScAddress, ScBytes, ScVal, SorobanTransactionMetaExt, SorobanTransactionMetaExtV1,
    SorobanTransactionMetaV2, TtlEntry,
};

use crate::{apply::Cx, encode, encode::Seq, entries, events};

/// Ledgers that a new persistent entry lives.
const LIFETIME: u32 = 120_960;
/// An entry that is used is extended to a whole lifetime once it has lost this many ledgers.
const EXTEND_AFTER: u32 = 60;

/// What a Soroban transaction leaves besides changes and events.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Value that the call returned; `None` unless it succeeded.
    pub(crate) return_value: Option<ScVal>,
    /// Diagnostic events.
    pub(crate) diagnostics: Seq,
    /// Charged for events and rent, in stroops.
    pub(crate) refundable: i64,
    /// The part of `refundable` that is rent.
    pub(crate) rent: i64,
    /// Charged whatever happens, in stroops.
    pub(crate) non_refundable: i64,
}

impl Outcome {
    /// The `sorobanMeta` of the transaction.
    pub(crate) fn meta(&self) -> SorobanTransactionMetaV2 {
        SorobanTransactionMetaV2 {
            ext: SorobanTransactionMetaExt::V1(SorobanTransactionMetaExtV1 {
                ext: ExtensionPoint::V0,
                total_non_refundable_resource_fee_charged: self.non_refundable,
                total_refundable_resource_fee_charged: self.refundable,
                rent_fee_charged: self.rent,
            }),
            return_value: self.return_value.clone(),
        }
    }

    fn charge_rent(&mut self, stroops: i64) {
        self.rent += stroops;
        self.refundable += stroops;
    }
}

/// Runs a host function.
pub(crate) fn run(cx: &mut Cx<'_>, function: &HostFunction) -> InvokeHostFunctionResult {
    let outcome = match function {
        HostFunction::InvokeContract(args) => return token::invoke(cx, args),
        HostFunction::UploadContractWasm(code) => upload(cx, code),
        HostFunction::CreateContractV2(args) => create(cx, args),
        HostFunction::CreateContract(_) => None,
    };
    match outcome {
        Some(value) => succeed(cx, value, Vec::new()),
        None => InvokeHostFunctionResult::Trapped,
    }
}

/// Ends a successful call: the result is the hash of its value and events.
pub(crate) fn succeed(
    cx: &mut Cx<'_>,
    return_value: ScVal,
    events: Vec<stellar_xdr::ContractEvent>,
) -> InvokeHostFunctionResult {
    for event in &events {
        cx.soroban.refundable += 3 * i64::from(encode::count(encode::xdr(event).len()));
        cx.emit(event);
    }
    let preimage = InvokeHostFunctionSuccessPreImage { return_value, events: encode::vecm(events) };
    let hash = Hash32::sha256(&[&encode::xdr(&preimage)]);
    cx.soroban.return_value = Some(preimage.return_value);
    InvokeHostFunctionResult::Success(Hash(hash.0))
}

fn upload(cx: &mut Cx<'_>, code: &BytesM) -> Option<ScVal> {
    let hash = Hash(Hash32::sha256(&[code.as_slice()]).0);
    let key = LedgerKey::ContractCode(LedgerKeyContractCode { hash: hash.clone() });
    if !cx.state.has(&key) {
        let cost_inputs = ContractCodeCostInputs {
            ext: ExtensionPoint::V0,
            n_instructions: encode::count(code.len() / 3),
            n_functions: 24,
            n_globals: 3,
            n_table_entries: 0,
            n_types: 12,
            n_data_segments: 1,
            n_elem_segments: 0,
            n_imports: 14,
            n_exports: 9,
            n_data_segment_bytes: 160,
        };
        let ext = ContractCodeEntryExt::V1(ContractCodeEntryV1 { ext: ExtensionPoint::V0, cost_inputs });
        let entry = ContractCodeEntry { ext, hash: hash.clone(), code: code.clone() };
        create_entry(cx, key, LedgerEntryData::ContractCode(entry));
    }
    Some(ScVal::Bytes(ScBytes(hash.0.to_vec().try_into().expect("a hash is short"))))
}

fn create(cx: &mut Cx<'_>, args: &CreateContractArgsV2) -> Option<ScVal> {
    let id = contract_of(cx.network_id, &args.contract_id_preimage);
    let key = instance_key(&id);
    if cx.state.has(&key) || !matches!(args.executable, ContractExecutable::Wasm(_)) {
        return None;
    }
    let instance = token::instance(args, &cx.source);
    let address = ScAddress::Contract(id);
    create_entry(cx, key, data_entry(&address, ScVal::LedgerKeyContractInstance, instance));
    Some(ScVal::Address(address))
}

/// Id of the contract that `preimage` makes.
pub(crate) fn contract_of(network_id: [u8; 32], preimage: &ContractIdPreimage) -> ContractId {
    events::contract_id(network_id, preimage.clone())
}

/// Key of a contract's instance.
pub(crate) fn instance_key(id: &ContractId) -> LedgerKey {
    data_key(&ScAddress::Contract(id.clone()), ScVal::LedgerKeyContractInstance)
}

/// Key of a persistent entry of a contract.
pub(crate) fn data_key(contract: &ScAddress, key: ScVal) -> LedgerKey {
    let durability = ContractDataDurability::Persistent;
    LedgerKey::ContractData(LedgerKeyContractData { contract: contract.clone(), key, durability })
}

/// A persistent entry of a contract.
pub(crate) fn data_entry(contract: &ScAddress, key: ScVal, val: ScVal) -> LedgerEntryData {
    LedgerEntryData::ContractData(ContractDataEntry {
        ext: ExtensionPoint::V0,
        contract: contract.clone(),
        key,
        durability: ContractDataDurability::Persistent,
        val,
    })
}

/// Creates a contract entry with its TTL and charges the rent.
pub(crate) fn create_entry(cx: &mut Cx<'_>, key: LedgerKey, data: LedgerEntryData) {
    let live_until_ledger_seq = cx.state.ledger() + LIFETIME - 1;
    let ttl_key = entries::ttl_key(&key);
    if let LedgerKey::Ttl(ttl) = &ttl_key {
        let entry = TtlEntry { key_hash: ttl.key_hash.clone(), live_until_ledger_seq };
        cx.state.put(ttl_key, LedgerEntryData::Ttl(entry));
    }
    cx.soroban.charge_rent(500 + 4 * i64::from(encode::count(encode::xdr(&data).len())));
    cx.state.put(key, data);
}

/// Extends the life of a used entry once enough of it is gone.
pub(crate) fn extend(cx: &mut Cx<'_>, key: &LedgerKey) {
    let ttl_key = entries::ttl_key(key);
    let full = cx.state.ledger() + LIFETIME - 1;
    let due = matches!(cx.state.get(&ttl_key), Some(LedgerEntryData::Ttl(ttl))
        if ttl.live_until_ledger_seq + EXTEND_AFTER <= full);
    if due && let Some(LedgerEntryData::Ttl(ttl)) = cx.state.get_mut(&ttl_key) {
        let gained = full - ttl.live_until_ledger_seq;
        ttl.live_until_ledger_seq = full;
        cx.soroban.charge_rent(100 + i64::from(gained / 64));
    }
}
