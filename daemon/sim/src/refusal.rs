//! Transactions that fail as a whole although they pay: what stood in their way before, or after, their operations.

use stellar_xdr::{InnerTransactionResultResult, Preconditions, SignerKey, TransactionResultResult};

use crate::{entries, header, one_time, state::State, tx::Built};

/// Why none of a transaction's operations counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The source is gone.
    NoAccount,
    /// The source's sequence number is another one by now.
    BadSeq,
    /// The source's last transaction is too young.
    BadMinSeqAgeOrGap,
    /// The signatures weigh too little by now.
    BadAuth,
    /// A sponsorship was begun and not ended.
    BadSponsorship,
}

impl Refusal {
    /// Whether the source's sequence number moves all the same.
    pub(crate) fn consumes_sequence(self) -> bool {
        matches!(self, Self::BadAuth | Self::BadSponsorship)
    }

    /// Horizon's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::NoAccount => "tx_no_source_account",
            Self::BadSeq => "tx_bad_seq",
            Self::BadMinSeqAgeOrGap => "tx_bad_minseq_age_or_gap",
            Self::BadAuth => "tx_bad_auth",
            Self::BadSponsorship => "tx_bad_sponsorship",
        }
    }

    /// The result.
    pub(crate) fn result(self) -> TransactionResultResult {
        match self {
            Self::NoAccount => TransactionResultResult::TxNoAccount,
            Self::BadSeq => TransactionResultResult::TxBadSeq,
            Self::BadMinSeqAgeOrGap => TransactionResultResult::TxBadMinSeqAgeOrGap,
            Self::BadAuth => TransactionResultResult::TxBadAuth,
            Self::BadSponsorship => TransactionResultResult::TxBadSponsorship,
        }
    }

    /// The result inside of a fee bump.
    pub(crate) fn inner_result(self) -> InnerTransactionResultResult {
        match self {
            Self::NoAccount => InnerTransactionResultResult::TxNoAccount,
            Self::BadSeq => InnerTransactionResultResult::TxBadSeq,
            Self::BadMinSeqAgeOrGap => InnerTransactionResultResult::TxBadMinSeqAgeOrGap,
            Self::BadAuth => InnerTransactionResultResult::TxBadAuth,
            Self::BadSponsorship => InnerTransactionResultResult::TxBadSponsorship,
        }
    }
}

/// What is checked again when a transaction's turn comes: others of the ledger may have changed its source.
pub(crate) fn check(state: &State, built: &Built) -> Option<Refusal> {
    let Some(account) = state.account(&built.source) else { return Some(Refusal::NoAccount) };
    let (now, seq) = (account.seq_num.0, built.tx.seq_num.0);
    let cond = match &built.tx.cond {
        Preconditions::V2(cond) => Some(cond),
        Preconditions::None | Preconditions::Time(_) => None,
    };
    let least = cond.and_then(|cond| cond.min_seq_num.as_ref()).map_or(seq - 1, |least| least.0);
    if now < least || now >= seq {
        return Some(Refusal::BadSeq);
    }
    if let Some(cond) = cond {
        let (ledger, time) = entries::sequence_noted(account);
        let young = header::close_time(state.ledger()) < time.saturating_add(cond.min_seq_age.0);
        if young || state.ledger() < ledger.saturating_add(cond.min_seq_ledger_gap) {
            return Some(Refusal::BadMinSeqAgeOrGap);
        }
    }
    let [master, low, _, _] = account.thresholds.0;
    let in_advance = one_time::key(built);
    let signed = |key: &SignerKey| {
        matches!(key, SignerKey::Ed25519(key) if built.cosigners.contains(&key.0)) || *key == in_advance
    };
    let others = account.signers.iter().filter(|signer| signed(&signer.key)).map(|signer| signer.weight);
    let weight = u32::from(master) + others.sum::<u32>();
    (weight < u32::from(low.max(1))).then_some(Refusal::BadAuth)
}
