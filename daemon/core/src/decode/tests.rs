//! Ledgers made by hand, whole and tampered with.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use stellar_xdr::{self as xdr, Limits, WriteXdr};

use super::*;

mod crafted;

fn network() -> Network {
    Network::new("a network made by hand")
}

fn origin() -> Arc<str> {
    "memory".into()
}

fn bytes(value: &impl WriteXdr) -> Vec<u8> {
    value.to_xdr(Limits::none()).unwrap()
}

fn sha(bytes: &[u8]) -> xdr::Hash {
    xdr::Hash(Sha256::digest(bytes).into())
}

fn key(n: u8) -> xdr::Uint256 {
    xdr::Uint256([n; 32])
}

fn signatures(lengths: &[usize]) -> xdr::VecM<xdr::DecoratedSignature, 20> {
    let all: Vec<_> = lengths
        .iter()
        .map(|length| xdr::DecoratedSignature {
            hint: xdr::SignatureHint([1; 4]),
            signature: xdr::Signature(vec![7; *length].try_into().unwrap()),
        })
        .collect();
    all.try_into().unwrap()
}

fn operations() -> xdr::VecM<xdr::Operation, 100> {
    let body = xdr::OperationBody::BumpSequence(xdr::BumpSequenceOp { bump_to: xdr::SequenceNumber(9) });
    vec![xdr::Operation { source_account: None, body }].try_into().unwrap()
}

fn transaction(n: u8) -> xdr::Transaction {
    xdr::Transaction {
        source_account: xdr::MuxedAccount::MuxedEd25519(xdr::MuxedAccountMed25519 { id: 5, ed25519: key(n) }),
        fee: 100,
        seq_num: xdr::SequenceNumber(8),
        cond: xdr::Preconditions::None,
        memo: xdr::Memo::None,
        operations: operations(),
        ext: xdr::TransactionExt::V0,
    }
}

fn v1(n: u8) -> xdr::TransactionEnvelope {
    xdr::TransactionEnvelope::Tx(xdr::TransactionV1Envelope {
        tx: transaction(n),
        signatures: signatures(&[64, 3]),
    })
}

fn v0(n: u8, time_bounds: Option<xdr::TimeBounds>) -> xdr::TransactionEnvelope {
    xdr::TransactionEnvelope::TxV0(xdr::TransactionV0Envelope {
        tx: xdr::TransactionV0 {
            source_account_ed25519: key(n),
            fee: 100,
            seq_num: xdr::SequenceNumber(8),
            time_bounds,
            memo: xdr::Memo::Text(b"\xff".to_vec().try_into().unwrap()),
            operations: operations(),
            ext: xdr::TransactionV0Ext::V0,
        },
        signatures: signatures(&[]),
    })
}

fn fee_bump(n: u8, fee_source: xdr::MuxedAccount) -> xdr::TransactionEnvelope {
    xdr::TransactionEnvelope::TxFeeBump(xdr::FeeBumpTransactionEnvelope {
        tx: xdr::FeeBumpTransaction {
            fee_source,
            fee: 400,
            inner_tx: xdr::FeeBumpTransactionInnerTx::Tx(xdr::TransactionV1Envelope {
                tx: transaction(n),
                signatures: signatures(&[64]),
            }),
            ext: xdr::FeeBumpTransactionExt::V0,
        },
        signatures: signatures(&[64, 1, 0]),
    })
}

fn envelopes(version: i32) -> Vec<xdr::TransactionEnvelope> {
    let bounds = xdr::TimeBounds { min_time: xdr::TimePoint(1), max_time: xdr::TimePoint(u64::MAX) };
    let muxed = xdr::MuxedAccount::MuxedEd25519(xdr::MuxedAccountMed25519 { id: 1, ed25519: key(9) });
    let mut all = vec![v1(1), fee_bump(2, xdr::MuxedAccount::Ed25519(key(8))), fee_bump(3, muxed)];
    if version == 0 {
        all.extend([v0(4, Some(bounds)), v0(5, None)]);
    }
    all
}

/// Results in the opposite order of the set. The inner transaction of a fee bump has no result of its own here.
fn results(envelopes: &[xdr::TransactionEnvelope]) -> Vec<xdr::TransactionResultPair> {
    let result = xdr::TransactionResult {
        fee_charged: 100,
        result: xdr::TransactionResultResult::TxInsufficientBalance,
        ext: xdr::TransactionResultExt::V0,
    };
    let hash = |e: &xdr::TransactionEnvelope| xdr::Hash(e.hash(network().id().0).unwrap());
    envelopes
        .iter()
        .rev()
        .map(|e| xdr::TransactionResultPair { transaction_hash: hash(e), result: result.clone() })
        .collect()
}

/// What a ledger is made from; a test changes a part before or after the hashes are made.
struct Made {
    version: i32,
    header: xdr::LedgerHeader,
    hash: xdr::Hash,
    set_previous: xdr::Hash,
    envelopes: Vec<xdr::TransactionEnvelope>,
    results: Vec<xdr::TransactionResultPair>,
}

impl Made {
    fn new(version: i32, seq: u32, previous: xdr::Hash) -> Self {
        let envelopes = envelopes(version);
        let mut header = xdr::LedgerHeader { ledger_seq: seq, ledger_version: 23, ..Default::default() };
        header.previous_ledger_hash = previous.clone();
        header.scp_value.close_time = xdr::TimePoint(1_700_000_000);
        header.scp_value.ext = xdr::StellarValueExt::Basic;
        let results = results(&envelopes);
        let mut made =
            Self { version, header, hash: xdr::Hash([0; 32]), set_previous: previous, envelopes, results };
        made.header.tx_set_result_hash = made.result_hash();
        made.header.scp_value.tx_set_hash = made.set_hash();
        made.sealed()
    }

    fn sealed(mut self) -> Self {
        self.hash = sha(&bytes(&self.header));
        self
    }

    fn result_hash(&self) -> xdr::Hash {
        sha(&bytes(&xdr::TransactionResultSet { results: self.results.clone().try_into().unwrap() }))
    }

    fn set_hash(&self) -> xdr::Hash {
        if self.version == 0 {
            let mut all = self.set_previous.0.to_vec();
            self.envelopes.iter().for_each(|e| all.extend(bytes(e)));
            sha(&all)
        } else {
            sha(&bytes(&self.generalized()))
        }
    }

    fn generalized(&self) -> xdr::GeneralizedTransactionSet {
        let classic =
            xdr::TxSetComponent::TxsetCompTxsMaybeDiscountedFee(xdr::TxSetComponentTxsMaybeDiscountedFee {
                base_fee: Some(100),
                txs: self.envelopes[..1].to_vec().try_into().unwrap(),
            });
        let clusters: Vec<_> = self.envelopes[1..]
            .iter()
            .map(|e| xdr::DependentTxCluster(vec![e.clone()].try_into().unwrap()))
            .collect();
        let stage = xdr::ParallelTxExecutionStage(clusters.try_into().unwrap());
        let parallel =
            xdr::ParallelTxsComponent { base_fee: None, execution_stages: vec![stage].try_into().unwrap() };
        xdr::GeneralizedTransactionSet::V1(xdr::TransactionSetV1 {
            previous_ledger_hash: self.set_previous.clone(),
            phases: vec![
                xdr::TransactionPhase::V0(vec![classic].try_into().unwrap()),
                xdr::TransactionPhase::V1(parallel),
            ]
            .try_into()
            .unwrap(),
        })
    }

    fn meta(&self) -> xdr::LedgerCloseMeta {
        let ledger_header = xdr::LedgerHeaderHistoryEntry {
            hash: self.hash.clone(),
            header: self.header.clone(),
            ext: xdr::LedgerHeaderHistoryEntryExt::V0,
        };
        let old: Vec<_> = self
            .results
            .iter()
            .map(|result| xdr::TransactionResultMeta {
                result: result.clone(),
                fee_processing: Default::default(),
                tx_apply_processing: xdr::TransactionMeta::V2(Default::default()),
            })
            .collect();
        match self.version {
            0 => xdr::LedgerCloseMeta::V0(xdr::LedgerCloseMetaV0 {
                ledger_header,
                tx_set: xdr::TransactionSet {
                    previous_ledger_hash: self.set_previous.clone(),
                    txs: self.envelopes.clone().try_into().unwrap(),
                },
                tx_processing: old.try_into().unwrap(),
                ..Default::default()
            }),
            1 => xdr::LedgerCloseMeta::V1(xdr::LedgerCloseMetaV1 {
                ext: xdr::LedgerCloseMetaExt::V0,
                ledger_header,
                tx_set: self.generalized(),
                tx_processing: old.try_into().unwrap(),
                ..Default::default()
            }),
            _ => {
                let new: Vec<_> = self
                    .results
                    .iter()
                    .map(|result| xdr::TransactionResultMetaV1 {
                        ext: xdr::ExtensionPoint::V0,
                        result: result.clone(),
                        fee_processing: Default::default(),
                        tx_apply_processing: xdr::TransactionMeta::V4(Default::default()),
                        post_tx_apply_fee_processing: Default::default(),
                    })
                    .collect();
                xdr::LedgerCloseMeta::V2(xdr::LedgerCloseMetaV2 {
                    ext: xdr::LedgerCloseMetaExt::V1(xdr::LedgerCloseMetaExtV1 {
                        ext: xdr::ExtensionPoint::V0,
                        soroban_fee_write1_kb: 77,
                    }),
                    ledger_header,
                    tx_set: self.generalized(),
                    tx_processing: new.try_into().unwrap(),
                    total_byte_size_of_live_soroban_state: 1 << 32 | 1,
                    ..Default::default()
                })
            }
        }
    }

    fn raw(&self) -> RawLedger {
        RawLedger {
            seq: LedgerSeq::new(self.header.ledger_seq),
            xdr: bytes(&self.meta()).into(),
            origin: origin(),
        }
    }

    fn decode(&self) -> Result<Ledger, DecodeError> {
        decode(&self.raw(), &network())
    }
}

fn made(version: i32) -> Made {
    Made::new(version, 7, xdr::Hash([3; 32]))
}

#[test]
fn a_ledger_of_each_version_decodes_in_apply_order_with_its_own_bytes() {
    for version in 0..=2 {
        let made = made(version);
        let ledger = made.decode().unwrap();
        assert_eq!((ledger.seq.get(), ledger.hash.0), (7, made.hash.0));
        assert_eq!(ledger.header_xdr, bytes(&made.header));
        assert_eq!(ledger.close_meta_version, version);
        assert_eq!(ledger.soroban_fee_write_1kb, (version == 2).then_some(77));
        assert_eq!(ledger.evicted_keys.is_some(), version > 0);
        let envelopes: Vec<_> = ledger.transactions.iter().rev().map(|tx| tx.envelope.clone()).collect();
        assert_eq!(envelopes, made.envelopes);
        for (n, tx) in ledger.transactions.iter().enumerate() {
            assert_eq!(tx.application_order as usize, n + 1);
            assert_eq!(tx.toid(ledger.seq), 7 << 32 | i64::try_from(n + 1).unwrap() << 12);
            assert_eq!(tx.operation_toid(ledger.seq, 0), tx.toid(ledger.seq) + 1);
            assert_eq!(tx.envelope_xdr, bytes(&tx.envelope));
            assert_eq!(tx.result_xdr, bytes(&tx.result));
            assert_eq!(tx.meta_xdr, bytes(&tx.meta));
            assert_eq!(tx.fee_changes_xdr, bytes(&tx.fee_changes));
            assert_eq!(tx.post_apply_fee_changes.is_some(), version == 2);
        }
    }
}

#[test]
fn the_inner_hash_of_a_fee_bump_is_found_where_its_result_does_not_name_it() {
    let inner = |n| {
        let payload = xdr::TransactionEnvelope::Tx(xdr::TransactionV1Envelope {
            tx: transaction(n),
            signatures: signatures(&[]),
        });
        Some(Hash32(payload.hash(network().id().0).unwrap()))
    };
    let ledger = made(2).decode().unwrap();
    let found: Vec<_> = ledger.transactions.iter().map(Transaction::inner_transaction_hash).collect();
    assert_eq!(found, [inner(3), inner(2), None]);
}

#[test]
fn places_in_a_generalized_set_are_kept() {
    let ledger = made(1).decode().unwrap();
    let place = |cluster| Some(TxSetPlace { phase: 1, stage: Some(0), cluster: Some(cluster) });
    let found: Vec<_> = ledger.transactions.iter().map(|tx| tx.place).collect();
    assert_eq!(found, [place(1), place(0), Some(TxSetPlace { phase: 0, stage: None, cluster: None })]);
    assert!(made(0).decode().unwrap().transactions.iter().all(|tx| tx.place.is_none()));
}

#[test]
fn each_check_refuses_its_own_lie() {
    use DecodeError as E;
    for version in 0..=2 {
        let raw = RawLedger { seq: LedgerSeq::new(8), ..made(version).raw() };
        assert!(matches!(decode(&raw, &network()), Err(E::Sequence { found, .. }) if found.get() == 7));

        let mut lie = made(version);
        lie.header.fee_pool += 1;
        assert!(matches!(lie.decode(), Err(E::HeaderHash { .. })));

        let mut lie = made(version);
        lie.set_previous = xdr::Hash([4; 32]);
        assert!(matches!(lie.decode(), Err(E::TxSetLink { .. })));

        let mut lie = made(version);
        lie.envelopes.swap(0, 1);
        assert!(matches!(lie.decode(), Err(E::TxSetHash { .. })));

        let mut lie = made(version);
        lie.results[1].result.fee_charged += 1;
        assert!(matches!(lie.decode(), Err(E::ResultSetHash { .. })));

        let mut lie = made(version);
        lie.results.pop();
        lie.header.tx_set_result_hash = lie.result_hash();
        assert!(
            matches!(lie.sealed().decode(), Err(E::TransactionCount { found, expected, .. }) if found + 1 == expected)
        );

        let mut lie = made(version);
        lie.results[1] = lie.results[0].clone();
        lie.header.tx_set_result_hash = lie.result_hash();
        assert!(matches!(lie.sealed().decode(), Err(E::TransactionHash { index: 2, .. })));

        let mut lie = made(version);
        lie.header.scp_value.close_time = xdr::TimePoint(u64::MAX / 1000);
        assert!(matches!(lie.sealed().decode(), Err(E::CloseTime { .. })));

        let raw = made(version).raw();
        let error = decode(&raw, &Network::new("another")).unwrap_err();
        assert!(matches!(&error, E::Passphrase { .. }), "{error}");
        assert!(error.to_string().contains("passphrase"), "{error}");

        let xdr: Bytes = [&raw.xdr[..], &[0; 4]].concat().into();
        assert!(matches!(
            decode(&RawLedger { xdr, ..raw }, &network()),
            Err(E::TrailingBytes { count: 4, .. })
        ));
    }
}

#[test]
fn a_set_that_the_network_voted_away_must_be_empty_and_unnamed() {
    let value = xdr::StellarValueExt::EmptyTxSet(Default::default());
    let mut made = made(2);
    made.header.scp_value.ext = value;
    made.header.scp_value.tx_set_hash = xdr::Hash([0; 32]);
    let full = made.sealed();
    assert!(matches!(full.decode(), Err(DecodeError::EmptyTxSet { transactions: 3, .. })));

    let mut empty = full;
    empty.results.clear();
    empty.header.tx_set_result_hash = empty.result_hash();
    let mut empty = empty.sealed();
    let xdr::LedgerCloseMeta::V2(mut meta) = empty.meta() else { panic!("version 2 was asked for") };
    meta.tx_set = xdr::GeneralizedTransactionSet::V1(xdr::TransactionSetV1 {
        previous_ledger_hash: empty.set_previous.clone(),
        phases: Default::default(),
    });
    let xdr = Bytes::from(bytes(&xdr::LedgerCloseMeta::V2(meta.clone())));
    assert!(decode(&RawLedger { xdr, ..empty.raw() }, &network()).unwrap().transactions.is_empty());

    empty.header.scp_value.tx_set_hash = xdr::Hash([1; 32]);
    let empty = empty.sealed();
    meta.ledger_header.header = empty.header.clone();
    meta.ledger_header.hash = empty.hash.clone();
    let xdr = Bytes::from(bytes(&xdr::LedgerCloseMeta::V2(meta)));
    let refused = decode(&RawLedger { xdr, ..empty.raw() }, &network());
    assert!(matches!(refused, Err(DecodeError::EmptyTxSet { transactions: 0, .. })));
}

#[test]
fn a_ledger_links_to_the_one_before_it_only() {
    let first = made(1).decode().unwrap();
    let second = Made::new(1, 8, xdr::Hash(first.hash.0)).decode().unwrap();
    verify_link(first.hash, &second).unwrap();
    assert!(matches!(verify_link(second.hash, &second), Err(DecodeError::Link { .. })));
}

#[test]
fn transactions_ran_under_the_version_before_an_upgrade() {
    let mut made = made(2);
    let upgrade = |upgrade: xdr::LedgerUpgrade| xdr::UpgradeType(bytes(&upgrade).try_into().unwrap());
    made.header.scp_value.upgrades = vec![upgrade(xdr::LedgerUpgrade::BaseFee(23))].try_into().unwrap();
    assert_eq!(applied_protocol(&made.header), 23);
    made.header.scp_value.upgrades = vec![upgrade(xdr::LedgerUpgrade::Version(23))].try_into().unwrap();
    assert_eq!(applied_protocol(&made.header), 22);
}

#[test]
fn a_peek_reads_the_head_and_nothing_after_it() {
    for version in 0..=2 {
        let made = made(version);
        let raw = made.raw();
        let head = peek(&raw.xdr.slice(..480), &origin()).unwrap();
        assert_eq!((head.seq, head.hash.0, head.close_time), (raw.seq, made.hash.0, 1_700_000_000));
        assert!(matches!(peek(&raw.xdr.slice(..80), &origin()), Err(DecodeError::Head { .. })));
    }
}

/// A batch of linked ledgers of these versions, the last one numbered `end`.
fn batch(versions: &[i32], start: u32, end: u32) -> (Vec<RawLedger>, Bytes) {
    let mut previous = xdr::Hash([3; 32]);
    let count = u32::try_from(versions.len()).unwrap();
    let mut seq = end + 1 - count;
    let mut xdr = Vec::new();
    let mut all = Vec::new();
    for n in [start, end, count] {
        xdr.extend(n.to_be_bytes());
    }
    for version in versions {
        let made = Made::new(*version, seq, previous);
        all.push(made.raw());
        xdr.extend(&made.raw().xdr);
        previous = made.hash;
        seq += 1;
    }
    (all, xdr.into())
}

#[test]
fn a_batch_is_cut_where_its_ledgers_end_whatever_their_versions() {
    for versions in [&[1][..], &[0, 0, 1, 1, 2, 2, 1, 0, 2, 0], &[2, 1]] {
        let (made, xdr) = batch(versions, 0, 63);
        let (start, end, cut) = split_batch(&xdr, &origin()).unwrap();
        assert_eq!((start.get(), end.get()), (0, 63));
        assert_eq!(cut.len(), made.len());
        for (cut, made) in cut.iter().zip(&made) {
            assert_eq!((cut.seq, &cut.xdr), (made.seq, &made.xdr));
        }
    }
}

#[test]
fn ledgers_of_a_batch_that_do_not_link_are_still_cut() {
    let parts = [Made::new(2, 8, xdr::Hash([1; 32])).raw(), Made::new(1, 9, xdr::Hash([2; 32])).raw()];
    let mut xdr: Vec<u8> = [8u32, 9, 2].iter().flat_map(|n| n.to_be_bytes()).collect();
    parts.iter().for_each(|part| xdr.extend(&part.xdr));
    let (_, _, cut) = split_batch(&xdr.into(), &origin()).unwrap();
    assert_eq!(cut.iter().map(|raw| &raw.xdr).collect::<Vec<_>>(), [&parts[0].xdr, &parts[1].xdr]);
}

#[test]
fn a_batch_that_promises_what_it_has_not_is_refused() {
    let (_, good) = batch(&[1, 1], 8, 9);
    for (at, value) in [(0, 10u32), (4, 8), (8, 3), (8, u32::MAX)] {
        let mut bad = good.to_vec();
        bad[at..at + 4].copy_from_slice(&value.to_be_bytes());
        let refused = split_batch(&bad.into(), &origin());
        assert!(matches!(refused, Err(DecodeError::Batch { .. })), "{value} at {at}: {refused:?}");
    }
    assert!(matches!(split_batch(&good.slice(..100), &origin()), Err(DecodeError::Batch { .. })));
    assert!(split_batch(&Bytes::new(), &origin()).is_err());
}

proptest! {
    #[test]
    fn a_truncated_ledger_is_refused(version in 0..3, at in any::<proptest::sample::Index>()) {
        let raw = made(version).raw();
        let length = at.index(raw.xdr.len());
        let cut = RawLedger { xdr: raw.xdr.slice(..length), ..raw };
        prop_assert!(decode(&cut, &network()).is_err());
    }

    /// Hashes cover all but the meta itself: what passes must still be the same header, envelopes and results.
    #[test]
    fn a_flipped_bit_never_changes_what_hashes_cover(version in 0..3, at in any::<proptest::sample::Index>(), bit in 0..8) {
        let raw = made(version).raw();
        let whole = decode(&raw, &network()).unwrap();
        let mut bytes = raw.xdr.to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1u8 << bit;
        if let Ok(ledger) = decode(&RawLedger { xdr: bytes.into(), ..raw }, &network()) {
            prop_assert_eq!(ledger.header, whole.header);
            for (tx, before) in ledger.transactions.iter().zip(&whole.transactions) {
                prop_assert_eq!(&tx.envelope, &before.envelope);
                prop_assert_eq!(&tx.result, &before.result);
            }
        }
    }

    #[test]
    fn noise_is_refused(noise in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let xdr = Bytes::from(noise);
        let raw = RawLedger { seq: LedgerSeq::new(7), xdr: xdr.clone(), origin: origin() };
        prop_assert!(decode(&raw, &network()).is_err());
        prop_assert!(split_batch(&xdr, &origin()).is_err());
    }

    #[test]
    fn a_damaged_batch_never_panics(at in any::<proptest::sample::Index>(), value in any::<u8>()) {
        let (_, good) = batch(&[0, 1, 2], 8, 10);
        let mut bytes = good.to_vec();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok((_, _, ledgers)) = split_batch(&bytes.into(), &origin()) {
            for raw in ledgers {
                drop(decode(&raw, &network()));
            }
        }
    }
}

#[test]
fn nesting_without_end_is_refused_before_the_stack_ends() {
    // SCV_VEC, present, of one element, which is again SCV_VEC ...
    let bytes = Bytes::from([0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 1].repeat(100_000));
    let refused = Walk::new(&bytes).read::<xdr::ScVal>().unwrap_err();
    assert!(refused.reason.contains("depth"), "{}", refused.reason);
}

#[test]
fn a_length_that_the_bytes_cannot_hold_takes_no_memory() {
    let bytes = Bytes::from_static(&[0xff; 4]);
    assert!(Walk::new(&bytes).list(|walk, _| walk.read::<xdr::LedgerEntry>()).is_err());
    assert!(Walk::new(&bytes).read::<xdr::VecM<xdr::LedgerEntry>>().is_err());
    assert!(Walk::new(&bytes).read::<xdr::BytesM>().is_err());
}
