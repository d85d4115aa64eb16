//! Runs the real binaries of stellar-lake as a user would and compares the lake with the simulated network's truth.
//!
//! Nothing here uses the extractor: an oracle that shares it would share its bugs. What goes wrong is a panic that says
//! what was expected and shows the daemon's log, because every caller is a test.

mod bins;
mod compare;
mod config;
mod lake;
mod model;
mod random;
mod rows;
mod sep54;
mod shared;
mod status;
mod sut;
mod user;
mod wait;

pub use bins::{Bin, extension_dir};
pub use compare::{Differences, compare, compare_counts, compare_stretches};
pub use config::{Network, Settings, Source};
pub use lake::LakeReader;
pub use model::{Counts, Model};
pub use random::Random;
pub use sep54::{Sep54, write_records};
pub use shared::{shared, skip};
pub use status::{NetworkFigures, QueueFigures, StatusFigures, WrittenFigures};
pub use sut::{Sut, ingest};
pub use user::{OtherUser, is_root};
pub use wait::{Until, until};
