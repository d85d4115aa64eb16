//! Where the configuration comes from: files, then the environment, then the command line. Read at the start, and again at
//! each reload.

use std::{env, path::PathBuf};

use super::{
    error::ConfigError,
    layers::{Layers, Origin},
    settings::Settings,
};

/// Begins the names of variables that set something; two underscores part the words: `STELLAR_LAKE__LOG__LEVEL`.
const PREFIX: &str = "STELLAR_LAKE__";

/// Where the configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// This file instead of those in the standard places.
    pub file: Option<PathBuf>,
    /// What the command line sets: `log.level=debug`.
    pub set: Vec<String>,
}

/// The configuration as it was read.
#[derive(Debug)]
pub struct Configuration {
    /// Where it came from.
    pub inputs: Inputs,
    /// What was said, and where.
    pub layers: Layers,
    /// What it means.
    pub settings: Settings,
}

impl Inputs {
    /// Reads and checks all of it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(&self) -> Result<Configuration, ConfigError> {
        let mut layers = Layers::load(self.file.as_deref())?;
        let mut variables: Vec<(String, String)> = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        variables.sort();
        for (name, value) in variables {
            let key = name.trim_start_matches(PREFIX).to_ascii_lowercase().replace("__", ".");
            layers.set(&key, &value, Origin::Environment(name))?;
        }
        for assignment in &self.set {
            let (key, value) = assignment.split_once('=').ok_or_else(|| ConfigError::Invalid {
                key: assignment.clone(),
                message: "say it as KEY=VALUE, e.g. log.level=debug".to_owned(),
                origin: Origin::CommandLine.to_string(),
            })?;
            layers.set(key, value, Origin::CommandLine)?;
        }
        let settings = Settings::from_layers(&layers)?;
        Ok(Configuration { inputs: self.clone(), layers, settings })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(set: &[&str]) -> Result<Configuration, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "log: { level: warn }\n").unwrap();
        let set = set.iter().map(|text| (*text).to_owned()).collect();
        Inputs { file: Some(file.path().to_owned()), set }.load()
    }

    #[test]
    fn the_command_line_wins_over_files() {
        let read = load(&["query.timeout=5s", "log.level=debug"]).unwrap();
        assert_eq!(read.settings.log.level, "debug");
        assert_eq!(read.settings.query.timeout, std::time::Duration::from_secs(5));
        assert_eq!(*read.layers.origin("log.level"), Origin::CommandLine);
        assert_eq!(*read.layers.origin("query.max_rows"), Origin::BuiltIn);
    }

    #[test]
    fn a_wrong_assignment_says_what_is_wrong() {
        let error = |set: &str| load(&[set]).unwrap_err().to_string();
        assert!(error("log.level").contains("say it as KEY=VALUE"));
        assert!(error("log.levle=info").contains("did you mean `level`?"), "{}", error("log.levle=info"));
        assert!(error("log.levle=info").contains("--set"), "{}", error("log.levle=info"));
        assert!(
            error("query.threads=0").contains("(set in the command line)"),
            "{}",
            error("query.threads=0")
        );
    }
}
