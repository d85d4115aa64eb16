//! The lake's promises: whole batches or nothing, exactly once, durable, found again after a crash.
//!
//! Needs the keeper's program beside the test's folder: `cargo build -p lake-keeper`.

// The helpers of tests stand outside of test functions, where the lints do not see that they are tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

#[path = "lake/support.rs"]
mod support;

#[path = "lake/commit.rs"]
mod commit;
#[path = "lake/crash.rs"]
mod crash;
#[path = "lake/maintenance.rs"]
mod maintenance;
#[path = "lake/measure.rs"]
mod measure;
#[path = "lake/replace.rs"]
mod replace;
#[path = "lake/trouble.rs"]
mod trouble;
#[path = "lake/upgrade.rs"]
mod upgrade;
#[path = "lake/views.rs"]
mod views;
