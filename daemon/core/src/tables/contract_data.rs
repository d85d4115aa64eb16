//! Contract data: every entry of contract storage that a ledger changed, evictions included.

mod asset;

use stellar_xdr as xdr;

use super::{
    ExtractError, Input,
    state::{State, key_hash},
};
use crate::{
    changes::EntryKey,
    schema::{Account, Hex32, ScVal, Shown, Timestamp, Word, XdrBase64, table},
    text::{AssetParts, LossyText, Shows, key_of},
    words,
};

table! {
    /// One row per entry of contract storage that a ledger changed: the entry after the ledger's last change. Every
    /// entry has rows, nonces of accounts too. Of an eviction the ledger tells no more than the key.
    contract_data_snapshot_v1 {
        key: [contract_id, ledger_key_hash, ledger_sequence], ledger: ledger_sequence,
        state: contract_data, ttl: ledger_key_hash
    }
    columns {
        /// Owner of the entry: C..., or G... for the nonce of an account.
        contract_id: Shows<xdr::ScAddress> [bloom],
        /// Ledger of the change.
        ledger_sequence: i64,
        /// SHA-256 of the entry's LedgerKey, 64 hex digits; joins `ttl_snapshot_v1.key_hash`.
        ledger_key_hash: Hex32 [bloom],
        /// Type of the key's value, e.g. ledger_key_contract_instance, vec, symbol.
        contract_key_type: Word,
        /// persistent or temporary.
        contract_durability: Word,
        /// Code of the asset whose contract this is the instance of; NULL for others and for the native asset.
        asset_code: Option<LossyText>,
        /// Issuer of that asset, G...; NULL as above.
        asset_issuer: Option<Account>,
        /// native, credit_alphanum4 or credit_alphanum12 for the instance of an asset's contract, which is recognised
        /// by its id; NULL for others.
        asset_type: Option<Word>,
        /// Whose balance the entry holds, C... or G...; NULL for entries not shaped like a balance of an asset contract.
        balance_holder: Option<Shows<xdr::ScAddress>> [bloom],
        /// That balance, decimal integer in units of the contract.
        balance: Option<Shown<i128>>,
        /// Ledger that last changed the entry; NULL for evictions.
        last_modified_ledger: Option<i32>,
        /// Net change in the ledger: 0 created, 1 updated, 2 removed, 4 restored from the archive.
        ledger_entry_change: i32,
        /// Whether the entry is gone; the row then repeats the state that the ledger found it in, where the ledger
        /// tells it.
        deleted: bool,
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
        /// Base64 XDR of the ContractDataEntry; NULL for evictions.
        contract_data_xdr: Option<XdrBase64<xdr::ContractDataEntry>>,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// Key of the entry, SEP-51 JSON.
        key: ScVal,
        /// Value of the entry, SEP-51 JSON; NULL for evictions.
        val: Option<ScVal>,
        /// Name of the token, from the instance of an asset's contract; NULL for others.
        token_name: Option<LossyText>,
        /// Symbol of the token; NULL as above.
        token_symbol: Option<LossyText>,
        /// Decimal places of the token; NULL as above.
        token_decimals: Option<u32>,
        /// Whether the entry left by eviction: a temporary one for good, a persistent one into the archive.
        evicted: bool,
    }
}

/// Appends a row per entry of contract storage that the ledger changed.
///
/// # Errors
/// A number that does not fit its column.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    for change in input.changes.iter() {
        let EntryKey::ContractData(contract, key, durability) = change.key else { continue };
        let state = State::of(input, &SPEC, change)?;
        let entry = state.entry.and_then(|entry| {
            let xdr::LedgerEntryData::ContractData(data) = &entry.data else { return None };
            Some(data)
        });
        let token = entry
            .map(|data| asset::token(input.ledger.network_id, data))
            .transpose()
            .map_err(|error| ExtractError {
                seq: input.ledger.seq,
                table: SPEC.name,
                reason: format!("contract {contract}: the id of its asset: {error}"),
            })?
            .flatten();
        let asset = token.as_ref().map(|token| AssetParts::from(&token.asset));
        let balance = entry.and_then(asset::balance);
        out.push(Row {
            contract_id: contract,
            ledger_sequence: state.ledger_sequence,
            ledger_key_hash: key_hash(input, &SPEC, change.key)?,
            contract_key_type: words::sc_val_type(key.discriminant()),
            contract_durability: words::durability(durability),
            asset_code: asset.and_then(AssetParts::code),
            asset_issuer: asset.and_then(AssetParts::issuer).map(key_of),
            asset_type: asset.map(|asset| words::asset_type(asset.ty)),
            balance_holder: balance.map(|(holder, _)| holder),
            balance: balance.map(|(_, amount)| amount),
            last_modified_ledger: state.last_modified_ledger,
            ledger_entry_change: state.ledger_entry_change,
            deleted: state.deleted,
            closed_at: state.closed_at,
            contract_data_xdr: entry,
            created_at: state.closed_at,
            key,
            val: entry.map(|data| &data.val),
            token_name: token.as_ref().and_then(|token| token.name),
            token_symbol: token.as_ref().and_then(|token| token.symbol),
            token_decimals: token.as_ref().and_then(|token| token.decimals),
            evicted: state.evicted,
        });
    }
    Ok(())
}
