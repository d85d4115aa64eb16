//! How many rows each of the 19 tables must have for a ledger, counted from what the network did.

use std::collections::BTreeMap;

use stellar_xdr::{AccountId, LedgerEntry, LedgerEntryData, LedgerKey, SignerKey, Uint256};

use crate::{
    books::{Change, EntryChange},
    entries,
};

/// Rows per table for one ledger. Effects are not among them: the network does not count those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableRows {
    /// `ledgers_row_v2`: one.
    pub ledgers: u64,
    /// `transactions_row_v2`: failed ones too.
    pub transactions: u64,
    /// `operations_row_v2`: all operations of all envelopes.
    pub operations: u64,
    /// `native_balances_snapshot_v1`: accounts that changed, removed ones too.
    pub native_balances: u64,
    /// `trades_row_v1`: claim atoms of successful transactions that moved something.
    pub trades: u64,
    /// `accounts_snapshot_v1`.
    pub accounts: u64,
    /// `trustlines_snapshot_v1`.
    pub trustlines: u64,
    /// `offers_snapshot_v1`.
    pub offers: u64,
    /// `claimable_balances_snapshot_v1`.
    pub claimable_balances: u64,
    /// `liquidity_pools_snapshot_v1`.
    pub liquidity_pools: u64,
    /// `contract_events_stream_v1`: events of operations and transactions, and the diagnostic ones that repeat none.
    pub contract_events: u64,
    /// `contract_data_snapshot_v1`: evictions too.
    pub contract_data: u64,
    /// `contract_code_snapshot_v1`: evictions too.
    pub contract_code: u64,
    /// `config_settings_snapshot_v1`.
    pub config_settings: u64,
    /// `ttl_snapshot_v1`: evictions too.
    pub ttl: u64,
    /// `evicted_keys_state_v1`: TTL keys left out.
    pub evicted_keys: u64,
    /// `restored_keys_state_v1`: TTL keys left out.
    pub restored_keys: u64,
    /// `account_signers_snapshot_v1`: see [`signer_changes`].
    pub account_signers: u64,
    /// `account_data_snapshot_v1`: named values that changed.
    pub account_data: u64,
}

impl TableRows {
    /// Each table's name and rows.
    pub const fn by_table(&self) -> [(&'static str, u64); 19] {
        [
            ("ledgers_row_v2", self.ledgers),
            ("transactions_row_v2", self.transactions),
            ("operations_row_v2", self.operations),
            ("native_balances_snapshot_v1", self.native_balances),
            ("trades_row_v1", self.trades),
            ("accounts_snapshot_v1", self.accounts),
            ("trustlines_snapshot_v1", self.trustlines),
            ("offers_snapshot_v1", self.offers),
            ("claimable_balances_snapshot_v1", self.claimable_balances),
            ("liquidity_pools_snapshot_v1", self.liquidity_pools),
            ("contract_events_stream_v1", self.contract_events),
            ("contract_data_snapshot_v1", self.contract_data),
            ("contract_code_snapshot_v1", self.contract_code),
            ("config_settings_snapshot_v1", self.config_settings),
            ("ttl_snapshot_v1", self.ttl),
            ("evicted_keys_state_v1", self.evicted_keys),
            ("restored_keys_state_v1", self.restored_keys),
            ("account_signers_snapshot_v1", self.account_signers),
            ("account_data_snapshot_v1", self.account_data),
        ]
    }

    /// Counts what follows from the changes of entries.
    pub(crate) fn count(&mut self, changes: &[EntryChange]) {
        for change in changes {
            let one = match change.key() {
                LedgerKey::Account(_) => {
                    self.native_balances += 1;
                    self.account_signers += u64::try_from(signer_changes(change).len()).unwrap_or(0);
                    &mut self.accounts
                }
                LedgerKey::Trustline(_) => &mut self.trustlines,
                LedgerKey::Offer(_) => &mut self.offers,
                LedgerKey::Data(_) => &mut self.account_data,
                LedgerKey::ClaimableBalance(_) => &mut self.claimable_balances,
                LedgerKey::LiquidityPool(_) => &mut self.liquidity_pools,
                LedgerKey::ContractData(_) => &mut self.contract_data,
                LedgerKey::ContractCode(_) => &mut self.contract_code,
                LedgerKey::ConfigSetting(_) => &mut self.config_settings,
                LedgerKey::Ttl(_) => &mut self.ttl,
            };
            *one += 1;
        }
    }
}

/// What a ledger did to one signer of one account. The account's own key is a signer too, unless its weight is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerChange {
    /// The account.
    pub account: AccountId,
    /// The signer.
    pub signer: SignerKey,
    /// Created, updated or removed.
    pub change: Change,
    /// Weight after the ledger; of a removed signer, before it.
    pub weight: u32,
    /// Who sponsors it after the ledger; of a removed signer, before it.
    pub sponsor: Option<AccountId>,
}

type Signers = BTreeMap<SignerKey, (u32, Option<AccountId>)>;

fn signers(entry: Option<&LedgerEntry>) -> Signers {
    let Some(LedgerEntryData::Account(account)) = entry.map(|entry| &entry.data) else {
        return Signers::new();
    };
    let mut all: Signers = entries::signers(account)
        .into_iter()
        .map(|(signer, sponsor)| (signer.key, (signer.weight, sponsor)))
        .collect();
    let [master, ..] = account.thresholds.0;
    if master > 0 {
        let own = SignerKey::Ed25519(Uint256(entries::key_bytes(&account.account_id)));
        all.insert(own, (u32::from(master), None));
    }
    all
}

/// Whether it is plain to see that no signer changed: so it is for nearly all accounts.
fn same_signers(before: Option<&LedgerEntry>, after: Option<&LedgerEntry>) -> bool {
    let (Some(before), Some(after)) = (before, after) else { return false };
    let (LedgerEntryData::Account(before), LedgerEntryData::Account(after)) = (&before.data, &after.data)
    else {
        return false;
    };
    let ([old, ..], [new, ..]) = (before.thresholds.0, after.thresholds.0);
    old == new && before.signers == after.signers && entries::same_sponsors(before, after)
}

/// Signers that came, went, or have another weight or sponsor, by key. Empty for what is no account.
pub fn signer_changes(change: &EntryChange) -> Vec<SignerChange> {
    let LedgerKey::Account(key) = change.key() else { return Vec::new() };
    if same_signers(change.before(), change.after()) {
        return Vec::new();
    }
    let (before, after) = (signers(change.before()), signers(change.after()));
    let told = |signer: &SignerKey, (weight, sponsor): &(u32, Option<AccountId>), change| SignerChange {
        account: key.account_id.clone(),
        signer: signer.clone(),
        change,
        weight: *weight,
        sponsor: sponsor.clone(),
    };
    let gone = before.iter().filter(|(signer, _)| !after.contains_key(signer));
    let gone = gone.map(|(signer, held)| told(signer, held, Change::Removed));
    let now = after.iter().filter_map(|(signer, held)| match before.get(signer) {
        None => Some(told(signer, held, Change::Created)),
        Some(old) if old != held => Some(told(signer, held, Change::Updated)),
        Some(_) => None,
    });
    let mut all: Vec<SignerChange> = gone.chain(now).collect();
    all.sort_by(|a, b| a.signer.cmp(&b.signer));
    all
}
