//! Building Soroban operations with the footprint that they will need.

use std::sync::LazyLock;

use lake_core::Hash32;
use stellar_xdr::{
    AccountId, Asset, BytesM, ContractExecutable, ContractId, ContractIdPreimage,
    ContractIdPreimageFromAddress, CreateContractArgs, CreateContractArgsV2, ExtendFootprintTtlOp,
    ExtensionPoint, Hash, HostFunction, InvokeContractArgs, InvokeHostFunctionOp, LedgerKey,
    LedgerKeyContractCode, Operation, OperationBody, RestoreFootprintOp, ScAddress, ScBytes, ScVal, ScVec,
    SorobanAddressCredentials, SorobanAuthorizationEntry, SorobanAuthorizedFunction,
    SorobanAuthorizedInvocation, SorobanCredentials, SorobanTransactionData, Uint256, VecM,
};

use super::{contract_of, fees, instance_key, notes, token};
use crate::{encode, entries};

/// An operation and the resources of its transaction.
pub(crate) type Prepared = (Operation, SorobanTransactionData);

/// The token's code and its hash.
static CODE: LazyLock<(BytesM, Hash)> = LazyLock::new(|| {
    let code = code();
    let hash = Hash(Hash32::sha256(&[code.as_slice()]).0);
    (code, hash)
});

/// Bytes that stand for compiled code: right in their first eight bytes, looked at by nobody.
fn code() -> BytesM {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    let mut block = Hash32::sha256(&[b"token contract"]);
    while bytes.len() < 2_200 {
        bytes.extend_from_slice(&block.0);
        block = Hash32::sha256(&[&block.0]);
    }
    bytes.try_into().expect("code of 2 KB fits")
}

/// Hash of the token's code.
pub(crate) fn token_hash() -> Hash {
    CODE.1.clone()
}

/// Key of the token's code.
pub(super) fn token_code_key() -> LedgerKey {
    code_key().1
}

fn code_key() -> (Hash, LedgerKey) {
    let hash = CODE.1.clone();
    (hash.clone(), LedgerKey::ContractCode(LedgerKeyContractCode { hash }))
}

/// Uploads the token's code.
pub(crate) fn upload() -> Prepared {
    let (_, key) = code_key();
    let data = fees::resources(Vec::new(), vec![key], (2_000_000, 2_400), 60_000);
    (operation(HostFunction::UploadContractWasm(CODE.0.clone()), VecM::default()), data)
}

fn preimage(creator: &AccountId, salt: u8) -> ContractIdPreimage {
    salted(creator, [salt; 32])
}

fn salted(creator: &AccountId, salt: [u8; 32]) -> ContractIdPreimage {
    let address = ScAddress::Account(creator.clone());
    ContractIdPreimage::Address(ContractIdPreimageFromAddress { address, salt: Uint256(salt) })
}

/// Uploads code of the network's own making, which depends on `seed`; gives its hash too.
pub(crate) fn upload_notes(seed: &[u8]) -> (Prepared, Hash) {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    bytes.extend_from_slice(&Hash32::sha256(&[b"notes contract", seed]).0);
    let hash = Hash(Hash32::sha256(&[&bytes]).0);
    let key = LedgerKey::ContractCode(LedgerKeyContractCode { hash: hash.clone() });
    let data = fees::resources(Vec::new(), vec![key], (1_000_000, 600), 60_000);
    let code: BytesM = bytes.try_into().expect("40 bytes fit");
    ((operation(HostFunction::UploadContractWasm(code), VecM::default()), data), hash)
}

/// Creates a contract of uploaded code without a constructor; gives its id too.
pub(crate) fn create_notes(
    network_id: [u8; 32],
    creator: &AccountId,
    salt: [u8; 32],
    code: &Hash,
) -> (Prepared, ContractId) {
    let contract_id_preimage = salted(creator, salt);
    let id = contract_of(network_id, &contract_id_preimage);
    let executable = ContractExecutable::Wasm(code.clone());
    let args = CreateContractArgs { contract_id_preimage, executable };
    let code = LedgerKey::ContractCode(LedgerKeyContractCode { hash: code.clone() });
    let data = fees::resources(vec![code], vec![instance_key(&id)], (1_000_000, 600), 60_000);
    let auth = authorize(SorobanAuthorizedFunction::CreateContractHostFn(args.clone()));
    ((operation(HostFunction::CreateContract(args), auth), data), id)
}

/// Creates the contract of an asset; gives its id too.
pub(crate) fn create_asset(network_id: [u8; 32], asset: &Asset) -> (Prepared, ContractId) {
    let contract_id_preimage = ContractIdPreimage::Asset(asset.clone());
    let id = contract_of(network_id, &contract_id_preimage);
    let args = CreateContractArgs { contract_id_preimage, executable: ContractExecutable::StellarAsset };
    let data = fees::resources(Vec::new(), vec![instance_key(&id)], (1_000_000, 900), 60_000);
    ((operation(HostFunction::CreateContract(args), VecM::default()), data), id)
}

/// Who authorizes a call.
#[derive(Clone, Debug)]
pub(crate) enum By {
    /// Nobody has to.
    Nobody,
    /// The source of the transaction.
    Source,
    /// An address with a signature of its own: address, nonce, and the ledger up to which that can be used.
    Address(AccountId, i64, u32),
}

/// A call of any contract with the footprint given.
pub(crate) fn call_with(
    contract: &ContractId,
    (function, args): (&str, Vec<ScVal>),
    (read_only, read_write): (Vec<LedgerKey>, Vec<LedgerKey>),
    by: By,
) -> Prepared {
    let args = InvokeContractArgs {
        contract_address: ScAddress::Contract(contract.clone()),
        function_name: entries::sc_symbol(function),
        args: encode::vecm(args),
    };
    let function = SorobanAuthorizedFunction::ContractFn(args.clone());
    let mut read_write = read_write;
    let auth = match by {
        By::Nobody => VecM::default(),
        By::Source => authorize(function),
        By::Address(id, nonce, until) => {
            let address = ScAddress::Account(id.clone());
            read_write.push(notes::nonce_key(&address, nonce));
            let signature = signature(&id, nonce);
            let credentials = SorobanCredentials::Address(SorobanAddressCredentials {
                address,
                nonce,
                signature_expiration_ledger: until,
                signature,
            });
            let root_invocation = SorobanAuthorizedInvocation { function, sub_invocations: VecM::default() };
            encode::vecm(vec![SorobanAuthorizationEntry { credentials, root_invocation }])
        }
    };
    let data = fees::resources(read_only, read_write, (1_800_000, 900), 80_000);
    (operation(HostFunction::InvokeContract(args), auth), data)
}

/// A signature in the form of an account's: a list of maps with key and signature.
fn signature(id: &AccountId, nonce: i64) -> ScVal {
    let key = entries::key_bytes(id);
    let signed = crate::tx::signature_bytes(&key, &Hash32::sha256(&[&nonce.to_be_bytes()]));
    let bytes = |bytes: Vec<u8>| ScVal::Bytes(ScBytes(bytes.try_into().expect("a signature is short")));
    let fields = vec![("public_key", bytes(key.to_vec())), ("signature", bytes(signed))];
    ScVal::Vec(Some(ScVec(encode::vecm(vec![token::map(fields)]))))
}

/// Extends what is named to `extend_to` ledgers from now.
pub(crate) fn extend(keys: Vec<LedgerKey>, extend_to: u32) -> Prepared {
    let data = fees::resources(keys, Vec::new(), (0, 0), 60_000);
    let op = ExtendFootprintTtlOp { ext: ExtensionPoint::V0, extend_to };
    (Operation { source_account: None, body: OperationBody::ExtendFootprintTtl(op) }, data)
}

/// Restores what is named.
pub(crate) fn restore(keys: Vec<LedgerKey>) -> Prepared {
    let data = fees::resources(Vec::new(), keys, (0, 900), 90_000);
    let op = RestoreFootprintOp { ext: ExtensionPoint::V0 };
    (Operation { source_account: None, body: OperationBody::RestoreFootprint(op) }, data)
}

/// Id of the token number `salt` that `creator` makes.
pub(crate) fn token_id(network_id: [u8; 32], creator: &AccountId, salt: u8) -> ContractId {
    contract_of(network_id, &preimage(creator, salt))
}

/// Creates a token.
pub(crate) fn create(network_id: [u8; 32], creator: &AccountId, salt: u8, names: (&str, &str)) -> Prepared {
    let (hash, code_key) = code_key();
    let args = CreateContractArgsV2 {
        contract_id_preimage: preimage(creator, salt),
        executable: ContractExecutable::Wasm(hash),
        constructor_args: encode::vecm(vec![token::string(names.0), token::string(names.1), ScVal::U32(7)]),
    };
    let key = instance_key(&token_id(network_id, creator, salt));
    let data = fees::resources(vec![code_key], vec![key], (3_000_000, 800), 40_000);
    let auth = authorize(SorobanAuthorizedFunction::CreateContractV2HostFn(args.clone()));
    (operation(HostFunction::CreateContractV2(args), auth), data)
}

/// Calls a function of a token; `holders` are those whose balances it touches.
pub(crate) fn call(
    contract: &ContractId,
    function: &str,
    args: Vec<ScVal>,
    holders: &[&AccountId],
) -> Prepared {
    let args = InvokeContractArgs {
        contract_address: ScAddress::Contract(contract.clone()),
        function_name: entries::sc_symbol(function),
        args: encode::vecm(args),
    };
    let (_, code_key) = code_key();
    let mut keys = vec![instance_key(contract)];
    keys.extend(holders.iter().map(|holder| token::balance_key(contract, holder)));
    let data = fees::resources(vec![code_key], keys, (2_500_000, 1_100), 30_000);
    let auth = authorize(SorobanAuthorizedFunction::ContractFn(args.clone()));
    (operation(HostFunction::InvokeContract(args), auth), data)
}

fn authorize(function: SorobanAuthorizedFunction) -> VecM<SorobanAuthorizationEntry> {
    let root_invocation = SorobanAuthorizedInvocation { function, sub_invocations: VecM::default() };
    encode::vecm(vec![SorobanAuthorizationEntry {
        credentials: SorobanCredentials::SourceAccount,
        root_invocation,
    }])
}

fn operation(host_function: HostFunction, auth: VecM<SorobanAuthorizationEntry>) -> Operation {
    Operation {
        source_account: None,
        body: OperationBody::InvokeHostFunction(InvokeHostFunctionOp { host_function, auth }),
    }
}
