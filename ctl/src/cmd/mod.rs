//! One file per verb.

pub(crate) mod backfill;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod gaps;
pub(crate) mod health;
pub(crate) mod maintenance;
pub(crate) mod networks;
pub(crate) mod query;
pub(crate) mod schema;
pub(crate) mod status;
pub(crate) mod verify;
pub(crate) mod version;
pub(crate) mod watch;
