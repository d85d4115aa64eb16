//! placeholder
use std::str::FromStr;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Density { Sparse, Mixed, Dense }
impl FromStr for Density { type Err = String; fn from_str(_s: &str) -> Result<Self, String> { Ok(Self::Sparse) } }
