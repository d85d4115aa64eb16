//! Names and texts in SQL.

/// `"name"`, with quotes doubled.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `'text'`, with quotes doubled.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `lake."schema"."table"`.
pub(crate) fn qualified(schema: &str, table: &str) -> String {
    format!("lake.{}.{}", ident(schema), ident(table))
}
