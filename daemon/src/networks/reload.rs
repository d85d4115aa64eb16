//! Making the networks what a changed configuration says, while those that did not change go on.

use super::{Entry, NetworkError, Networks, keep, open, open_history, spec, tell_paused};
use crate::{
    config::{NetworkSettings, RunTime},
    lake::LakeError,
};

/// What is to be done with a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkStep {
    /// It is new in the configuration.
    Add,
    /// It is defined otherwise.
    Replace,
    /// It is in the configuration no more.
    Remove,
}

/// A network that is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkChange {
    /// Its name.
    pub name: String,
    /// What is to be done.
    pub step: NetworkStep,
    /// A job that is not over and works with it as it is: so it cannot be changed now.
    pub held_by: Option<u32>,
    /// Why it could not be done.
    pub failed: Option<String>,
}

impl Networks {
    /// What would have to be done so that the configured networks are these.
    ///
    /// # Errors
    /// The lake holds another network of a new one's name, or does not answer.
    pub async fn changes(&self, wanted: &[NetworkSettings]) -> Result<Vec<NetworkChange>, NetworkError> {
        let kept = self.kept.lock().await;
        self.planned(&kept, wanted).await
    }

    /// Makes the configured networks these. What an open job holds stays as it is, and what fails says so; the others are
    /// changed all the same.
    ///
    /// # Errors
    /// Those of [`Networks::changes`]; nothing is changed then.
    pub async fn reconfigure(&self, wanted: &[NetworkSettings]) -> Result<Vec<NetworkChange>, NetworkError> {
        let mut kept = self.kept.lock().await;
        let mut changes = self.planned(&kept, wanted).await?;
        for change in changes.iter_mut().filter(|change| change.held_by.is_none()) {
            let settings = wanted.iter().find(|network| network.name == change.name);
            let done = match (change.step, settings) {
                (NetworkStep::Add, Some(settings)) => {
                    let paused = kept.is_paused(&change.name);
                    self.launch(settings.clone(), false, paused).await.map(|_| ())
                }
                (NetworkStep::Replace, Some(settings)) => self.redefine(&mut kept, settings).await,
                (NetworkStep::Remove, _) => self.forget(&mut kept, &change.name).await,
                (NetworkStep::Add | NetworkStep::Replace, None) => Ok(()),
            };
            if let Err(error) = done {
                tracing::error!(network = change.name, error = %error, "the network was not changed");
                change.failed = Some(error.to_string());
            }
        }
        Ok(changes)
    }

    async fn planned(
        &self,
        kept: &RunTime,
        wanted: &[NetworkSettings],
    ) -> Result<Vec<NetworkChange>, NetworkError> {
        let present: Vec<NetworkSettings> = self.list().into_iter().map(|view| view.settings).collect();
        let change = |name: &str, step| {
            let held_by = self.backfill.open_job(name);
            NetworkChange { name: name.to_owned(), step, held_by, failed: None }
        };
        let mut changes = Vec::new();
        for settings in wanted {
            match present.iter().find(|network| network.name == settings.name) {
                None => changes.push(change(&settings.name, NetworkStep::Add)),
                Some(old) if old != settings => {
                    let mut change = change(&settings.name, NetworkStep::Replace);
                    // A job reads history and does not care about the rest.
                    if old.history == settings.history && old.live == settings.live {
                        change.held_by = None;
                    }
                    changes.push(change);
                }
                Some(_) if kept.is_added(&settings.name) => {
                    changes.push(NetworkChange {
                        held_by: None,
                        ..change(&settings.name, NetworkStep::Replace)
                    });
                }
                Some(_) => {}
            }
        }
        let changed: Vec<String> = changes.iter().map(|change| change.name.clone()).collect();
        self.check(wanted.iter().filter(|settings| changed.contains(&settings.name))).await?;
        let gone = present.iter().filter(|old| {
            !kept.is_added(&old.name) && wanted.iter().all(|settings| settings.name != old.name)
        });
        changes.extend(gone.map(|old| change(&old.name, NetworkStep::Remove)));
        Ok(changes)
    }

    /// The lake must not hold other networks of these names.
    pub(super) async fn check(
        &self,
        networks: impl Iterator<Item = &NetworkSettings>,
    ) -> Result<(), NetworkError> {
        let specs = networks.map(spec).collect::<Result<Vec<_>, LakeError>>()?;
        let lake = self.shared.lake.clone();
        tokio::task::spawn_blocking(move || specs.iter().try_for_each(|spec| lake.check_network(spec)))
            .await
            .map_err(|error| NetworkError::Ended(error.to_string()))??;
        Ok(())
    }

    /// Gives a network another definition, once what is in flight is committed. Its counters go on.
    async fn redefine(&self, kept: &mut RunTime, settings: &NetworkSettings) -> Result<(), NetworkError> {
        let name = &settings.name;
        let (lake, spec) = (self.shared.lake.clone(), spec(settings)?);
        tokio::task::spawn_blocking(move || lake.add_network(&spec))
            .await
            .map_err(|error| NetworkError::Ended(error.to_string()))??;
        let task = open(settings, &self.read_ahead.live)?;
        let history = open_history(settings, &self.read_ahead.history)?;
        let history_too = {
            let old = self.get(name)?.settings;
            old.history != settings.history || old.live != settings.live
        };
        if history_too {
            self.backfill.remove_network(name).await?;
            self.backfill.add_network(history.clone());
            self.verifier.remove_network(name);
            self.verifier.add_network(history.task.clone());
        }
        if kept.is_added(name) {
            keep(kept, |kept| kept.hand_over(name))?;
        }
        let run = self.with(name, |entry| entry.run.take())?;
        if let Some(run) = run {
            run.end().await;
        }
        self.with(name, |entry| {
            entry.task.source = task.source;
            entry.settings = settings.clone();
            entry.history = history.task.source.describe();
            entry.added = false;
            entry.run = if entry.paused { None } else { self.spawn(settings, &entry.task) };
        })?;
        tracing::info!(network = name, "network changed");
        Ok(())
    }

    /// Opens a network, makes it known and starts it unless it is paused.
    pub(super) async fn launch(
        &self,
        settings: NetworkSettings,
        added: bool,
        paused: bool,
    ) -> Result<super::NetworkView, NetworkError> {
        let task = open(&settings, &self.read_ahead.live)?;
        let history = open_history(&settings, &self.read_ahead.history)?;
        let (lake, spec) = (self.shared.lake.clone(), spec(&settings)?);
        // Waits for the committer.
        tokio::task::spawn_blocking(move || lake.add_network(&spec))
            .await
            .map_err(|error| NetworkError::Ended(error.to_string()))??;
        self.backfill.add_network(history.clone());
        self.verifier.add_network(history.task.clone());
        tracing::info!(network = %task.name, "network added");
        let run = if paused { None } else { self.spawn(&settings, &task) };
        if paused {
            tell_paused(&task);
        }
        let history = history.task.source.describe();
        let entry = Entry { settings, task, history, added, paused, run };
        let view = super::view(&entry);
        self.write().push(entry);
        Ok(view)
    }

    /// Stops a network and forgets it; its tables stay.
    pub(super) async fn forget(&self, kept: &mut RunTime, name: &str) -> Result<(), NetworkError> {
        self.backfill.remove_network(name).await?;
        if kept.is_added(name) || kept.is_paused(name) {
            keep(kept, |kept| kept.remove(name))?;
        }
        self.verifier.remove_network(name);
        let run = self.with(name, |entry| entry.run.take())?;
        if let Some(run) = run {
            run.end().await;
        }
        self.write().retain(|entry| entry.settings.name != name);
        tracing::info!(network = name, "network removed");
        Ok(())
    }
}
