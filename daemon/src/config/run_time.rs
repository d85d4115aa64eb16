//! What was set while the daemon ran: networks that were added, and those that were paused. One file in the lake's folder,
//! replaced whole; the files of the operator are never written.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    error::ConfigError,
    file::NetworkFile,
    layers::Origin,
    layers::parse_error,
    settings::{NetworkSettings, Settings, network_settings},
    values::{self, ConfigValue},
};

/// Name of the file in the lake's folder.
const FILE: &str = "networks.yaml";

/// What is said of a definition that came by a call.
const CALL: &str = "the definition";

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// As in the configuration.
    #[serde(default)]
    networks: Vec<NetworkFile>,
    /// Names, of configured networks too.
    #[serde(default)]
    paused: Vec<String>,
}

/// A network's definition, checked.
#[derive(Clone, Debug)]
pub struct NetworkDefinition {
    file: NetworkFile,
    /// What it means.
    pub settings: NetworkSettings,
}

impl NetworkDefinition {
    /// Reads one entry of `networks`, as YAML or JSON.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: NetworkFile =
            serde_yaml::from_str(text).map_err(|error| parse_error(Path::new(CALL), &error))?;
        let settings = checked(&file, "network", CALL)?;
        Ok(Self { file, settings })
    }
}

fn checked(file: &NetworkFile, key: &str, origin: &str) -> Result<NetworkSettings, ConfigError> {
    network_settings(key, file.clone(), &|key, message| ConfigError::Invalid {
        key: key.to_owned(),
        message,
        origin: origin.to_owned(),
    })
}

/// What was set while the daemon ran.
#[derive(Debug)]
pub struct RunTime {
    path: PathBuf,
    contents: Contents,
}

impl RunTime {
    /// Reads what earlier processes kept for this lake.
    ///
    /// # Errors
    /// The file cannot be read, or is not what was written.
    pub fn load(lake: &Path) -> Result<Self, ConfigError> {
        let path = lake.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(ConfigError::Read { path, error }),
        };
        let contents: Option<Contents> =
            serde_yaml::from_str(&text).map_err(|error| parse_error(&path, &error))?;
        Ok(Self { path, contents: contents.unwrap_or_default() })
    }

    /// The settings with the networks that were added. A configured network of the same name wins: the operator wrote it.
    ///
    /// # Errors
    /// A definition that was valid once and is not any more.
    pub fn extend(&mut self, mut settings: Settings) -> Result<Settings, ConfigError> {
        let configured: Vec<String> = settings.networks.iter().map(|network| network.name.clone()).collect();
        self.contents.networks.retain(|network| {
            let name = network.name.as_ref().filter(|name| configured.contains(name));
            if let Some(name) = name {
                tracing::warn!(
                    network = name,
                    "was added at run time and is configured now: the configuration counts"
                );
            }
            name.is_none()
        });
        let origin = self.path.display().to_string();
        for (index, network) in self.contents.networks.iter().enumerate() {
            settings.networks.push(checked(network, &format!("networks[{index}]"), &origin)?);
        }
        Ok(settings)
    }

    /// Whether a network was added while the daemon ran.
    pub fn is_added(&self, name: &str) -> bool {
        self.contents.networks.iter().any(|network| network.name.as_deref() == Some(name))
    }

    /// Whether a network is paused.
    pub fn is_paused(&self, name: &str) -> bool {
        self.contents.paused.iter().any(|paused| paused == name)
    }

    /// Keeps a network. Durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written; nothing is changed then.
    pub fn add(&mut self, definition: NetworkDefinition) -> io::Result<()> {
        let mut contents = self.contents.clone();
        contents.networks.push(definition.file);
        self.replace(contents)
    }

    /// Forgets the definition of a network, which is configured now; it stays paused. Durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written; nothing is changed then.
    pub fn hand_over(&mut self, name: &str) -> io::Result<()> {
        let mut contents = self.contents.clone();
        contents.networks.retain(|network| network.name.as_deref() != Some(name));
        self.replace(contents)
    }

    /// What is kept, value by value.
    pub fn values(&self) -> Vec<ConfigValue> {
        let origin = Origin::RunTime(Some(self.path.clone()));
        let networks = self.contents.networks.iter().filter_map(|file| serde_yaml::to_value(file).ok());
        let mut all: Vec<ConfigValue> =
            networks.flat_map(|network| values::of_network(&network, &origin)).collect();
        let paused = |name: &String| ConfigValue {
            key: format!("networks.{name}.paused"),
            value: "true".to_owned(),
            origin: origin.clone(),
        };
        all.extend(self.contents.paused.iter().map(paused));
        all
    }

    /// Forgets a network. Durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written; nothing is changed then.
    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut contents = self.contents.clone();
        contents.networks.retain(|network| network.name.as_deref() != Some(name));
        contents.paused.retain(|paused| paused != name);
        self.replace(contents)
    }

    /// Keeps whether a network is paused. Durable when it returns.
    ///
    /// # Errors
    /// The file cannot be written; nothing is changed then.
    pub fn set_paused(&mut self, name: &str, paused: bool) -> io::Result<()> {
        let mut contents = self.contents.clone();
        contents.paused.retain(|other| other != name);
        if paused {
            contents.paused.push(name.to_owned());
        }
        self.replace(contents)
    }

    /// The file that keeps it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn replace(&mut self, contents: Contents) -> io::Result<()> {
        let text = serde_yaml::to_string(&contents).map_err(io::Error::other)?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        writeln!(file, "# Kept by the daemon: `lakectl networks` changes it.")?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        fs::File::open(dir)?.sync_all()?;
        self.contents = contents;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, SourceSettings};

    const ALPHA: &str = r#"{"name": "alpha", "passphrase": "p", "source": {"filesystem": {"path": "/a"}}}"#;

    fn settings(text: &str) -> Settings {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Settings::from_layers(&Layers::load(Some(file.path())).unwrap()).unwrap()
    }

    #[test]
    fn what_was_added_and_paused_is_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = RunTime::load(dir.path()).unwrap();
        kept.add(NetworkDefinition::parse(ALPHA).unwrap()).unwrap();
        kept.set_paused("alpha", true).unwrap();
        kept.set_paused("testnet", true).unwrap();

        let mut kept = RunTime::load(dir.path()).unwrap();
        assert!(kept.is_added("alpha") && kept.is_paused("alpha") && kept.is_paused("testnet"));
        let extended = kept.extend(settings("{}")).unwrap();
        let alpha = extended.networks.last().unwrap();
        assert_eq!((alpha.name.as_str(), alpha.passphrase.as_str()), ("alpha", "p"));
        assert!(matches!(&alpha.source, SourceSettings::Filesystem { path, .. } if path == Path::new("/a")));

        kept.remove("alpha").unwrap();
        let kept = RunTime::load(dir.path()).unwrap();
        assert!(!kept.is_added("alpha") && !kept.is_paused("alpha") && kept.is_paused("testnet"));
    }

    #[test]
    fn a_configured_network_of_the_same_name_wins() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = RunTime::load(dir.path()).unwrap();
        kept.add(NetworkDefinition::parse(ALPHA).unwrap()).unwrap();
        let configured =
            settings("networks: [{ name: alpha, passphrase: q, source: { replay: { path: /r } } }]");
        let extended = kept.extend(configured).unwrap();
        let named: Vec<_> = extended.networks.iter().filter(|network| network.name == "alpha").collect();
        assert_eq!(named.len(), 1);
        assert_eq!(named.first().unwrap().passphrase, "q");
        assert!(!kept.is_added("alpha"));
    }

    #[test]
    fn a_wrong_definition_says_what_is_wrong() {
        let error = |text: &str| NetworkDefinition::parse(text).unwrap_err().to_string();
        let said = error("{name: alpha, passphras: p, source: {replay: {path: /r}}}");
        assert!(said.contains("did you mean `passphrase`?"), "{said}");
        let said = error("{name: alpha, source: {replay: {path: /r}}}");
        assert!(said.contains("needs a `passphrase`") && said.contains("the definition"), "{said}");
        assert!(error("{name: Alpha}").contains("cannot be a schema name"));
        assert!(error("- 1").starts_with("the definition"), "{}", error("- 1"));
    }
}
