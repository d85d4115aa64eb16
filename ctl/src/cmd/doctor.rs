//! `lakectl doctor`: what is wrong around the daemon, and what to do about it. Works without a daemon, too.

use std::{env, path::Path, process::Command};

use lake_proto::v1::{DiagnoseRequest, FindingSeverity};
use serde::{Deserialize, Serialize};

use crate::{
    args::{self, Connection, Output},
    client,
    exit::{Exit, Failure},
    output::{Out, Style},
};

/// The program that looks when no daemon answers.
const DAEMON: &str = "stellar-lake";

/// The JSON of `lakectl doctor --output json`. Field names are stable.
#[derive(Debug, Serialize)]
struct DoctorJson {
    /// Whether a daemon answered.
    daemon: bool,
    /// One or more for each thing that was looked at.
    findings: Vec<Finding>,
}

/// What one look found.
#[derive(Debug, Serialize, Deserialize)]
struct Finding {
    /// What was looked at.
    check: String,
    /// `fine`, `warning` or `error`.
    severity: String,
    /// What there is.
    message: String,
    /// What to do; empty when there is nothing to do.
    what_to_do: String,
}

pub(crate) async fn run(connection: &Connection, args: &args::Doctor) -> Result<Exit, Failure> {
    let told = match asked(connection).await {
        Ok(findings) => DoctorJson { daemon: true, findings },
        Err(failure) => DoctorJson { daemon: false, findings: alone(&failure, args.config.as_deref()) },
    };
    let mut out = Out::stdout();
    match args.output {
        Output::Human => {
            let style = out.style();
            out.write(&text(&told, style))?;
        }
        output @ (Output::Json | Output::Yaml) => out.value(output, &told)?,
    }
    let is_fine = told.findings.iter().all(|finding| finding.severity == "fine");
    Ok(if is_fine { Exit::Done } else { Exit::Unhealthy })
}

fn finding(check: &str, severity: &str, message: String, what_to_do: &str) -> Finding {
    Finding {
        check: check.to_owned(),
        severity: severity.to_owned(),
        message,
        what_to_do: what_to_do.to_owned(),
    }
}

/// What the running daemon finds.
async fn asked(connection: &Connection) -> Result<Vec<Finding>, Failure> {
    let mut client = client::doctor(connection).await?;
    let found = client::slow_answer(client.diagnose(DiagnoseRequest {})).await?.findings;
    let mut findings = vec![finding("socket", "fine", "a daemon answers".to_owned(), "")];
    findings.push(versions(&super::version::daemon_version(connection).await?));
    findings.extend(found.into_iter().map(|found| {
        let severity = match found.severity() {
            FindingSeverity::Fine => "fine",
            FindingSeverity::Warning => "warning",
            FindingSeverity::Error | FindingSeverity::Unspecified => "error",
        };
        finding(&found.check, severity, found.message, &found.what_to_do)
    }));
    Ok(findings)
}

fn versions(daemon: &str) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    // What was built for tests says so behind a plus.
    if daemon.split('+').next() == Some(own) {
        return finding("version", "fine", format!("lakectl and daemon are {own}"), "");
    }
    let message = format!("lakectl is {own}, the daemon {daemon}");
    finding("version", "warning", message, "install the same version of both, and restart the daemon")
}

/// What can be found without a daemon, by its program.
fn alone(failure: &Failure, config: Option<&Path>) -> Vec<Finding> {
    let causes = failure.causes.iter().map(|cause| format!(": {cause}"));
    let message = format!("{}{}", failure.message, causes.collect::<String>());
    let mut findings = vec![finding("socket", "error", message, failure.hint.as_deref().unwrap_or_default())];
    // Beside lakectl, where it is installed; else where the shell would find it.
    let beside = env::current_exe().ok().map(|own| own.with_file_name(DAEMON)).filter(|path| path.is_file());
    let mut command = Command::new(beside.unwrap_or_else(|| DAEMON.into()));
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    let looked = command.arg("doctor").output().map_err(|error| error.to_string()).and_then(|output| {
        serde_json::from_slice::<Vec<Finding>>(&output.stdout).map_err(|error| {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim();
            if said.is_empty() { error.to_string() } else { said.to_owned() }
        })
    });
    match looked {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(finding(
            "program",
            "error",
            format!("{DAEMON} could not look: {error}"),
            "install it beside lakectl",
        )),
    }
    findings
}

fn text(told: &DoctorJson, style: Style) -> String {
    let mut text = String::new();
    for found in &told.findings {
        let (word, colour) = match found.severity.as_str() {
            "fine" => ("ok", "32"),
            "warning" => ("warning", "33"),
            _ => ("ERROR", "31"),
        };
        let word = match style {
            Style::Plain => format!("{word:7}"),
            Style::Coloured => format!("\x1b[{colour}m{word:7}\x1b[0m"),
        };
        text.push_str(&format!("{word}  {:11}  {}\n", found.check, found.message));
        if !found.what_to_do.is_empty() {
            text.push_str(&format!("{:22}what to do: {}\n", "", found.what_to_do));
        }
    }
    text
}
