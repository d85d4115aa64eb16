//! What occurs in envelopes and upgrades, by name.

use stellar_xdr::{
    HostFunction, LedgerCloseMetaV2, LedgerUpgrade, Memo, MuxedAccount, OperationBody, Preconditions,
    SorobanCredentials, SorobanTransactionDataExt, Transaction, TransactionEnvelope, TransactionExt,
};

use super::{Reader, bytes};

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
}
