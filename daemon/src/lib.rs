//! The daemon as a library: each module is one part of the house, `app` builds it from the settings.

pub mod class;
pub mod config;
pub mod source;
