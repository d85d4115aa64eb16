//! The configuration of a system under test, written as the YAML that a user would write.

use std::{path::PathBuf, time::Duration};

use lake_sim::Density;

use crate::model::FIRST;

/// Where a network's ledgers come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The network built into the daemon.
    Simulated {
        /// Mix of ledgers.
        density: Density,
        /// Which of all simulated networks.
        seed: u64,
        /// Ledgers per second; `None` is flat out.
        rate: Option<f64>,
        /// First ledger.
        first: u32,
    },
    /// A SEP-54 directory.
    Filesystem(PathBuf),
    /// A SEP-54 directory whose ledgers are repeated endlessly, flat out.
    Replay(PathBuf),
}

/// One network of the configuration.
#[derive(Clone, Debug)]
pub struct Network {
    /// Name of its schema.
    pub name: String,
    /// Passphrase.
    pub passphrase: String,
    /// Source.
    pub source: Source,
    /// Last ledger; `None` follows the tip.
    pub end: Option<u32>,
    /// Whether its ledgers are followed; otherwise only backfill jobs fill it.
    pub live: bool,
    /// When a read of a directory that brings nothing is given up; `None`: as usual.
    pub timeout: Option<Duration>,
}

impl Network {
    /// A simulated network with a passphrase of its own.
    pub fn simulated(name: &str, density: Density, seed: u64, rate: Option<f64>) -> Self {
        Self {
            name: name.to_owned(),
            passphrase: format!("Simulated network {name} of the tests"),
            source: Source::Simulated { density, seed, rate, first: FIRST },
            end: None,
            live: true,
            timeout: None,
        }
    }

    /// A network that is read from a SEP-54 directory.
    pub fn filesystem(name: &str, passphrase: &str, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            passphrase: passphrase.to_owned(),
            source: Source::Filesystem(path.into()),
            end: None,
            live: true,
            timeout: None,
        }
    }

    /// The same simulated network, beginning with this ledger.
    pub fn beginning(mut self, with: u32) -> Self {
        if let Source::Simulated { first, .. } = &mut self.source {
            *first = with;
        }
        self
    }

    /// The same network up to this ledger.
    pub fn until(mut self, end: u32) -> Self {
        self.end = Some(end);
        self
    }

    /// The same network, filled by backfill jobs only.
    pub fn history_only(mut self) -> Self {
        self.live = false;
        self
    }

    /// The same network, whose reads are given up after so long without a byte.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    fn yaml(&self) -> String {
        let source = match &self.source {
            Source::Simulated { density, seed, rate, first } => {
                let rate = rate.map(|r| format!(", ledgers_per_second: {r}")).unwrap_or_default();
                format!("simulated: {{ density: {density}, seed: {seed}, first_ledger: {first}{rate} }}")
            }
            Source::Filesystem(path) => {
                let timeout = self.timeout.map(|t| format!(", timeout: {}ms", t.as_millis()));
                let path = quoted(&path.display().to_string());
                format!("filesystem: {{ path: {path}{} }}", timeout.unwrap_or_default())
            }
            Source::Replay(path) => format!("replay: {{ path: {} }}", quoted(&path.display().to_string())),
        };
        let mut end = self.end.map(|end| format!("    end: {end}\n")).unwrap_or_default();
        if !self.live {
            end.push_str("    live: false\n");
        }
        format!(
            "  - name: {}\n    passphrase: {}\n    source: {{ {source} }}\n{end}",
            self.name,
            quoted(&self.passphrase)
        )
    }
}

/// A whole configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The networks.
    pub networks: Vec<Network>,
    /// Path of the lake as it is written into the file; `lake` in the system's folder when empty.
    pub lake: String,
    /// Path of the control socket; `s` in the system's folder when empty.
    pub socket: String,
    /// Whether transactions come without their raw XDR.
    pub no_raw_xdr: bool,
    /// Format of the log; text when empty.
    pub log: &'static str,
    /// More top-level YAML, e.g. `batch: { max_ledgers: 10 }`.
    pub more: String,
}

impl Settings {
    /// These networks, everything else as usual.
    pub fn of(networks: impl IntoIterator<Item = Network>) -> Self {
        Self { networks: networks.into_iter().collect(), ..Self::default() }
    }

    /// With these further lines of YAML.
    pub fn with(mut self, more: &str) -> Self {
        self.more.push_str(more);
        self.more.push('\n');
        self
    }

    /// Logging in this format.
    pub fn logging(mut self, format: &'static str) -> Self {
        self.log = format;
        self
    }

    /// Transactions without their raw XDR.
    pub fn without_raw_xdr(mut self) -> Self {
        self.no_raw_xdr = true;
        self
    }

    /// The file's text.
    pub(crate) fn yaml(&self, lake: &str, socket: &str) -> String {
        let networks: String = self.networks.iter().map(Network::yaml).collect();
        format!(
            "lake: {{ path: {}, raw_xdr: {} }}\ncontrol: {{ socket: {} }}\nlog: {{ level: info, format: {} }}\n{}networks:\n{networks}",
            quoted(lake),
            !self.no_raw_xdr,
            quoted(socket),
            if self.log.is_empty() { "text" } else { self.log },
            self.more
        )
    }
}

/// A YAML string: JSON's are YAML's.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("any text is a JSON string")
}
