//! What a table is: name, columns, types and docs, and the SQL text made from them.
//!
//! A table is declared once, by `table!`; all that this module gives is derived from that declaration.

mod cell;
mod declare;
mod nulls;
mod plain;
mod state;
mod text;

use std::{fmt::Write, sync::Arc};

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use sha2::{Digest, Sha256};

pub(crate) use cell::text_cell;
pub use cell::{
    Account, Base64, Cell, ColumnBuilder, Contract, Hex32, Json, Muxed, Room, ScVal, ScVals, Shown, Text,
    Timestamp, Word, Written, XdrBase64,
};
pub(crate) use declare::{column_name, is_bloom, table, trimmed};
pub use plain::{BoolBuilder, NumberBuilder};
pub use state::{LEDGERS_TABLE, StateSpec, TTL_TABLE};
pub use text::TextBuilder;

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
    /// Set for a stream of changes of ledger entries: what its state is called.
    pub state: Option<StateSpec>,
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

    /// `CREATE TABLE IF NOT EXISTS` in the schema of a network. The schema's name is quoted here.
    pub fn create_sql(&self, schema: &str) -> String {
        let mut sql = format!("CREATE TABLE IF NOT EXISTS {}.{} (", quoted(schema), quoted(self.name));
        for (n, column) in self.columns.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            let not_null = if column.nullable { "" } else { " NOT NULL" };
            sql += &format!("{comma}{} {}{not_null}", quoted(column.name), column.sql);
        }
        sql + ")"
    }

    /// `COMMENT ON` statements for the table and each of its columns, without semicolons.
    pub fn comment_sql(&self, schema: &str) -> Vec<String> {
        let table = format!("{}.{}", quoted(schema), quoted(self.name));
        let mut all = vec![format!("COMMENT ON TABLE {table} IS {}", literal(self.doc))];
        all.extend(self.columns.iter().map(|column| {
            format!("COMMENT ON COLUMN {table}.{} IS {}", quoted(column.name), literal(column.doc))
        }));
        all
    }

    /// The table as a section of Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "## {}\n\n{}\n\nOne row is identified by `{}`.\n\n| column | type | null | content |\n|---|---|---|---|\n",
            self.name,
            self.doc,
            self.key.join("`, `")
        );
        for column in self.columns {
            let null = if column.nullable { "yes" } else { "no" };
            let doc = column.doc.replace('|', "\\|");
            // Writing to a String cannot fail.
            writeln!(text, "| {} | {} | {null} | {doc} |", column.name, column.sql).unwrap_or_default();
        }
        if let Some(doc) = self.state_doc() {
            writeln!(text, "\n{doc}").unwrap_or_default();
        }
        text
    }
}

/// SHA-256, as hex, over names, types and nullness of all columns of `specs`. A lake with another fingerprint was
/// made by another version of the tables.
pub fn fingerprint_of(specs: &[&TableSpec]) -> String {
    let mut hasher = Sha256::new();
    for spec in specs {
        hasher.update(format!("{}\n", spec.name));
        for column in spec.columns {
            hasher.update(format!("\t{}\t{}\t{}\n", column.name, column.sql, column.nullable));
        }
    }
    hex::encode(hasher.finalize())
}

/// `name` as an SQL identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as an SQL string.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: TableSpec = TableSpec {
        name: "t",
        doc: "It's a table.",
        key: &["a"],
        ledger_column: "a",
        columns: &[
            ColumnSpec {
                name: "a",
                sql: "BIGINT",
                data_type: || DataType::Int64,
                nullable: false,
                bloom: false,
                doc: "A.",
            },
            ColumnSpec {
                name: "b",
                sql: "VARCHAR",
                data_type: || DataType::Utf8,
                nullable: true,
                bloom: true,
                doc: "B|C.",
            },
        ],
        state: None,
    };

    #[test]
    fn names_and_texts_are_quoted_in_sql() {
        assert_eq!(
            SPEC.create_sql("a\"b"),
            "CREATE TABLE IF NOT EXISTS \"a\"\"b\".\"t\" (\"a\" BIGINT NOT NULL, \"b\" VARCHAR)"
        );
        assert_eq!(
            SPEC.comment_sql("s"),
            [
                "COMMENT ON TABLE \"s\".\"t\" IS 'It''s a table.'",
                "COMMENT ON COLUMN \"s\".\"t\".\"a\" IS 'A.'",
                "COMMENT ON COLUMN \"s\".\"t\".\"b\" IS 'B|C.'"
            ]
        );
        assert!(SPEC.markdown().ends_with("| b | VARCHAR | yes | B\\|C. |\n"));
    }

    #[test]
    fn the_fingerprint_sees_nullness_and_types_but_not_docs() {
        let with = |columns: &'static [ColumnSpec], doc| {
            fingerprint_of(&[&TableSpec { name: "t", doc, columns, ..SPEC }])
        };
        const NULLABLE: &[ColumnSpec] = &[ColumnSpec {
            name: "a",
            sql: "BIGINT",
            data_type: || DataType::Int64,
            nullable: true,
            bloom: false,
            doc: "",
        }];
        const NOT_NULL: &[ColumnSpec] = &[ColumnSpec {
            name: "a",
            sql: "BIGINT",
            data_type: || DataType::Int64,
            nullable: false,
            bloom: false,
            doc: "",
        }];
        assert_eq!(with(NULLABLE, "x"), with(NULLABLE, "y"));
        assert_ne!(with(NULLABLE, "x"), with(NOT_NULL, "x"));
    }
}
