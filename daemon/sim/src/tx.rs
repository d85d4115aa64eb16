//! Transactions: from a plan to envelope bytes, hashes and well-formed signatures.

use lake_core::Hash32;
use stellar_xdr::{
    AccountId, DecoratedSignature, EnvelopeType, Memo, MuxedAccount, Operation, Preconditions,
    SequenceNumber, Signature, SignatureHint, SorobanTransactionData, Transaction, TransactionExt,
};

use crate::{encode, entries};

/// What somebody wants to submit.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Source of the transaction.
    pub(crate) source: MuxedAccount,
    /// Who pays instead of the source: makes it a fee bump.
    pub(crate) payer: Option<MuxedAccount>,
    /// Bid above the base fee, per operation, in stroops.
    pub(crate) tip: u32,
    /// Memo.
    pub(crate) memo: Memo,
    /// Preconditions.
    pub(crate) cond: Preconditions,
    /// Operations, 1 to 100.
    pub(crate) operations: Vec<Operation>,
    /// Resources of a Soroban transaction.
    pub(crate) soroban: Option<SorobanTransactionData>,
    /// Cluster of the parallel phase; transactions of different clusters share no writable entry.
    pub(crate) cluster: usize,
    /// Signers that sign with their own key besides the source.
    pub(crate) cosigners: Vec<[u8; 32]>,
    /// Sequence number, where it is not simply the next one of the source.
    pub(crate) seq: Option<i64>,
}

impl Plan {
    /// A plain transaction without memo, preconditions or anything else.
    pub(crate) fn new(source: MuxedAccount, operations: Vec<Operation>) -> Self {
        Self {
            source,
            payer: None,
            tip: 0,
            memo: Memo::None,
            cond: Preconditions::None,
            operations,
            soroban: None,
            cluster: 0,
            cosigners: Vec::new(),
            seq: None,
        }
    }
}

/// A transaction with its bytes and hashes.
#[derive(Debug)]
pub(crate) struct Built {
    /// The inner transaction, or the only one.
    pub(crate) tx: Transaction,
    /// Source of `tx`.
    pub(crate) source: AccountId,
    /// Who pays, and what is bid for the whole, if it is a fee bump.
    pub(crate) bump: Option<(MuxedAccount, i64)>,
    /// Hash of the outermost transaction.
    pub(crate) hash: Hash32,
    /// Hash of the inner transaction of a fee bump.
    pub(crate) inner_hash: Option<Hash32>,
    /// XDR of the envelope.
    pub(crate) envelope: Vec<u8>,
    /// SHA-256 of the envelope: the order of a transaction set.
    pub(crate) order: Hash32,
    /// Cluster of a Soroban transaction.
    pub(crate) cluster: usize,
    /// Fee taken before anything is applied, in stroops.
    pub(crate) fee: i64,
    /// Keys that signed beside the source's.
    pub(crate) cosigners: Vec<[u8; 32]>,
}

impl Built {
    /// Who pays the fee.
    pub(crate) fn fee_account(&self) -> AccountId {
        self.bump.as_ref().map_or_else(|| self.source.clone(), |(payer, _)| entries::unmuxed(payer))
    }

    /// Resources, for a Soroban transaction.
    pub(crate) fn soroban(&self) -> Option<&SorobanTransactionData> {
        match &self.tx.ext {
            TransactionExt::V0 => None,
            TransactionExt::V1(data) => Some(data),
        }
    }

    /// The most that the submitter would pay, in stroops.
    pub(crate) fn max_fee(&self) -> i64 {
        self.bump.as_ref().map_or(i64::from(self.tx.fee), |(_, bid)| *bid)
    }
}

/// Makes the transaction of a plan with sequence number `seq`.
pub(crate) fn build(network_id: &[u8; 32], plan: Plan, seq: i64, base_fee: u32) -> Built {
    let operations = i64::from(encode::count(plan.operations.len()));
    let resource_fee = plan.soroban.as_ref().map_or(0, |data| data.resource_fee);
    let base = i64::from(base_fee);
    let per_operation = base + i64::from(plan.tip);
    let own_bid = per_operation * operations + resource_fee;
    let bump = plan.payer.map(|payer| (payer, per_operation * (operations + 1) + resource_fee));
    let charged_operations = operations + i64::from(bump.is_some());
    let source = entries::unmuxed(&plan.source);
    let tx = Transaction {
        source_account: plan.source,
        fee: u32::try_from(own_bid).unwrap_or(u32::MAX),
        seq_num: SequenceNumber(seq),
        cond: plan.cond,
        memo: plan.memo,
        operations: encode::vecm(plan.operations),
        ext: plan.soroban.map_or(TransactionExt::V0, TransactionExt::V1),
    };
    let bytes = encode::xdr(&tx);
    let own_hash = payload_hash(network_id, EnvelopeType::Tx, &bytes);
    let mut envelope = Vec::with_capacity(bytes.len() + 256);
    put_type(&mut envelope, EnvelopeType::Tx);
    envelope.extend_from_slice(&bytes);
    sign(&mut envelope, &source, &plan.cosigners, &own_hash);
    let (hash, inner_hash, envelope) = match &bump {
        None => (own_hash, None, envelope),
        Some((payer, bid)) => {
            // FeeBumpTransaction: source, fee, the inner envelope with its type, extension 0.
            let mut body = encode::xdr(payer);
            body.extend_from_slice(&bid.to_be_bytes());
            body.extend_from_slice(&envelope);
            encode::put_u32(&mut body, 0);
            let hash = payload_hash(network_id, EnvelopeType::TxFeeBump, &body);
            let mut outer = Vec::with_capacity(body.len() + 128);
            put_type(&mut outer, EnvelopeType::TxFeeBump);
            outer.extend_from_slice(&body);
            sign(&mut outer, &entries::unmuxed(payer), &[], &hash);
            (hash, Some(own_hash), outer)
        }
    };
    let order = Hash32::sha256(&[&envelope]);
    let fee = base * charged_operations + resource_fee;
    Built {
        tx,
        source,
        bump,
        hash,
        inner_hash,
        envelope,
        order,
        cluster: plan.cluster,
        fee,
        cosigners: plan.cosigners,
    }
}

fn put_type(out: &mut Vec<u8>, kind: EnvelopeType) {
    encode::put(out, &kind);
}

/// SHA-256 over network id, envelope type and transaction.
fn payload_hash(network_id: &[u8; 32], kind: EnvelopeType, body: &[u8]) -> Hash32 {
    Hash32::sha256(&[network_id, &encode::xdr(&kind), body])
}

fn sign(out: &mut Vec<u8>, signer: &AccountId, cosigners: &[[u8; 32]], hash: &Hash32) {
    encode::put_len(out, 1 + cosigners.len());
    for key in std::iter::once(entries::key_bytes(signer)).chain(cosigners.iter().copied()) {
        let [.., a, b, c, d] = key;
        let signature = DecoratedSignature {
            hint: SignatureHint([a, b, c, d]),
            signature: Signature(signature_bytes(&key, hash).try_into().expect("a signature has 64 bytes")),
        };
        encode::put(out, &signature);
    }
}

/// 64 bytes that stand for `key`'s signature of `hash`: right in form, bound to both, verified by nobody.
pub(crate) fn signature_bytes(key: &[u8; 32], hash: &Hash32) -> Vec<u8> {
    let first = Hash32::sha256(&[b"signature r", key, &hash.0]);
    let second = first.0.iter().rev().zip(key.iter().zip(hash.0)).map(|(r, (k, h))| r ^ k.rotate_left(3) ^ h);
    first.0.iter().copied().chain(second).collect()
}

/// A key made from a name.
pub(crate) fn keyed(name: &[&[u8]]) -> [u8; 32] {
    let mut parts: Vec<&[u8]> = vec![b"lake-sim key"];
    parts.extend_from_slice(name);
    Hash32::sha256(&parts).0
}
