//! Horizon's words for the result codes of transactions and operations, irregular ones included.

use stellar_xdr as xdr;

/// A code that Horizon has a word for.
pub trait Word: Copy {
    /// Horizon's word, e.g. `tx_success` or `op_underfunded`.
    fn word(self) -> &'static str;
}

/// One exhaustive `match` per code: a code that a new protocol adds does not compile until it has a word.
macro_rules! words {
    ($($code:ident { $($variant:ident => $word:literal,)* })*) => {$(
        impl Word for xdr::$code {
            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    )*};
}

words! {
    TransactionResultCode {
        TxFeeBumpInnerSuccess => "tx_fee_bump_inner_success",
        TxSuccess => "tx_success",
        TxFailed => "tx_failed",
        TxTooEarly => "tx_too_early",
        TxTooLate => "tx_too_late",
        TxMissingOperation => "tx_missing_operation",
        TxBadSeq => "tx_bad_seq",
        TxBadAuth => "tx_bad_auth",
        TxInsufficientBalance => "tx_insufficient_balance",
        TxNoAccount => "tx_no_source_account",
        TxInsufficientFee => "tx_insufficient_fee",
        TxBadAuthExtra => "tx_bad_auth_extra",
        TxInternalError => "tx_internal_error",
        TxNotSupported => "tx_not_supported",
        TxFeeBumpInnerFailed => "tx_fee_bump_inner_failed",
        TxBadSponsorship => "tx_bad_sponsorship",
        TxBadMinSeqAgeOrGap => "tx_bad_minseq_age_or_gap",
        TxMalformed => "tx_malformed",
        TxSorobanInvalid => "tx_soroban_invalid",
        TxFrozenKeyAccessed => "tx_frozen_key_accessed",
    }
    OperationResultCode {
        OpInner => "op_inner",
        OpBadAuth => "op_bad_auth",
        OpNoAccount => "op_no_source_account",
        OpNotSupported => "op_not_supported",
        OpTooManySubentries => "op_too_many_subentries",
        OpExceededWorkLimit => "op_exceeded_work_limit",
        OpTooManySponsoring => "op_too_many_sponsoring",
    }
    CreateAccountResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        Underfunded => "op_underfunded",
        LowReserve => "op_low_reserve",
        AlreadyExist => "op_already_exists",
    }
    PaymentResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        Underfunded => "op_underfunded",
        SrcNoTrust => "op_src_no_trust",
        SrcNotAuthorized => "op_src_not_authorized",
        NoDestination => "op_no_destination",
        NoTrust => "op_no_trust",
        NotAuthorized => "op_not_authorized",
        LineFull => "op_line_full",
        NoIssuer => "op_no_issuer",
    }
    PathPaymentStrictReceiveResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        Underfunded => "op_underfunded",
        SrcNoTrust => "op_src_no_trust",
        SrcNotAuthorized => "op_src_not_authorized",
        NoDestination => "op_no_destination",
        NoTrust => "op_no_trust",
        NotAuthorized => "op_not_authorized",
        LineFull => "op_line_full",
        NoIssuer => "op_no_issuer",
        TooFewOffers => "op_too_few_offers",
        OfferCrossSelf => "op_cross_self",
        OverSendmax => "op_over_source_max",
    }
    ManageSellOfferResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        SellNoTrust => "op_sell_no_trust",
        BuyNoTrust => "op_buy_no_trust",
        SellNotAuthorized => "sell_not_authorized",
        BuyNotAuthorized => "buy_not_authorized",
        LineFull => "op_line_full",
        Underfunded => "op_underfunded",
        CrossSelf => "op_cross_self",
        SellNoIssuer => "op_sell_no_issuer",
        BuyNoIssuer => "buy_no_issuer",
        NotFound => "op_offer_not_found",
        LowReserve => "op_low_reserve",
    }
    SetOptionsResultCode {
        Success => "op_success",
        LowReserve => "op_low_reserve",
        TooManySigners => "op_too_many_signers",
        BadFlags => "op_bad_flags",
        InvalidInflation => "op_invalid_inflation",
        CantChange => "op_cant_change",
        UnknownFlag => "op_unknown_flag",
        ThresholdOutOfRange => "op_threshold_out_of_range",
        BadSigner => "op_bad_signer",
        InvalidHomeDomain => "op_invalid_home_domain",
        AuthRevocableRequired => "op_auth_revocable_required",
    }
    ChangeTrustResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        NoIssuer => "op_no_issuer",
        InvalidLimit => "op_invalid_limit",
        LowReserve => "op_low_reserve",
        SelfNotAllowed => "op_self_not_allowed",
        TrustLineMissing => "op_trust_line_missing",
        CannotDelete => "op_cannot_delete",
        NotAuthMaintainLiabilities => "op_not_aut_maintain_liabilities",
    }
    AllowTrustResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        NoTrustLine => "op_no_trust",
        TrustNotRequired => "op_not_required",
        CantRevoke => "op_cant_revoke",
        SelfNotAllowed => "op_self_not_allowed",
        LowReserve => "op_low_reserve",
    }
    AccountMergeResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        NoAccount => "op_no_account",
        ImmutableSet => "op_immutable_set",
        HasSubEntries => "op_has_sub_entries",
        SeqnumTooFar => "op_seq_num_too_far",
        DestFull => "op_dest_full",
        IsSponsor => "op_is_sponsor",
    }
    InflationResultCode {
        Success => "op_success",
        NotTime => "op_not_time",
    }
    ManageDataResultCode {
        Success => "op_success",
        NotSupportedYet => "op_not_supported_yet",
        NameNotFound => "op_data_name_not_found",
        LowReserve => "op_low_reserve",
        InvalidName => "op_data_invalid_name",
    }
    BumpSequenceResultCode {
        Success => "op_success",
        BadSeq => "op_bad_seq",
    }
    ManageBuyOfferResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        SellNoTrust => "op_sell_no_trust",
        BuyNoTrust => "op_buy_no_trust",
        SellNotAuthorized => "sell_not_authorized",
        BuyNotAuthorized => "buy_not_authorized",
        LineFull => "op_line_full",
        Underfunded => "op_underfunded",
        CrossSelf => "op_cross_self",
        SellNoIssuer => "op_sell_no_issuer",
        BuyNoIssuer => "buy_no_issuer",
        NotFound => "op_offer_not_found",
        LowReserve => "op_low_reserve",
    }
    PathPaymentStrictSendResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        Underfunded => "op_underfunded",
        SrcNoTrust => "op_src_no_trust",
        SrcNotAuthorized => "op_src_not_authorized",
        NoDestination => "op_no_destination",
        NoTrust => "op_no_trust",
        NotAuthorized => "op_not_authorized",
        LineFull => "op_line_full",
        NoIssuer => "op_no_issuer",
        TooFewOffers => "op_too_few_offers",
        OfferCrossSelf => "op_cross_self",
        UnderDestmin => "op_under_dest_min",
    }
    CreateClaimableBalanceResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        LowReserve => "op_low_reserve",
        NoTrust => "op_no_trust",
        NotAuthorized => "op_not_authorized",
        Underfunded => "op_underfunded",
    }
    ClaimClaimableBalanceResultCode {
        Success => "op_success",
        DoesNotExist => "op_does_not_exist",
        CannotClaim => "op_cannot_claim",
        LineFull => "op_line_full",
        NoTrust => "op_no_trust",
        NotAuthorized => "op_not_authorized",
        TrustlineFrozen => "op_trustline_frozen",
    }
    BeginSponsoringFutureReservesResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        AlreadySponsored => "op_already_sponsored",
        Recursive => "op_recursive",
    }
    EndSponsoringFutureReservesResultCode {
        Success => "op_success",
        NotSponsored => "op_not_sponsored",
    }
    RevokeSponsorshipResultCode {
        Success => "op_success",
        DoesNotExist => "op_does_not_exist",
        NotSponsor => "op_not_sponsor",
        LowReserve => "op_low_reserve",
        OnlyTransferable => "op_only_transferable",
        Malformed => "op_malformed",
    }
    ClawbackResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        NotClawbackEnabled => "op_not_clawback_enabled",
        NoTrust => "op_no_trust",
        Underfunded => "op_underfunded",
    }
    ClawbackClaimableBalanceResultCode {
        Success => "op_success",
        DoesNotExist => "op_does_not_exist",
        NotIssuer => "op_no_issuer",
        NotClawbackEnabled => "op_not_clawback_enabled",
    }
    SetTrustLineFlagsResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        NoTrustLine => "op_no_trust",
        CantRevoke => "op_cant_revoke",
        InvalidState => "op_invalid_state",
        LowReserve => "op_low_reserve",
    }
    LiquidityPoolDepositResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        NoTrust => "op_no_trust",
        NotAuthorized => "op_not_authorized",
        Underfunded => "op_underfunded",
        LineFull => "op_line_full",
        BadPrice => "op_bad_price",
        PoolFull => "op_pool_full",
        TrustlineFrozen => "op_trustline_frozen",
    }
    LiquidityPoolWithdrawResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        NoTrust => "op_no_trust",
        Underfunded => "op_underfunded",
        LineFull => "op_line_full",
        UnderMinimum => "op_under_minimum",
        TrustlineFrozen => "op_trustline_frozen",
    }
    InvokeHostFunctionResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        Trapped => "function_trapped",
        ResourceLimitExceeded => "resource_limit_exceeded",
        EntryArchived => "entry_archived",
        InsufficientRefundableFee => "insufficient_refundable_fee",
    }
    ExtendFootprintTtlResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        ResourceLimitExceeded => "resource_limit_exceeded",
        InsufficientRefundableFee => "insufficient_refundable_fee",
    }
    RestoreFootprintResultCode {
        Success => "op_success",
        Malformed => "op_malformed",
        ResourceLimitExceeded => "resource_limit_exceeded",
        InsufficientRefundableFee => "insufficient_refundable_fee",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;

    fn shared() -> PathBuf {
        std::env::var_os("LAKE_SHARED")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from)
    }

    /// Every code of the enums, named as the Go code names it: type, then constant.
    macro_rules! ours {
        ($($code:ident $prefix:literal)*) => {{
            let mut all = BTreeMap::new();
            $(for code in xdr::$code::VARIANTS {
                all.insert(format!("{}{}{}", stringify!($code), $prefix, code.name()), code.word().to_owned());
            })*
            all
        }};
    }

    #[test]
    fn every_result_code_has_horizons_word() {
        let path = shared().join("goldens/codes.csv");
        let Ok(text) = std::fs::read_to_string(&path) else {
            eprintln!("SKIPPED: {} is missing", path.display());
            return;
        };
        let theirs: BTreeMap<String, String> = text
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(','))
            .map(|(code, word)| (code.to_owned(), word.trim().to_owned()))
            .collect();
        let ours = ours! {
            TransactionResultCode ""
            OperationResultCode ""
            CreateAccountResultCode "CreateAccount"
            PaymentResultCode "Payment"
            PathPaymentStrictReceiveResultCode "PathPaymentStrictReceive"
            ManageSellOfferResultCode "ManageSellOffer"
            SetOptionsResultCode "SetOptions"
            ChangeTrustResultCode "ChangeTrust"
            AllowTrustResultCode "AllowTrust"
            AccountMergeResultCode "AccountMerge"
            InflationResultCode "Inflation"
            ManageDataResultCode "ManageData"
            BumpSequenceResultCode "BumpSequence"
            ManageBuyOfferResultCode "ManageBuyOffer"
            PathPaymentStrictSendResultCode "PathPaymentStrictSend"
            CreateClaimableBalanceResultCode "CreateClaimableBalance"
            ClaimClaimableBalanceResultCode "ClaimClaimableBalance"
            BeginSponsoringFutureReservesResultCode "BeginSponsoringFutureReserves"
            EndSponsoringFutureReservesResultCode "EndSponsoringFutureReserves"
            RevokeSponsorshipResultCode "RevokeSponsorship"
            ClawbackResultCode "Clawback"
            ClawbackClaimableBalanceResultCode "ClawbackClaimableBalance"
            SetTrustLineFlagsResultCode "SetTrustLineFlags"
            LiquidityPoolDepositResultCode "LiquidityPoolDeposit"
            LiquidityPoolWithdrawResultCode "LiquidityPoolWithdraw"
            InvokeHostFunctionResultCode "InvokeHostFunction"
            ExtendFootprintTtlResultCode "ExtendFootprintTtl"
            RestoreFootprintResultCode "RestoreFootprint"
        };
        assert_eq!(theirs.len(), 208);
        assert_eq!(ours, theirs);
    }
}
