//! The gatekeeper: exactly one SELECT-like statement, on tables of the lake, with harmless functions only.
//!
//! Decisions are made on the tree that DuckDB's own parser gives for the text (`json_serialize_sql`, the text
//! as a bound parameter), on an instance that has nothing attached. The text itself is never prepared before
//! it is known to be one statement: preparing `a; b` executes `a`.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use duckdb::{Config, Connection};
use serde_json::Value;

use super::{error::message_of, tree::Found};

/// Longest statement, in bytes.
const MAX_SQL_BYTES: usize = 256 * 1024;

/// Why a statement may not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// Nothing to run.
    #[error("the statement is empty: give one SELECT")]
    Empty,
    /// Far too long.
    #[error("the statement has {bytes} bytes: at most {MAX_SQL_BYTES} are accepted")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A NUL character, which would end the text early for DuckDB.
    #[error("the statement has a NUL character: remove it")]
    Nul,
    /// More than one statement.
    #[error("{count} statements are refused: give exactly one")]
    Several {
        /// How many.
        count: usize,
    },
    /// Not a SELECT in nature.
    #[error(
        "{statement} is refused: only reading is allowed (SELECT, WITH, VALUES, FROM, EXPLAIN, DESCRIBE, \
         SHOW TABLES, SUMMARIZE)"
    )]
    NotSelect {
        /// Its first word.
        statement: String,
    },
    /// The parser does not understand it.
    #[error("{message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// A name that is no table of the lake.
    #[error("{name} is refused: only tables of the lake can be read, as <network>.<table>")]
    OutsideLake {
        /// The name as written.
        name: String,
    },
    /// No such table, although the name could be one.
    #[error("there is no table {name} in the lake{}", hint.as_ref().map_or(String::new(), |hint| format!(": did you mean {hint}?")))]
    NoSuchTable {
        /// The name as written.
        name: String,
        /// A table of the lake with that name in a schema.
        hint: Option<String>,
    },
    /// A scalar or aggregate function that is not on the list.
    #[error("the function {name}() is refused: it is not on the list of harmless functions")]
    Function {
        /// Its name.
        name: String,
    },
    /// A table function that is not on the list.
    #[error("the table function {name}() is refused: it can read or change more than the lake's tables")]
    TableFunction {
        /// Its name.
        name: String,
    },
    /// `SHOW` of something else than tables.
    #[error(
        "SHOW {what} is refused: SHOW TABLES, SHOW ALL TABLES and SHOW TABLES FROM <network> are allowed"
    )]
    Show {
        /// What was asked for.
        what: String,
    },
    /// A placeholder, which nothing fills.
    #[error("parameters such as $1 or ? are refused: write the value into the statement")]
    Parameter,
    /// A part of SQL that nobody has looked at yet.
    #[error("the {what} {name} is refused: it is not known to be harmless")]
    Unknown {
        /// Expression or clause.
        what: &'static str,
        /// The parser's name for it.
        name: String,
    },
    /// The parser could not be asked.
    #[error("the statement could not be checked: {message}")]
    Check {
        /// DuckDB's words.
        message: String,
    },
}

/// A table as a statement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// Catalog; empty when not given.
    pub catalog: String,
    /// Schema; empty when not given.
    pub schema: String,
    /// Table.
    pub table: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.catalog, &self.schema] {
            if !part.is_empty() {
                write!(f, "{part}.")?;
            }
        }
        f.write_str(&self.table)
    }
}

/// A statement that may run, provided that its tables are in the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// The text to run: exactly one statement.
    sql: String,
    tables: Vec<TableName>,
    schemas: Vec<String>,
}

/// Decides what may run.
pub struct Gate {
    parser: Mutex<Connection>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Gate {
    /// Opens the instance that only parses: nothing attached, nothing reachable, locked.
    pub fn open() -> Result<Self, duckdb::Error> {
        let config = Config::default()
            .with("threads", "1")?
            .with("memory_limit", "128MB")?
            .with("temp_directory", "")?
            .with("autoinstall_known_extensions", "false")?
            .with("autoload_known_extensions", "false")?
            .enable_external_access(false)?;
        let parser = Connection::open_in_memory_with_flags(config)?;
        parser.execute_batch("SET lock_configuration = true")?;
        Ok(Self { parser: Mutex::new(parser) })
    }

    /// Looks at a statement. Blocks for about a millisecond.
    pub fn check(&self, sql: &str) -> Result<Permit, GateError> {
        if sql.len() > MAX_SQL_BYTES {
            return Err(GateError::TooLong { bytes: sql.len() });
        }
        if sql.contains('\0') {
            return Err(GateError::Nul);
        }
        let (explain, select) = split_explain(sql);
        let statement = self.parse(select)?;
        let mut found = Found::default();
        found.walk(&statement)?;
        Ok(Permit {
            sql: format!("{}{select}", explain.prefix()),
            tables: found.tables,
            schemas: found.schemas,
        })
    }

    /// The tree of the one statement in the text.
    fn parse(&self, sql: &str) -> Result<Value, GateError> {
        let broken = |message: String| GateError::Check { message };
        let json: String = {
            let parser = self.parser.lock().unwrap_or_else(PoisonError::into_inner);
            parser
                .query_row("SELECT json_serialize_sql(?::VARCHAR)::VARCHAR", [sql], |row| row.get(0))
                .map_err(|error| broken(message_of(&error)))?
        };
        let mut answer: Value = serde_json::from_str(&json).map_err(|error| broken(error.to_string()))?;
        if answer.get("error").and_then(Value::as_bool) != Some(false) {
            return Err(refusal(sql, &answer));
        }
        match answer.get_mut("statements").and_then(Value::as_array_mut).map(std::mem::take) {
            None => Err(broken("no list of statements".to_owned())),
            Some(statements) => match <[Value; 1]>::try_from(statements) {
                Ok([statement]) => Ok(statement),
                Err(none) if none.is_empty() => Err(GateError::Empty),
                Err(several) => Err(GateError::Several { count: several.len() }),
            },
        }
    }
}

/// Turns the parser's refusal into ours.
fn refusal(sql: &str, answer: &Value) -> GateError {
    let message = answer.get("error_message").and_then(Value::as_str).unwrap_or("not understood");
    if message.contains("Only SELECT statements") || message.contains("A CTE needs a SELECT") {
        return GateError::NotSelect { statement: first_word(sql).to_uppercase() };
    }
    let at = answer.get("position").and_then(Value::as_str);
    let place = at.map_or(String::new(), |at| format!(" (at character {at})"));
    GateError::Syntax { message: format!("{message}{place}") }
}

impl Permit {
    /// The text to run.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Whether there is anything to look up in the lake.
    pub fn names_tables(&self) -> bool {
        !(self.tables.is_empty() && self.schemas.is_empty())
    }

    /// Checks that every table is one of the lake's, given as (schema, table) pairs of the same snapshot that
    /// the statement will see.
    pub fn resolve(&self, lake: &[(String, String)]) -> Result<(), GateError> {
        self.tables.iter().try_for_each(|name| resolve_table(name, lake))?;
        for schema in &self.schemas {
            if !lake.iter().any(|(known, _)| known.eq_ignore_ascii_case(schema)) {
                return Err(GateError::OutsideLake { name: schema.clone() });
            }
        }
        Ok(())
    }
}

fn resolve_table(name: &TableName, lake: &[(String, String)]) -> Result<(), GateError> {
    let outside = || GateError::OutsideLake { name: name.to_string() };
    let catalog_is_lake = name.catalog.eq_ignore_ascii_case("lake");
    if !(name.catalog.is_empty() || catalog_is_lake) {
        return Err(outside());
    }
    // Two parts may be schema.table or lake.table; DuckDB takes whichever exists, so both must be the lake's.
    let schema = match name.schema.as_str() {
        "" => "main",
        schema if !catalog_is_lake && schema.eq_ignore_ascii_case("lake") => "main",
        schema => schema,
    };
    let same = |(known_schema, known_table): &&(String, String)| {
        known_schema.eq_ignore_ascii_case(schema) && known_table.eq_ignore_ascii_case(&name.table)
    };
    if lake.iter().any(|known| same(&known)) {
        return Ok(());
    }
    let plain = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let elsewhere = lake.iter().find(|(_, table)| table.eq_ignore_ascii_case(&name.table));
    let known_schema = lake.iter().any(|(known, _)| known.eq_ignore_ascii_case(schema));
    if elsewhere.is_none() && !(known_schema && plain(&name.table)) {
        return Err(outside());
    }
    let hint = elsewhere.map(|(schema, table)| format!("{schema}.{table}"));
    Err(GateError::NoSuchTable { name: name.to_string(), hint })
}

/// What stands before the SELECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Explain {
    No,
    Plan,
    Analyze,
}

impl Explain {
    fn prefix(self) -> &'static str {
        match self {
            Explain::No => "",
            Explain::Plan => "EXPLAIN ",
            Explain::Analyze => "EXPLAIN ANALYZE ",
        }
    }
}

/// Takes a leading `EXPLAIN [ANALYZE]` away, which the parser's tree cannot hold. The rest is checked on its
/// own and the words are put back from our own constants, so nothing hides in what was cut off.
fn split_explain(sql: &str) -> (Explain, &str) {
    let Some(rest) = strip_word(sql, "explain") else { return (Explain::No, sql) };
    match strip_word(rest, "analyze") {
        Some(rest) => (Explain::Analyze, rest),
        None => (Explain::Plan, rest),
    }
}

/// The text after a leading word, in any case; `None` when it does not begin with that word.
fn strip_word<'a>(sql: &'a str, word: &str) -> Option<&'a str> {
    let text = skip_blank(sql);
    let (head, rest) = text.split_at_checked(word.len())?;
    let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
    (head.eq_ignore_ascii_case(word) && ends).then_some(rest)
}

/// Skips white space and comments.
fn skip_blank(mut sql: &str) -> &str {
    loop {
        let text = sql.trim_start();
        sql = if let Some(comment) = text.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(comment) = text.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, rest)| rest)
        } else {
            return text;
        };
    }
}

/// The first word of a statement, for messages.
fn first_word(sql: &str) -> &str {
    let text = skip_blank(sql);
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    match text.get(..end) {
        Some(word) if !word.is_empty() => word,
        _ => "this statement",
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
