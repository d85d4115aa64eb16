//! The command line of networks.

use std::path::PathBuf;

use clap::{Subcommand, builder::NonEmptyStringValueParser};
use serde_json::{Map, Value, json};

use super::{Output, backfill::help};
use crate::exit::{Exit, Failure};

const ADD_EXAMPLES: &str = "\
The network starts at once, is kept in the lake's folder and starts again with the daemon. By flags the
source is a SEP-54 directory, or `simulated:DENSITY[:SEED]` or `replay:DIR` for tests. With --file it is
one entry of `networks` in the configuration, as YAML, with paths as the daemon sees them; - is standard input.

Examples:
  lakectl networks add testnet --source /srv/galexie/testnet
  lakectl networks add local --source ./ledgers --passphrase 'my network' --start latest
  lakectl networks add --file network.yaml";

const REMOVE_EXAMPLES: &str = "\
Only networks that were added with `lakectl networks add`: others are in the configuration. The tables stay
in the lake, and a network that is added again goes on after its last stored ledger. With --purge they are
dropped; their files go when maintenance expires the snapshots that name them.

Examples:
  lakectl networks remove local
  lakectl networks remove local --purge --yes";

const PAUSE_EXAMPLES: &str = "\
What is in flight is committed first. The network stays paused over restarts of the daemon; queries and
backfill jobs go on.

Examples:
  lakectl networks pause mainnet";

const RESUME_EXAMPLES: &str = "\
It goes on after its last stored ledger. A network that an error stopped is tried again.

Examples:
  lakectl networks resume mainnet";

const LIST_EXAMPLES: &str = "\
Examples:
  lakectl networks list
  lakectl networks list --output json | jq -r '.networks[] | select(.paused) | .name'";

const SHOW_EXAMPLES: &str = "\
Examples:
  lakectl networks show mainnet
  lakectl networks show mainnet --output yaml";

/// Adds, removes, pauses and resumes networks.
#[derive(Debug, clap::Args)]
pub(crate) struct Networks {
    #[command(subcommand)]
    pub(crate) verb: NetworksVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NetworksVerb {
    /// List the networks: where each is defined, whether it is paused, its source.
    #[command(after_help = help(LIST_EXAMPLES))]
    List(NetworkList),
    /// Show one network as it is defined.
    #[command(after_help = help(SHOW_EXAMPLES))]
    Show(NetworkName),
    /// Add a network and start it.
    #[command(after_help = help(ADD_EXAMPLES))]
    Add(NetworkAdd),
    /// Stop a network that was added and forget it.
    #[command(after_help = help(REMOVE_EXAMPLES))]
    Remove(NetworkRemove),
    /// Stop following a network for now.
    #[command(after_help = help(PAUSE_EXAMPLES))]
    Pause(NetworkName),
    /// Follow a paused or stopped network again.
    #[command(after_help = help(RESUME_EXAMPLES))]
    Resume(NetworkName),
}

#[derive(Debug, clap::Args)]
pub(crate) struct NetworkList {
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NetworkName {
    /// Name of the network.
    #[arg(value_name = "NETWORK", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: String,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NetworkAdd {
    /// Name: the schema of its tables.
    #[arg(value_name = "NETWORK", required_unless_present = "file", requires = "source")]
    pub(crate) name: Option<String>,
    /// Where its ledgers come from: a folder, `simulated:DENSITY[:SEED]` or `replay:DIR`.
    #[arg(long, value_name = "WHERE", conflicts_with = "file")]
    pub(crate) source: Option<String>,
    /// Passphrase; known for mainnet, testnet and futurenet.
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    pub(crate) passphrase: Option<String>,
    /// Where to begin when the lake has no ledger of it: oldest, latest or a ledger.
    #[arg(long, value_name = "LEDGER", conflicts_with = "file")]
    pub(crate) start: Option<String>,
    /// Last ledger, inclusive.
    #[arg(long, value_name = "LEDGER", conflicts_with = "file")]
    pub(crate) end: Option<u32>,
    /// Do not follow its newest ledgers: only backfill jobs fill it.
    #[arg(long, conflicts_with = "file")]
    pub(crate) no_live: bool,
    /// Ledgers per second of a simulated or repeated source.
    #[arg(long, value_name = "LEDGERS", conflicts_with = "file")]
    pub(crate) rate: Option<f64>,
    /// A file with the whole definition, or - for standard input.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NetworkRemove {
    /// Name of the network.
    #[arg(value_name = "NETWORK", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: String,
    /// Drop its tables too.
    #[arg(long)]
    pub(crate) purge: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// For people or for programs.
    #[arg(long, short, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

impl NetworkAdd {
    /// The definition that the flags mean, as an entry of `networks` in JSON, which is YAML too.
    pub(crate) fn definition(&self) -> Result<String, Failure> {
        let mut entry = Map::new();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                entry.insert(key.to_owned(), value);
            }
        };
        set("name", self.name.clone().map(Value::from));
        set("passphrase", self.passphrase.clone().map(Value::from));
        set("source", self.source.as_deref().map(|text| source(text, self.rate)).transpose()?);
        let start = |text: &String| text.parse::<u32>().map_or_else(|_| json!(text), |ledger| json!(ledger));
        set("start", self.start.as_ref().map(start));
        set("end", self.end.map(Value::from));
        set("live", self.no_live.then_some(Value::from(false)));
        Ok(Value::from(entry).to_string())
    }
}

/// A source as the configuration writes it. Folders are told as the daemon can find them: from the root.
fn source(text: &str, rate: Option<f64>) -> Result<Value, Failure> {
    let absolute = |path: &str| {
        std::path::absolute(path)
            .map(|path| path.display().to_string())
            .map_err(|error| Failure::new(Exit::Usage, format!("{path:?} is no folder")).because(error))
    };
    let with_rate = |mut source: Value| {
        if let (Some(rate), Some(fields)) = (rate, source.as_object_mut()) {
            fields.insert("ledgers_per_second".to_owned(), json!(rate));
        }
        source
    };
    if let Some(simulated) = text.strip_prefix("simulated:") {
        let (density, seed) = simulated.split_once(':').map_or((simulated, None), |(d, s)| (d, Some(s)));
        let seed = seed.map_or(Ok(1), str::parse::<u64>).map_err(|error| {
            Failure::new(Exit::Usage, format!("the seed of `{text}` is no number")).because(error)
        })?;
        return Ok(json!({ "simulated": with_rate(json!({ "density": density, "seed": seed })) }));
    }
    if let Some(folder) = text.strip_prefix("replay:") {
        return Ok(json!({ "replay": with_rate(json!({ "path": absolute(folder)? })) }));
    }
    if rate.is_some() {
        return Err(Failure::new(Exit::Usage, "--rate is for simulated and repeated sources"));
    }
    Ok(json!({ "filesystem": { "path": absolute(text)? } }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn definition(line: &str) -> Result<Value, i32> {
        let args = crate::args::Args::try_parse_from(line.split_whitespace()).map_err(|_| 64)?;
        let crate::args::Command::Networks(Networks { verb: NetworksVerb::Add(add) }) = args.command else {
            panic!("not an add: {line}");
        };
        add.definition().map(|text| serde_json::from_str(&text).unwrap()).map_err(|_| 64)
    }

    #[test]
    fn flags_become_an_entry_of_the_configuration() {
        let flags = "lakectl networks add local --source /l --passphrase p --start latest --end 9 --no-live";
        assert_eq!(
            definition(flags).unwrap(),
            json!({"name": "local", "passphrase": "p", "source": {"filesystem": {"path": "/l"}},
                   "start": "latest", "end": 9, "live": false})
        );
        assert_eq!(
            definition("lakectl networks add sim --source simulated:dense:7 --rate 5 --start 100").unwrap(),
            json!({"name": "sim", "source": {"simulated": {"density": "dense", "seed": 7,
                   "ledgers_per_second": 5.0}}, "start": 100})
        );
        let relative = definition("lakectl networks add r --source replay:here").unwrap();
        assert!(relative["source"]["replay"]["path"].as_str().unwrap().starts_with('/'), "{relative}");
    }

    #[test]
    fn flags_that_do_not_go_together_are_refused() {
        for line in [
            "lakectl networks add",
            "lakectl networks add local",
            "lakectl networks add --file f --source /l",
            "lakectl networks add local --source /l --rate 5",
            "lakectl networks add local --source simulated:dense:many",
        ] {
            assert_eq!(definition(line), Err(64), "{line}");
        }
    }
}
