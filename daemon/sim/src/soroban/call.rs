//! Building Soroban operations with the footprint that they will need.

use lake_core::Hash32;
use stellar_xdr::{
    AccountId, BytesM, ContractExecutable, ContractId, ContractIdPreimage, ContractIdPreimageFromAddress,
    CreateContractArgsV2, Hash, HostFunction, InvokeContractArgs, InvokeHostFunctionOp, LedgerKey,
    LedgerKeyContractCode, Operation, OperationBody, ScAddress, ScVal, SorobanAuthorizationEntry,
    SorobanAuthorizedFunction, SorobanAuthorizedInvocation, SorobanCredentials, SorobanTransactionData,
    Uint256, VecM,
};

use super::{contract_of, fees, instance_key, token};
use crate::{encode, entries};

/// An operation and the resources of its transaction.
pub(crate) type Prepared = (Operation, SorobanTransactionData);

/// Bytes that stand for compiled code: right in their first eight bytes, looked at by nobody.
pub(crate) fn code() -> BytesM {
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    let mut block = Hash32::sha256(&[b"token contract"]);
    while bytes.len() < 2_200 {
        bytes.extend_from_slice(&block.0);
        block = Hash32::sha256(&[&block.0]);
    }
    bytes.try_into().expect("code of 2 KB fits")
}

fn code_key() -> (Hash, LedgerKey) {
    let hash = Hash(Hash32::sha256(&[code().as_slice()]).0);
    (hash.clone(), LedgerKey::ContractCode(LedgerKeyContractCode { hash }))
}

/// Uploads the token's code.
pub(crate) fn upload() -> Prepared {
    let (_, key) = code_key();
    let data = fees::resources(Vec::new(), vec![key], (2_000_000, 2_400), 60_000);
    (operation(HostFunction::UploadContractWasm(code()), VecM::default()), data)
}

fn preimage(creator: &AccountId, salt: u8) -> ContractIdPreimage {
    let address = ScAddress::Account(creator.clone());
    ContractIdPreimage::Address(ContractIdPreimageFromAddress { address, salt: Uint256([salt; 32]) })
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
