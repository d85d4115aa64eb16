//! `lakectl config`, `lakectl reload` and `lakectl log-level`: what is configured, and reading it again.

use lake_proto::v1::{
    ConfigChange, ConfigEffect, ConfigOrigin, ConfigValue, DiffConfigRequest, GetConfigRequest,
    ReloadConfigRequest, SetLogLevelRequest,
};
use serde::Serialize;

use crate::{
    args::{ConfigDiff, ConfigShow, ConfigVerb, Connection, LogLevel, Output},
    client,
    exit::{Exit, Failure},
    output::Out,
};

/// The JSON of `lakectl config show`. Field names are stable.
#[derive(Debug, Serialize)]
struct ConfigJson<'a> {
    /// In the order of the files.
    values: Vec<ValueJson<'a>>,
}

/// One value.
#[derive(Debug, Serialize)]
struct ValueJson<'a> {
    /// Dotted path.
    key: &'a str,
    /// As YAML.
    value: &'a str,
    /// `default`, `file`, `environment`, `command-line`, `run-time` or `limit`.
    origin: &'static str,
    /// The file or the variable; empty otherwise.
    place: &'a str,
}

/// The JSON of `lakectl config diff` and `lakectl reload`. Field names are stable.
#[derive(Debug, Serialize)]
struct ChangesJson<'a> {
    /// Empty when nothing differs.
    changes: Vec<ChangeJson<'a>>,
}

/// One change.
#[derive(Debug, Serialize)]
struct ChangeJson<'a> {
    /// Dotted path.
    key: &'a str,
    /// In force; null when it is not set.
    before: Option<&'a str>,
    /// Read; null when it is not set any more.
    after: Option<&'a str>,
    /// `live`, `restart` or `failed`.
    effect: &'static str,
    /// Why, where that is not plain.
    note: &'a str,
}

/// The JSON of `lakectl log-level`. Field names are stable.
#[derive(Debug, Serialize)]
struct LevelJson<'a> {
    /// The level in force.
    level: &'a str,
}

pub(crate) async fn run(connection: &Connection, verb: ConfigVerb) -> Result<Exit, Failure> {
    match verb {
        ConfigVerb::Show(args) => show(connection, &args).await,
        ConfigVerb::Diff(args) => diff(connection, &args).await,
    }
}

async fn values(connection: &Connection) -> Result<Vec<ConfigValue>, Failure> {
    let mut client = client::config(connection).await?;
    Ok(client::answer(client.get_config(GetConfigRequest {})).await?.values)
}

async fn show(connection: &Connection, args: &ConfigShow) -> Result<Exit, Failure> {
    let mut values = values(connection).await?;
    if let Some(key) = &args.key {
        let known: Vec<String> = values.iter().map(|value| value.key.clone()).collect();
        values.retain(|value| is_below(&value.key, key));
        if values.is_empty() {
            let closest = known.iter().min_by_key(|known| strsim::damerau_levenshtein(known, key));
            let closest =
                closest.map(|closest| format!("did you mean `{closest}`? all of them: lakectl config show"));
            return Err(Failure::new(Exit::NotFound, format!("there is no setting {key}"))
                .hint(closest.unwrap_or_default()));
        }
    }
    if args.changed {
        values.retain(|value| value.origin() != ConfigOrigin::Default);
    }
    let mut out = Out::stdout();
    match args.output {
        Output::Human => {
            for value in &values {
                out.push(&format!("{}: {}  # {}\n", value.key, value.value, told(value)))?;
            }
            out.flush()?;
        }
        output @ (Output::Json | Output::Yaml) => {
            let values = values.iter().map(|value| ValueJson {
                key: &value.key,
                value: &value.value,
                origin: origin(value),
                place: &value.place,
            });
            out.value(output, &ConfigJson { values: values.collect() })?;
        }
    }
    Ok(Exit::Done)
}

/// Whether a key is another, or below it.
fn is_below(key: &str, other: &str) -> bool {
    key.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn origin(value: &ConfigValue) -> &'static str {
    match value.origin() {
        ConfigOrigin::Default => "default",
        ConfigOrigin::File => "file",
        ConfigOrigin::Environment => "environment",
        ConfigOrigin::CommandLine => "command-line",
        ConfigOrigin::RunTime => "run-time",
        ConfigOrigin::Limit => "limit",
        ConfigOrigin::Unspecified => "unknown",
    }
}

fn told(value: &ConfigValue) -> String {
    match value.origin() {
        ConfigOrigin::File => value.place.clone(),
        ConfigOrigin::Default
        | ConfigOrigin::Environment
        | ConfigOrigin::CommandLine
        | ConfigOrigin::RunTime
        | ConfigOrigin::Limit
        | ConfigOrigin::Unspecified => format!("{} {}", origin(value), value.place).trim_end().to_owned(),
    }
}

async fn diff(connection: &Connection, args: &ConfigDiff) -> Result<Exit, Failure> {
    let mut client = client::config(connection).await?;
    let changes = client::slow_answer(client.diff_config(DiffConfigRequest {})).await?.changes;
    let heading = if changes.is_empty() { "nothing differs\n" } else { "" };
    print(&changes, heading, "live", args.output)?;
    Ok(if changes.is_empty() { Exit::Done } else { Exit::Unhealthy })
}

pub(crate) async fn reload(connection: &Connection, args: &ConfigDiff) -> Result<Exit, Failure> {
    let mut client = client::config(connection).await?;
    let changes = client::slow_answer(client.reload_config(ReloadConfigRequest {})).await?.changes;
    let count = |effect| changes.iter().filter(|change| change.effect() == effect).count();
    let (live, restart) = (count(ConfigEffect::Live), count(ConfigEffect::Restart));
    let heading = match (live, restart) {
        (0, 0) if changes.is_empty() => "reloaded: nothing differs\n".to_owned(),
        _ => format!("reloaded: {live} in force, {restart} for the next restart\n"),
    };
    print(&changes, &heading, "in force", args.output)?;
    match count(ConfigEffect::Failed) {
        0 => Ok(Exit::Done),
        failed => Err(Failure::new(Exit::Internal, format!("{failed} changes could not be made"))
            .hint("see the notes above and the daemon's log, then reload again")),
    }
}

fn print(changes: &[ConfigChange], heading: &str, live: &str, output: Output) -> Result<(), Failure> {
    let mut out = Out::stdout();
    match output {
        Output::Human => {
            out.push(heading)?;
            for change in changes {
                out.push(&line(change, live))?;
            }
            out.flush()
        }
        Output::Json | Output::Yaml => {
            let changes = changes.iter().map(|change| ChangeJson {
                key: &change.key,
                before: change.before.as_deref(),
                after: change.after.as_deref(),
                effect: effect(change),
                note: &change.note,
            });
            out.value(output, &ChangesJson { changes: changes.collect() })
        }
    }
}

fn effect(change: &ConfigChange) -> &'static str {
    match change.effect() {
        ConfigEffect::Live => "live",
        ConfigEffect::Restart => "restart",
        ConfigEffect::Failed => "failed",
        ConfigEffect::Unspecified => "unknown",
    }
}

fn line(change: &ConfigChange, live: &str) -> String {
    let word = match change.effect() {
        ConfigEffect::Live => live,
        ConfigEffect::Restart => "needs a restart",
        ConfigEffect::Failed => "FAILED",
        ConfigEffect::Unspecified => "unknown",
    };
    let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "not there".to_owned());
    let note = if change.note.is_empty() { String::new() } else { format!(" ({})", change.note) };
    format!("  {word:15}  {}: {} -> {}{note}\n", change.key, side(&change.before), side(&change.after))
}

pub(crate) async fn log_level(connection: &Connection, args: LogLevel) -> Result<Exit, Failure> {
    let level = if args.reset || args.level.is_some() {
        let mut client = client::config(connection).await?;
        let request = SetLogLevelRequest { level: args.level.unwrap_or_default() };
        client::answer(client.set_log_level(request)).await?.level
    } else {
        let values = values(connection).await?;
        let level = values.into_iter().find(|value| value.key == "log.level");
        level.map(|level| level.value.trim_matches('\'').to_owned()).unwrap_or_default()
    };
    let mut out = Out::stdout();
    match args.output {
        Output::Human => out.write(&format!("{level}\n"))?,
        output @ (Output::Json | Output::Yaml) => out.value(output, &LevelJson { level: &level })?,
    }
    Ok(Exit::Done)
}
