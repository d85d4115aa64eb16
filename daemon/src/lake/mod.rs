//! The lake: Parquet files and the DuckLake catalog that says which of them belong to which table.
//!
//! Workers encode ([`Encoder`]), one thread commits ([`WriteQueue`]), a process of its own keeps the catalog open
//! for readers ([`Keeper`]). Nothing else in the daemon opens the catalog's file.

mod batch;
mod catalog;
mod committer;
pub mod coverage;
mod damage;
mod ddl;
mod dirs;
mod encode;
mod error;
mod extensions;
mod history;
mod inventory;
mod keeper;
mod lacking;
mod lineage;
mod lock;
mod maintenance;
mod merge;
mod networks;
mod open;
mod parquet;
mod plan;
mod purge;
mod queue;
mod replace;
mod settings;
mod shadow;
mod sweep;
mod timing;

pub use batch::{Commit, Lane, NetworkName, NetworkSpec, OnlyTables, SealedBatch, SealedFile, WriteBatch};
pub use committer::Watermark;
pub use coverage::RangeSet;
pub use damage::{Damage, Proven};
pub use dirs::{FileName, LakeDirs, RunId};
pub use encode::{BatchEncoder, BatchFacts, Encoder};
pub use error::LakeError;
pub use extensions::extension_files;
pub use history::{Told, ToldFile, read_lineage};
pub use inventory::{RegisteredFile, StoredLink, StoredNetwork};
pub use keeper::{Keeper, KeeperReply};
pub use lacking::Lacking;
pub use lineage::{LINEAGE, LINEAGE_TABLE};
pub use maintenance::{Maintenance, MaintenanceStats};
pub use merge::MergeReport;
pub use open::Lake;
pub use queue::{Observer, QueueStats, WriteQueue};
pub use replace::Held;
pub use settings::{EncodingSettings, LakeSettings, MaintenanceSettings, QueueSettings};
pub use sweep::{FileCheck, SweepReport};
pub use timing::{BOUNDS, Timing};

pub use lake_core::schema::LEDGERS_TABLE;
