//! Effects on an account's own settings: options, signers, data entries, sequence numbers.

use std::collections::BTreeMap;

use stellar_xdr as xdr;

use super::{
    emit::{Cells, Effects},
    kind::Kind,
};
use crate::{
    changes::{entry, pairs},
    text::{Base64, Lossy, strkey_of},
};

pub(super) fn set_options(e: &mut Effects<'_>, op: &xdr::SetOptionsOp) -> Result<(), String> {
    if let Some(domain) = &op.home_domain {
        e.push_source(Kind::AccountHomeDomainUpdated, Cells::default(), |j| {
            j.key("home_domain").text(Lossy(domain.as_slice()));
        });
    }
    let thresholds = [
        ("low_threshold", op.low_threshold),
        ("med_threshold", op.med_threshold),
        ("high_threshold", op.high_threshold),
    ];
    if thresholds.iter().any(|(_, threshold)| threshold.is_some()) {
        e.push_source(Kind::AccountThresholdsUpdated, Cells::default(), |j| {
            for (name, threshold) in thresholds {
                if let Some(threshold) = threshold {
                    j.key(name).bare(threshold);
                }
            }
        });
    }
    account_flags(e, op);
    if let Some(destination) = &op.inflation_dest {
        e.push_source(Kind::AccountInflationDestinationUpdated, Cells::default(), |j| {
            j.key("inflation_destination").plain(strkey_of(destination));
        });
    }
    for pair in e.op.changes_by_key(|pair| signers_differ(pair.before, pair.after))? {
        if let (Some(before), Some(after)) = (pair.before.and_then(signers), pair.after.and_then(signers)) {
            signer_effects(e, &before, &after)?;
        }
    }
    Ok(())
}

fn account_flags(e: &mut Effects<'_>, op: &xdr::SetOptionsOp) {
    let flags = [
        (1, "auth_required_flag"),
        (2, "auth_revocable_flag"),
        (4, "auth_immutable_flag"),
        (8, "auth_clawback_enabled_flag"),
    ];
    let becomes = |bit| becomes(op.set_flags.unwrap_or(0), op.clear_flags.unwrap_or(0), bit);
    if flags.iter().all(|(bit, _)| becomes(*bit).is_none()) {
        return;
    }
    let cells = Cells { clawback: becomes(8), ..Cells::default() };
    e.push_source(Kind::AccountFlagsUpdated, cells, |j| {
        for (bit, name) in flags {
            if let Some(value) = becomes(bit) {
                j.key(name).bare(value);
            }
        }
    });
}

/// What a flag becomes when some are set and then some are cleared; `None` where it stays as it is.
pub(super) fn becomes(set: u32, clear: u32, bit: u32) -> Option<bool> {
    if clear & bit != 0 { Some(false) } else { (set & bit != 0).then_some(true) }
}

fn signers_differ(before: Option<&xdr::LedgerEntry>, after: Option<&xdr::LedgerEntry>) -> bool {
    match (before.and_then(entry::account), after.and_then(entry::account)) {
        (Some(before), Some(after)) => {
            before.thresholds.0.first() != after.thresholds.0.first() || before.signers != after.signers
        }
        _ => false,
    }
}

/// Weights of an account's signers by their text, the account's own key included unless its weight is 0.
fn signers(entry: &xdr::LedgerEntry) -> Option<BTreeMap<String, u32>> {
    let account = entry::account(entry)?;
    let master = account.thresholds.0.first().copied().filter(|weight| *weight > 0);
    let master = master.map(|weight| (strkey_of(&account.account_id).to_string(), u32::from(weight)));
    let others = account.signers.iter().map(|signer| (signer.key.to_string(), signer.weight));
    Some(master.into_iter().chain(others).collect())
}

/// Removals and new weights by the signers' text, then new signers.
fn signer_effects(
    e: &mut Effects<'_>,
    before: &BTreeMap<String, u32>,
    after: &BTreeMap<String, u32>,
) -> Result<(), String> {
    for (signer, weight) in before {
        match after.get(signer) {
            None => {
                let cells = Cells { signer: Some(signer), ..Cells::default() };
                e.push_source(Kind::SignerRemoved, cells, |j| j.key("public_key").plain(signer));
            }
            Some(new) if new != weight => weighed(e, Kind::SignerUpdated, signer, *new),
            Some(_) => {}
        }
    }
    for (signer, weight) in after.iter().filter(|(signer, _)| !before.contains_key(*signer)) {
        weighed(e, Kind::SignerCreated, signer, *weight);
    }
    Ok(())
}

/// Before protocol 10 a weight could be any 32-bit number: the column shows what does not fit as its highest one.
fn weighed(e: &mut Effects<'_>, kind: Kind, signer: &str, weight: u32) {
    let shown = i32::try_from(weight).unwrap_or(i32::MAX);
    let cells = Cells { signer: Some(signer), signer_weight: Some(shown), ..Cells::default() };
    e.push_source(kind, cells, |j| {
        j.key("public_key").plain(signer);
        j.key("weight").bare(weight);
    });
}

pub(super) fn manage_data(e: &mut Effects<'_>, op: &xdr::ManageDataOp) {
    let value = |entry: &'_ xdr::LedgerEntry| {
        if let xdr::LedgerEntryData::Data(data) = &entry.data { Some(data.data_value.clone()) } else { None }
    };
    let change = pairs(e.op.changes)
        .map(|pair| (pair.before.and_then(value), pair.after.and_then(value)))
        .find(|(before, after)| before.is_some() || after.is_some());
    let (kind, value) = match change {
        None => return,
        Some((None, value)) => (Kind::DataCreated, value),
        Some((Some(_), None)) => (Kind::DataRemoved, None),
        Some((Some(_), value)) => (Kind::DataUpdated, value),
    };
    e.push_source(kind, Cells::default(), |j| {
        j.key("name").text(Lossy(op.data_name.as_slice()));
        if let Some(value) = value {
            j.key("value").plain(Base64(value.as_slice()));
        }
    });
}

/// Nothing, where the account was at that number already.
pub(super) fn bump_sequence(e: &mut Effects<'_>) {
    let change = pairs(e.op.changes)
        .find_map(|pair| Some((pair.before.and_then(entry::account)?, pair.after.and_then(entry::account)?)));
    if let Some((before, after)) = change
        && before.seq_num != after.seq_num
    {
        e.push_source(Kind::SequenceBumped, Cells::default(), |j| j.key("new_seq").bare(after.seq_num.0));
    }
}
