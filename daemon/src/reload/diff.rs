//! What differs between the configuration in force and the one that was read, and what it takes to change it.

use bytesize::ByteSize;

use crate::{
    config::{ConfigValue, Origin, Settings},
    networks::{NetworkChange, NetworkStep},
};

/// The level of the log.
pub(super) const LEVEL: &str = "log.level";

/// Settings that change while the daemon runs; networks do too.
const LIVE: [&str; 4] = [LEVEL, "query.max_rows", "query.timeout", "shutdown_timeout"];

/// What becomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It needs no restart.
    Live,
    /// It counts from the next start on.
    Restart,
    /// It could not be made.
    Failed,
}

/// A value that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its dotted path; `networks.NAME` for a network that comes or goes.
    pub key: String,
    /// What is in force; `None` when it is not set.
    pub before: Option<String>,
    /// What was read; `None` when it is not set any more.
    pub after: Option<String>,
    /// What becomes of it.
    pub effect: Effect,
    /// Why it needs a restart, or failed, where that is not plain; else empty.
    pub note: String,
}

impl Change {
    /// It could not be made.
    pub(super) fn fail(&mut self, why: String) {
        (self.effect, self.note) = (Effect::Failed, why);
    }
}

/// The name of the network that a key is about.
fn network_of(key: &str) -> Option<&str> {
    key.strip_prefix("networks.").map(|rest| rest.split_once('.').map_or(rest, |(name, _)| name))
}

fn find<'v>(values: &'v [ConfigValue], key: &str) -> Option<&'v ConfigValue> {
    values.iter().find(|value| value.key == key)
}

/// All that differs.
pub(super) fn changes(
    in_force: &[ConfigValue],
    wanted: &[ConfigValue],
    networks: &[NetworkChange],
) -> Vec<Change> {
    let removed = in_force.iter().filter(|old| find(wanted, &old.key).is_none());
    let differs = |value: &&ConfigValue| {
        find(in_force, &value.key).map(|old| &old.value) != find(wanted, &value.key).map(|new| &new.value)
    };
    let mut changes: Vec<Change> = Vec::new();
    for value in wanted.iter().filter(differs).chain(removed) {
        let before = find(in_force, &value.key).map(|old| old.value.clone());
        let after = find(wanted, &value.key).map(|new| new.value.clone());
        let Some(name) = network_of(&value.key) else {
            // An empty list of networks.
            if value.key != "networks" {
                let effect = if LIVE.contains(&value.key.as_str()) { Effect::Live } else { Effect::Restart };
                changes.push(Change { key: value.key.clone(), before, after, effect, note: String::new() });
            }
            continue;
        };
        let of_network = networks.iter().find(|change| change.name == name);
        let (key, before, after) = match of_network.map(|change| change.step) {
            Some(NetworkStep::Add) => (format!("networks.{name}"), None, Some("added".to_owned())),
            Some(NetworkStep::Remove) => (format!("networks.{name}"), Some("there".to_owned()), None),
            Some(NetworkStep::Replace) | None => (value.key.clone(), before, after),
        };
        if changes.iter().any(|change| change.key == key) {
            continue;
        }
        let (effect, note) = match of_network {
            Some(NetworkChange { failed: Some(error), .. }) => (Effect::Failed, error.clone()),
            Some(NetworkChange { held_by: Some(job), .. }) => {
                (Effect::Restart, format!("backfill job {job} works with it as it is"))
            }
            Some(_) | None => (Effect::Live, String::new()),
        };
        changes.push(Change { key, before, after, effect, note });
    }
    changes
}

/// What is in force once the changes are made: as wanted, but for those that were not.
pub(super) fn applied(
    in_force: &[ConfigValue],
    wanted: Vec<ConfigValue>,
    changes: &[Change],
) -> Vec<ConfigValue> {
    let stays = |key: &str| {
        changes.iter().any(|change| {
            let is_below =
                key.strip_prefix(&change.key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            change.effect != Effect::Live && is_below
        })
    };
    let mut values: Vec<ConfigValue> = wanted.into_iter().filter(|value| !stays(&value.key)).collect();
    values.extend(in_force.iter().filter(|value| stays(&value.key)).cloned());
    values
}

/// Values with others laid over them, by key; those with new keys come last.
pub(super) fn laid_over(values: &[ConfigValue], over: Vec<ConfigValue>) -> Vec<ConfigValue> {
    let mut values = values.to_vec();
    for value in over {
        match values.iter_mut().find(|old| old.key == value.key) {
            Some(old) => *old = value,
            None => values.push(value),
        }
    }
    values
}

/// The values that the limits of the process lowered.
pub(super) fn limited(values: &[ConfigValue], read: &Settings, fitted: &Settings) -> Vec<ConfigValue> {
    let pairs = [
        ("pipeline.memory", read.memory_bytes, fitted.memory_bytes),
        ("backfill.memory", read.backfill.memory_bytes, fitted.backfill.memory_bytes),
        ("query.memory_limit", read.query.memory_bytes, fitted.query.memory_bytes),
    ];
    let lowered = pairs.into_iter().filter(|(_, read, fitted)| fitted < read);
    lowered
        .filter(|(key, ..)| find(values, key).is_some())
        .map(|(key, _, fitted)| ConfigValue {
            key: key.to_owned(),
            value: ByteSize(fitted).to_string(),
            origin: Origin::Limit,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Vec<ConfigValue> {
        let value = |(key, value): &(&str, &str)| ConfigValue {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            origin: Origin::BuiltIn,
        };
        pairs.iter().map(value).collect()
    }

    fn step(name: &str, step: NetworkStep, held_by: Option<u32>) -> NetworkChange {
        NetworkChange { name: name.to_owned(), step, held_by, failed: None }
    }

    #[test]
    fn what_needs_a_restart_stays_and_is_told_again_at_the_next_reload() {
        let old = values(&[("log.level", "info"), ("batch.max_ledgers", "10"), ("query.threads", "1")]);
        let new = values(&[("log.level", "debug"), ("batch.max_ledgers", "20"), ("query.threads", "1")]);
        let changed = changes(&old, &new, &[]);
        let told: Vec<_> = changed.iter().map(|c| (c.key.as_str(), c.effect)).collect();
        assert_eq!(told, [("log.level", Effect::Live), ("batch.max_ledgers", Effect::Restart)]);
        let now = applied(&old, new.clone(), &changed);
        assert_eq!(find(&now, "log.level").unwrap().value, "debug");
        assert_eq!(find(&now, "batch.max_ledgers").unwrap().value, "10");
        let again = changes(&now, &new, &[]);
        assert_eq!(again.iter().map(|c| c.key.as_str()).collect::<Vec<_>>(), ["batch.max_ledgers"]);
    }

    #[test]
    fn a_network_comes_and_goes_as_one_change_and_is_changed_value_by_value() {
        let old = values(&[("networks.a.name", "a"), ("networks.a.end", "7"), ("networks.b.name", "b")]);
        let new = values(&[("networks.a.name", "a"), ("networks.c.name", "c"), ("networks.c.end", "9")]);
        let steps = [
            step("a", NetworkStep::Replace, None),
            step("b", NetworkStep::Remove, Some(3)),
            step("c", NetworkStep::Add, None),
        ];
        let changed = changes(&old, &new, &steps);
        let told: Vec<_> = changed.iter().map(|c| (c.key.as_str(), c.effect)).collect();
        assert_eq!(
            told,
            [("networks.c", Effect::Live), ("networks.a.end", Effect::Live), ("networks.b", Effect::Restart)]
        );
        let keys: Vec<String> = applied(&old, new, &changed).into_iter().map(|value| value.key).collect();
        assert_eq!(keys, ["networks.a.name", "networks.c.name", "networks.c.end", "networks.b.name"]);
    }
}
