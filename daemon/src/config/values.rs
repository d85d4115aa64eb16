//! All values one by one, with where each was set.

use serde_yaml::{Mapping, Value};

use super::layers::{Layers, Origin};

/// One value of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigValue {
    /// Dotted path; networks go by their names: `networks.mainnet.source.filesystem.path`.
    pub key: String,
    /// As YAML, on one line.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
}

impl Layers {
    /// All values, in the order of the files. No setting holds a secret: those are handed over as credentials.
    pub fn values(&self) -> Vec<ConfigValue> {
        let mut values = Vec::new();
        for (key, value) in self.merged_values() {
            let key = key.as_str().unwrap_or_default();
            // Without networks the empty list is a value.
            let networks = value.as_sequence().filter(|networks| !networks.is_empty());
            let Some(networks) = networks else {
                push(key, value, &|key| self.origin(key).clone(), &mut values);
                continue;
            };
            for (index, network) in networks.iter().enumerate() {
                values.extend(of_network(network, self.origin(&format!("networks[{index}]"))));
            }
        }
        values
    }
}

/// The values of one network, which was defined there as a whole.
pub(super) fn of_network(network: &Value, origin: &Origin) -> Vec<ConfigValue> {
    let mut values = Vec::new();
    let name = network.get("name").and_then(Value::as_str).unwrap_or_default();
    push(&format!("networks.{name}"), network, &|_| origin.clone(), &mut values);
    values
}

fn push(key: &str, value: &Value, origin: &dyn Fn(&str) -> Origin, values: &mut Vec<ConfigValue>) {
    match value {
        Value::Mapping(inner) if !inner.is_empty() => push_all(key, inner, origin, values),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Sequence(_)
        | Value::Mapping(_)
        | Value::Tagged(_) => {
            let text = serde_yaml::to_string(value).unwrap_or_default().trim_end().to_owned();
            values.push(ConfigValue { key: key.to_owned(), value: text, origin: origin(key) });
        }
    }
}

fn push_all(key: &str, inner: &Mapping, origin: &dyn Fn(&str) -> Origin, values: &mut Vec<ConfigValue>) {
    for (name, value) in inner {
        push(&format!("{key}.{}", name.as_str().unwrap_or_default()), value, origin, values);
    }
}
