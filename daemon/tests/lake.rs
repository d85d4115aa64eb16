//! The lake's promises: whole batches or nothing, exactly once, durable, found again after a crash.
//!
//! Needs the keeper's program beside the test's folder: `cargo build -p lake-keeper`.

#[path = "lake/support.rs"]
mod support;

#[path = "lake/commit.rs"]
mod commit;
#[path = "lake/crash.rs"]
mod crash;
#[path = "lake/maintenance.rs"]
mod maintenance;
#[path = "lake/trouble.rs"]
mod trouble;
