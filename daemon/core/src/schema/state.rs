//! The state that a stream of changes leads to, as SQL: one view of the newest ledger, one macro for any ledger.
//!
//! The newest row of a key is found by joining the table with the newest ledger of each key, not by a window: a
//! window keeps every column of every row in memory.

use super::{TableSpec, literal, quoted};

/// The table whose rows say which ledgers are stored.
pub const LEDGERS_TABLE: &str = "ledgers_row_v2";
/// The table whose rows say until when contract data and code live.
pub const TTL_TABLE: &str = "ttl_snapshot_v1";

/// How the state of a stream of changes is called.
#[derive(Clone, Copy, Debug)]
pub struct StateSpec {
    /// What the entries are, e.g. `accounts`: the view is `accounts_current`, the macro `accounts_as_of`.
    pub name: &'static str,
    /// Column with the hash of the entry's key, when the entry lives only as long as the TTL entry of that hash says.
    pub ttl: Option<&'static str>,
    /// What a reader must know beside the rule that holds for all; may be empty.
    pub note: &'static str,
}

impl StateSpec {
    /// Name of the view.
    pub fn view(&self) -> String {
        format!("{}_current", self.name)
    }

    /// Name of the table macro, which takes a ledger sequence.
    pub fn as_of(&self) -> String {
        format!("{}_as_of", self.name)
    }
}

impl TableSpec {
    /// Columns that identify an entry of a state table: the row's key without its ledger.
    pub fn entry_key(&self) -> impl Iterator<Item = &'static str> {
        self.key.iter().copied().filter(|column| *column != self.ledger_column)
    }

    /// The statements that make a state table's view and macro anew in the schema of a network, in their order and
    /// without semicolons; none for other tables.
    ///
    /// The bodies name `schema.table`, never the alias under which a reader attaches the lake.
    pub fn state_sql(&self, schema: &str) -> Vec<String> {
        let Some(state) = &self.state else { return Vec::new() };
        let (schema_name, view, macro_name) = (quoted(schema), quoted(&state.view()), quoted(&state.as_of()));
        let head = format!("(SELECT max(sequence) FROM {schema_name}.{})", quoted(LEDGERS_TABLE));
        let doc = self.view_doc(state);
        vec![
            format!(
                "CREATE OR REPLACE VIEW {schema_name}.{view} AS {}",
                self.select(state, schema, None, &head)
            ),
            format!("COMMENT ON VIEW {schema_name}.{view} IS {}", literal(&doc)),
            format!(
                "CREATE OR REPLACE MACRO {schema_name}.{macro_name}(ledger) AS TABLE {}",
                self.select(state, schema, Some("ledger"), "ledger")
            ),
        ]
    }

    /// What the documentation says about view and macro; `None` for a table without state.
    pub(super) fn state_doc(&self) -> Option<String> {
        let state = self.state.as_ref()?;
        let (view, as_of) = (state.view(), state.as_of());
        Some(format!(
            "View `{view}`: {} Macro `{as_of}(ledger)`: the same as of that ledger, e.g. \
             `SELECT * FROM mainnet.{as_of}(57500000)`; the lake must be the default catalog (`USE lake`).",
            self.view_doc(state)
        ))
    }

    fn view_doc(&self, state: &StateSpec) -> String {
        let keys: Vec<&str> = self.entry_key().collect();
        let lifetime = match state.ttl {
            Some(_) => {
                " Entries whose TTL ended before that ledger are gone or archived and not shown; \
                 live_until_ledger_seq is NULL where no TTL is known."
            }
            None if self.name == TTL_TABLE => " ttl_remaining and expired are those at that ledger.",
            None => "",
        };
        let note = if state.note.is_empty() { String::new() } else { format!(" {}", state.note) };
        format!(
            "State as of the highest ingested ledger: the last row of each ({}) of {}, without removed \
             entries.{lifetime} Complete only when ingestion began at the start of the network; otherwise it holds \
             the entries that changed since.{note}",
            keys.join(", "),
            self.name
        )
    }

    /// The state at `ledger`, from the rows up to `until`.
    fn select(&self, state: &StateSpec, schema: &str, until: Option<&str>, ledger: &str) -> String {
        let keys: Vec<(&str, bool)> = self
            .columns
            .iter()
            .filter(|column| self.entry_key().any(|key| key == column.name))
            .map(|column| (column.name, column.nullable))
            .collect();
        let newest =
            Newest { schema, table: self.name, ledger_column: self.ledger_column, keys: &keys, until };
        if let Some(key_hash) = state.ttl {
            // A subquery per entry, which becomes one join: what is asked of the entries narrows their TTLs too.
            let until = until.map_or_else(String::new, |until| format!(" AND t.ledger_sequence <= {until}"));
            return format!(
                "SELECT * FROM (SELECT e.*, (SELECT arg_max_null(CASE WHEN NOT t.deleted THEN t.{LIVE_UNTIL} END, \
                 t.ledger_sequence) FROM {}.{} t WHERE t.key_hash = e.{}{until}) AS {LIVE_UNTIL} FROM ({}) e) \
                 WHERE {LIVE_UNTIL} IS NULL OR {LIVE_UNTIL} >= {ledger}",
                quoted(schema),
                quoted(TTL_TABLE),
                quoted(key_hash),
                newest.select("r.*")
            );
        }
        if self.name == TTL_TABLE {
            return newest.select(&format!(
                "r.* REPLACE (r.{LIVE_UNTIL} - {ledger} AS ttl_remaining, r.{LIVE_UNTIL} < {ledger} AS expired)"
            ));
        }
        newest.select("r.*")
    }
}

/// Column of [`TTL_TABLE`]: the last ledger in which the entry lives.
const LIVE_UNTIL: &str = "live_until_ledger_seq";

/// The newest row of each key that was not removed.
struct Newest<'a> {
    schema: &'a str,
    table: &'a str,
    ledger_column: &'a str,
    /// Columns and whether they may be NULL, which is a value of the key like any other.
    keys: &'a [(&'a str, bool)],
    /// Rows of later ledgers do not count.
    until: Option<&'a str>,
}

impl Newest<'_> {
    fn select(&self, columns: &str) -> String {
        let table = format!("{}.{}", quoted(self.schema), quoted(self.table));
        let ledger = quoted(self.ledger_column);
        let keys: Vec<String> = self.keys.iter().map(|(name, _)| quoted(name)).collect();
        let keys = keys.join(", ");
        let until = self.until.map_or_else(String::new, |until| format!(" WHERE {ledger} <= {until}"));
        // Plain equality where it will do: a condition on the column then reaches both sides of the join.
        let same: String = self
            .keys
            .iter()
            .map(|(name, nullable)| {
                let equals = if *nullable { "IS NOT DISTINCT FROM" } else { "=" };
                format!("r.{0} {equals} n.{0} AND ", quoted(name))
            })
            .collect();
        format!(
            "SELECT {columns} FROM {table} r JOIN (SELECT {keys}, max({ledger}) AS {ledger} FROM {table}{until} \
             GROUP BY {keys}) n ON {same}r.{ledger} = n.{ledger} WHERE NOT r.deleted"
        )
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::DataType;

    use super::*;
    use crate::schema::ColumnSpec;

    const fn column(name: &'static str, nullable: bool) -> ColumnSpec {
        ColumnSpec { name, sql: "BIGINT", data_type: || DataType::Int64, nullable, bloom: false, doc: "" }
    }

    const SPEC: TableSpec = TableSpec {
        name: "lines_v1",
        doc: "",
        key: &["account", "pool", "at"],
        ledger_column: "at",
        columns: &[
            column("account", false),
            column("pool", true),
            column("at", false),
            column("deleted", false),
        ],
        state: Some(StateSpec { name: "lines", ttl: None, note: "It's a note." }),
    };

    #[test]
    fn the_view_joins_each_key_with_its_newest_ledger() {
        let [view, comment, r#macro] = SPEC.state_sql("n").try_into().unwrap();
        assert_eq!(
            view,
            "CREATE OR REPLACE VIEW \"n\".\"lines_current\" AS SELECT r.* FROM \"n\".\"lines_v1\" r JOIN (SELECT \
             \"account\", \"pool\", max(\"at\") AS \"at\" FROM \"n\".\"lines_v1\" GROUP BY \"account\", \"pool\") n ON \
             r.\"account\" = n.\"account\" AND r.\"pool\" IS NOT DISTINCT FROM n.\"pool\" AND r.\"at\" = n.\"at\" WHERE \
             NOT r.deleted"
        );
        assert!(comment.contains("each (account, pool) of lines_v1") && comment.ends_with("It''s a note.'"));
        assert!(r#macro.starts_with("CREATE OR REPLACE MACRO \"n\".\"lines_as_of\"(ledger) AS TABLE SELECT"));
        assert!(r#macro.contains("WHERE \"at\" <= ledger GROUP BY"));
    }

    #[test]
    fn a_table_without_state_has_no_views() {
        assert!(TableSpec { state: None, ..SPEC }.state_sql("n").is_empty());
    }
}
