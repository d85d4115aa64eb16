//! `lakectl schema`: the tables as this version declares them, without a daemon.

use lake_core::{
    schema::TableSpec,
    tables::{SPECS, markdown},
};
use serde::Serialize;

use crate::{
    args::{self, SchemaFormat},
    exit::{Exit, Failure},
    output::Out,
};

/// Edits that a mistyped name may be away from a table's.
const NEAR: usize = 3;

/// The JSON of a table. Field names are stable.
#[derive(Debug, Serialize)]
struct TableJson {
    name: &'static str,
    doc: &'static str,
    /// Columns that identify a row.
    key: &'static [&'static str],
    /// Column with the ledger of a row.
    ledger_column: &'static str,
    /// Null for a table that is no stream of changes of ledger entries.
    state: Option<StateJson>,
    columns: Vec<ColumnJson>,
}

/// Where the state that a table leads to is found.
#[derive(Debug, Serialize)]
struct StateJson {
    /// View of the newest state.
    view: String,
    /// Table macro that takes a ledger.
    as_of: String,
    /// Columns that identify an entry.
    entry_key: Vec<&'static str>,
}

/// A column.
#[derive(Debug, Serialize)]
struct ColumnJson {
    name: &'static str,
    /// DuckDB type.
    r#type: &'static str,
    nullable: bool,
    /// Whether files carry a bloom filter for it.
    bloom: bool,
    doc: &'static str,
}

impl From<&TableSpec> for TableJson {
    fn from(spec: &TableSpec) -> Self {
        let columns = spec.columns.iter().map(|column| ColumnJson {
            name: column.name,
            r#type: column.sql,
            nullable: column.nullable,
            bloom: column.bloom,
            doc: column.doc,
        });
        Self {
            name: spec.name,
            doc: spec.doc,
            key: spec.key,
            ledger_column: spec.ledger_column,
            state: spec.state.map(|state| StateJson {
                view: state.view(),
                as_of: state.as_of(),
                entry_key: spec.entry_key().collect(),
            }),
            columns: columns.collect(),
        }
    }
}

pub(crate) fn run(args: &args::Schema) -> Result<Exit, Failure> {
    let mut out = Out::stdout();
    let table = args.table.as_deref().map(find).transpose()?;
    match (table, args.format) {
        (None, None) => out.write(&list())?,
        (None, Some(SchemaFormat::Md)) => out.write(&markdown())?,
        (Some(spec), None | Some(SchemaFormat::Md)) => out.write(&spec.markdown())?,
        (None, Some(SchemaFormat::Json)) => {
            let tables: Vec<TableJson> = SPECS.iter().map(|spec| TableJson::from(*spec)).collect();
            out.json_line(&tables)?;
        }
        (Some(spec), Some(SchemaFormat::Json)) => out.json_line(&TableJson::from(spec))?,
        (None, Some(SchemaFormat::Sql)) => out.write(&sql(SPECS, &args.network))?,
        (Some(spec), Some(SchemaFormat::Sql)) => out.write(&sql(&[spec], &args.network))?,
    }
    Ok(Exit::Done)
}

fn find(name: &str) -> Result<&'static TableSpec, Failure> {
    if let Some(spec) = SPECS.iter().find(|spec| spec.name.eq_ignore_ascii_case(name)) {
        return Ok(spec);
    }
    let near = near(name);
    let hint = match near.as_slice() {
        [] => "list all with `lakectl schema`".to_owned(),
        near => format!("did you mean {}?", near.join(" or ")),
    };
    Err(Failure::new(Exit::Usage, format!("there is no table {name}")).hint(hint))
}

/// Tables whose name holds the word asked for, or is a few letters away from it.
fn near(name: &str) -> Vec<&'static str> {
    let name = name.to_lowercase();
    let names = SPECS.iter().map(|spec| spec.name);
    names
        .filter(|known| {
            (!name.is_empty() && known.contains(&name)) || strsim::damerau_levenshtein(known, &name) <= NEAR
        })
        .collect()
}

/// One line per table: its name, its columns, and the first sentence about it.
fn list() -> String {
    let width = SPECS.iter().map(|spec| spec.name.len()).max().unwrap_or_default();
    let keys: Vec<String> = SPECS.iter().map(|spec| spec.key.join(", ")).collect();
    let key_width = keys.iter().map(String::len).max().unwrap_or_default();
    let mut text = format!("{:width$}  COLUMNS  {:key_width$}  ROWS\n", "TABLE", "KEY");
    for (spec, key) in SPECS.iter().zip(&keys) {
        let sentence = spec.doc.split_once(". ").map_or(spec.doc, |(first, _)| first);
        let sentence = sentence.trim_end_matches('.');
        text.push_str(&format!(
            "{:width$}  {:>7}  {key:key_width$}  {sentence}\n",
            spec.name,
            spec.columns.len()
        ));
    }
    text
}

/// Everything that makes the tables in the schema of a network.
fn sql(specs: &[&TableSpec], network: &str) -> String {
    let schema = format!("\"{}\"", network.replace('"', "\"\""));
    let mut text = format!("CREATE SCHEMA IF NOT EXISTS {schema};\n");
    let mut add = |statement: String| {
        text.push_str(&statement);
        text.push_str(";\n");
    };
    for spec in specs {
        add(spec.create_sql(network));
        spec.comment_sql(network).into_iter().for_each(&mut add);
    }
    // Views read several tables: all of those come first.
    specs.iter().flat_map(|spec| spec.state_sql(network)).for_each(add);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_those_that_hold_the_word_or_are_a_few_letters_away() {
        assert_eq!(near("ledger_row_v2"), ["ledgers_row_v2"]);
        assert_eq!(near("TTL"), ["ttl_snapshot_v1"]);
        assert_eq!(near("contract_code"), ["contract_code_snapshot_v1"]);
        assert_eq!(near("nothing_like_this"), [""; 0]);
        assert_eq!(near(""), [""; 0]);
    }

    #[test]
    fn an_unknown_table_is_wrong_usage_and_lists_near_names() {
        let failure = find("ttl").unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.hint.as_deref(), Some("did you mean ttl_snapshot_v1?"));
        assert!(find("Ledgers_Row_V2").is_ok());
    }

    #[test]
    fn every_table_has_a_line_and_every_column_is_in_its_json() {
        assert_eq!(list().lines().count(), SPECS.len() + 1);
        for spec in SPECS {
            let json = serde_json::to_value(TableJson::from(*spec)).unwrap();
            assert_eq!(json["columns"].as_array().unwrap().len(), spec.columns.len());
        }
    }
}
