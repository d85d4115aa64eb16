//! Dropping a network: its schema with all that is in it and its row in `_networks`, in one transaction. Files go when the
//! snapshots that name them expire.

use std::sync::PoisonError;

use super::{
    batch::NetworkName,
    catalog::{Change, Failure, Removal},
    committer::Committer,
    ddl::ident,
    error::LakeError,
    lineage::NETWORKS,
    open::Lake,
};

impl Lake {
    /// Drops a network's tables, views and macros, and forgets it. One that is not there is no error.
    ///
    /// # Errors
    /// What the catalog says.
    pub async fn drop_network(&self, network: &NetworkName) -> Result<(), LakeError> {
        let name = network.clone();
        self.ask_async(move |committer| drop_network(committer, &name)).await?;
        self.damage.forget(network)?;
        self.networks.write().unwrap_or_else(PoisonError::into_inner).remove(network);
        Ok(())
    }
}

fn drop_network(committer: &mut Committer, network: &NetworkName) -> Result<(), LakeError> {
    let stored = committer.catalog.networks()?.into_iter().find(|stored| stored.name == network.as_str());
    let Some(stored) = stored else { return Ok(()) };
    let statements = [format!("DROP SCHEMA lake.{} CASCADE", ident(network.as_str()))];
    let remove = [Removal { table: NETWORKS.name, paths: vec![stored.file], ledgers: None, rows: 1 }];
    let change = Change { schema: "main", statements: &statements, remove: &remove, add: &[] };
    committer.forget(network);
    match committer.apply(&change) {
        Ok(_) => Ok(()),
        Err(Failure::Refused(error) | Failure::Unknown(error)) => Err(error),
    }
}
