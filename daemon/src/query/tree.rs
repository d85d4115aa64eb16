//! Walks a parsed statement, as DuckDB's `json_serialize_sql` gives it, and refuses every part that is not
//! known to be harmless.
//!
//! The walk is closed: an unknown kind of expression, table or clause is refused, so a new version of DuckDB
//! cannot open a door by adding one.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Map, Value};

use super::gate::{GateError, TableName};

/// Scalar, aggregate and window functions and macros that may be called.
static FUNCTIONS: LazyLock<BTreeSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("functions.txt").lines().filter(|line| !line.starts_with("# ") && *line != "#");
    lines.flat_map(str::split_whitespace).collect()
});

/// Table functions that may be called: they read nothing but their arguments or the lake's own catalog.
const TABLE_FUNCTIONS: [&str; 9] = [
    "duckdb_columns",
    "duckdb_tables",
    "duckdb_views",
    "generate_series",
    "json_each",
    "json_tree",
    "range",
    "repeat",
    "unnest",
];

/// Views of `information_schema` that may be read: they list what the lake holds.
const INFORMATION_SCHEMA: [&str; 3] = ["columns", "schemata", "tables"];

/// What the walk found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Tables that must exist in the lake.
    pub(super) tables: Vec<TableName>,
    /// Schemas of the lake that `SHOW TABLES FROM` names.
    pub(super) schemas: Vec<String>,
    /// Names of the common table expressions that are in sight, innermost last.
    scope: Vec<String>,
}

impl Found {
    /// Walks any part of the tree.
    pub(super) fn walk(&mut self, value: &Value) -> Result<(), GateError> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
            Value::Array(parts) => parts.iter().try_for_each(|part| self.walk(part)),
            Value::Object(object) => self.walk_object(object),
        }
    }

    fn walk_object(&mut self, object: &Map<String, Value>) -> Result<(), GateError> {
        if let Some(class) = object.get("class") {
            return self.walk_expression(object, class.as_str().unwrap_or_default());
        }
        match object.get("type") {
            Some(Value::String(kind)) => self.walk_typed(object, kind),
            _ => self.walk_parts(object),
        }
    }

    fn walk_parts(&mut self, object: &Map<String, Value>) -> Result<(), GateError> {
        object.values().try_for_each(|part| self.walk(part))
    }

    fn walk_expression(&mut self, object: &Map<String, Value>, class: &str) -> Result<(), GateError> {
        match class {
            // The value inside is the caller's data, not a part of the statement.
            "CONSTANT" => Ok(()),
            "FUNCTION" | "WINDOW" => {
                check_function(object)?;
                self.walk_parts(object)
            }
            "BETWEEN"
            | "CASE"
            | "CAST"
            | "COLLATE"
            | "COLUMN_REF"
            | "COMPARISON"
            | "CONJUNCTION"
            | "LAMBDA"
            | "LAMBDA_REF"
            | "OPERATOR"
            | "POSITIONAL_REFERENCE"
            | "STAR"
            | "SUBQUERY" => self.walk_parts(object),
            "PARAMETER" => Err(GateError::Parameter),
            other => Err(GateError::Unknown { what: "expression", name: other.to_owned() }),
        }
    }

    fn walk_typed(&mut self, object: &Map<String, Value>, kind: &str) -> Result<(), GateError> {
        match kind {
            "SELECT_NODE" | "SET_OPERATION_NODE" | "CTE_NODE" => self.walk_node(object),
            "RECURSIVE_CTE_NODE" => self.walk_recursive(object),
            "BASE_TABLE" => self.walk_base_table(object),
            "TABLE_FUNCTION" => self.walk_table_function(object),
            "SHOW_REF" => self.walk_show(object),
            "SUBQUERY" | "JOIN" | "EXPRESSION_LIST" | "EMPTY" | "PIVOT" => self.walk_parts(object),
            "ORDER_MODIFIER"
            | "LIMIT_MODIFIER"
            | "LIMIT_PERCENT_MODIFIER"
            | "DISTINCT_MODIFIER"
            | "ORDER_DEFAULT"
            | "ASCENDING"
            | "DESCENDING" => self.walk_parts(object),
            // What a type name says: sizes, member names, values of an enumeration.
            type_info if type_info.ends_with("_TYPE_INFO") => Ok(()),
            other => Err(GateError::Unknown { what: "clause", name: other.to_owned() }),
        }
    }

    /// A query with its common table expressions: each sees the ones before it, the rest sees all of them.
    fn walk_node(&mut self, object: &Map<String, Value>) -> Result<(), GateError> {
        let outer = self.scope.len();
        let ctes = object.get("cte_map").and_then(|map| map.get("map")).and_then(Value::as_array);
        for cte in ctes.into_iter().flatten() {
            self.walk(cte.get("value").unwrap_or(&Value::Null))?;
            self.scope.push(text(cte.as_object(), "key").to_lowercase());
        }
        for (key, part) in object {
            if key != "cte_map" {
                self.walk(part)?;
            }
        }
        self.scope.truncate(outer);
        Ok(())
    }

    /// `WITH RECURSIVE`: the recursive side also sees the expression itself.
    fn walk_recursive(&mut self, object: &Map<String, Value>) -> Result<(), GateError> {
        let outer = self.scope.len();
        for (key, part) in object {
            if key != "right" {
                self.walk(part)?;
            }
        }
        self.scope.push(text(Some(object), "cte_name").to_lowercase());
        self.walk(object.get("right").unwrap_or(&Value::Null))?;
        self.scope.truncate(outer);
        Ok(())
    }

    fn walk_base_table(&mut self, object: &Map<String, Value>) -> Result<(), GateError> {
        let table = TableName {
            catalog: text(Some(object), "catalog_name").to_owned(),
            schema: text(Some(object), "schema_name").to_owned(),
            table: text(Some(object), "table_name").to_owned(),
        };
        self.walk(object.get("at_clause").unwrap_or(&Value::Null))?;

        let lower = table.table.to_lowercase();
        let bare = table.catalog.is_empty() && table.schema.is_empty();
        if bare && self.scope.contains(&lower) {
            return Ok(());
        }
        let information = table.catalog.is_empty() && table.schema.eq_ignore_ascii_case("information_schema");
        if information && INFORMATION_SCHEMA.contains(&lower.as_str()) {
            return Ok(());
        }
        self.tables.push(table);
        Ok(())
    }

    fn walk_table_function(&mut self, object: &Map<String, Value>) -> Result<(), GateError> {
        let function = object.get("function").and_then(Value::as_object);
        let name = text(function, "function_name").to_lowercase();
        if is_builtin_place(function) {
            if !TABLE_FUNCTIONS.contains(&name.as_str()) {
                return Err(GateError::TableFunction { name });
            }
        } else {
            self.name_state(function, &name)?;
        }
        for (key, part) in object {
            if key != "function" {
                self.walk(part)?;
            }
        }
        function.map_or(Ok(()), |function| self.walk_parts(function))
    }

    /// A macro that gives the state as of a ledger. The lake makes it together with the view of the newest state, so
    /// that view must be there: then the name can mean nothing else.
    fn name_state(&mut self, function: Option<&Map<String, Value>>, name: &str) -> Result<(), GateError> {
        let Some(state) = name.strip_suffix("_as_of") else {
            return Err(GateError::TableFunction { name: name.to_owned() });
        };
        self.tables.push(TableName {
            catalog: text(function, "catalog").to_owned(),
            schema: text(function, "schema").to_owned(),
            table: format!("{state}_current"),
        });
        Ok(())
    }

    /// `DESCRIBE`, `SUMMARIZE` and `SHOW`.
    fn walk_show(&mut self, object: &Map<String, Value>) -> Result<(), GateError> {
        let kind = text(Some(object), "show_type");
        let what = text(Some(object), "table_name");
        match (kind, what) {
            ("DESCRIBE" | "SUMMARY", "") => self.walk(object.get("query").unwrap_or(&Value::Null)),
            ("SHOW_UNQUALIFIED", "\"tables\"" | "__show_tables_expanded") => Ok(()),
            ("SHOW_FROM", "") => {
                let catalog = text(Some(object), "catalog_name");
                let schema = text(Some(object), "schema_name");
                if !(catalog.is_empty() || catalog.eq_ignore_ascii_case("lake")) {
                    return Err(GateError::OutsideLake { name: format!("{catalog}.{schema}") });
                }
                self.schemas.push(schema.to_owned());
                Ok(())
            }
            _ => Err(GateError::Show { what: what.trim_matches('"').to_owned() }),
        }
    }
}

fn check_function(object: &Map<String, Value>) -> Result<(), GateError> {
    let name = text(Some(object), "function_name").to_lowercase();
    if is_builtin_place(Some(object)) && FUNCTIONS.contains(name.as_str()) {
        return Ok(());
    }
    Err(GateError::Function { name })
}

/// Whether a function is named bare or by the place of the built-in ones.
fn is_builtin_place(function: Option<&Map<String, Value>>) -> bool {
    let schema = text(function, "schema").to_lowercase();
    let catalog = text(function, "catalog").to_lowercase();
    matches!(schema.as_str(), "" | "main" | "pg_catalog") && matches!(catalog.as_str(), "" | "system")
}

fn text<'a>(object: Option<&'a Map<String, Value>>, key: &str) -> &'a str {
    object.and_then(|object| object.get(key)).and_then(Value::as_str).unwrap_or_default()
}
