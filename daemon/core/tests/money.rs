//! No coin is made or lost: on every real ledger with meta, what the entries gained or lost is what fees, inflation,
//! events and trades say.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail where it stands, says what it counted and looks for a few kinds among many"
)]

mod support;

use std::collections::BTreeMap;

use lake_core::{
    Ledger, Transaction,
    changes::{Changes, EntryChange, EntryKey, Place, in_order},
    decode::decode,
    text::{AssetParts, i128_of, parse_asset, stellar_asset_contract},
};
use stellar_xdr::{
    self as xdr, ClaimAtom, LedgerEntryData as Data, OperationBody as Body, OperationResultTr as Tr,
};
use support::{shared, suite};

/// Ledger in which the fee pool was corrected by hand with the upgrade to protocol 24, and by how much, stroops.
const FEE_POOL_CORRECTION: (u32, i128) = (59_501_312, 31_879_035);

#[test]
fn lumens_move_and_are_neither_made_nor_lost() {
    let mut counted = (0, 0);
    for_each_ledger(|before, ledger| {
        let changes = Changes::of(ledger).unwrap();
        let native = stellar_asset_contract(ledger.network_id, xdr::Asset::Native).unwrap();
        let moved: i128 = changes.iter().map(|change| moved(change, |data| lumens(data, &native))).sum();
        let fees: i128 = ledger.transactions.iter().map(|tx| i128::from(tx.fees().charged)).sum();
        let paid_out: i128 = ledger.transactions.iter().map(inflation).sum();
        assert_eq!(moved + fees, paid_out, "{} {:?}", ledger.seq, ledger.hash);
        counted.0 += 1;
        if let Some(before) = before {
            let pool = i128::from(ledger.header.fee_pool) - i128::from(before.header.fee_pool);
            let coins = i128::from(ledger.header.total_coins) - i128::from(before.header.total_coins);
            let by_hand = if ledger.seq.get() == FEE_POOL_CORRECTION.0 { FEE_POOL_CORRECTION.1 } else { 0 };
            assert_eq!(moved + pool, coins + by_hand, "{} {:?}", ledger.seq, ledger.hash);
            counted.1 += 1;
        }
    });
    println!("lumens: {} ledgers balance with their fees, {} with the header before", counted.0, counted.1);
}

#[test]
fn asset_events_sum_to_what_every_holder_gained() {
    let mut counted = (0, 0);
    for_each_ledger(|_, ledger| {
        let tells = |tx: &Transaction| {
            matches!(tx.meta, xdr::TransactionMeta::V4(_)) && !tx.transaction_events().is_empty()
        };
        if ledger.transactions.is_empty() || !ledger.transactions.iter().all(tells) {
            return;
        }
        let mut book = Book::default();
        for tx in &ledger.transactions {
            book.read(ledger, tx);
        }
        for change in Changes::of(ledger).unwrap().iter() {
            book.subtract(change);
        }
        let off: Vec<_> = book.balances.iter().filter(|(_, left)| **left != 0).collect();
        assert!(off.is_empty(), "ledger {}: events and entries differ: {off:?}", ledger.seq);
        counted.0 += 1;
        counted.1 += book.balances.len();
    });
    println!("events: {} ledgers, {} balances", counted.0, counted.1);
}

#[test]
fn pools_gain_what_they_bought_and_lose_what_they_sold() {
    let mut counted = (0, 0);
    for_each_ledger(|_, ledger| {
        let mut left: BTreeMap<([u8; 32], String), i128> = BTreeMap::new();
        for change in Changes::of(ledger).unwrap().iter() {
            let mut add = |image: Option<&xdr::LedgerEntry>, sign: i128| {
                if let Some(Data::LiquidityPool(pool)) = image.map(|image| &image.data) {
                    for (asset, amount) in reserves(pool) {
                        *left.entry((pool.liquidity_pool_id.0.0, asset)).or_default() += sign * amount;
                    }
                }
            };
            add(change.after(), 1);
            add(change.before, -1);
            counted.1 += usize::from(matches!(change.key, EntryKey::LiquidityPool(_)));
        }
        for tx in ledger.transactions.iter().filter(|tx| tx.successful()) {
            for atom in tx.operation_results().unwrap().iter().flat_map(claim_atoms) {
                if let ClaimAtom::LiquidityPool(fill) = atom {
                    let id = fill.liquidity_pool_id.0.0;
                    *left.entry((id, name(&fill.asset_bought))).or_default() -=
                        i128::from(fill.amount_bought);
                    *left.entry((id, name(&fill.asset_sold))).or_default() += i128::from(fill.amount_sold);
                }
            }
        }
        for (place, changes) in in_order(ledger) {
            let Place::Operation(tx, index) = place else { continue };
            // Deposits, withdrawals and revocations: what the operation itself moved.
            if !matches!(
                tx.operations()[index].body,
                Body::LiquidityPoolDeposit(_)
                    | Body::LiquidityPoolWithdraw(_)
                    | Body::SetTrustLineFlags(_)
                    | Body::AllowTrust(_)
            ) {
                continue;
            }
            for change in changes {
                let (entry, sign) = match change {
                    xdr::LedgerEntryChange::State(entry) => (entry, 1),
                    xdr::LedgerEntryChange::Updated(entry) | xdr::LedgerEntryChange::Created(entry) => {
                        (entry, -1)
                    }
                    _ => continue,
                };
                if let Data::LiquidityPool(pool) = &entry.data {
                    for (asset, amount) in reserves(pool) {
                        *left.entry((pool.liquidity_pool_id.0.0, asset)).or_default() += sign * amount;
                    }
                }
            }
        }
        let off: Vec<_> = left.iter().filter(|(_, left)| **left != 0).collect();
        assert!(off.is_empty(), "ledger {}: trades and reserves differ: {off:?}", ledger.seq);
        counted.0 += 1;
    });
    println!("pools: {} ledgers, {} pools changed", counted.0, counted.1);
}

#[test]
fn each_state_image_is_the_last_image_of_its_entry() {
    let mut counted = 0;
    for_each_ledger(|_, ledger| {
        let mut images = std::collections::HashMap::new();
        for (place, changes) in in_order(ledger) {
            for change in changes {
                let (entry, is_state) = match change {
                    xdr::LedgerEntryChange::State(entry) => (entry, true),
                    xdr::LedgerEntryChange::Created(entry)
                    | xdr::LedgerEntryChange::Updated(entry)
                    | xdr::LedgerEntryChange::Restored(entry) => (entry, false),
                    xdr::LedgerEntryChange::Removed(_) => continue,
                };
                // Clusters that run in parallel each start from the TTL before their stage.
                if matches!(entry.data, Data::Ttl(_)) {
                    continue;
                }
                let known = images.insert(EntryKey::of(entry), entry);
                if is_state && known.is_some() {
                    counted += 1;
                    assert_eq!(known, Some(entry), "ledger {}, {place}", ledger.seq);
                }
            }
        }
    });
    println!("{counted} STATE images equal the image before them");
}

/// Calls `check` with every ledger of the suites with meta, and the one before it where that is known.
fn for_each_ledger(mut check: impl FnMut(Option<&Ledger>, &Ledger)) {
    let Some(shared) = shared() else { return };
    for name in ["pubnet", "testnet", "core"] {
        for chain in suite(&shared, name) {
            let mut before: Option<Ledger> = None;
            for raw in &chain.ledgers {
                let ledger = decode(raw, &chain.network).unwrap();
                let previous = before.as_ref().filter(|before| before.hash == ledger.previous_hash);
                check(previous, &ledger);
                before = Some(ledger);
            }
        }
    }
}

/// By how much a change moved what `value` finds in an entry. Evictions move it into the archive and count nothing.
fn moved(change: &EntryChange<'_>, value: impl Fn(&Data) -> i128) -> i128 {
    if change.evicted {
        return 0;
    }
    let of = |image: Option<&xdr::LedgerEntry>| image.map_or(0, |image| value(&image.data));
    of(change.after()) - of(change.before)
}

/// Lumens in an entry, stroops; `native` is the contract of the native asset.
fn lumens(data: &Data, native: &xdr::ContractId) -> i128 {
    match data {
        Data::Account(account) => account.balance.into(),
        Data::ClaimableBalance(balance) if balance.asset == xdr::Asset::Native => balance.amount.into(),
        Data::LiquidityPool(pool) => {
            reserves(pool).into_iter().filter(|(asset, _)| asset == "native").map(|(_, amount)| amount).sum()
        }
        Data::ContractData(data) => match contract_balance(data) {
            Some((contract, _, amount)) if contract == native => amount,
            _ => 0,
        },
        _ => 0,
    }
}

fn inflation(tx: &Transaction) -> i128 {
    let results = tx.operation_results().filter(|_| tx.successful()).unwrap_or_default();
    let payouts = results.iter().filter_map(|result| match result {
        xdr::OperationResult::OpInner(Tr::Inflation(xdr::InflationResult::Success(payouts))) => Some(payouts),
        _ => None,
    });
    payouts.flat_map(|payouts| payouts.iter()).map(|payout| i128::from(payout.amount)).sum()
}

fn reserves(pool: &xdr::LiquidityPoolEntry) -> [(String, i128); 2] {
    let xdr::LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
    [(name(&body.params.asset_a), body.reserve_a.into()), (name(&body.params.asset_b), body.reserve_b.into())]
}

fn name(asset: &xdr::Asset) -> String {
    AssetParts::from(asset).to_string()
}

/// Contract, holder and amount of an entry shaped as asset contracts keep balances.
fn contract_balance(data: &xdr::ContractDataEntry) -> Option<(&xdr::ContractId, &xdr::ScAddress, i128)> {
    let xdr::ScAddress::Contract(contract) = &data.contract else { return None };
    let xdr::ScVal::Vec(Some(key)) = &data.key else { return None };
    let [xdr::ScVal::Symbol(word), xdr::ScVal::Address(holder)] = key.0.as_slice() else { return None };
    let xdr::ScVal::Map(Some(map)) = &data.val else { return None };
    let amount = map.iter().find(|e| e.key == xdr::ScVal::Symbol("amount".try_into().unwrap()))?;
    let xdr::ScVal::I128(amount) = &amount.val else { return None };
    (word.0.as_slice() == b"Balance").then(|| (contract, holder, i128_of(amount)))
}

fn claim_atoms(result: &xdr::OperationResult) -> Vec<&ClaimAtom> {
    use xdr::ManageBuyOfferResult as Buy;
    use xdr::ManageSellOfferResult as Sell;
    use xdr::PathPaymentStrictReceiveResult as Receive;
    use xdr::PathPaymentStrictSendResult as Send;
    let xdr::OperationResult::OpInner(tr) = result else { return Vec::new() };
    match tr {
        Tr::ManageSellOffer(Sell::Success(r)) | Tr::CreatePassiveSellOffer(Sell::Success(r)) => {
            r.offers_claimed.iter().collect()
        }
        Tr::ManageBuyOffer(Buy::Success(r)) => r.offers_claimed.iter().collect(),
        Tr::PathPaymentStrictReceive(Receive::Success(r)) => r.offers.iter().collect(),
        Tr::PathPaymentStrictSend(Send::Success(r)) => r.offers.iter().collect(),
        _ => Vec::new(),
    }
}

/// Holder and asset, and by how much the holder's balance is to change.
#[derive(Default)]
struct Book {
    balances: BTreeMap<(String, String), i128>,
    /// Asset of every contract that an event proved to be the asset's.
    contracts: BTreeMap<[u8; 32], xdr::Asset>,
}

impl Book {
    fn add(&mut self, holder: &str, asset: &xdr::Asset, amount: i128) {
        let issuer = AssetParts::from(asset).issuer().map(ToString::to_string);
        if issuer.as_deref() != Some(holder) {
            *self.balances.entry((holder.to_owned(), name(asset))).or_default() += amount;
        }
    }

    fn read(&mut self, ledger: &Ledger, tx: &Transaction) {
        let of_transaction = tx.transaction_events().iter().map(|event| &event.event);
        let of_operations = (0..tx.operations().len()).flat_map(|index| tx.operation_events(index));
        for event in of_transaction.chain(of_operations) {
            self.event(ledger, event);
        }
    }

    fn event(&mut self, ledger: &Ledger, event: &xdr::ContractEvent) {
        let xdr::ContractEventBody::V0(body) = &event.body;
        let Some(contract) = &event.contract_id else { return };
        let [xdr::ScVal::Symbol(kind), rest @ ..] = body.topics.as_slice() else { return };
        let kind = String::from_utf8_lossy(kind.0.as_slice()).into_owned();
        let (asset, who) = match rest {
            who if kind == "fee" => (xdr::Asset::Native, who),
            [who @ .., xdr::ScVal::String(asset)] => match parse_asset(asset.0.as_slice()) {
                Some(asset) => (asset, who),
                None => return,
            },
            _ => return,
        };
        if stellar_asset_contract(ledger.network_id, asset.clone()).unwrap() != *contract {
            return;
        }
        self.contracts.insert(contract.0.0, asset.clone());
        let amount = match &body.data {
            xdr::ScVal::I128(amount) => i128_of(amount),
            xdr::ScVal::Map(Some(map)) => match &map[0].val {
                xdr::ScVal::I128(amount) => i128_of(amount),
                other => panic!("an event's amount is {other:?}"),
            },
            _ => return,
        };
        let address = |value: &xdr::ScVal| match value {
            xdr::ScVal::Address(address) => address.to_string(),
            other => panic!("{kind} of {other:?}"),
        };
        match (kind.as_str(), who) {
            ("transfer", [from, to]) => {
                self.add(&address(from), &asset, -amount);
                self.add(&address(to), &asset, amount);
            }
            ("mint", [.., to]) => self.add(&address(to), &asset, amount),
            ("burn" | "clawback", [.., from]) => self.add(&address(from), &asset, -amount),
            ("fee", [from]) => self.add(&address(from), &asset, -amount),
            _ => {}
        }
    }

    /// Takes away what an entry really changed: nothing must be left.
    fn subtract(&mut self, change: &EntryChange<'_>) {
        let Some(image) = change.image.or(change.before) else { return };
        match &image.data {
            Data::Account(account) => {
                let amount = moved(change, |data| match data {
                    Data::Account(account) => account.balance.into(),
                    _ => 0,
                });
                self.add(&account.account_id.to_string(), &xdr::Asset::Native, -amount);
            }
            Data::Trustline(line) => {
                let asset = match &line.asset {
                    xdr::TrustLineAsset::CreditAlphanum4(a) => xdr::Asset::CreditAlphanum4(a.clone()),
                    xdr::TrustLineAsset::CreditAlphanum12(a) => xdr::Asset::CreditAlphanum12(a.clone()),
                    xdr::TrustLineAsset::Native | xdr::TrustLineAsset::PoolShare(_) => return,
                };
                let amount = moved(change, |data| match data {
                    Data::Trustline(line) => line.balance.into(),
                    _ => 0,
                });
                self.add(&line.account_id.to_string(), &asset, -amount);
            }
            Data::ClaimableBalance(balance) => {
                let amount = moved(change, |data| match data {
                    Data::ClaimableBalance(balance) => balance.amount.into(),
                    _ => 0,
                });
                let holder = xdr::ScAddress::ClaimableBalance(balance.balance_id.clone());
                self.add(&holder.to_string(), &balance.asset, -amount);
            }
            Data::LiquidityPool(pool) => {
                let xdr::LiquidityPoolEntryBody::LiquidityPoolConstantProduct(body) = &pool.body;
                let holder = xdr::ScAddress::LiquidityPool(pool.liquidity_pool_id.clone()).to_string();
                for (n, asset) in [&body.params.asset_a, &body.params.asset_b].into_iter().enumerate() {
                    let amount = moved(change, |data| match data {
                        Data::LiquidityPool(pool) => reserves(pool)[n].1,
                        _ => 0,
                    });
                    self.add(&holder, asset, -amount);
                }
            }
            Data::ContractData(data) => {
                let Some((contract, holder, _)) = contract_balance(data) else { return };
                let Some(asset) = self.contracts.get(&contract.0.0).cloned() else { return };
                let amount = moved(change, |data| match data {
                    Data::ContractData(data) => contract_balance(data).map_or(0, |(_, _, amount)| amount),
                    _ => 0,
                });
                self.add(&holder.to_string(), &asset, -amount);
            }
            _ => {}
        }
    }
}
