//! Faults of every kind while the real programs run: what the user is told, that what is healthy goes on, and that
//! everything is whole again once the fault is mended.

#![allow(clippy::print_stdout, reason = "the figures of a suite are its output")]

#[path = "faults/support.rs"]
mod support;

#[path = "faults/objects.rs"]
mod objects;
#[path = "faults/source.rs"]
mod source;

#[path = "faults/catalog.rs"]
mod catalog;
#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/others.rs"]
mod others;
