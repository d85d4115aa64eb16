//! What makes one simulated network differ from another.

use std::{fmt, str::FromStr};

/// How much happens in a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Density {
    /// Like a quiet testnet: none to a few transactions.
    Sparse,
    /// One dense ledger in 20, the others sparse.
    Mixed,
    /// Like mainnet: about 265 transactions, 700 operations and 1 MB of XDR.
    Dense,
    /// Like a quiet testnet on which everything happens that can: all types of operations with good and bad results,
    /// all kinds of entries, archival and upgrades, over and over within 200 ledgers.
    Everything,
}

/// A word that names no density.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("density {word:?} is unknown: use sparse, mixed, dense or everything")]
pub struct ParseDensityError {
    /// The word as given.
    pub word: String,
}

impl fmt::Display for Density {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sparse => "sparse",
            Self::Mixed => "mixed",
            Self::Dense => "dense",
            Self::Everything => "everything",
        })
    }
}

impl Density {
    /// Whether the network has few people.
    pub(crate) fn is_small(self) -> bool {
        matches!(self, Self::Sparse | Self::Everything)
    }
}

impl FromStr for Density {
    type Err = ParseDensityError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "sparse" => Ok(Self::Sparse),
            "mixed" => Ok(Self::Mixed),
            "dense" => Ok(Self::Dense),
            "everything" => Ok(Self::Everything),
            other => Err(ParseDensityError { word: other.to_owned() }),
        }
    }
}

/// One simulated network. Equal configurations give equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SimConfig {
    /// Network passphrase: its SHA-256 is in every transaction hash.
    pub passphrase: String,
    /// Chooses accounts, amounts and the order of things.
    pub seed: u64,
    /// How much happens.
    pub density: Density,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_density_reads_back_as_it_prints() {
        for density in [Density::Sparse, Density::Mixed, Density::Dense, Density::Everything] {
            assert_eq!(density.to_string().parse(), Ok(density));
        }
        let error = "thick".parse::<Density>().expect_err("no such density");
        assert_eq!(error.to_string(), "density \"thick\" is unknown: use sparse, mixed, dense or everything");
    }
}
