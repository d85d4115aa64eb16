//! Claimants of a claimable balance as JSON.

use stellar_xdr as xdr;

use super::{IsoTime, Json, strkey_of};

/// Who may claim a balance, in Horizon's form.
pub fn claimants(j: &mut Json, claimants: &[xdr::Claimant]) {
    j.array(claimants, |j, claimant| {
        let xdr::Claimant::ClaimantTypeV0(claimant) = claimant;
        j.object(|j| {
            j.key("destination").plain(strkey_of(&claimant.destination));
            j.key("predicate");
            predicate(j, &claimant.predicate);
        });
    });
}

/// A claim predicate, in Horizon's form.
pub(crate) fn predicate(j: &mut Json, p: &xdr::ClaimPredicate) {
    use xdr::ClaimPredicate as P;
    j.object(|j| match p {
        P::Unconditional => j.key("unconditional").bare(true),
        P::And(both) => j.key("and").array(both.iter(), predicate),
        P::Or(either) => j.key("or").array(either.iter(), predicate),
        P::Not(Some(inner)) => {
            j.key("not");
            predicate(j, inner);
        }
        P::Not(None) => j.key("not").null(),
        P::BeforeAbsoluteTime(time) => {
            j.key("abs_before").plain(IsoTime(*time));
            j.key("abs_before_epoch").plain(time);
        }
        P::BeforeRelativeTime(seconds) => j.key("rel_before").plain(seconds),
    });
}
