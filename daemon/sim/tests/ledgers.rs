//! Whole ledgers, checked by reading their XDR back: hashes, links, order of changes, money, and the truth about them.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test fails on what it does not expect")]

mod reader;

use std::collections::{BTreeMap, BTreeSet};

use lake_core::{Hash32, LedgerRange, LedgerSeq};
use lake_sim::{Density, Model, SimConfig, SimLedger, SimNetwork};
use reader::Reader;

fn config(density: Density, seed: u64) -> SimConfig {
    SimConfig { passphrase: "a simulated network ; 2026".into(), seed, density }
}

/// Closes `count` ledgers from genesis on, each one read and checked.
fn checked(density: Density, count: u32) -> (Reader, Vec<SimLedger>) {
    let mut network = SimNetwork::new(config(density, 11));
    let mut reader = Reader::new("a simulated network ; 2026");
    let ledgers = (0..count)
        .map(|_| {
            let ledger = network.close_ledger();
            reader.read(&ledger);
            ledger
        })
        .collect();
    reader.compare_state(&network);
    (reader, ledgers)
}

#[test]
fn two_hundred_sparse_ledgers_agree_with_themselves() {
    let (reader, ledgers) = checked(Density::Sparse, 200);
    assert_eq!(ledgers[0].raw.seq, LedgerSeq::new(2));
    assert!(
        ledgers.iter().skip(40).any(|ledger| ledger.truth.transactions.is_empty()),
        "a quiet network rests"
    );
    let transactions: usize = ledgers.iter().skip(40).map(|ledger| ledger.truth.transactions.len()).sum();
    assert!((100..=300).contains(&transactions), "{transactions} transactions in 160 ledgers");
    assert!(reader.hashes.len() > 150);
}

#[test]
fn dense_ledgers_agree_with_themselves_and_look_like_mainnet() {
    let (reader, ledgers) = checked(Density::Dense, 45);
    let mut model = Model::default();
    ledgers.iter().skip(25).for_each(|ledger| model.add(&ledger.truth));
    let per = |sum: u64| sum / model.ledgers;
    // pubnet 63092982..63092991 on average: 1,058,989 bytes, 265 transactions, 703 operations.
    let near = |what: &str, is: u64, real: u64, percent: u64| {
        let (low, high) = (real * (100 - percent) / 100, real * (100 + percent) / 100);
        assert!((low..=high).contains(&is), "{what}: {is} is not within {percent} % of {real}");
    };
    near("bytes", per(model.totals.xdr_bytes), 1_058_989, 15);
    near("transactions", per(model.transactions), 265, 15);
    near("operations", per(model.operations), 703, 15);
    near("soroban transactions", per(model.totals.soroban_transactions), 25, 25);
    near("fee bumps", per(model.totals.fee_bumps), 41, 30);
    near("failed transactions", per(model.totals.failed), 140, 20);
    for kind in [0, 1, 2, 3, 5, 6, 10, 11, 12, 13, 24] {
        assert!(reader.good_kinds.contains(&kind), "no successful operation of type {kind}");
    }
    for kind in [1, 2, 3, 13, 24] {
        assert!(reader.bad_kinds.contains(&kind), "no failed operation of type {kind}");
    }
    for what in
        ["created", "updated", "removed", "trade", "memo id", "muxed", "clusters", "offer deleted", "refund"]
    {
        assert!(reader.seen.contains(what), "nothing {what} in dense ledgers");
    }
}

#[test]
fn everything_happens_within_two_hundred_ledgers() {
    let (reader, _) = checked(Density::Everything, 200);
    let missing = |seen: &BTreeSet<i32>, without: &[i32]| -> Vec<i32> {
        (0..=26).filter(|kind| !seen.contains(kind) && !without.contains(kind)).collect()
    };
    // Inflation is over since protocol 12.
    assert_eq!(missing(&reader.good_kinds, &[9]), [] as [i32; 0], "types of operations without success");
    // What can only be malformed fails before it gets into a ledger; an account that exists can always do these.
    assert_eq!(missing(&reader.bad_kinds, &[11]), [] as [i32; 0], "types of operations without failure");
    let features = [
        "account removed",
        "all preconditions",
        "call of a contract",
        "claimable balance removed",
        "code archived",
        "contract data removed",
        "contract with constructor",
        "contract without constructor",
        "credentials of an address",
        "data archived",
        "data removed",
        "data updated",
        "fee bump",
        "frozen keys changed",
        "memo hash",
        "memo id",
        "memo return",
        "memo text",
        "memo that is no UTF-8",
        "muxed",
        "muxed fee account",
        "offer removed",
        "offer taken in part",
        "op_no_source_account",
        "op_not_supported",
        "immutable account",
        "pool of credit assets",
        "pool removed",
        "pool with the native asset",
        "pool trade, strict receive",
        "pool trade, strict send",
        "pool shares removed",
        "burn",
        "clawback",
        "copy of an event",
        "event of a failed call",
        "event of a failed call within a good one",
        "mint",
        "pre-authorized signer used up",
        "refund",
        "restored",
        "restored before eviction",
        "restored by a call",
        "set_authorized",
        "shorter extension in parallel",
        "system event",
        "temporary data evicted",
        "temporary entry written anew",
        "trace of a call",
        "trace of a failed call",
        "transfer",
        "trade",
        "trustline limit changed",
        "trustline removed",
        "tx_bad_auth",
        "tx_bad_minseq_age_or_gap",
        "tx_bad_seq",
        "tx_bad_sponsorship",
        "tx_no_source_account",
        "upgrade of settings",
        "upgrade of the Soroban set size",
        "upgrade of the base fee",
        "upgrade of the base reserve",
        "upgrade of the set size",
        "upload of code",
    ];
    let absent: Vec<_> = features.into_iter().filter(|what| !reader.seen.contains(what)).collect();
    assert_eq!(absent, [] as [&str; 0], "features that did not occur");
}

#[test]
fn one_ledger_in_twenty_of_a_mixed_network_is_dense() {
    let (_, ledgers) = checked(Density::Mixed, 460);
    let dense: Vec<u32> = ledgers
        .iter()
        .skip(400)
        .filter(|ledger| ledger.truth.transactions.len() > 100)
        .map(|ledger| ledger.raw.seq.get())
        .collect();
    assert_eq!(dense, [402, 422, 442]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let close = |config: SimConfig| {
        let mut network = SimNetwork::new(config);
        (0..60).map(|_| network.close_ledger().raw.xdr).collect::<Vec<_>>()
    };
    let one = close(config(Density::Sparse, 1));
    assert_eq!(one, close(config(Density::Sparse, 1)));
    assert_ne!(one, close(config(Density::Sparse, 2)));
    let other = SimConfig { passphrase: "elsewhere".into(), ..config(Density::Sparse, 1) };
    assert_ne!(one, close(other));
}

#[test]
fn skipping_and_checkpoints_lead_to_the_same_ledger_as_stepping() {
    for density in [Density::Sparse, Density::Dense] {
        let mut stepping = SimNetwork::new(config(density, 5));
        let mut checkpoint = stepping.clone();
        let mut last = None;
        for _ in 2..=20 {
            if stepping.next_seq().get() == 14 {
                checkpoint = stepping.clone();
            }
            last = Some(stepping.close_ledger());
        }
        let last = last.expect("ledgers were closed");
        let mut skipping = SimNetwork::new(config(density, 5));
        skipping.skip_to(LedgerSeq::new(20));
        assert_eq!(skipping.next_seq(), last.raw.seq);
        let skipped = skipping.close_ledger();
        assert_eq!(skipped.raw.xdr, last.raw.xdr);
        assert_eq!(skipped.truth, last.truth);
        checkpoint.skip_to(LedgerSeq::new(20));
        assert_eq!(checkpoint.close_ledger().raw.xdr, last.raw.xdr);
        // The past cannot be reached.
        skipping.skip_to(LedgerSeq::new(3));
        assert_eq!(skipping.next_seq(), LedgerSeq::new(21));
    }
}

#[test]
fn a_model_of_a_range_sums_up_its_ledgers() {
    let (_, ledgers) = checked(Density::Sparse, 80);
    let range = LedgerRange::new(LedgerSeq::new(30), LedgerSeq::new(81)).expect("30 is before 81");
    let model = Model::of(config(Density::Sparse, 11), range);
    let part = ledgers.get(28..).expect("80 ledgers were closed");
    assert_eq!(model.ledgers, 52);
    assert_eq!(
        model.transactions,
        part.iter().map(|ledger| ledger.truth.transactions.len() as u64).sum::<u64>()
    );
    assert_eq!(model.operations, part.iter().map(|ledger| ledger.truth.operations.len() as u64).sum::<u64>());
    assert_eq!(model.last_hash, part.last().map(|ledger| ledger.truth.hash));
    assert_eq!(model.previous_hash, ledgers.get(27).map(|ledger| ledger.truth.hash));
    let fees: i64 = part.iter().flat_map(|ledger| &ledger.truth.transactions).map(|tx| tx.fee_charged).sum();
    assert_eq!(model.totals.fee_charged, fees);
}

#[test]
fn the_genesis_header_is_the_same_for_all_networks_but_their_ledgers_are_not() {
    let first = |seed, passphrase: &str| {
        let config = SimConfig { passphrase: passphrase.into(), seed, density: Density::Sparse };
        SimNetwork::new(config).close_ledger().truth
    };
    let (a, b) = (first(1, "a"), first(1, "b"));
    assert_eq!(a.previous_hash, b.previous_hash);
    let hashes: BTreeSet<Hash32> = [a.hash, b.hash, first(2, "a").hash].into();
    assert_eq!(hashes.len(), 3);
    let words: BTreeMap<&str, usize> = a.transactions.iter().map(|tx| (tx.result, 1)).collect();
    assert_eq!(words.len(), 1);
}
