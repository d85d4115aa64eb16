//! Configuration: what the YAML files say (`file::ConfigFile`) becomes what is true ([`Settings`]).
//!
//! The only module that knows `serde_yaml`: the crate is marked deprecated by its author, a swap touches this folder
//! alone.

mod error;
mod file;
mod inputs;
mod layers;
mod level;
mod metrics;
mod run_time;
mod settings;
#[cfg(test)]
mod tests;
mod value;
mod values;

pub use error::ConfigError;
pub use inputs::{Configuration, Inputs};
pub use layers::{Layers, Origin};
pub use level::log_filter;
pub use metrics::{MetricsAddress, MetricsSection};
pub use run_time::{NetworkDefinition, RunTime};
pub use settings::{
    BatchSettings, LakeSection, LogFormat, LogSettings, MaintenanceSection, NetworkSettings, QuerySection,
    READ_TIMEOUT, Settings, SourceSettings, known_passphrase, validate_network_name,
};
pub use value::StartText;
pub use values::ConfigValue;
