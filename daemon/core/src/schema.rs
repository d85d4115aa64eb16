//! What a table is: name, columns, types and docs, and the SQL text made from them.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

/// A table of the lake, as declared once by `table!`.
#[derive(Debug)]
pub struct TableSpec {
    /// Name without the schema, e.g. `ledgers_row_v2`.
    pub name: &'static str,
    /// One or more sentences for `COMMENT ON TABLE`.
    pub doc: &'static str,
    /// Columns that identify a row.
    pub key: &'static [&'static str],
    /// Column that holds the ledger sequence of a row (`sequence` or `ledger_sequence`).
    pub ledger_column: &'static str,
    /// Columns in their order.
    pub columns: &'static [ColumnSpec],
}

/// One column of a table.
#[derive(Debug)]
pub struct ColumnSpec {
    /// Column name.
    pub name: &'static str,
    /// DuckDB type, e.g. `BIGINT`.
    pub sql: &'static str,
    /// Arrow type that the encoder writes for it.
    pub data_type: fn() -> DataType,
    /// Whether NULL may stand here. DuckLake does not enforce it: the encoder's schema does.
    pub nullable: bool,
    /// Whether files carry a bloom filter for this column.
    pub bloom: bool,
    /// Text for `COMMENT ON COLUMN`.
    pub doc: &'static str,
}

impl TableSpec {
    /// Arrow schema of the table's record batches.
    pub fn arrow_schema(&self) -> SchemaRef {
        let fields: Vec<Field> =
            self.columns.iter().map(|c| Field::new(c.name, (c.data_type)(), c.nullable)).collect();
        Arc::new(Schema::new(fields))
    }
}
