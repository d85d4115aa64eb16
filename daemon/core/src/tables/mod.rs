//! The tables: each is one file with one declaration and one pure `extract`.

use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::{
    changes::Changes,
    decode::Ledger,
    ledger::LedgerSeq,
    schema::{Room, TableSpec},
};

pub mod account_data;
pub mod account_signers;
pub mod accounts;
mod archive;
pub mod claimable_balances;
pub mod config_settings;
pub mod contract_code;
pub mod contract_data;
pub mod contract_events;
pub mod effects;
pub mod evicted_keys;
pub mod ledgers;
pub mod liquidity_pools;
pub mod native_balances;
pub mod offers;
mod older;
pub mod operations;
pub mod restored_keys;
mod state;
pub mod trades;
pub mod transactions;
pub mod trustlines;
pub mod ttl;

pub use older::{OLDER_SETS, OlderSet};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

/// What a run stamps on every row.
#[derive(Clone, Debug)]
pub struct Stamps {
    /// Run stamp `era_id`; `None` is NULL.
    pub era_id: Option<Arc<str>>,
    /// Run stamp `version_label`.
    pub version_label: Arc<str>,
    /// `ledgers_row_v2.ingestion_timestamp`, microseconds since the Unix epoch: the only wall clock in the lake.
    pub ingested_at_micros: i64,
}

/// A value that a row cannot be made from. Fails the whole ledger: no row is ever skipped.
#[derive(Debug, thiserror::Error)]
#[error("ledger {seq}: table {table}: {reason}")]
pub struct ExtractError {
    /// Ledger that failed.
    pub seq: LedgerSeq,
    /// Table whose row could not be made.
    pub table: &'static str,
    /// What was wrong, with the transaction and operation where there is one.
    pub reason: String,
}

/// What every table is made from: a ledger and what several tables need of it, computed once.
#[derive(Debug)]
pub(crate) struct Input<'l> {
    pub(crate) ledger: &'l Ledger,
    pub(crate) stamps: &'l Stamps,
    /// Whether the columns [`transactions::RAW_XDR`] are filled.
    pub(crate) raw_xdr: bool,
    /// Net changes of the ledger's entries.
    pub(crate) changes: Changes<'l>,
}

impl<'l> Input<'l> {
    fn new(ledger: &'l Ledger, stamps: &'l Stamps) -> Result<Self, ExtractError> {
        let changes = Changes::of(ledger).map_err(|error| ExtractError {
            seq: ledger.seq,
            table: "entry changes",
            reason: error.to_string(),
        })?;
        Ok(Self { ledger, stamps, raw_xdr: true, changes })
    }
}

/// How much each column of a set of tables holds, for [`TableSet::with_room`].
#[derive(Clone, Debug, Default)]
pub struct TableRoom(Vec<Room>);

/// Lists the tables; a new one is a module above and a word below.
macro_rules! tables {
    ($($table:ident),+ $(,)?) => {
        /// Every table, in the order of the lake's documentation.
        pub const SPECS: &[&TableSpec] = &[$(&$table::SPEC),+];

        /// The rows of all tables, being built.
        #[derive(Debug)]
        pub struct TableSet {
            stamps: Stamps,
            raw_xdr: bool,
            $(
                /// Rows of the table of that name.
                pub $table: $table::Columns,
            )+
        }

        impl TableSet {
            /// An empty set that fills all columns.
            pub fn new(stamps: Stamps) -> Self {
                Self { stamps, raw_xdr: true, $($table: $table::Columns::default()),+ }
            }

            /// The same, with or without values in the columns [`transactions::RAW_XDR`].
            #[must_use]
            pub fn with_raw_xdr(self, raw_xdr: bool) -> Self {
                Self { raw_xdr, ..self }
            }

            /// The same, with room for about as much as another set held: growing step by step copies everything twice.
            #[must_use]
            pub fn with_room(mut self, room: &TableRoom) -> Self {
                let mut room = room.0.iter().map(|column| column.with_spare());
                $(self.$table.reserve(&mut room);)+
                self
            }

            /// How much the set holds.
            pub fn room(&self) -> TableRoom {
                let mut room = Vec::with_capacity(512);
                $(self.$table.room(&mut room);)+
                TableRoom(room)
            }

            /// Appends the rows of one ledger to every table.
            ///
            /// # Errors
            /// [`ExtractError`]; the set must then be dropped, it may hold part of the ledger.
            pub fn extract(&mut self, ledger: &Ledger) -> Result<(), ExtractError> {
                self.extract_watched(ledger, |_| ())
            }

            /// The same, telling when a part is done: `entry changes`, which all tables share, then each table by
            /// its name.
            ///
            /// # Errors
            /// As [`TableSet::extract`].
            pub fn extract_watched(
                &mut self,
                ledger: &Ledger,
                mut done: impl FnMut(&'static str),
            ) -> Result<(), ExtractError> {
                let input = Input { raw_xdr: self.raw_xdr, ..Input::new(ledger, &self.stamps)? };
                done("entry changes");
                $(
                    $table::extract(&input, &mut self.$table)?;
                    self.$table.stamp(ledger.seq, &self.stamps);
                    if let Some(column) = self.$table.full_column() {
                        return Err(ExtractError {
                            seq: ledger.seq,
                            table: $table::SPEC.name,
                            reason: format!("column {column} holds 2 GiB; seal batches earlier"),
                        });
                    }
                    done($table::SPEC.name);
                )+
                Ok(())
            }

            /// Bytes of the values held, without spare capacity: the same ledgers give the same number.
            pub fn bytes(&self) -> usize {
                0 $(+ self.$table.bytes())+
            }

            /// Rows of each table, in the order of [`SPECS`].
            pub fn rows(&self) -> Vec<(&'static TableSpec, usize)> {
                vec![$((&$table::SPEC, self.$table.len())),+]
            }

            /// The finished record batch of every table, in the order of [`SPECS`], empty ones included.
            pub fn finish(self) -> Vec<(&'static TableSpec, RecordBatch)> {
                vec![$((&$table::SPEC, self.$table.finish())),+]
            }
        }
    };
}

tables! {
    ledgers,
    transactions,
    operations,
    native_balances,
    effects,
    trades,
    accounts,
    trustlines,
    offers,
    claimable_balances,
    liquidity_pools,
    contract_events,
    contract_data,
    contract_code,
    config_settings,
    ttl,
    evicted_keys,
    restored_keys,
    account_signers,
    account_data,
}

/// Identity of all tables: changes with any name, type or nullness.
pub fn fingerprint() -> String {
    crate::schema::fingerprint_of(SPECS)
}

/// The tables as Markdown: one section each, after a heading.
pub fn markdown() -> String {
    let mut text = String::from(
        "# The tables\n\nMade from the declarations in `daemon/core/src/tables`; `UPDATE=1 cargo test -p lake-core \
         generated` writes this file.\n",
    );
    for spec in SPECS {
        text.push('\n');
        text.push_str(&spec.markdown());
    }
    text
}

/// An integer that must fit the column of that name.
pub(crate) fn fit<From, To>(
    seq: LedgerSeq,
    table: &'static str,
    column: &'static str,
    value: From,
) -> Result<To, ExtractError>
where
    From: Copy + std::fmt::Display,
    To: TryFrom<From>,
{
    To::try_from(value).map_err(|_| ExtractError {
        seq,
        table,
        reason: format!("{column}: {value} does not fit its column"),
    })
}
