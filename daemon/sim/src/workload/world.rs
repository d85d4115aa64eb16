//! The people and the assets of a network: all known before its first ledger.

use stellar_xdr::{AccountId, Asset, ContractId};

use crate::{config::Density, entries, soroban::call, tx};

/// Credit assets and their middle price in ten-thousandths of an XLM.
const ASSETS: [(&str, i32); 6] = [
    ("USDC", 30_000),
    ("EURC", 33_000),
    ("AQUA", 20),
    ("yXLM", 10_000),
    ("SHXTOKEN", 250),
    ("LONGASSETXYZ", 7_500),
];

/// Everybody and everything.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// Network id.
    pub(crate) network_id: [u8; 32],
    /// Holds all the money at first.
    pub(crate) root: AccountId,
    /// Issuers, one per asset.
    pub(crate) issuers: Vec<AccountId>,
    /// Assets that everybody holds, with their middle price in ten-thousandths of an XLM.
    pub(crate) assets: Vec<(Asset, i32)>,
    /// An asset whose trustlines come and go.
    pub(crate) fashion: Asset,
    /// Those who do things.
    pub(crate) users: Vec<AccountId>,
    /// The users who keep offers in the book.
    pub(crate) makers: Vec<AccountId>,
    /// Those who pay the fees of others.
    pub(crate) payers: Vec<AccountId>,
    /// Token contracts.
    pub(crate) tokens: Vec<ContractId>,
    /// Seed, for keys that come up later.
    pub(crate) seed: u64,
}

impl World {
    /// The people of a network.
    pub(crate) fn new(network_id: [u8; 32], seed: u64, density: Density) -> Self {
        let seed_bytes = seed.to_be_bytes();
        let person = |role: &[u8], number: usize| {
            let number = crate::encode::count(number).to_be_bytes();
            entries::account_id(tx::keyed(&[&seed_bytes, role, &number]))
        };
        let (users, makers, payers, assets) = match density {
            Density::Sparse | Density::Everything => (24, 4, 2, 3),
            Density::Mixed | Density::Dense => (400, 40, 8, ASSETS.len()),
        };
        let root = entries::account_id(tx::keyed(&[b"root", &network_id]));
        let issuers: Vec<AccountId> = (0..assets).map(|n| person(b"issuer", n)).collect();
        let users: Vec<AccountId> = (0..users).map(|n| person(b"user", n)).collect();
        let assets: Vec<(Asset, i32)> = issuers
            .iter()
            .zip(ASSETS)
            .map(|(issuer, (code, price))| (entries::credit(code, issuer), price))
            .collect();
        let fashion = entries::credit("FAD", issuers.first().unwrap_or(&root));
        Self {
            network_id,
            fashion,
            makers: users.iter().take(makers).cloned().collect(),
            payers: (0..payers).map(|n| person(b"payer", n)).collect(),
            tokens: [0, 1].map(|salt| call::token_id(network_id, &root, salt)).to_vec(),
            root,
            issuers,
            assets,
            users,
            seed,
        }
    }
}
