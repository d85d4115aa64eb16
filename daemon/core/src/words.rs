//! Horizon's words for the enumerations of the protocol: result codes, types of operations, assets and entries.

mod results;

use stellar_xdr as xdr;

pub use results::Word;

/// Horizon's word for the result code of a transaction, e.g. `tx_success` or `tx_no_source_account`.
pub fn transaction_result_code(code: xdr::TransactionResultCode) -> &'static str {
    code.word()
}

/// Horizon's word for the outer result code of an operation: `op_inner` when it was applied, whatever came of it.
pub fn operation_result_code(code: xdr::OperationResultCode) -> &'static str {
    code.word()
}

/// Horizon's word for what came of an applied operation, e.g. `op_underfunded`; `None` when it was not applied
/// (its outer code is then all there is).
pub fn operation_trace_code(result: &xdr::OperationResult) -> Option<&'static str> {
    use xdr::OperationResultTr as Tr;
    let tr = match result {
        xdr::OperationResult::OpInner(tr) => tr,
        xdr::OperationResult::OpBadAuth
        | xdr::OperationResult::OpNoAccount
        | xdr::OperationResult::OpNotSupported
        | xdr::OperationResult::OpTooManySubentries
        | xdr::OperationResult::OpExceededWorkLimit
        | xdr::OperationResult::OpTooManySponsoring => return None,
    };
    Some(match tr {
        Tr::CreateAccount(r) => r.discriminant().word(),
        Tr::Payment(r) => r.discriminant().word(),
        Tr::PathPaymentStrictReceive(r) => r.discriminant().word(),
        Tr::ManageSellOffer(r) | Tr::CreatePassiveSellOffer(r) => r.discriminant().word(),
        Tr::SetOptions(r) => r.discriminant().word(),
        Tr::ChangeTrust(r) => r.discriminant().word(),
        Tr::AllowTrust(r) => r.discriminant().word(),
        Tr::AccountMerge(r) => r.discriminant().word(),
        Tr::Inflation(r) => r.discriminant().word(),
        Tr::ManageData(r) => r.discriminant().word(),
        Tr::BumpSequence(r) => r.discriminant().word(),
        Tr::ManageBuyOffer(r) => r.discriminant().word(),
        Tr::PathPaymentStrictSend(r) => r.discriminant().word(),
        Tr::CreateClaimableBalance(r) => r.discriminant().word(),
        Tr::ClaimClaimableBalance(r) => r.discriminant().word(),
        Tr::BeginSponsoringFutureReserves(r) => r.discriminant().word(),
        Tr::EndSponsoringFutureReserves(r) => r.discriminant().word(),
        Tr::RevokeSponsorship(r) => r.discriminant().word(),
        Tr::Clawback(r) => r.discriminant().word(),
        Tr::ClawbackClaimableBalance(r) => r.discriminant().word(),
        Tr::SetTrustLineFlags(r) => r.discriminant().word(),
        Tr::LiquidityPoolDeposit(r) => r.discriminant().word(),
        Tr::LiquidityPoolWithdraw(r) => r.discriminant().word(),
        Tr::InvokeHostFunction(r) => r.discriminant().word(),
        Tr::ExtendFootprintTtl(r) => r.discriminant().word(),
        Tr::RestoreFootprint(r) => r.discriminant().word(),
    })
}

/// Name of an operation type, e.g. `path_payment_strict_send`.
pub fn operation_type(ty: xdr::OperationType) -> &'static str {
    use xdr::OperationType as Ty;
    match ty {
        Ty::CreateAccount => "create_account",
        Ty::Payment => "payment",
        Ty::PathPaymentStrictReceive => "path_payment_strict_receive",
        Ty::ManageSellOffer => "manage_sell_offer",
        Ty::CreatePassiveSellOffer => "create_passive_sell_offer",
        Ty::SetOptions => "set_options",
        Ty::ChangeTrust => "change_trust",
        Ty::AllowTrust => "allow_trust",
        Ty::AccountMerge => "account_merge",
        Ty::Inflation => "inflation",
        Ty::ManageData => "manage_data",
        Ty::BumpSequence => "bump_sequence",
        Ty::ManageBuyOffer => "manage_buy_offer",
        Ty::PathPaymentStrictSend => "path_payment_strict_send",
        Ty::CreateClaimableBalance => "create_claimable_balance",
        Ty::ClaimClaimableBalance => "claim_claimable_balance",
        Ty::BeginSponsoringFutureReserves => "begin_sponsoring_future_reserves",
        Ty::EndSponsoringFutureReserves => "end_sponsoring_future_reserves",
        Ty::RevokeSponsorship => "revoke_sponsorship",
        Ty::Clawback => "clawback",
        Ty::ClawbackClaimableBalance => "clawback_claimable_balance",
        Ty::SetTrustLineFlags => "set_trust_line_flags",
        Ty::LiquidityPoolDeposit => "liquidity_pool_deposit",
        Ty::LiquidityPoolWithdraw => "liquidity_pool_withdraw",
        Ty::InvokeHostFunction => "invoke_host_function",
        Ty::ExtendFootprintTtl => "extend_footprint_ttl",
        Ty::RestoreFootprint => "restore_footprint",
    }
}

/// Name of an asset type: `native`, `credit_alphanum4`, `credit_alphanum12` or `liquidity_pool_shares`.
pub fn asset_type(ty: xdr::AssetType) -> &'static str {
    match ty {
        xdr::AssetType::Native => "native",
        xdr::AssetType::CreditAlphanum4 => "credit_alphanum4",
        xdr::AssetType::CreditAlphanum12 => "credit_alphanum12",
        xdr::AssetType::PoolShare => "liquidity_pool_shares",
    }
}

/// Name of a host function type, e.g. `invoke_contract`.
pub fn host_function_type(ty: xdr::HostFunctionType) -> &'static str {
    match ty {
        xdr::HostFunctionType::InvokeContract => "invoke_contract",
        xdr::HostFunctionType::CreateContract => "create_contract",
        xdr::HostFunctionType::UploadContractWasm => "upload_contract_wasm",
        xdr::HostFunctionType::CreateContractV2 => "create_contract_v2",
    }
}

/// Name of a memo type: `none`, `text`, `id`, `hash` or `return`.
pub fn memo_type(ty: xdr::MemoType) -> &'static str {
    match ty {
        xdr::MemoType::None => "none",
        xdr::MemoType::Text => "text",
        xdr::MemoType::Id => "id",
        xdr::MemoType::Hash => "hash",
        xdr::MemoType::Return => "return",
    }
}

/// Name of the type of a contract value, in SEP-51 snake case, e.g. `i128` or `ledger_key_contract_instance`.
pub fn sc_val_type(ty: xdr::ScValType) -> &'static str {
    use xdr::ScValType as Ty;
    match ty {
        Ty::Bool => "bool",
        Ty::Void => "void",
        Ty::Error => "error",
        Ty::U32 => "u32",
        Ty::I32 => "i32",
        Ty::U64 => "u64",
        Ty::I64 => "i64",
        Ty::Timepoint => "timepoint",
        Ty::Duration => "duration",
        Ty::U128 => "u128",
        Ty::I128 => "i128",
        Ty::U256 => "u256",
        Ty::I256 => "i256",
        Ty::Bytes => "bytes",
        Ty::String => "string",
        Ty::Symbol => "symbol",
        Ty::Vec => "vec",
        Ty::Map => "map",
        Ty::Address => "address",
        Ty::ContractInstance => "contract_instance",
        Ty::LedgerKeyContractInstance => "ledger_key_contract_instance",
        Ty::LedgerKeyNonce => "ledger_key_nonce",
        Ty::ExecutableTag => "executable_tag",
    }
}

/// Name that Horizon gives the type of a contract call's parameter: the name of the union's arm in the protocol's
/// XDR files, with a capital letter, and empty where the arm is void.
pub fn parameter_type(ty: xdr::ScValType) -> &'static str {
    use xdr::ScValType as Ty;
    match ty {
        Ty::Bool => "B",
        Ty::Void | Ty::LedgerKeyContractInstance => "",
        Ty::Error => "Error",
        Ty::U32 => "U32",
        Ty::I32 => "I32",
        Ty::U64 => "U64",
        Ty::I64 => "I64",
        Ty::Timepoint => "Timepoint",
        Ty::Duration => "Duration",
        Ty::U128 => "U128",
        Ty::I128 => "I128",
        Ty::U256 => "U256",
        Ty::I256 => "I256",
        Ty::Bytes => "Bytes",
        Ty::String => "Str",
        Ty::Symbol => "Sym",
        Ty::Vec => "Vec",
        Ty::Map => "Map",
        Ty::Address => "Address",
        Ty::ContractInstance => "Instance",
        Ty::LedgerKeyNonce => "NonceKey",
        Ty::ExecutableTag => "ExecutableTag",
    }
}

/// Durability of contract data: `persistent` or `temporary`.
pub const fn durability(durability: xdr::ContractDataDurability) -> &'static str {
    match durability {
        xdr::ContractDataDurability::Persistent => "persistent",
        xdr::ContractDataDurability::Temporary => "temporary",
    }
}
