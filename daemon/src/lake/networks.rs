//! Adding a network to a lake: its schema, tables and comments in one transaction, and its row in `_networks`.

use std::sync::{Arc, PoisonError};

use lake_core::{LedgerRange, LedgerSeq, schema::TableSpec};
use tokio::sync::watch;

use super::{
    batch::{NetworkSpec, SealedFiles},
    catalog::{Change, Failure},
    committer::{Committer, Watermark},
    ddl::ident,
    dirs::create_durable,
    encode::Encoder,
    error::LakeError,
    inventory::StoredNetwork,
    lineage::{LINEAGE, NETWORKS, network_row},
    open::Lake,
};

impl Lake {
    /// Makes a network ready to be written: creates its tables when it is new, checks that it is the same network
    /// with the same tables when it is not, and reads its coverage. Idempotent. Blocks on the committer.
    ///
    /// # Errors
    /// [`LakeError::OtherPassphrase`], [`LakeError::UnknownFingerprint`], or what the catalog says.
    pub fn add_network(&self, network: &NetworkSpec) -> Result<(), LakeError> {
        let (spec, encoder) = (network.clone(), self.encoder.clone());
        let coverage = self.ask(move |committer| {
            add(committer, &encoder, &spec)?;
            committer.catalog.coverage(spec.name.as_str())
        })?;
        let mark = Watermark { head: coverage.last(), coverage: Arc::new(coverage), ..Watermark::default() };
        let mut networks = self.networks.write().unwrap_or_else(PoisonError::into_inner);
        networks.entry(network.name.clone()).or_insert_with(|| watch::Sender::new(mark));
        Ok(())
    }

    /// The networks that the lake holds, added by this run or not.
    ///
    /// # Errors
    /// What the catalog says.
    pub fn stored_networks(&self) -> Result<Vec<StoredNetwork>, LakeError> {
        self.ask(|committer| committer.catalog.networks())
    }
}

fn add(committer: &mut Committer, encoder: &Encoder, network: &NetworkSpec) -> Result<(), LakeError> {
    let own = encoder.fingerprint.clone();
    let name = network.name.as_str();
    let stored = committer.catalog.networks()?;
    if let Some(stored) = stored.into_iter().find(|n| n.name == name) {
        if stored.passphrase != network.passphrase {
            return Err(LakeError::OtherPassphrase {
                network: name.to_owned(),
                stored: stored.passphrase,
                given: network.passphrase.clone(),
            });
        }
        if stored.fingerprint != own {
            return Err(LakeError::UnknownFingerprint {
                network: name.to_owned(),
                stored: stored.fingerprint,
                own,
            });
        }
        return Ok(());
    }
    let tables: Vec<&'static TableSpec> = encoder.specs.iter().copied().chain([&LINEAGE]).collect();
    for spec in &tables {
        create_durable(encoder.dirs.root(), &encoder.dirs.table(name, spec.name))?;
    }
    // The network's row comes last: a crash before it leaves empty tables, which the next start completes.
    let mut statements = vec![format!("CREATE SCHEMA IF NOT EXISTS lake.{};", ident(name))];
    for spec in tables {
        statements.push(spec.create_sql(name));
        statements.extend(spec.comment_sql(name));
    }
    statements.push(NETWORKS.create_sql("main"));
    statements.extend(NETWORKS.comment_sql("main"));
    committer.catalog.transaction("create the tables", &statements)?;
    register(committer, encoder, network)
}

/// Registers the network's row as a file of our own: durable before it is named, as all others.
fn register(committer: &mut Committer, encoder: &Encoder, network: &NetworkSpec) -> Result<(), LakeError> {
    let row =
        network_row(network.name.as_str(), &network.passphrase, network.network_id, &encoder.fingerprint);
    let failed = |reason: String| LakeError::Parquet { path: encoder.dirs.data(), reason };
    let row = row.map_err(|e| failed(e.to_string()))?;
    let none = LedgerRange::new(LedgerSeq::new(0), LedgerSeq::new(0))
        .ok_or_else(|| failed("no range".to_owned()))?;
    let file = encoder.file("main", &NETWORKS, encoder.dirs.new_name(none), &row)?;
    let files = SealedFiles { list: vec![file] };
    let change = Change { schema: "main", remove: &[], add: &files.list };
    match committer.apply(&change) {
        Ok(_) => {
            drop(files.keep());
            Ok(())
        }
        Err(Failure::Refused(error)) => Err(error),
        Err(Failure::Unknown(error)) => {
            drop(files.keep());
            Err(error)
        }
    }
}
