//! Adding a network to a lake, or bringing it up to this program's tables: schema, tables, comments, views and the
//! network's row in `_networks` in one transaction.

use std::sync::{Arc, PoisonError};

use lake_core::{
    Hash32, LedgerRange, LedgerSeq,
    schema::{TableSpec, fingerprint_of},
    tables::OLDER_SETS,
};
use tokio::sync::watch;

use super::{
    batch::{NetworkSpec, SealedFile, SealedFiles},
    catalog::{Change, Failure, Removal},
    committer::{Committer, Watermark},
    ddl::{ident, literal},
    dirs::create_durable,
    encode::Encoder,
    error::LakeError,
    inventory::StoredNetwork,
    lacking::Lacking,
    lineage::{LINEAGE, NETWORKS, network_row},
    open::Lake,
};

impl Lake {
    /// Makes a network ready to be written: creates its tables when it is new, checks that it is the same network
    /// when it is not, adds the tables that came since when an older version made it, and reads its coverage.
    /// Idempotent. Blocks on the committer.
    ///
    /// # Errors
    /// [`LakeError::OtherPassphrase`], [`LakeError::UnknownFingerprint`], or what the catalog says.
    pub fn add_network(&self, network: &NetworkSpec) -> Result<(), LakeError> {
        let (spec, encoder) = (network.clone(), self.encoder.clone());
        let (stored, lacking) = self.ask(move |committer| {
            add(committer, &encoder, &spec)?;
            let stored = committer.catalog.stored(&encoder, spec.name.as_str())?;
            let lacking = committer.catalog.lacking(&encoder, spec.name.as_str(), &stored.coverage)?;
            Ok((stored, lacking))
        })?;
        for Lacking { tables, ledgers } in &lacking {
            tracing::warn!(
                network = %network.name, %ledgers, tables = tables.join(", "),
                "stored by an older table set, without rows in these tables: `stellar-lake ingest` adds them"
            );
        }
        if !stored.leftovers.is_empty() {
            tracing::warn!(
                network = %network.name, ledgers = %stored.leftovers,
                "rows of these ledgers were deleted, others are still there: `lakectl repair` stores them anew"
            );
        }
        self.damage.load(&network.name)?;
        let mark = Watermark {
            head: stored.coverage.last(),
            coverage: Arc::new(stored.coverage),
            leftovers: Arc::new(stored.leftovers),
            lacking: Arc::new(lacking),
            ..Watermark::default()
        };
        let mut networks = self.networks.write().unwrap_or_else(PoisonError::into_inner);
        networks.entry(network.name.clone()).or_insert_with(|| watch::Sender::new(mark));
        Ok(())
    }

    /// Whether a network could be added: it is new, or the one that is stored. Changes nothing. Blocks on the committer.
    ///
    /// # Errors
    /// [`LakeError::OtherPassphrase`], [`LakeError::UnknownFingerprint`], or what the catalog says.
    pub fn check_network(&self, network: &NetworkSpec) -> Result<(), LakeError> {
        let (spec, encoder) = (network.clone(), self.encoder.clone());
        self.ask(move |committer| {
            let stored = committer.catalog.networks()?;
            let same = stored.iter().find(|stored| stored.name == spec.name.as_str());
            same.map_or(Ok(()), |stored| check(stored, &encoder, &spec))
        })
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
    let name = network.name.as_str();
    let stored = committer.catalog.networks()?.into_iter().find(|n| n.name == name);
    if let Some(stored) = &stored {
        check(stored, encoder, network)?;
    }
    let tables: Vec<&'static TableSpec> = encoder.specs.iter().copied().chain([&LINEAGE]).collect();
    let description = Description::of(name, &tables);
    let old = match &stored {
        Some(stored) if stored.fingerprint == encoder.fingerprint => {
            if committer.catalog.comment(name, LINEAGE.name)?.as_ref() == Some(&description.comment) {
                return Ok(());
            }
            None
        }
        Some(older) => {
            tracing::info!(network = name, from = older.fingerprint, "adding the tables that came since");
            Some(older)
        }
        None => None,
    };
    for spec in &tables {
        create_durable(encoder.dirs.root(), &encoder.dirs.table(name, spec.name))?;
    }
    let mut statements = vec![format!("CREATE SCHEMA IF NOT EXISTS lake.{}", ident(name))];
    statements.extend(tables.iter().map(|spec| spec.create_sql(name)));
    statements.extend(description.statements);
    let row = if stored.is_none() || old.is_some() {
        statements.push(NETWORKS.create_sql("main"));
        statements.extend(NETWORKS.comment_sql("main"));
        let created_by = old.map_or(env!("CARGO_PKG_VERSION"), |old| old.created_by.as_str());
        vec![row_file(encoder, network, created_by)?]
    } else {
        Vec::new()
    };
    let remove: Vec<Removal> = old
        .map(|old| Removal { table: NETWORKS.name, paths: vec![old.file.clone()], ledgers: None, rows: 1 })
        .into_iter()
        .collect();
    let files = SealedFiles { list: row };
    let change = Change { schema: "main", statements: &statements, remove: &remove, add: &files.list };
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

/// A stored network must be the same one, with tables of this program or of an older set that can be added to.
fn check(stored: &StoredNetwork, encoder: &Encoder, network: &NetworkSpec) -> Result<(), LakeError> {
    if stored.passphrase != network.passphrase {
        return Err(LakeError::OtherPassphrase {
            network: stored.name.clone(),
            stored: stored.passphrase.clone(),
            given: network.passphrase.clone(),
        });
    }
    if stored.fingerprint == encoder.fingerprint || is_older(&stored.fingerprint, encoder.specs) {
        return Ok(());
    }
    Err(LakeError::UnknownFingerprint {
        network: stored.name.clone(),
        stored: stored.fingerprint.clone(),
        own: encoder.fingerprint.clone(),
    })
}

/// Whether a fingerprint is of a known older set whose tables are all among `specs`, unchanged.
fn is_older(fingerprint: &str, specs: &[&'static TableSpec]) -> bool {
    OLDER_SETS.iter().filter(|older| older.fingerprint == fingerprint).any(|older| {
        let same: Vec<&TableSpec> =
            specs.iter().copied().filter(|spec| older.tables.contains(&spec.name)).collect();
        fingerprint_of(&same) == older.fingerprint
    })
}

/// Comments, views and macros of a network's schema, and what tells that they are those of this program.
struct Description {
    statements: Vec<String>,
    /// Comment of the lineage table: it names a hash of everything else.
    comment: String,
}

impl Description {
    fn of(network: &str, tables: &[&'static TableSpec]) -> Self {
        let mut statements: Vec<String> = Vec::new();
        for spec in tables {
            statements.extend(spec.comment_sql(network));
        }
        for spec in tables {
            statements.extend(spec.state_sql(network));
        }
        let parts: Vec<&[u8]> = statements.iter().map(String::as_bytes).collect();
        let comment =
            format!("{} Comments and views of this schema: {}.", LINEAGE.doc, Hash32::sha256(&parts));
        statements.push(format!(
            "COMMENT ON TABLE {}.{} IS {}",
            ident(network),
            ident(LINEAGE.name),
            literal(&comment)
        ));
        Self { statements, comment }
    }
}

/// The network's row as a file of our own: durable before it is named, as all others.
fn row_file(encoder: &Encoder, network: &NetworkSpec, created_by: &str) -> Result<SealedFile, LakeError> {
    let row = network_row(network, &encoder.fingerprint, created_by);
    let failed = |reason: String| LakeError::Parquet { path: encoder.dirs.data(), reason };
    let row = row.map_err(|e| failed(e.to_string()))?;
    let none = LedgerRange::new(LedgerSeq::new(0), LedgerSeq::new(0))
        .ok_or_else(|| failed("no range".to_owned()))?;
    encoder.file("main", &NETWORKS, encoder.dirs.new_name(none), &row)
}
