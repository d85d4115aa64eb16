//! The daemon as a library: each module is one part of the house, `app` builds it from the settings.

pub mod app;
pub mod backfill;
pub mod bare;
pub mod budget;
pub mod class;
pub mod cli;
pub mod config;
pub mod control;
mod cpu;
pub mod doctor;
pub mod event;
pub mod fail_point;
pub mod feed;
pub mod ingest;
pub mod lake;
pub mod limits;
pub mod metrics;
pub mod networks;
pub mod pipeline;
pub mod pressure;
pub mod query;
pub mod reload;
pub mod service;
pub mod source;
pub mod status;
pub mod telemetry;
pub mod verify;
