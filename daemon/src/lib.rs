//! placeholder

pub mod control;
pub mod query;
pub mod status;
