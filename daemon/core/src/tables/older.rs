//! The table sets of released versions, which lakes in the field were made by.

/// A table set that an earlier version wrote.
#[derive(Clone, Copy, Debug)]
pub struct OlderSet {
    /// Its fingerprint, as stored in the lakes.
    pub fingerprint: &'static str,
    /// Its tables, in their order. Their columns are still those of today; every other table was added since.
    pub tables: &'static [&'static str],
}

/// Every older set that can be upgraded, oldest first.
pub static OLDER_SETS: &[OlderSet] = &[OlderSet {
    fingerprint: "fcf4ef7fdc2bd924dc6226029b11cb24d103e43d519d7ea7879ec6184fa8285f",
    tables: &["ledgers_row_v2", "transactions_row_v2", "operations_row_v2"],
}];
