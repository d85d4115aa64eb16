//! placeholder

pub mod lake;
