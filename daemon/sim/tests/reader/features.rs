//! What occurs in envelopes and upgrades, by name.

use stellar_xdr::{
    ContractEventBody, ContractEventType, HostFunction, LedgerCloseMetaV2, LedgerEntry, LedgerEntryChange,
    LedgerEntryData, LedgerUpgrade, Memo, MuxedAccount, OperationBody, Preconditions, ScVal, SignerKey,
    SorobanCredentials, SorobanTransactionDataExt, Transaction, TransactionEnvelope, TransactionExt,
    TransactionMetaV4,
};

use super::{Reader, bytes};

/// Signers that stand for one transaction.
fn pre_authorized(entry: &LedgerEntry) -> usize {
    let LedgerEntryData::Account(account) = &entry.data else { return 0 };
    account.signers.iter().filter(|signer| matches!(signer.key, SignerKey::PreAuthTx(_))).count()
}

impl Reader {
    /// Upgrades say in the header what they do in the metadata.
    pub(super) fn upgrades(&mut self, meta: &LedgerCloseMetaV2) {
        let header = &meta.ledger_header.header;
        assert_eq!(header.scp_value.upgrades.len(), meta.upgrades_processing.len());
        for (upgrade, value) in meta.upgrades_processing.iter().zip(header.scp_value.upgrades.iter()) {
            assert_eq!(bytes(&upgrade.upgrade), value.0.to_vec());
            let changes = upgrade.changes.len();
            self.seen.insert(match &upgrade.upgrade {
                LedgerUpgrade::BaseFee(fee) => {
                    assert_eq!((*fee, changes), (header.base_fee, 0));
                    "upgrade of the base fee"
                }
                LedgerUpgrade::BaseReserve(reserve) => {
                    assert_eq!((*reserve, changes), (header.base_reserve, 0));
                    "upgrade of the base reserve"
                }
                LedgerUpgrade::MaxTxSetSize(size) => {
                    assert_eq!((*size, changes), (header.max_tx_set_size, 0));
                    "upgrade of the set size"
                }
                LedgerUpgrade::MaxSorobanTxSetSize(_) => {
                    assert_eq!(changes, 2);
                    "upgrade of the Soroban set size"
                }
                LedgerUpgrade::Config(_) => {
                    assert!(changes > 20, "{changes} changes of settings");
                    "upgrade of settings"
                }
                other => panic!("no such upgrade in these networks: {other:?}"),
            });
        }
    }

    /// Notes what occurs in an envelope.
    pub(super) fn what_it_is_made_of(&mut self, tx: &Transaction, envelope: &TransactionEnvelope) {
        let seen = &mut self.seen;
        match &tx.memo {
            Memo::None => {}
            Memo::Text(text) if String::from_utf8(text.to_vec()).is_err() => {
                seen.insert("memo that is no UTF-8");
            }
            Memo::Text(_) => {
                seen.insert("memo text");
            }
            Memo::Id(_) => {
                seen.insert("memo id");
            }
            Memo::Hash(_) => {
                seen.insert("memo hash");
            }
            Memo::Return(_) => {
                seen.insert("memo return");
            }
        }
        if let Preconditions::V2(cond) = &tx.cond {
            let all =
                cond.time_bounds.is_some() && cond.ledger_bounds.is_some() && cond.min_seq_num.is_some();
            if all && cond.extra_signers.len() == 2 && cond.min_seq_ledger_gap > 0 && cond.min_seq_age.0 > 0 {
                seen.insert("all preconditions");
            }
        }
        if let TransactionEnvelope::TxFeeBump(bump) = envelope {
            seen.insert("fee bump");
            if let MuxedAccount::MuxedEd25519(_) = bump.tx.fee_source {
                seen.insert("muxed fee account");
            }
        }
        if let TransactionExt::V1(data) = &tx.ext
            && let SorobanTransactionDataExt::V1(_) = &data.ext
        {
            seen.insert("restored by a call");
        }
        for operation in tx.operations.iter() {
            if let OperationBody::InvokeHostFunction(op) = &operation.body {
                seen.insert(match &op.host_function {
                    HostFunction::InvokeContract(_) => "call of a contract",
                    HostFunction::CreateContract(_) => "contract without constructor",
                    HostFunction::UploadContractWasm(_) => "upload of code",
                    HostFunction::CreateContractV2(_) => "contract with constructor",
                });
                if op.auth.iter().any(|entry| matches!(entry.credentials, SorobanCredentials::Address(_))) {
                    seen.insert("credentials of an address");
                }
            }
        }
    }

    /// Notes what occurs in the metadata of a transaction.
    pub(super) fn events(&mut self, meta: &TransactionMetaV4, successful: bool) {
        for pair in meta.tx_changes_before.windows(2) {
            if let [LedgerEntryChange::State(before), LedgerEntryChange::Updated(after)] = pair
                && pre_authorized(before) > pre_authorized(after)
            {
                self.seen.insert("pre-authorized signer used up");
            }
        }
        for event in meta.operations.iter().flat_map(|op| op.events.iter()) {
            if event.type_ == ContractEventType::System {
                self.seen.insert("system event");
            }
            let ContractEventBody::V0(body) = &event.body;
            let Some(ScVal::Symbol(name)) = body.topics.first() else { continue };
            match name.0.as_slice() {
                b"transfer" => self.seen.insert("transfer"),
                b"mint" => self.seen.insert("mint"),
                b"burn" => self.seen.insert("burn"),
                b"clawback" => self.seen.insert("clawback"),
                b"set_authorized" => self.seen.insert("set_authorized"),
                _ => false,
            };
        }
        for event in meta.diagnostic_events.iter() {
            let (flag, own) =
                (event.in_successful_contract_call, event.event.type_ == ContractEventType::Diagnostic);
            self.seen.insert(match (own, flag, successful) {
                (true, _, true) => "trace of a call",
                (true, _, false) => "trace of a failed call",
                (false, true, _) => "copy of an event",
                (false, false, true) => "event of a failed call within a good one",
                (false, false, false) => "event of a failed call",
            });
        }
    }
}
