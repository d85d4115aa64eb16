//! SQL text for the tables of a network, and the fingerprint of a set of tables.

use std::fmt::Write;

use lake_core::{Hash32, schema::TableSpec};

/// `"name"`, with quotes doubled.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `'text'`, with quotes doubled.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `CREATE TABLE IF NOT EXISTS`, in the lake.
pub(crate) fn create_table(schema: &str, spec: &TableSpec) -> String {
    let columns: Vec<String> = spec
        .columns
        .iter()
        .map(|c| format!("{} {}{}", ident(c.name), c.sql, if c.nullable { "" } else { " NOT NULL" }))
        .collect();
    format!("CREATE TABLE IF NOT EXISTS {} ({});", qualified(schema, spec.name), columns.join(", "))
}

/// `COMMENT ON` the table and its columns.
pub(crate) fn comments(schema: &str, spec: &TableSpec) -> String {
    let table = qualified(schema, spec.name);
    let mut sql = format!("COMMENT ON TABLE {table} IS {};", literal(spec.doc));
    for column in spec.columns {
        let written =
            write!(sql, "COMMENT ON COLUMN {table}.{} IS {};", ident(column.name), literal(column.doc));
        debug_assert!(written.is_ok(), "writing to a string");
    }
    sql
}

/// `lake."schema"."table"`.
pub(crate) fn qualified(schema: &str, table: &str) -> String {
    format!("lake.{}.{}", ident(schema), ident(table))
}

/// SHA-256 over names, types and nullness of all tables and columns, in their order. Docs do not count.
pub fn fingerprint(specs: &[&TableSpec]) -> Hash32 {
    let mut text = String::new();
    for spec in specs {
        text.push_str(spec.name);
        for c in spec.columns {
            let null = if c.nullable { "" } else { " not null" };
            text.push_str(&format!("\n {} {}{null}", c.name, c.sql));
        }
        text.push('\n');
    }
    Hash32::sha256(&[text.as_bytes()])
}
