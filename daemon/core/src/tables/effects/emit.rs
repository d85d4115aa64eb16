//! Writes the effects of one operation as rows, in their order.

use std::borrow::Cow;

use stellar_xdr as xdr;

use super::{Columns, Row, kind::Kind};
use crate::{
    changes::{Pair, pairs},
    decode::Transaction,
    ledger::Hash32,
    text::{self, AssetParts, Json, details, key_of},
    words,
};

/// An operation of a successful transaction.
#[derive(Debug)]
pub(super) struct Op<'l> {
    pub(super) tx: &'l Transaction,
    /// From 0.
    pub(super) index: usize,
    pub(super) body: &'l xdr::OperationBody,
    /// Source of the operation, else of the transaction.
    pub(super) source: xdr::MuxedAccount,
    pub(super) changes: &'l [xdr::LedgerEntryChange],
    pub(super) network: Hash32,
    pub(super) ledger_sequence: i64,
    pub(super) closed_at: i64,
    pub(super) operation_index: i32,
    pub(super) operation_id: i64,
}

impl<'l> Op<'l> {
    /// What the operation's result says.
    ///
    /// # Errors
    /// A result that an applied operation cannot have.
    pub(super) fn result(&self) -> Result<&'l xdr::OperationResultTr, String> {
        match self.tx.operation_results().and_then(|results| results.get(self.index)) {
            Some(xdr::OperationResult::OpInner(tr)) => Ok(tr),
            other => Err(format!("its transaction succeeded, its result is {other:?}")),
        }
    }

    /// An entry that the operation changed by its result: only a ledger without any changes may lack it.
    pub(super) fn found<T>(
        &self,
        entry: Option<T>,
        what: impl FnOnce() -> String,
    ) -> Result<Option<T>, String> {
        match entry {
            None if !self.changes.is_empty() => {
                Err(format!("the changes lack {}, which the operation changed", what()))
            }
            entry => Ok(entry),
        }
    }

    /// The changes that `keep` keeps, in the order in which Horizon reads them: by the XDR of their keys.
    ///
    /// # Errors
    /// What the XDR encoder says of a key.
    pub(super) fn changes_by_key(&self, keep: impl Fn(&Pair<'l>) -> bool) -> Result<Vec<Pair<'l>>, String> {
        let kept: Vec<_> = pairs(self.changes).filter(keep).collect();
        if kept.len() < 2 {
            return Ok(kept);
        }
        let keyed: Result<Vec<_>, xdr::Error> =
            kept.into_iter().map(|pair| Ok((pair.key.to_xdr()?, pair))).collect();
        let mut keyed = keyed.map_err(|e| format!("the key of a changed entry: {e}"))?;
        keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(keyed.into_iter().map(|(_, pair)| pair).collect())
    }
}

/// Whom an effect touches: an account and the multiplexing id that it was addressed with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who {
    pub(super) key: [u8; 32],
    pub(super) muxed_id: Option<u64>,
}

impl From<[u8; 32]> for Who {
    fn from(key: [u8; 32]) -> Self {
        Self { key, muxed_id: None }
    }
}

impl From<&xdr::AccountId> for Who {
    fn from(account: &xdr::AccountId) -> Self {
        key_of(account).into()
    }
}

impl From<&xdr::MuxedAccount> for Who {
    fn from(address: &xdr::MuxedAccount) -> Self {
        match address {
            xdr::MuxedAccount::Ed25519(key) => key.0.into(),
            xdr::MuxedAccount::MuxedEd25519(muxed) => Self { key: muxed.ed25519.0, muxed_id: Some(muxed.id) },
        }
    }
}

/// The typed columns of an effect, beside its details.
#[derive(Debug, Default)]
pub(super) struct Cells<'a> {
    pub(super) amount: Option<i64>,
    pub(super) amount_i128: Option<i128>,
    pub(super) asset: Option<AssetParts<'a>>,
    pub(super) trustline_limit: Option<i64>,
    pub(super) authorize: Option<bool>,
    pub(super) clawback: Option<bool>,
    pub(super) signer: Option<&'a str>,
    pub(super) signer_weight: Option<i32>,
    pub(super) offer_id: Option<i64>,
    pub(super) seller: Option<[u8; 32]>,
}

/// The effects of one operation, being written.
#[derive(Debug)]
pub(super) struct Effects<'e> {
    pub(super) op: &'e Op<'e>,
    details: &'e mut Json,
    out: &'e mut Columns,
    next_index: i32,
}

impl<'e> Effects<'e> {
    pub(super) fn new(op: &'e Op<'e>, details: &'e mut Json, out: &'e mut Columns) -> Self {
        Self { op, details, out, next_index: 0 }
    }

    /// Appends an effect, whose details `fields` writes.
    pub(super) fn push(
        &mut self,
        kind: Kind,
        who: impl Into<Who>,
        cells: Cells<'_>,
        fields: impl FnOnce(&mut Json),
    ) {
        self.details.clear();
        self.details.object(fields);
        let (op, who) = (self.op, who.into());
        self.out.push(Row {
            ledger_sequence: op.ledger_sequence,
            transaction_hash: op.tx.hash,
            operation_index: op.operation_index,
            effect_index: self.next_index,
            effect_type: kind.number(),
            effect_type_string: kind.word(),
            account_id: who.key,
            amount: cells.amount,
            asset_code: cells.asset.and_then(AssetParts::code),
            asset_issuer: cells.asset.and_then(AssetParts::issuer).map(key_of),
            asset_type: cells.asset.map(|asset| words::asset_type(asset.ty)),
            trustline_limit: cells.trustline_limit,
            authorize_flag: cells.authorize,
            clawback_flag: cells.clawback,
            signer_account: cells.signer.map(Cow::Borrowed),
            signer_weight: cells.signer_weight,
            offer_id: cells.offer_id,
            seller_account: cells.seller,
            created_at: op.closed_at,
            operation_id: op.operation_id,
            details_json: self.details.as_bytes(),
            account_muxed: who.muxed_id.map(|id| (id, who.key)),
            amount_i128: cells.amount_i128,
        });
        self.next_index = self.next_index.saturating_add(1);
    }

    /// Appends an effect on the operation's source.
    pub(super) fn push_source(&mut self, kind: Kind, cells: Cells<'_>, fields: impl FnOnce(&mut Json)) {
        self.push(kind, &self.op.source, cells, fields);
    }

    /// Appends an effect that is an amount of an asset, stroops.
    pub(super) fn push_amount(
        &mut self,
        kind: Kind,
        who: impl Into<Who>,
        stroops: i64,
        asset: AssetParts<'_>,
    ) {
        let cells = Cells { amount: Some(stroops), asset: Some(asset), ..Cells::default() };
        self.push(kind, who, cells, |j| {
            details::amount(j, "amount", stroops);
            details::asset(j, "", asset);
        });
    }

    /// Appends the signer that every new account has: its own key.
    pub(super) fn push_master_key(&mut self, account: &xdr::AccountId) {
        let key = text::strkey_of(account);
        let cells = Cells { signer: Some(key.as_str()), signer_weight: Some(1), ..Cells::default() };
        self.push(Kind::SignerCreated, account, cells, |j| {
            j.key("public_key").plain(key);
            j.key("weight").bare(1);
        });
    }

    /// Appends the beginning of an account.
    pub(super) fn push_account_created(&mut self, account: &xdr::AccountId, stroops: i64) {
        let cells = Cells { amount: Some(stroops), ..Cells::default() };
        self.push(Kind::AccountCreated, account, cells, |j| {
            details::amount(j, "starting_balance", stroops);
        });
    }
}
