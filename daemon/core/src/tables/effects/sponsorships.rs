//! Effects on who pays the reserve of an entry or a signer (CAP-33).

use std::collections::BTreeMap;

use stellar_xdr::{self as xdr, LedgerEntryData as Data};

use super::{
    emit::{Cells, Effects},
    kind::Kind,
};
use crate::{
    changes::{
        Pair,
        entry::{self, sponsor},
    },
    text::{AssetParts, BalanceId, Json, Lossy, pool_id, strkey_of},
};

/// Appends what became of the sponsorships of all entries and signers that the operation changed.
///
/// # Errors
/// What the XDR encoder says of a key.
pub(super) fn push(e: &mut Effects<'_>) -> Result<(), String> {
    for pair in e.op.changes_by_key(|pair| entry_differs(pair) || signers_differ(pair))? {
        if entry_differs(&pair) {
            of_entry(e, &pair);
        }
        if signers_differ(&pair) {
            of_signers(e, &pair);
        }
    }
    Ok(())
}

/// What became of a sponsorship.
#[derive(Clone, Copy)]
enum Fate<'l> {
    Created(&'l xdr::AccountId),
    Updated { former: &'l xdr::AccountId, new: &'l xdr::AccountId },
    Removed(&'l xdr::AccountId),
}

impl<'l> Fate<'l> {
    fn of(before: Option<&'l xdr::AccountId>, after: Option<&'l xdr::AccountId>) -> Option<Self> {
        match (before, after) {
            (None, Some(new)) => Some(Self::Created(new)),
            (Some(former), None) => Some(Self::Removed(former)),
            (Some(former), Some(new)) if former != new => Some(Self::Updated { former, new }),
            (None, None) | (Some(_), Some(_)) => None,
        }
    }

    fn kind(self, [created, updated, removed]: [Kind; 3]) -> Kind {
        match self {
            Self::Created(_) => created,
            Self::Updated { .. } => updated,
            Self::Removed(_) => removed,
        }
    }

    fn fields(self, j: &mut Json) {
        match self {
            Self::Created(sponsor) => j.key("sponsor").plain(strkey_of(sponsor)),
            Self::Updated { former, new } => {
                j.key("former_sponsor").plain(strkey_of(former));
                j.key("new_sponsor").plain(strkey_of(new));
            }
            Self::Removed(former) => j.key("former_sponsor").plain(strkey_of(former)),
        }
    }
}

fn entry_differs(pair: &Pair<'_>) -> bool {
    pair.before.and_then(sponsor) != pair.after.and_then(sponsor)
}

fn of_entry(e: &mut Effects<'_>, pair: &Pair<'_>) {
    let Some(fate) = Fate::of(pair.before.and_then(sponsor), pair.after.and_then(sponsor)) else { return };
    let Some(image) = pair.image() else { return };
    match &image.data {
        Data::Account(account) => {
            let kind = fate.kind([
                Kind::AccountSponsorshipCreated,
                Kind::AccountSponsorshipUpdated,
                Kind::AccountSponsorshipRemoved,
            ]);
            e.push(kind, &account.account_id, Cells::default(), |j| fate.fields(j));
        }
        Data::Trustline(line) => of_trustline(e, fate, line),
        Data::Data(data) => {
            let kind = fate.kind([
                Kind::DataSponsorshipCreated,
                Kind::DataSponsorshipUpdated,
                Kind::DataSponsorshipRemoved,
            ]);
            e.push_source(kind, Cells::default(), |j| {
                fate.fields(j);
                j.key("data_name").text(Lossy(data.data_name.as_slice()));
            });
        }
        Data::ClaimableBalance(balance) => {
            let kind = fate.kind([
                Kind::ClaimableBalanceSponsorshipCreated,
                Kind::ClaimableBalanceSponsorshipUpdated,
                Kind::ClaimableBalanceSponsorshipRemoved,
            ]);
            e.push_source(kind, Cells::default(), |j| {
                fate.fields(j);
                j.key("balance_id").plain(BalanceId(&balance.balance_id));
            });
        }
        // offers have no such effects, and the others no sponsors
        Data::Offer(_)
        | Data::LiquidityPool(_)
        | Data::ContractData(_)
        | Data::ContractCode(_)
        | Data::ConfigSetting(_)
        | Data::Ttl(_) => {}
    }
}

fn of_trustline(e: &mut Effects<'_>, fate: Fate<'_>, line: &xdr::TrustLineEntry) {
    let kind = fate.kind([
        Kind::TrustlineSponsorshipCreated,
        Kind::TrustlineSponsorshipUpdated,
        Kind::TrustlineSponsorshipRemoved,
    ]);
    let asset = AssetParts::from(&line.asset);
    e.push(kind, &line.account_id, Cells { asset: Some(asset), ..Cells::default() }, |j| {
        fate.fields(j);
        if let xdr::TrustLineAsset::PoolShare(pool) = &line.asset {
            // here alone Horizon does not say `liquidity_pool_shares`
            j.key("asset_type").plain("liquidity_pool");
            j.key("liquidity_pool_id").plain(pool_id(pool));
        } else {
            j.key("asset").text(asset);
        }
    });
}

/// Whether the sponsors of an account's signers may have changed: a quick look that most changes do not pass.
fn signers_differ(pair: &Pair<'_>) -> bool {
    let sponsored = |entry| {
        let signers = entry::account(entry).into_iter().flat_map(entry::signers);
        signers.filter_map(|(signer, sponsor)| Some((&signer.key, sponsor?)))
    };
    let (before, after) = (pair.before.into_iter(), pair.after.into_iter());
    !before.flat_map(sponsored).eq(after.flat_map(sponsored))
}

/// Sponsors of an account's signers by the signers' text.
fn sponsors(entry: Option<&xdr::LedgerEntry>) -> BTreeMap<String, &xdr::AccountId> {
    let signers = entry.and_then(entry::account).into_iter().flat_map(entry::signers);
    signers.filter_map(|(signer, sponsor)| Some((signer.key.to_string(), sponsor?))).collect()
}

fn of_signers(e: &mut Effects<'_>, pair: &Pair<'_>) {
    let Some(owner) = pair.image().and_then(entry::account) else { return };
    let (before, after) = (sponsors(pair.before), sponsors(pair.after));
    let mut all: Vec<&String> = before.keys().chain(after.keys()).collect();
    all.sort_unstable();
    all.dedup();
    for signer in all {
        let fate = Fate::of(before.get(signer).copied(), after.get(signer).copied());
        let Some(fate) = fate else { continue };
        let kind = fate.kind([
            Kind::SignerSponsorshipCreated,
            Kind::SignerSponsorshipUpdated,
            Kind::SignerSponsorshipRemoved,
        ]);
        let cells = Cells { signer: Some(signer), ..Cells::default() };
        e.push(kind, &owner.account_id, cells, |j| {
            fate.fields(j);
            j.key("signer").plain(signer);
        });
    }
}
