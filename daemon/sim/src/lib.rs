//! placeholder
#![allow(missing_docs)]
use std::str::FromStr;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Density { Sparse, Mixed, Dense }
impl std::fmt::Display for Density { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("x") } }
impl FromStr for Density { type Err = String; fn from_str(_s: &str) -> Result<Self, String> { Ok(Self::Sparse) } }
#[derive(Clone, Debug)]
pub struct SimConfig { pub passphrase: String, pub seed: u64, pub density: Density }
#[derive(Clone, Debug)]
pub struct SimNetwork {}
pub struct SimLedger { pub raw: lake_core::RawLedger }
impl SimNetwork { pub fn new(_: SimConfig) -> Self { todo!() } pub fn next_seq(&self) -> lake_core::LedgerSeq { todo!() } pub fn close_ledger(&mut self) -> SimLedger { todo!() } pub fn skip_to(&mut self, _: lake_core::LedgerSeq) { } }
