//! Events in the unified form of CAP-67: what classic operations and fees say in the words of asset contracts.

use std::collections::HashMap;

use lake_core::Hash32;
use stellar_strkey::ed25519;
use stellar_xdr::{
    AccountId, Asset, ContractEvent, ContractEventBody, ContractEventType, ContractEventV0, ContractId,
    ContractIdPreimage, ExtensionPoint, Hash, HashIdPreimage, HashIdPreimageContractId, Memo, MuxedAccount,
    ScBytes, ScMap, ScMapEntry, ScString, ScVal, TransactionEvent, TransactionEventStage,
};

use crate::{encode, entries};

/// An event of the contract `id`.
pub(crate) fn contract_event(id: &ContractId, topics: Vec<ScVal>, data: ScVal) -> ContractEvent {
    ContractEvent {
        ext: ExtensionPoint::V0,
        contract_id: Some(id.clone()),
        type_: ContractEventType::Contract,
        body: ContractEventBody::V0(ContractEventV0 { topics: encode::vecm(topics), data }),
    }
}

/// Contract id and name of every asset seen, so that they are computed once.
#[derive(Clone, Debug)]
pub(crate) struct AssetContracts {
    network_id: [u8; 32],
    known: HashMap<Asset, (ContractId, ScVal)>,
}

impl AssetContracts {
    /// The asset contracts of the network with this id.
    pub(crate) fn new(network_id: [u8; 32]) -> Self {
        Self { network_id, known: HashMap::new() }
    }

    /// The id of the asset's contract and its name as the last topic of its events.
    pub(crate) fn of(&mut self, asset: &Asset) -> (ContractId, ScVal) {
        if let Some(found) = self.known.get(asset) {
            return found.clone();
        }
        let id = contract_id(self.network_id, ContractIdPreimage::Asset(asset.clone()));
        let name = match entries::code_and_issuer(asset) {
            None => b"native".to_vec(),
            Some((code, issuer)) => {
                let mut name = code.to_vec();
                name.push(b':');
                let strkey: String =
                    ed25519::PublicKey(entries::key_bytes(issuer)).to_string().as_str().into();
                name.extend_from_slice(strkey.as_bytes());
                name
            }
        };
        let found = (id, ScVal::String(ScString(name.try_into().expect("an asset's name is short"))));
        self.known.insert(asset.clone(), found.clone());
        found
    }

    /// Money that moved: `transfer`, or `mint` and `burn` when one side is the issuer.
    pub(crate) fn moved(
        &mut self,
        asset: &Asset,
        from: &AccountId,
        to: &AccountId,
        data: ScVal,
    ) -> ContractEvent {
        let (id, name) = self.of(asset);
        let issued = entries::issues(from, asset);
        let redeemed = entries::issues(to, asset);
        let topics = match (issued, redeemed) {
            (true, false) => vec![entries::symbol("mint"), entries::address(to), name],
            (false, true) => vec![entries::symbol("burn"), entries::address(from), name],
            (true, true) | (false, false) => {
                vec![entries::symbol("transfer"), entries::address(from), entries::address(to), name]
            }
        };
        contract_event(&id, topics, data)
    }

    /// A fee that `payer` paid (or, below zero, got back).
    pub(crate) fn fee(
        &mut self,
        payer: &AccountId,
        amount: i64,
        stage: TransactionEventStage,
    ) -> TransactionEvent {
        let (id, _) = self.of(&Asset::Native);
        let topics = vec![entries::symbol("fee"), entries::address(payer)];
        TransactionEvent { stage, event: contract_event(&id, topics, entries::i128_val(amount)) }
    }
}

/// The id of a contract made from `preimage`.
pub(crate) fn contract_id(network_id: [u8; 32], preimage: ContractIdPreimage) -> ContractId {
    let preimage = HashIdPreimage::ContractId(HashIdPreimageContractId {
        network_id: Hash(network_id),
        contract_id_preimage: preimage,
    });
    ContractId(Hash(Hash32::sha256(&[&encode::xdr(&preimage)]).0))
}

/// Data of a transfer: the amount alone, or with the muxed id or memo that says whom it is for.
pub(crate) fn amount_for(amount: i64, to: &MuxedAccount, memo: &Memo) -> ScVal {
    let id = match (to, memo) {
        (MuxedAccount::MuxedEd25519(to), _) => ScVal::U64(to.id),
        (MuxedAccount::Ed25519(_), Memo::None) => return entries::i128_val(amount),
        (MuxedAccount::Ed25519(_), Memo::Id(id)) => ScVal::U64(*id),
        (MuxedAccount::Ed25519(_), Memo::Text(text)) => {
            ScVal::String(ScString(text.to_vec().try_into().expect("a memo is short")))
        }
        (MuxedAccount::Ed25519(_), Memo::Hash(hash) | Memo::Return(hash)) => {
            ScVal::Bytes(ScBytes(hash.0.to_vec().try_into().expect("a hash is short")))
        }
    };
    let map = vec![
        ScMapEntry { key: entries::symbol("amount"), val: entries::i128_val(amount) },
        ScMapEntry { key: entries::symbol("to_muxed_id"), val: id },
    ];
    ScVal::Map(Some(ScMap(encode::vecm(map))))
}
