//! Smart contracts: host functions over contract data, code and TTL entries, and what they leave in the metadata.

pub(crate) mod call;
mod diagnostics;
pub(crate) mod fees;
pub(crate) mod footprint;
pub(crate) mod notes;
pub(crate) mod sac;
pub(crate) mod token;

use lake_core::Hash32;
use stellar_xdr::{
    Asset, BytesM, ContractCodeCostInputs, ContractCodeEntry, ContractCodeEntryExt, ContractCodeEntryV1,
    ContractDataDurability, ContractDataEntry, ContractEvent, ContractExecutable, ContractId,
    ContractIdPreimage, ExtensionPoint, Hash, HostFunction, InvokeContractArgs, InvokeHostFunctionOp,
    InvokeHostFunctionResult, InvokeHostFunctionSuccessPreImage, LedgerEntryData, LedgerKey,
    LedgerKeyContractCode, LedgerKeyContractData, ScAddress, ScBytes, ScContractInstance, ScError,
    ScErrorCode, ScVal, SorobanCredentials, SorobanTransactionMetaExt, SorobanTransactionMetaExtV1,
    SorobanTransactionMetaV2,
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
    /// How many diagnostic events repeat an event of the operation: they say nothing new.
    pub(crate) copies: u64,
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
pub(crate) fn run(cx: &mut Cx<'_>, op: &InvokeHostFunctionOp) -> InvokeHostFunctionResult {
    footprint::restore_declared(cx);
    if footprint::has_archived(cx) {
        return InvokeHostFunctionResult::EntryArchived;
    }
    for entry in op.auth.iter() {
        if let SorobanCredentials::Address(by) = &entry.credentials
            && !notes::use_nonce(cx, &by.address, by.nonce, by.signature_expiration_ledger)
        {
            return InvokeHostFunctionResult::Trapped;
        }
    }
    let outcome = match &op.host_function {
        HostFunction::InvokeContract(args) => return invoke(cx, args),
        HostFunction::UploadContractWasm(code) => upload(cx, code),
        HostFunction::CreateContractV2(args) => {
            let arguments = args.constructor_args.to_vec();
            create(cx, &args.contract_id_preimage, &args.executable, arguments)
        }
        HostFunction::CreateContract(args) => {
            create(cx, &args.contract_id_preimage, &args.executable, Vec::new())
        }
    };
    match outcome {
        Some(value) => succeed(cx, value, Vec::new()),
        None => InvokeHostFunctionResult::Trapped,
    }
}

/// What stands behind a contract's id.
enum Kind {
    Token,
    Notes,
    Asset(Asset),
}

fn kind(cx: &Cx<'_>, id: &ContractId) -> Option<Kind> {
    let LedgerEntryData::ContractData(entry) = cx.state.get(&instance_key(id))? else { return None };
    let ScVal::ContractInstance(instance) = &entry.val else { return None };
    match &instance.executable {
        ContractExecutable::Wasm(hash) if *hash == call::token_hash() => Some(Kind::Token),
        ContractExecutable::Wasm(_) => Some(Kind::Notes),
        ContractExecutable::StellarAsset => cx.assets.asset_of(id).map(Kind::Asset),
        ContractExecutable::ExternalRef(_) => None,
    }
}

fn invoke(cx: &mut Cx<'_>, args: &InvokeContractArgs) -> InvokeHostFunctionResult {
    let nothing = |error| (error, notes::Told::default());
    let ScAddress::Contract(id) = &args.contract_address else { return InvokeHostFunctionResult::Trapped };
    let outcome = match kind(cx, id) {
        None => Err(nothing(ScError::Storage(ScErrorCode::MissingValue))),
        Some(Kind::Notes) => notes::run(cx, id, args),
        Some(Kind::Token) => token::run(cx, args).map(only_events).map_err(nothing),
        Some(Kind::Asset(asset)) => sac::run(cx, id, &asset, args).map(only_events).map_err(nothing),
    };
    match outcome {
        Ok(notes::Told { events, rolled_back }) => {
            diagnostics::success(&mut cx.soroban.diagnostics, args, &events, &rolled_back);
            cx.soroban.copies = u64::from(encode::count(events.len()));
            succeed(cx, ScVal::Void, events)
        }
        Err((error, told)) => {
            diagnostics::failure(&mut cx.soroban.diagnostics, args, error, &told.rolled_back);
            InvokeHostFunctionResult::Trapped
        }
    }
}

fn only_events(events: Vec<ContractEvent>) -> notes::Told {
    notes::Told { events, rolled_back: Vec::new() }
}

/// Ends a successful call: the result is the hash of its value and events.
pub(crate) fn succeed(
    cx: &mut Cx<'_>,
    return_value: ScVal,
    events: Vec<ContractEvent>,
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
        let until = footprint::first_end(cx.state, &key);
        create_entry_until(cx, key, LedgerEntryData::ContractCode(entry), until);
    }
    Some(ScVal::Bytes(ScBytes(hash.0.to_vec().try_into().expect("a hash is short"))))
}

fn create(
    cx: &mut Cx<'_>,
    preimage: &ContractIdPreimage,
    executable: &ContractExecutable,
    arguments: Vec<ScVal>,
) -> Option<ScVal> {
    let id = contract_of(cx.network_id, preimage);
    let key = instance_key(&id);
    if cx.state.has(&key) {
        return None;
    }
    let (instance, until) = match (executable, preimage) {
        (ContractExecutable::Wasm(hash), ContractIdPreimage::Address(_)) if *hash == call::token_hash() => {
            (token::instance(executable, arguments, &cx.source), cx.state.ledger() + LIFETIME - 1)
        }
        (ContractExecutable::Wasm(_), ContractIdPreimage::Address(_)) => {
            let plain = ScContractInstance { executable: executable.clone(), storage: None };
            (ScVal::ContractInstance(plain), footprint::first_end(cx.state, &key))
        }
        (ContractExecutable::StellarAsset, ContractIdPreimage::Asset(asset)) => {
            let (_, name) = cx.assets.of(asset);
            (sac::instance(asset, &name), cx.state.ledger() + LIFETIME - 1)
        }
        (ContractExecutable::Wasm(_), ContractIdPreimage::Asset(_))
        | (ContractExecutable::StellarAsset, ContractIdPreimage::Address(_))
        | (ContractExecutable::ExternalRef(_), _) => return None,
    };
    let address = ScAddress::Contract(id);
    let entry = data_entry(&address, ScVal::LedgerKeyContractInstance, instance);
    create_entry_until(cx, key, entry, until);
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
    data_entry_of(contract, key, val, ContractDataDurability::Persistent)
}

/// An entry of a contract.
fn data_entry_of(
    contract: &ScAddress,
    key: ScVal,
    val: ScVal,
    durability: ContractDataDurability,
) -> LedgerEntryData {
    let ext = ExtensionPoint::V0;
    LedgerEntryData::ContractData(ContractDataEntry { ext, contract: contract.clone(), key, durability, val })
}

/// Creates a contract entry for a whole lifetime and charges the rent.
pub(crate) fn create_entry(cx: &mut Cx<'_>, key: LedgerKey, data: LedgerEntryData) {
    let until = cx.state.ledger() + LIFETIME - 1;
    create_entry_until(cx, key, data, until);
}

/// Creates a contract entry that lives up to and including ledger `until` and charges the rent.
fn create_entry_until(cx: &mut Cx<'_>, key: LedgerKey, data: LedgerEntryData, until: u32) {
    cx.soroban.charge_rent(500 + 4 * i64::from(encode::count(encode::xdr(&data).len())));
    cx.state.put_with_ttl(key, data, until);
}

/// Extends the life of a used entry once enough of it is gone.
pub(crate) fn extend(cx: &mut Cx<'_>, key: &LedgerKey) {
    let full = cx.state.ledger() + LIFETIME - 1;
    let Some(end) = cx.state.live_until(key).filter(|end| end + EXTEND_AFTER <= full) else { return };
    if let Some(LedgerEntryData::Ttl(ttl)) = cx.state.get_mut(&entries::ttl_key(key)) {
        ttl.live_until_ledger_seq = full;
        cx.soroban.charge_rent(100 + i64::from((full - end) / 64));
    }
}
