//! Reads ledgers as a consumer would and keeps the state that their changes tell of.

mod books;
mod features;
mod sums;

use std::collections::{BTreeSet, HashMap};

use books::Books;
use lake_core::{Hash32, Network, decode};
use lake_sim::{SimLedger, SimNetwork, TxTruth};
use stellar_xdr::{
    ClaimAtom, ContractEvent, ContractEventBody, FeeBumpTransactionInnerTx, GeneralizedTransactionSet,
    InnerTransactionResultResult, LedgerCloseMeta, LedgerEntryChange, LedgerHeader, Limits,
    ManageOfferSuccessResultOffer, ManageSellOfferResult, Memo, MuxedAccount, OperationResult,
    OperationResultTr, PathPaymentStrictReceiveResult, PathPaymentStrictSendResult, ReadXdr, ScVal,
    SorobanTransactionMetaExt, TransactionEnvelope, TransactionEventStage, TransactionExt, TransactionMeta,
    TransactionMetaV4, TransactionPhase, TransactionResultMetaV1, TransactionResultResult,
    TransactionResultSet, TxSetComponent, WriteXdr,
};

/// What the ledgers so far told.
pub(crate) struct Reader {
    network: Network,
    network_id: [u8; 32],
    previous: Option<LedgerHeader>,
    books: Books,
    /// Hashes of all transactions.
    pub(crate) hashes: BTreeSet<[u8; 32]>,
    /// Types of operations that succeeded.
    pub(crate) good_kinds: BTreeSet<i32>,
    /// Types of operations that failed.
    pub(crate) bad_kinds: BTreeSet<i32>,
    /// Things that occurred.
    pub(crate) seen: BTreeSet<&'static str>,
}

fn bytes<T: WriteXdr>(value: &T) -> Vec<u8> {
    value.to_xdr(Limits::none()).expect("what was read can be written")
}

fn sha<T: WriteXdr>(value: &T) -> Hash32 {
    Hash32::sha256(&[&bytes(value)])
}

impl Reader {
    /// Nothing read so far.
    pub(crate) fn new(passphrase: &str) -> Self {
        Self {
            network: Network::new(passphrase),
            network_id: Network::new(passphrase).id().0,
            previous: None,
            books: Books::default(),
            hashes: BTreeSet::new(),
            good_kinds: BTreeSet::new(),
            bad_kinds: BTreeSet::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Reads the next ledger and checks it against itself, the ones before and its truth.
    pub(crate) fn read(&mut self, ledger: &SimLedger) {
        let raw = &ledger.raw.xdr;
        let meta = LedgerCloseMeta::from_xdr(raw, Limits::none()).expect("a whole ledger");
        assert!(bytes(&meta) == *raw, "re-encoding gives the same bytes");
        let LedgerCloseMeta::V2(meta) = meta else { panic!("a ledger of protocol 26 has version 2") };
        let decoded = decode::decode(&ledger.raw, &self.network).expect("a ledger that verifies");
        if let Some(previous) = &self.previous {
            decode::verify_link(sha(previous), &decoded).expect("a ledger that follows the one before");
        }
        let header = &meta.ledger_header.header;
        let truth = &ledger.truth;
        assert_eq!(ledger.raw.seq.get(), header.ledger_seq);
        assert_eq!((truth.seq.get(), truth.protocol), (header.ledger_seq, header.ledger_version));
        assert_eq!(u64::try_from(truth.closed_at), Ok(header.scp_value.close_time.0));

        // Hashes and links.
        assert_eq!(sha(header).0, meta.ledger_header.hash.0);
        assert_eq!(truth.hash.0, meta.ledger_header.hash.0);
        assert_eq!(truth.previous_hash.0, header.previous_ledger_hash.0);
        assert_eq!(sha(&meta.tx_set).0, header.scp_value.tx_set_hash.0);
        assert_eq!(truth.tx_set_hash.0, header.scp_value.tx_set_hash.0);
        let results: Vec<_> = meta.tx_processing.iter().map(|one| one.result.clone()).collect();
        let results = TransactionResultSet { results: results.try_into().expect("no bound") };
        assert_eq!(sha(&results).0, header.tx_set_result_hash.0);
        assert_eq!(truth.tx_set_result_hash.0, header.tx_set_result_hash.0);
        if let Some(previous) = &self.previous {
            assert_eq!(header.previous_ledger_hash.0, sha(previous).0);
            assert_eq!(header.ledger_seq, previous.ledger_seq + 1);
            assert_eq!(header.scp_value.close_time.0, previous.scp_value.close_time.0 + 5);
            assert_eq!(header.total_coins, previous.total_coins);
        }

        // Envelopes by the hash that their network gives them.
        let GeneralizedTransactionSet::V1(set) = &meta.tx_set;
        assert_eq!(set.previous_ledger_hash, header.previous_ledger_hash);
        let mut envelopes = HashMap::new();
        for (phase, envelope) in self.envelopes(&set.phases) {
            let hash = envelope.hash(self.network_id).expect("a hash");
            assert!(self.hashes.insert(hash), "a transaction hash repeats");
            envelopes.insert(hash, (phase, envelope));
        }
        assert_eq!(envelopes.len(), meta.tx_processing.len());
        assert_eq!(truth.transactions.len(), meta.tx_processing.len());

        // Changes in the order in which they happened.
        let is_soroban = |one: &&TransactionResultMetaV1| {
            envelopes.get(&one.result.transaction_hash.0).is_some_and(|(phase, _)| *phase == 1)
        };
        let all = || meta.tx_processing.iter();
        assert!(
            all().skip_while(|one| !is_soroban(one)).all(|one| is_soroban(&one)),
            "classic ones come first"
        );
        let books = &mut self.books;
        books.begin(header.ledger_seq);
        all().for_each(|one| books.apply(&one.fee_processing));
        for one in all().filter(|one| !is_soroban(one)) {
            books.apply(&v4(one).tx_changes_before);
            v4(one).operations.iter().for_each(|op| books.apply(&op.changes));
        }
        all().filter(is_soroban).for_each(|one| books.apply(&v4(one).tx_changes_before));
        for one in all().filter(is_soroban) {
            v4(one).operations.iter().for_each(|op| books.apply(&op.changes));
        }
        all().for_each(|one| books.apply(&one.post_tx_apply_fee_processing));
        meta.upgrades_processing.iter().for_each(|upgrade| books.apply(&upgrade.changes));
        books.evict(&meta.evicted_keys);
        books.compare(ledger);
        self.seen.extend(std::mem::take(&mut books.seen));
        sums::of_rows(&meta, ledger);
        self.upgrades(&meta);

        // Money.
        let native = self.network.clone();
        let held: i128 = self.books.entries.values().map(|entry| sums::native(entry, &native)).sum();
        assert_eq!(held + i128::from(header.fee_pool), i128::from(header.total_coins), "money is conserved");
        sums::accounts_agree_with_what_belongs_to_them(&self.books.entries);
        let charged: i64 = all().map(|one| one.result.result.fee_charged).sum();
        let pool_before = self.previous.as_ref().map_or(0, |previous| previous.fee_pool);
        assert_eq!(header.fee_pool - pool_before, charged);
        assert_eq!((truth.totals.fee_charged, truth.totals.fee_pool), (charged, header.fee_pool));

        let mut operation_events = 0;
        let mut operations = truth.operations.iter();
        for (one, told) in all().zip(&truth.transactions) {
            let (phase, envelope) =
                envelopes.get(&one.result.transaction_hash.0).expect("every result has an envelope");
            self.transaction(one, *phase, envelope, told);
            operation_events += v4(one).operations.iter().map(|op| op.events.len()).sum::<usize>();
            for index in 0..told.operation_count {
                let operation = operations.next().expect("the truth knows every operation");
                assert_eq!((operation.transaction, operation.index), (told.hash, index));
                assert_eq!(operation.successful, told.successful);
            }
        }
        assert!(operations.next().is_none());
        assert_eq!(usize::try_from(truth.totals.operation_events), Ok(operation_events));
        assert_eq!(usize::try_from(truth.totals.envelope_operations), Ok(truth.operations.len()));
        assert_eq!(usize::try_from(truth.totals.xdr_bytes), Ok(raw.len()));
        self.previous = Some(header.clone());
    }

    /// The network's state is what all ledgers so far lead to.
    pub(crate) fn compare_state(&self, network: &SimNetwork) {
        self.books.compare_state(network);
    }

    fn envelopes(&mut self, phases: &[TransactionPhase]) -> Vec<(usize, TransactionEnvelope)> {
        let mut out = Vec::new();
        assert_eq!(phases.len(), 2);
        for (number, phase) in phases.iter().enumerate() {
            match phase {
                TransactionPhase::V0(components) => {
                    assert_eq!(number, 0, "the Soroban phase is parallel");
                    for TxSetComponent::TxsetCompTxsMaybeDiscountedFee(component) in components.iter() {
                        assert_eq!(component.base_fee, Some(self.base_fee()));
                        in_order(&component.txs);
                        out.extend(component.txs.iter().map(|envelope| (number, envelope.clone())));
                    }
                }
                TransactionPhase::V1(parallel) => {
                    assert_eq!(number, 1, "the classic phase is not parallel");
                    assert_eq!(parallel.base_fee.is_some(), !parallel.execution_stages.is_empty());
                    for stage in parallel.execution_stages.iter() {
                        if stage.0.len() > 1 {
                            self.seen.insert("clusters");
                        }
                        for cluster in stage.0.iter() {
                            in_order(&cluster.0);
                            out.extend(cluster.0.iter().map(|envelope| (number, envelope.clone())));
                        }
                    }
                }
            }
        }
        out
    }

    /// Fee per operation that held in the ledger.
    fn base_fee(&self) -> i64 {
        self.previous.as_ref().map_or(100, |previous| i64::from(previous.base_fee))
    }

    fn transaction(
        &mut self,
        one: &TransactionResultMetaV1,
        phase: usize,
        envelope: &TransactionEnvelope,
        told: &TxTruth,
    ) {
        assert_eq!(told.hash.0, one.result.transaction_hash.0);
        assert_eq!((told.soroban, told.fee_charged), (phase == 1, one.result.result.fee_charged));
        let (tx, signatures) = match envelope {
            TransactionEnvelope::Tx(envelope) => (&envelope.tx, &envelope.signatures),
            TransactionEnvelope::TxFeeBump(envelope) => {
                let FeeBumpTransactionInnerTx::Tx(inner) = &envelope.tx.inner_tx;
                assert_eq!(told.max_fee, envelope.tx.fee);
                let hash = inner.hash(self.network_id).expect("a hash");
                assert_eq!(told.inner_hash.map(|hash| hash.0), Some(hash));
                (&inner.tx, &inner.signatures)
            }
            TransactionEnvelope::TxV0(_) => panic!("no such envelopes today"),
        };
        let key = match &tx.source_account {
            MuxedAccount::Ed25519(key) => key.0,
            MuxedAccount::MuxedEd25519(muxed) => {
                self.seen.insert("muxed");
                muxed.ed25519.0
            }
        };
        let first = signatures.first().expect("at least one signature");
        assert_eq!(first.signature.0.len(), 64);
        assert_eq!(first.hint.0, key[28..]);
        assert_eq!(usize::try_from(told.operation_count), Ok(tx.operations.len()));
        assert_eq!(told.account_sequence, tx.seq_num.0);
        if tx.memo != Memo::None {
            self.seen.insert("memo");
        }
        let (word, results) = results(one, told);
        assert_eq!(word, told.result);
        let refused = !matches!(told.inner_result.unwrap_or(word), "tx_success" | "tx_failed");
        if refused {
            assert!(results.is_empty());
            self.seen.insert(told.inner_result.unwrap_or(told.result));
        } else {
            assert_eq!(results.len(), tx.operations.len(), "every operation has a result");
        }
        self.what_it_is_made_of(tx, envelope);
        let meta = v4(one);
        assert_eq!(meta.operations.len(), if told.successful { results.len() } else { 0 });
        for (operation, result) in tx.operations.iter().zip(&results) {
            self.result(operation.body.discriminant().into(), result, told.successful);
        }
        self.events(meta, told.successful);
        fee_events_are_what_was_charged(one, meta);
        match (&tx.ext, &meta.soroban_meta) {
            (TransactionExt::V0, None) => assert!(one.post_tx_apply_fee_processing.is_empty()),
            (TransactionExt::V1(data), Some(soroban)) => {
                let SorobanTransactionMetaExt::V1(fees) = &soroban.ext else { panic!("no fees") };
                let used = fees.total_non_refundable_resource_fee_charged
                    + fees.total_refundable_resource_fee_charged;
                let inclusion = self.base_fee() * (1 + i64::from(told.inner_hash.is_some()));
                assert_eq!(inclusion + used, told.fee_charged);
                assert!(used <= data.resource_fee && fees.rent_fee_charged <= used);
                let calls = matches!(
                    tx.operations.first().map(|op| &op.body),
                    Some(stellar_xdr::OperationBody::InvokeHostFunction(_))
                );
                assert_eq!(soroban.return_value.is_some(), told.successful && calls);
                self.seen.insert("refund");
            }
            _ => panic!("resources and their meta go together"),
        }
    }

    fn result(&mut self, kind: i32, result: &OperationResult, successful: bool) {
        let OperationResult::OpInner(inner) = result else {
            self.bad_kinds.insert(kind);
            self.seen.insert(match result {
                OperationResult::OpNotSupported => "op_not_supported",
                OperationResult::OpNoAccount => "op_no_source_account",
                other => panic!("no such result in these networks: {other:?}"),
            });
            return;
        };
        // stellar-core gives passive offers the result of plain ones.
        let arm = if kind == 4 { 3 } else { kind };
        assert_eq!(i32::from(inner.discriminant()), arm);
        // After the type stands the code: 0 is success for all types.
        match bytes(inner).get(4..8) == Some(&[0; 4]) {
            true if successful => self.good_kinds.insert(kind),
            // What became of it was taken back with the rest of its transaction.
            true => false,
            false => self.bad_kinds.insert(kind),
        };
        if let OperationResultTr::PathPaymentStrictSend(PathPaymentStrictSendResult::Success(success)) = inner
            && success.offers.iter().any(|atom| matches!(atom, ClaimAtom::LiquidityPool(_)))
        {
            self.seen.insert("pool trade, strict send");
        }
        if let OperationResultTr::PathPaymentStrictReceive(result) = inner
            && let PathPaymentStrictReceiveResult::Success(success) = result
            && success.offers.iter().any(|atom| matches!(atom, ClaimAtom::LiquidityPool(_)))
        {
            self.seen.insert("pool trade, strict receive");
        }
        if let OperationResultTr::ManageSellOffer(ManageSellOfferResult::Success(success)) = inner {
            if success.offer == ManageOfferSuccessResultOffer::Deleted {
                self.seen.insert("offer deleted");
            }
            for atom in success.offers_claimed.iter() {
                assert!(
                    matches!(atom, ClaimAtom::OrderBook(atom) if atom.amount_sold > 0 && atom.amount_bought > 0)
                );
                self.seen.insert("trade");
            }
        }
    }
}

fn results(one: &TransactionResultMetaV1, told: &TxTruth) -> (&'static str, Vec<OperationResult>) {
    let inner = |pair: &stellar_xdr::InnerTransactionResultPair| {
        assert_eq!(told.inner_hash.map(|hash| hash.0), Some(pair.transaction_hash.0));
        match &pair.result.result {
            InnerTransactionResultResult::TxSuccess(results)
            | InnerTransactionResultResult::TxFailed(results) => results.to_vec(),
            InnerTransactionResultResult::TxNoAccount => {
                assert_eq!(told.inner_result, Some("tx_no_source_account"));
                Vec::new()
            }
            InnerTransactionResultResult::TxBadSponsorship => {
                assert_eq!(told.inner_result, Some("tx_bad_sponsorship"));
                Vec::new()
            }
            other => panic!("no such inner result in today's ledgers: {other:?}"),
        }
    };
    match &one.result.result.result {
        TransactionResultResult::TxSuccess(results) => ("tx_success", results.to_vec()),
        TransactionResultResult::TxFailed(results) => ("tx_failed", results.to_vec()),
        TransactionResultResult::TxFeeBumpInnerSuccess(pair) => ("tx_fee_bump_inner_success", inner(pair)),
        TransactionResultResult::TxFeeBumpInnerFailed(pair) => ("tx_fee_bump_inner_failed", inner(pair)),
        TransactionResultResult::TxBadSeq => ("tx_bad_seq", Vec::new()),
        TransactionResultResult::TxNoAccount => ("tx_no_source_account", Vec::new()),
        TransactionResultResult::TxBadAuth => ("tx_bad_auth", Vec::new()),
        TransactionResultResult::TxBadSponsorship => ("tx_bad_sponsorship", Vec::new()),
        TransactionResultResult::TxBadMinSeqAgeOrGap => ("tx_bad_minseq_age_or_gap", Vec::new()),
        other => panic!("no such result in today's ledgers: {other:?}"),
    }
}

fn v4(one: &TransactionResultMetaV1) -> &TransactionMetaV4 {
    let TransactionMeta::V4(meta) = &one.tx_apply_processing else { panic!("protocol 26 writes version 4") };
    meta
}

fn in_order(envelopes: &[TransactionEnvelope]) {
    assert!(envelopes.is_sorted_by_key(sha), "a set is sorted by hash");
}

/// Fee taken before, and given back after, all transactions: the events say what the changes do.
fn fee_events_are_what_was_charged(one: &TransactionResultMetaV1, meta: &TransactionMetaV4) {
    let moved = |changes: &[LedgerEntryChange]| match changes {
        [] => 0,
        [LedgerEntryChange::State(before), LedgerEntryChange::Updated(after)] => {
            sums::account_balance(after) - sums::account_balance(before)
        }
        other => panic!("one pair of images expected: {other:?}"),
    };
    let taken = -moved(&one.fee_processing);
    let back = moved(&one.post_tx_apply_fee_processing);
    assert!(taken > 0);
    assert_eq!(taken - back, i128::from(one.result.result.fee_charged));
    let told: Vec<(TransactionEventStage, i128)> =
        meta.events.iter().map(|event| (event.stage, amount(&event.event))).collect();
    let mut expected = vec![(TransactionEventStage::BeforeAllTxs, taken)];
    if back != 0 {
        expected.push((TransactionEventStage::AfterAllTxs, -back));
    }
    assert_eq!(told, expected);
}

fn amount(event: &ContractEvent) -> i128 {
    let ContractEventBody::V0(body) = &event.body;
    assert!(matches!(body.topics.first(), Some(ScVal::Symbol(name)) if name.0.as_slice() == b"fee"));
    let ScVal::I128(parts) = &body.data else { panic!("a fee is a number") };
    (i128::from(parts.hi) << 64) | i128::from(parts.lo)
}
