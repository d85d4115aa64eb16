//! Applying operations: one file per family, each a function from operation to result that changes the state.

pub(crate) mod balance;
mod contract;
mod create_account;
mod cross;
mod manage_data;
mod offer;
mod path;
mod payment;
mod sequence;
mod set_options;
mod trust;

use stellar_xdr::{
    AccountId, ContractEvent, Memo, Operation, OperationBody, OperationResult, OperationResultTr,
};

use crate::{encode::Seq, entries, events::AssetContracts, soroban::Outcome, state::State};

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
    /// The transaction's memo.
    pub(crate) memo: &'a Memo,
    /// The network's id.
    pub(crate) network_id: [u8; 32],
    /// Close time of the ledger.
    pub(crate) time: u64,
    /// What a Soroban transaction leaves besides changes.
    pub(crate) soroban: &'a mut Outcome,
}

impl Cx<'_> {
    /// Notes an event of the operation.
    pub(crate) fn emit(&mut self, event: &ContractEvent) {
        self.events.push(event);
    }
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
        OperationBody::InvokeHostFunction(op) => contract::invoke(cx, op),
        OperationBody::CreatePassiveSellOffer(_)
        | OperationBody::AllowTrust(_)
        | OperationBody::AccountMerge(_)
        | OperationBody::Inflation
        | OperationBody::CreateClaimableBalance(_)
        | OperationBody::ClaimClaimableBalance(_)
        | OperationBody::BeginSponsoringFutureReserves(_)
        | OperationBody::EndSponsoringFutureReserves
        | OperationBody::RevokeSponsorship(_)
        | OperationBody::Clawback(_)
        | OperationBody::ClawbackClaimableBalance(_)
        | OperationBody::SetTrustLineFlags(_)
        | OperationBody::LiquidityPoolDeposit(_)
        | OperationBody::LiquidityPoolWithdraw(_)
        | OperationBody::ExtendFootprintTtl(_)
        | OperationBody::RestoreFootprint(_) => return (OperationResult::OpNotSupported, false),
    };
    (OperationResult::OpInner(result), ok)
}
