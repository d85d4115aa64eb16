//! Looks at all that a daemon needs of its machine, and says what to do about what is wrong. Needs no daemon, and changes
//! nothing.

mod machine;
mod sources;

use std::path::PathBuf;

use serde::Serialize;

use crate::{
    config::{Configuration, Inputs, RunTime, Settings},
    limits::Limits,
};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Fine,
    /// The daemon works, for now or with less.
    Warning,
    /// The daemon does not work, or part of it.
    Error,
}

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: `config`, `permissions`, `disk`, `limits`, `extensions`, `sources`, `clock`.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What there is.
    pub message: String,
    /// What to do about it; empty when there is nothing to do.
    pub what_to_do: String,
}

impl Finding {
    fn fine(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, severity: Severity::Fine, message: message.into(), what_to_do: String::new() }
    }

    pub(crate) fn warning(
        check: &'static str,
        message: impl Into<String>,
        what_to_do: impl Into<String>,
    ) -> Self {
        let (message, what_to_do) = (message.into(), what_to_do.into());
        Self { check, severity: Severity::Warning, message, what_to_do }
    }

    fn error(check: &'static str, message: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Self { severity: Severity::Error, ..Self::warning(check, message, what_to_do) }
    }
}

/// Looks at everything that a daemon with this configuration, run by this user, would need.
pub async fn examine(inputs: &Inputs) -> Vec<Finding> {
    let reading = inputs.clone();
    let read = tokio::task::spawn_blocking(move || read(&reading)).await;
    let (files, settings) = match read {
        Ok(Ok(read)) => read,
        Ok(Err(message)) => {
            let todo = "mend it; without a valid configuration nothing else can be looked at";
            return vec![Finding::error("config", message, todo)];
        }
        Err(error) => return vec![Finding::error("config", error.to_string(), "try again")],
    };
    let mut findings = vec![configured(&files, &settings)];
    let looked = settings.clone();
    let machine =
        tokio::task::spawn_blocking(move || machine::examine(&files, &looked, Limits::read())).await;
    findings.extend(machine.unwrap_or_else(|error| {
        vec![Finding::error("permissions", format!("the look at the machine failed: {error}"), "try again")]
    }));
    findings.extend(sources::examine(&settings).await);
    findings
}

/// The files, and the settings with the networks that were added at run time.
fn read(inputs: &Inputs) -> Result<(Vec<PathBuf>, Settings), String> {
    let Configuration { layers, settings, .. } = inputs.load().map_err(|error| error.to_string())?;
    let mut kept = RunTime::load(&settings.lake.path).map_err(|error| error.to_string())?;
    let settings = kept.extend(settings).map_err(|error| error.to_string())?;
    Ok((layers.files().to_vec(), settings))
}

fn configured(files: &[PathBuf], settings: &Settings) -> Finding {
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let from = if files.is_empty() { "no file: the built-in defaults".to_owned() } else { files.join(", ") };
    if settings.networks.is_empty() {
        let todo = "configure networks, or add one: lakectl networks add";
        return Finding::warning("config", format!("valid, but without a network, from {from}"), todo);
    }
    Finding::fine("config", format!("valid, {} networks, from {from}", settings.networks.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(text: &str) -> Vec<Finding> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        examine(&Inputs { file: Some(file.path().to_owned()), set: Vec::new() }).await
    }

    fn severity(findings: &[Finding], check: &str) -> Severity {
        let worst = findings.iter().filter(|finding| finding.check == check).map(|finding| finding.severity);
        worst.max_by_key(|severity| *severity as u8).unwrap()
    }

    #[tokio::test]
    async fn a_configuration_that_is_not_valid_is_all_that_is_told() {
        let findings = found("lake: { pth: /x }").await;
        assert_eq!(findings.len(), 1);
        assert_eq!(severity(&findings, "config"), Severity::Error);
        assert!(findings[0].message.contains("did you mean `path`?"), "{findings:?}");
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("nothing");
        let findings = found(&format!(
            "lake: {{ path: {0}/lake, extension_dir: {0} }}\nnetworks: [{{ name: testnet, source: {{ filesystem: {{ path: {1} }} }} }}]",
            dir.path().display(),
            source.display()
        ))
        .await;
        assert_eq!(severity(&findings, "config"), Severity::Fine);
        assert_eq!(severity(&findings, "permissions"), Severity::Fine);
        assert_eq!(severity(&findings, "extensions"), Severity::Error);
        assert_eq!(severity(&findings, "sources"), Severity::Error);
        for finding in findings.iter().filter(|finding| finding.severity != Severity::Fine) {
            assert!(!finding.what_to_do.is_empty(), "{finding:?}");
        }
        assert!(!dir.path().join("lake").exists(), "a look changes nothing");
    }
}
