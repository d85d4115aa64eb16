//! Files in their order, merged key by key, each value with the file it came from.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use serde_yaml::{Mapping, Value};

use super::{error::ConfigError, file::ConfigFile};

const BUILT_IN: &str = include_str!("../../../config/stellar-lake.yaml");
const VENDOR: &str = "/usr/lib/stellar-lake/stellar-lake.yaml";
const MAIN: &str = "/etc/stellar-lake/stellar-lake.yaml";
const FRAGMENTS: &str = "/etc/stellar-lake/config.d";

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The defaults in the program.
    BuiltIn,
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// The command line.
    CommandLine,
    /// A call while the daemon ran, kept here if it is kept.
    RunTime(Option<PathBuf>),
    /// A limit of the process that is lower than what was set.
    Limit,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::File(path) => path.display().fmt(f),
            Self::Environment(name) => write!(f, "the variable {name}"),
            Self::CommandLine => f.write_str("the command line"),
            Self::RunTime(Some(path)) => write!(f, "run time, kept in {}", path.display()),
            Self::RunTime(None) => f.write_str("run time, until the next start"),
            Self::Limit => f.write_str("a limit of the process"),
        }
    }
}

/// All layers merged.
#[derive(Debug)]
pub struct Layers {
    merged: Mapping,
    origins: BTreeMap<String, Origin>,
    files: Vec<PathBuf>,
}

impl Layers {
    /// Reads the built-in layer and the files: `only` alone when given, else the standard places.
    ///
    /// # Errors
    /// A file that cannot be read or is not valid, by name, line and column.
    pub fn load(only: Option<&Path>) -> Result<Self, ConfigError> {
        let files = match only {
            Some(path) => vec![path.to_owned()],
            None => standard_files()?,
        };
        Self::of_files(files)
    }

    /// The built-in layer and these files, later ones winning.
    pub(super) fn of_files(files: Vec<PathBuf>) -> Result<Self, ConfigError> {
        let mut layers = Self { merged: Mapping::new(), origins: BTreeMap::new(), files: files.clone() };
        layers.add(BUILT_IN, &Origin::BuiltIn, Path::new("built-in defaults"))?;
        for path in files {
            let text =
                fs::read_to_string(&path).map_err(|error| ConfigError::Read { path: path.clone(), error })?;
            layers.add(&text, &Origin::File(path.clone()), &path)?;
        }
        Ok(layers)
    }

    /// The files that were read, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Origin of the setting at this dotted path, or of the section that holds it.
    pub fn origin(&self, key: &str) -> &Origin {
        let mut key = key;
        loop {
            if let Some(origin) = self.origins.get(key) {
                return origin;
            }
            match key.rfind(['.', '[']) {
                Some(cut) => key = key.get(..cut).unwrap_or_default(),
                None => return &Origin::BuiltIn,
            }
        }
    }

    /// The merged values as YAML, each with its origin as a comment.
    pub fn dump(&self) -> String {
        let mut out = String::new();
        self.dump_mapping(&self.merged, "", 0, &mut out);
        out
    }

    pub(super) fn merged(&self) -> Result<ConfigFile, ConfigError> {
        serde_yaml::from_value(Value::Mapping(self.merged.clone()))
            .map_err(|error| parse_error(Path::new("merged configuration"), &error))
    }

    /// Sets one value: a dotted path, and YAML.
    ///
    /// # Errors
    /// There is no such setting, or the value is not of its kind.
    pub(super) fn set(&mut self, key: &str, value: &str, origin: Origin) -> Result<(), ConfigError> {
        let place = match &origin {
            Origin::Environment(name) => PathBuf::from(name),
            Origin::CommandLine | Origin::BuiltIn | Origin::File(_) | Origin::RunTime(_) | Origin::Limit => {
                PathBuf::from(format!("--set {key}"))
            }
        };
        let value: Value = serde_yaml::from_str(value).map_err(|error| parse_error(&place, &error))?;
        let whole = key.rsplit('.').fold(value, |inner, word| {
            let mut outer = Mapping::new();
            outer.insert(word.into(), inner);
            Value::Mapping(outer)
        });
        let typed = serde_yaml::from_value(whole).map_err(|error| parse_error(&place, &error))?;
        self.add_typed(&typed, &origin, &place)
    }

    pub(super) fn merged_values(&self) -> &Mapping {
        &self.merged
    }

    fn add(&mut self, text: &str, origin: &Origin, path: &Path) -> Result<(), ConfigError> {
        // An empty file is a file that sets nothing.
        let typed: Option<ConfigFile> = serde_yaml::from_str(text).map_err(|e| parse_error(path, &e))?;
        typed.map_or(Ok(()), |typed| self.add_typed(&typed, origin, path))
    }

    fn add_typed(&mut self, typed: &ConfigFile, origin: &Origin, path: &Path) -> Result<(), ConfigError> {
        let value = serde_yaml::to_value(typed).map_err(|e| parse_error(path, &e))?;
        if let Value::Mapping(mapping) = value {
            for (key, value) in mapping {
                let Some(name) = key.as_str().map(str::to_owned) else { continue };
                if name == "networks" {
                    self.merge_networks(value, origin);
                } else {
                    merge(&mut self.merged, &mut self.origins, &name, key, value, origin);
                }
            }
        }
        Ok(())
    }

    /// Networks are merged by name; a later entry replaces the whole entry and keeps its place.
    fn merge_networks(&mut self, value: Value, origin: &Origin) {
        let Value::Sequence(added) = value else { return };
        let slot = self.merged.entry("networks".into()).or_insert_with(|| Value::Sequence(Vec::new()));
        let Value::Sequence(networks) = slot else { return };
        for network in added {
            let name = network.get("name").cloned();
            let place = networks.iter().position(|n| name.is_some() && n.get("name") == name.as_ref());
            let index = match place {
                Some(index) => {
                    if let Some(old) = networks.get_mut(index) {
                        *old = network;
                    }
                    index
                }
                None => {
                    networks.push(network);
                    networks.len() - 1
                }
            };
            self.origins.insert(format!("networks[{index}]"), origin.clone());
        }
    }

    fn dump_mapping(&self, mapping: &Mapping, path: &str, indent: usize, out: &mut String) {
        for (key, value) in mapping {
            let name = key.as_str().unwrap_or_default();
            let key_path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            self.dump_value(name, value, &key_path, indent, out);
        }
    }

    fn dump_value(&self, name: &str, value: &Value, path: &str, indent: usize, out: &mut String) {
        let pad = " ".repeat(indent);
        match value {
            Value::Mapping(inner) if !inner.is_empty() => {
                out.push_str(&format!("{pad}{name}:\n"));
                self.dump_mapping(inner, path, indent + 2, out);
            }
            Value::Sequence(items) if !items.is_empty() => {
                out.push_str(&format!("{pad}{name}:\n"));
                for (index, item) in items.iter().enumerate() {
                    let item_path = format!("{path}[{index}]");
                    out.push_str(&format!("{pad}  -  # {}\n", self.origin(&item_path)));
                    if let Value::Mapping(inner) = item {
                        self.dump_mapping(inner, &item_path, indent + 4, out);
                    }
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Sequence(_)
            | Value::Mapping(_)
            | Value::Tagged(_) => {
                let text = serde_yaml::to_string(value).unwrap_or_default();
                out.push_str(&format!("{pad}{name}: {}  # {}\n", text.trim_end(), self.origin(path)));
            }
        }
    }
}

fn merge(
    into: &mut Mapping,
    origins: &mut BTreeMap<String, Origin>,
    path: &str,
    key: Value,
    value: Value,
    origin: &Origin,
) {
    match value {
        Value::Mapping(inner) => {
            let slot = into.entry(key).or_insert_with(|| Value::Mapping(Mapping::new()));
            if let Value::Mapping(target) = slot {
                for (key, value) in inner {
                    let child = format!("{path}.{}", key.as_str().unwrap_or_default());
                    merge(target, origins, &child, key, value, origin);
                }
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Sequence(_)
        | Value::Tagged(_) => {
            into.insert(key, value);
            origins.insert(path.to_owned(), origin.clone());
        }
    }
}

fn standard_files() -> Result<Vec<PathBuf>, ConfigError> {
    let mut files: Vec<PathBuf> = [VENDOR, MAIN].iter().map(PathBuf::from).filter(|p| p.exists()).collect();
    let directory = Path::new(FRAGMENTS);
    if directory.is_dir() {
        let read = |error| ConfigError::Read { path: directory.to_owned(), error };
        let mut fragments = Vec::new();
        for entry in fs::read_dir(directory).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if path.extension().is_some_and(|e| e == "yaml") {
                fragments.push(path);
            }
        }
        fragments.sort();
        files.append(&mut fragments);
    }
    Ok(files)
}

pub(super) fn parse_error(path: &Path, error: &serde_yaml::Error) -> ConfigError {
    let place = error.location().map(|l| format!(":{}:{}", l.line(), l.column())).unwrap_or_default();
    let text = error.to_string();
    // serde_yaml appends the place to its message; it stands in front already.
    let text = match text.rfind(" at line ") {
        Some(cut) => text.get(..cut).unwrap_or(&text).to_owned(),
        None => text,
    };
    ConfigError::Parse { path: path.to_owned(), place, message: with_suggestion(&text) }
}

/// Turns serde's "unknown field `x`, expected one of `a`, `b`" into a question that helps.
fn with_suggestion(message: &str) -> String {
    let Some((before, expected)) = message.split_once(", expected ") else { return message.to_owned() };
    if !before.contains("unknown field") && !before.contains("unknown variant") {
        return message.to_owned();
    }
    let quoted =
        |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let Some(unknown) = quoted(before).pop() else { return message.to_owned() };
    let known = quoted(expected);
    let closest = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(k, &unknown), k))
        .filter(|(distance, k)| *distance <= 1 + k.len().max(unknown.len()) / 3)
        .min();
    let path = before.split_once(": ").map_or("", |(path, _)| path);
    let at = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
    match closest {
        Some((_, k)) => format!("unknown key `{unknown}`{at}; did you mean `{k}`?"),
        None => format!("unknown key `{unknown}`{at}; known keys: {}", known.join(", ")),
    }
}
