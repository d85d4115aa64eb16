//! Events in the unified form of CAP-67: what classic operations and fees say in the words of asset contracts.

use lake_core::Hash32;
use stellar_strkey::ed25519;
use stellar_xdr::{
    AccountId, Asset, ContractEvent, ContractEventBody, ContractEventType, ContractEventV0, ContractId,
    ContractIdPreimage, ExtensionPoint, Hash, HashIdPreimage, HashIdPreimageContractId, Memo, MuxedAccount,
    ScAddress, ScBytes, ScMap, ScMapEntry, ScString, ScVal, TransactionEvent, TransactionEventStage,
};

use crate::{encode, entries, hasher::Map};

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
    known: Map<Asset, (ContractId, ScVal)>,
    assets: Map<ContractId, Asset>,
}

impl AssetContracts {
    /// The asset contracts of the network with this id.
    pub(crate) fn new(network_id: [u8; 32]) -> Self {
        Self { network_id, known: Map::default(), assets: Map::default() }
    }

    /// The id of the asset's contract and its name as the last topic of its events.
    pub(crate) fn of(&mut self, asset: &Asset) -> (ContractId, ScVal) {
        if let Some(found) = self.known.get(asset) {
            return found.clone();
        }
        let id = contract_id(self.network_id, ContractIdPreimage::Asset(asset.clone()));
        let name = name(asset).into_bytes();
        let found = (id, ScVal::String(ScString(name.try_into().expect("an asset's name is short"))));
        self.known.insert(asset.clone(), found.clone());
        self.assets.insert(found.0.clone(), asset.clone());
        found
    }

    /// The asset of a contract, if it was seen before.
    pub(crate) fn asset_of(&self, id: &ContractId) -> Option<Asset> {
        self.assets.get(id).cloned()
    }

    /// The asset's name, from what is known already where it is.
    pub(crate) fn name(&self, asset: &Asset) -> String {
        let known = self.known.get(asset).and_then(|(_, name)| {
            let ScVal::String(name) = name else { return None };
            String::from_utf8(name.0.to_vec()).ok()
        });
        known.unwrap_or_else(|| name(asset))
    }

    /// Money that moved, with the id (or memo) that says whom it is for: `transfer`, or `mint` and `burn` when one side is
    /// the issuer. A `burn` is for nobody.
    pub(crate) fn moved_for(
        &mut self,
        asset: &Asset,
        (from, to): (ScAddress, ScAddress),
        amount: i64,
        id: Option<ScVal>,
    ) -> ContractEvent {
        let (contract, name) = self.of(asset);
        let issues = |address: &ScAddress| matches!(address, ScAddress::Account(account) if entries::issues(account, asset));
        let (issued, redeemed) = (issues(&from), issues(&to));
        let number = entries::i128_val(amount);
        let (from, to) = (ScVal::Address(from), ScVal::Address(to));
        let (topics, data) = match (issued, redeemed) {
            (true, false) => (vec![entries::symbol("mint"), to, name], with_id(number, id)),
            (false, true) => (vec![entries::symbol("burn"), from, name], number),
            (true, true) | (false, false) => {
                (vec![entries::symbol("transfer"), from, to, name], with_id(number, id))
            }
        };
        contract_event(&contract, topics, data)
    }

    /// An issuer took back what `from` held.
    pub(crate) fn clawed_back(&mut self, asset: &Asset, from: ScAddress, amount: i64) -> ContractEvent {
        let (contract, name) = self.of(asset);
        let topics = vec![entries::symbol("clawback"), ScVal::Address(from), name];
        contract_event(&contract, topics, entries::i128_val(amount))
    }

    /// An issuer authorized a holder, or no longer does.
    pub(crate) fn set_authorized(&mut self, asset: &Asset, holder: ScAddress, yes: bool) -> ContractEvent {
        let (contract, name) = self.of(asset);
        let topics = vec![entries::symbol("set_authorized"), ScVal::Address(holder), name];
        contract_event(&contract, topics, ScVal::Bool(yes))
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

/// `native` or `CODE:ISSUER`.
fn name(asset: &Asset) -> String {
    let Some((code, issuer)) = entries::code_and_issuer(asset) else { return "native".to_owned() };
    let issuer = ed25519::PublicKey(entries::key_bytes(issuer)).to_string();
    format!("{}:{}", String::from_utf8_lossy(code), issuer.as_str())
}

/// The id of a contract made from `preimage`.
pub(crate) fn contract_id(network_id: [u8; 32], preimage: ContractIdPreimage) -> ContractId {
    let preimage = HashIdPreimage::ContractId(HashIdPreimageContractId {
        network_id: Hash(network_id),
        contract_id_preimage: preimage,
    });
    ContractId(Hash(Hash32::sha256(&[&encode::xdr(&preimage)]).0))
}

/// Whom a payment is for behind its destination: the muxed id or, for a plain account, the memo.
pub(crate) fn recipient(to: &MuxedAccount, memo: &Memo) -> Option<ScVal> {
    Some(match (to, memo) {
        (MuxedAccount::MuxedEd25519(to), _) => ScVal::U64(to.id),
        (MuxedAccount::Ed25519(_), Memo::None) => return None,
        (MuxedAccount::Ed25519(_), Memo::Id(id)) => ScVal::U64(*id),
        (MuxedAccount::Ed25519(_), Memo::Text(text)) => {
            ScVal::String(ScString(text.to_vec().try_into().expect("a memo is short")))
        }
        (MuxedAccount::Ed25519(_), Memo::Hash(hash) | Memo::Return(hash)) => {
            ScVal::Bytes(ScBytes(hash.0.to_vec().try_into().expect("a hash is short")))
        }
    })
}

/// Data of a transfer: the amount alone, or with the id that says whom it is for.
fn with_id(amount: ScVal, id: Option<ScVal>) -> ScVal {
    let Some(id) = id else { return amount };
    let map = vec![
        ScMapEntry { key: entries::symbol("amount"), val: amount },
        ScMapEntry { key: entries::symbol("to_muxed_id"), val: id },
    ];
    ScVal::Map(Some(ScMap(encode::vecm(map))))
}
