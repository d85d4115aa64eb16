//! Applying operations: one file per family, each a function from operation to result that changes the state.

mod authorize;
pub(crate) mod balance;
mod claimable;
mod contract;
mod create_account;
mod cross;
mod manage_data;
mod merge;
mod offer;
mod path;
mod payment;
pub(crate) mod pool;
mod reserve;
mod revoke_shares;
mod sequence;
mod set_options;
mod sponsorship;
mod trust;

use lake_core::Hash32;
use stellar_xdr::{
    AccountId, Asset, ClaimableBalanceId, ContractEvent, Hash, HashIdPreimage, HashIdPreimageOperationId,
    Memo, MuxedAccount, Operation, OperationBody, OperationResult, OperationResultTr, ScAddress,
    SequenceNumber, SorobanTransactionData,
};

use crate::{
    encode::{self, Seq},
    entries,
    events::{self, AssetContracts},
    soroban::Outcome,
    state::State,
};

/// What an operation may see and change while it is applied.
#[derive(Debug)]
pub(crate) struct Cx<'a> {
    /// The ledger's entries.
    pub(crate) state: &'a mut State,
    /// Ids and names of asset contracts.
    pub(crate) assets: &'a mut AssetContracts,
    /// The header's pool of ids, for new offers.
    pub(crate) id_pool: &'a mut u64,
    /// Events of the operation.
    pub(crate) events: &'a mut Seq,
    /// Source of the operation.
    pub(crate) source: AccountId,
    /// Source and sequence number of the transaction: with the index they make the ids of claimable balances.
    pub(crate) transaction: (AccountId, i64),
    /// Position of the operation.
    pub(crate) index: u32,
    /// Who has begun, and not ended, to sponsor whom: the sponsored account first.
    pub(crate) sponsorships: &'a mut Vec<(AccountId, AccountId)>,
    /// The transaction's memo.
    pub(crate) memo: &'a Memo,
    /// The network's id.
    pub(crate) network_id: [u8; 32],
    /// Close time of the ledger.
    pub(crate) time: u64,
    /// Cluster of a Soroban transaction.
    pub(crate) cluster: usize,
    /// Resources of a Soroban transaction.
    pub(crate) resources: Option<&'a SorobanTransactionData>,
    /// What a Soroban transaction leaves besides changes.
    pub(crate) soroban: &'a mut Outcome,
}

impl Cx<'_> {
    /// Notes an event of the operation.
    pub(crate) fn emit(&mut self, event: &ContractEvent) {
        self.events.push(event);
    }

    /// Notes that the source paid somebody.
    pub(crate) fn emit_payment(&mut self, asset: &Asset, to: &MuxedAccount, amount: i64) {
        let recipient = events::recipient(to, self.memo);
        let parties = (ScAddress::Account(self.source.clone()), ScAddress::Account(entries::unmuxed(to)));
        let event = self.assets.moved_for(asset, parties, amount, recipient);
        self.emit(&event);
    }

    /// Who pays the reserves of `account` just now.
    pub(crate) fn sponsor_of(&self, account: &AccountId) -> Option<AccountId> {
        let found = self.sponsorships.iter().find(|(sponsored, _)| sponsored == account);
        found.map(|(_, sponsor)| sponsor.clone())
    }

    /// Id of the claimable balance that this operation makes.
    pub(crate) fn balance_id(&self) -> ClaimableBalanceId {
        balance_id(&self.transaction.0, self.transaction.1, self.index)
    }
}

/// Id of the claimable balance that an operation makes.
pub(crate) fn balance_id(source: &AccountId, seq: i64, index: u32) -> ClaimableBalanceId {
    balance_id_of(&HashIdPreimage::OpId(HashIdPreimageOperationId {
        source_account: source.clone(),
        seq_num: SequenceNumber(seq),
        op_num: index,
    }))
}

fn balance_id_of(preimage: &HashIdPreimage) -> ClaimableBalanceId {
    ClaimableBalanceId::ClaimableBalanceIdTypeV0(Hash(Hash32::sha256(&[&encode::xdr(preimage)]).0))
}

/// Result of one operation, and whether it is a success.
pub(crate) type Applied = (OperationResultTr, bool);

/// Applies one operation. Its changes stand in the state's open scope: the caller seals or rolls back.
pub(crate) fn apply(cx: &mut Cx<'_>, operation: &Operation) -> (OperationResult, bool) {
    if let Some(source) = &operation.source_account {
        cx.source = entries::unmuxed(source);
    }
    if cx.state.account(&cx.source).is_none() {
        return (OperationResult::OpNoAccount, false);
    }
    let (result, ok) = match &operation.body {
        OperationBody::CreateAccount(op) => create_account::apply(cx, op),
        OperationBody::Payment(op) => payment::apply(cx, op),
        OperationBody::PathPaymentStrictReceive(op) => path::strict_receive(cx, op),
        OperationBody::PathPaymentStrictSend(op) => path::strict_send(cx, op),
        OperationBody::ManageSellOffer(op) => offer::sell(cx, op),
        OperationBody::ManageBuyOffer(op) => offer::buy(cx, op),
        OperationBody::SetOptions(op) => set_options::apply(cx, op),
        OperationBody::ChangeTrust(op) => trust::change(cx, op),
        OperationBody::ManageData(op) => manage_data::apply(cx, op),
        OperationBody::BumpSequence(op) => sequence::bump(cx, op),
        OperationBody::CreatePassiveSellOffer(op) => offer::sell_passively(cx, op),
        OperationBody::AllowTrust(op) => authorize::allow_trust(cx, op),
        OperationBody::AccountMerge(destination) => merge::apply(cx, destination),
        OperationBody::CreateClaimableBalance(op) => claimable::create(cx, op),
        OperationBody::ClaimClaimableBalance(op) => claimable::claim(cx, &op.balance_id),
        OperationBody::BeginSponsoringFutureReserves(op) => sponsorship::begin(cx, op),
        OperationBody::EndSponsoringFutureReserves => sponsorship::end(cx),
        OperationBody::RevokeSponsorship(op) => sponsorship::revoke(cx, op),
        OperationBody::Clawback(op) => authorize::claw_back(cx, op),
        OperationBody::ClawbackClaimableBalance(op) => claimable::claw_back(cx, &op.balance_id),
        OperationBody::SetTrustLineFlags(op) => authorize::set_flags(cx, op),
        OperationBody::LiquidityPoolDeposit(op) => pool::deposit(cx, op),
        OperationBody::LiquidityPoolWithdraw(op) => pool::withdraw(cx, op),
        OperationBody::InvokeHostFunction(op) => contract::invoke(cx, op),
        OperationBody::ExtendFootprintTtl(op) => contract::extend(cx, op),
        OperationBody::RestoreFootprint(_) => contract::restore(cx),
        // Since protocol 12 (CAP-26).
        OperationBody::Inflation => return (OperationResult::OpNotSupported, false),
    };
    (OperationResult::OpInner(result), ok)
}
