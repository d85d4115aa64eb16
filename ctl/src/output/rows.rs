//! Rows of a query in one of the formats, written as they come; only the table for people waits for all.

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Schema};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::{
    Out,
    cells::{Cells, in_utc, write_quoted},
};
use crate::{
    args::Format,
    exit::{Exit, Failure},
};

/// How a table for people shows NULL.
const NULL: &str = "NULL";

/// An answer being written.
pub(crate) struct Rows {
    names: Vec<String>,
    kind: Kind,
}

enum Kind {
    Table(Box<Table>),
    Json { any: bool },
    Ndjson,
    Csv,
}

impl Rows {
    /// Writes what comes before the first row.
    pub(crate) fn begin(format: Format, schema: &Schema, out: &mut Out) -> Result<Self, Failure> {
        let names = unique_names(schema);
        let kind = match format {
            Format::Table => Kind::Table(Box::new(table(&names, schema, out.width()))),
            Format::Json => Kind::Json { any: false },
            Format::Ndjson => Kind::Ndjson,
            Format::Csv => {
                let mut line = String::new();
                for (index, name) in names.iter().enumerate() {
                    separate(index, &mut line);
                    write_csv(name, &mut line);
                }
                line.push('\n');
                out.push(&line)?;
                Kind::Csv
            }
        };
        Ok(Self { names, kind })
    }

    /// Writes the rows of a batch.
    pub(crate) fn batch(&mut self, batch: &RecordBatch, out: &mut Out) -> Result<(), Failure> {
        let columns: Vec<_> = batch.columns().iter().map(in_utc).collect();
        let cells: Result<Vec<_>, _> = columns.iter().map(|column| Cells::new(column.as_ref())).collect();
        let cells = cells.map_err(unprintable)?;
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            text.clear();
            match &mut self.kind {
                Kind::Table(table) => {
                    table.add_row(table_row(&cells, row).map_err(unprintable)?);
                    continue;
                }
                Kind::Json { any } => {
                    text.push_str(if *any { ",\n" } else { "[\n" });
                    *any = true;
                    write_object(&self.names, &cells, row, &mut text).map_err(unprintable)?;
                }
                Kind::Ndjson => {
                    write_object(&self.names, &cells, row, &mut text).map_err(unprintable)?;
                    text.push('\n');
                }
                Kind::Csv => write_csv_row(&cells, row, &mut text).map_err(unprintable)?,
            }
            out.push(&text)?;
        }
        match self.kind {
            Kind::Table(_) => Ok(()),
            Kind::Json { .. } | Kind::Ndjson | Kind::Csv => out.flush(),
        }
    }

    /// Writes what comes after the last row.
    pub(crate) fn end(&mut self, out: &mut Out) -> Result<(), Failure> {
        match &self.kind {
            Kind::Table(table) => out.push(&format!("{table}\n"))?,
            Kind::Json { any } => out.push(if *any { "\n]\n" } else { "[]\n" })?,
            Kind::Ndjson | Kind::Csv => {}
        }
        out.flush()
    }
}

fn unprintable(error: ArrowError) -> Failure {
    Failure::new(Exit::Internal, "a value cannot be printed")
        .because(error)
        .hint("cast it to VARCHAR in the statement")
}

/// Names of the columns; a name that came before gets a number, so that JSON objects keep every value.
fn unique_names(schema: &Schema) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for field in schema.fields() {
        let mut name = field.name().clone();
        let mut count = 1;
        while names.contains(&name) {
            name = format!("{}_{count}", field.name());
            count += 1;
        }
        names.push(name);
    }
    names
}

fn table(names: &[String], schema: &Schema, width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_header(names);
    table.set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for (column, field) in table.column_iter_mut().zip(schema.fields()) {
        if field.data_type().is_numeric() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn table_row(cells: &[Cells<'_>], row: usize) -> Result<Vec<Cell>, ArrowError> {
    let text = |cells: &Cells<'_>| {
        let mut text = String::new();
        cells.write_text(row, &mut text)?;
        Ok(Cell::new(if cells.is_null(row) { NULL.to_owned() } else { printable(&text) }))
    };
    cells.iter().map(text).collect()
}

/// Control characters in the data must not reach the terminal.
fn printable(text: &str) -> String {
    let escape =
        |c: char| if c.is_control() && c != '\n' { c.escape_default().to_string() } else { c.into() };
    text.chars().map(escape).collect()
}

fn write_object(
    names: &[String],
    cells: &[Cells<'_>],
    row: usize,
    text: &mut String,
) -> Result<(), ArrowError> {
    text.push('{');
    for (index, (name, cells)) in names.iter().zip(cells).enumerate() {
        separate(index, text);
        write_quoted(name, text);
        text.push(':');
        cells.write_json(row, text)?;
    }
    text.push('}');
    Ok(())
}

fn write_csv_row(cells: &[Cells<'_>], row: usize, line: &mut String) -> Result<(), ArrowError> {
    let mut value = String::new();
    for (index, cells) in cells.iter().enumerate() {
        separate(index, line);
        if !cells.is_null(row) {
            value.clear();
            cells.write_text(row, &mut value)?;
            write_csv(&value, line);
        }
    }
    line.push('\n');
    Ok(())
}

fn separate(index: usize, text: &mut String) {
    if index > 0 {
        text.push(',');
    }
}

/// RFC 4180, and an empty text is quoted, to tell it from NULL.
fn write_csv(value: &str, line: &mut String) {
    let plain = !value.is_empty()
        && !value.contains([',', '"', '\n', '\r'])
        && !value.starts_with(' ')
        && !value.ends_with(' ');
    if plain {
        line.push_str(value);
    } else {
        line.push('"');
        line.push_str(&value.replace('"', "\"\""));
        line.push('"');
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
