//! `table!`: one declaration gives a table's row, its columns and its specification.

/// Declares a table inside the module that extracts it.
///
/// The columns of the reference come first, in its order; `ledger_range`, `era_id` and `version_label` stand where it
/// has them and are filled by the machinery; columns that we added come last. A column is
/// `name: Cell [bloom],` with its doc comment; `[bloom]` asks for a bloom filter.
///
/// A stream of changes of ledger entries says `state: accounts` after its ledger column, and gets the view
/// `accounts_current` and the macro `accounts_as_of`; `ttl: column` after it names the column with the key's hash by
/// which TTL entries name theirs; `note: "..."` adds what a reader of the state must know.
///
/// Gives `Row<'l>` (every field must be set, or it does not compile), `Columns` (`push`, `len`, `bytes`, `finish`) and
/// `SPEC`.
macro_rules! table {
    (
        $(#[doc = $table_doc:literal])+
        $table:ident {
            key: [$($key:ident),+ $(,)?], ledger: $ledger:ident
            $(, state: $state:ident $(, ttl: $ttl:ident)? $(, note: $note:literal)?)? $(,)?
        }
        columns { $($(#[doc = $a_doc:literal])+ $a:ident: $a_cell:ty $([$a_flag:ident])?,)* }
        ledger_range;
        columns { $($(#[doc = $b_doc:literal])+ $b:ident: $b_cell:ty $([$b_flag:ident])?,)* }
        era_id; version_label;
        columns { $($(#[doc = $c_doc:literal])+ $c:ident: $c_cell:ty $([$c_flag:ident])?,)* }
    ) => {
        $(#[doc = $table_doc])+
        #[derive(Debug)]
        pub struct Row<'l> {
            $($(#[doc = $a_doc])+ pub $a: <$a_cell as $crate::schema::Cell>::Value<'l>,)*
            $($(#[doc = $b_doc])+ pub $b: <$b_cell as $crate::schema::Cell>::Value<'l>,)*
            $($(#[doc = $c_doc])+ pub $c: <$c_cell as $crate::schema::Cell>::Value<'l>,)*
        }

        /// The table's columns, being built.
        #[derive(Debug, Default)]
        pub struct Columns {
            rows: usize,
            $($a: <$a_cell as $crate::schema::Cell>::Builder,)*
            ledger_range: <i64 as $crate::schema::Cell>::Builder,
            $($b: <$b_cell as $crate::schema::Cell>::Builder,)*
            era_id: $crate::schema::TextBuilder,
            version_label: $crate::schema::TextBuilder,
            $($c: <$c_cell as $crate::schema::Cell>::Builder,)*
        }

        impl Columns {
            /// Appends one row.
            pub fn push(&mut self, row: Row<'_>) {
                $(<$a_cell as $crate::schema::Cell>::append(row.$a, &mut self.$a);)*
                $(<$b_cell as $crate::schema::Cell>::append(row.$b, &mut self.$b);)*
                $(<$c_cell as $crate::schema::Cell>::append(row.$c, &mut self.$c);)*
                self.rows += 1;
            }

            /// Fills the stamps of the rows that were pushed since the last call.
            pub(crate) fn stamp(&mut self, seq: $crate::LedgerSeq, stamps: &$crate::tables::Stamps) {
                for _ in self.version_label.len()..self.rows {
                    self.ledger_range.append_value(i64::from(seq.range_start()));
                    match &stamps.era_id {
                        Some(era) => {
                            self.era_id.push(era);
                            self.era_id.end();
                        }
                        None => self.era_id.append_null(),
                    }
                    self.version_label.push(&stamps.version_label);
                    self.version_label.end();
                }
            }

            /// Number of rows.
            pub const fn len(&self) -> usize {
                self.rows
            }

            /// Whether there is no row.
            pub const fn is_empty(&self) -> bool {
                self.rows == 0
            }

            /// Bytes of the values held, without spare capacity.
            pub fn bytes(&self) -> usize {
                use $crate::schema::ColumnBuilder as B;
                0 $(+ B::bytes(&self.$a))* + B::bytes(&self.ledger_range) $(+ B::bytes(&self.$b))*
                    + B::bytes(&self.era_id) + B::bytes(&self.version_label) $(+ B::bytes(&self.$c))*
            }

            /// Name of a column that had to drop a value because it is full.
            pub(crate) fn full_column(&self) -> Option<&'static str> {
                use $crate::schema::ColumnBuilder as B;
                $(if B::is_full(&self.$a) { return Some(stringify!($a)); })*
                $(if B::is_full(&self.$b) { return Some(stringify!($b)); })*
                $(if B::is_full(&self.$c) { return Some(stringify!($c)); })*
                None
            }

            /// Adds what each column holds to `to`.
            pub(crate) fn room(&self, to: &mut Vec<$crate::schema::Room>) {
                use $crate::schema::ColumnBuilder as B;
                to.extend([
                    $(B::room(&self.$a),)* B::room(&self.ledger_range), $(B::room(&self.$b),)*
                    B::room(&self.era_id), B::room(&self.version_label), $(B::room(&self.$c),)*
                ]);
            }

            /// Makes room in each column for what `room` said of it.
            pub(crate) fn reserve(&mut self, room: &mut impl Iterator<Item = $crate::schema::Room>) {
                use $crate::schema::ColumnBuilder as B;
                let mut next = || room.next().unwrap_or_default();
                $(B::reserve(&mut self.$a, next());)*
                B::reserve(&mut self.ledger_range, next());
                $(B::reserve(&mut self.$b, next());)*
                B::reserve(&mut self.era_id, next());
                B::reserve(&mut self.version_label, next());
                $(B::reserve(&mut self.$c, next());)*
            }

            /// The rows as one record batch of the schema of `SPEC`.
            pub fn finish(self) -> arrow_array::RecordBatch {
                use $crate::schema::ColumnBuilder as B;
                let columns = vec![
                    $(B::finish(self.$a),)* B::finish(self.ledger_range), $(B::finish(self.$b),)*
                    B::finish(self.era_id), B::finish(self.version_label), $(B::finish(self.$c),)*
                ];
                // Hundreds of small allocations, the same for each chunk.
                static SCHEMA: std::sync::LazyLock<arrow_schema::SchemaRef> =
                    std::sync::LazyLock::new(|| SPEC.arrow_schema());
                arrow_array::RecordBatch::try_new(std::sync::Arc::clone(&SCHEMA), columns)
                    .expect("push and stamp append once to every column, of the type that the schema names")
            }
        }

        /// Name, key, columns and docs of the table; its address is the identity of the table.
        pub static SPEC: $crate::schema::TableSpec = $crate::schema::TableSpec {
            name: stringify!($table),
            doc: $crate::schema::trimmed(concat!($($table_doc),+)),
            key: &[$(stringify!($key)),+],
            ledger_column: stringify!($ledger),
            columns: &[
                $($crate::schema::table!(@column $a, $a_cell, [$($a_doc)+], [$($a_flag)?]),)*
                $crate::schema::table!(@column ledger_range, i64,
                    ["First ledger of the 10,000-ledger range of the row: `sequence - sequence % 10000`."], []),
                $($crate::schema::table!(@column $b, $b_cell, [$($b_doc)+], [$($b_flag)?]),)*
                $crate::schema::table!(@column era_id, Option<$crate::schema::Text>,
                    ["Run stamp from the configuration; NULL unless set."], []),
                $crate::schema::table!(@column version_label, $crate::schema::Text,
                    ["Run stamp from the configuration, `v1` unless set."], []),
                $($crate::schema::table!(@column $c, $c_cell, [$($c_doc)+], [$($c_flag)?]),)*
            ],
            state: $crate::schema::table!(@state $($state [$($ttl)?] [$($note)?])?),
        };

        // Every key is a column.
        const _: fn(&Row<'_>) = |row| {
            let _ = &row.$ledger;
            $(let _ = &row.$key;)+
            $(let _ = (&row.deleted, stringify!($state));)?
            $($(let _ = &row.$ttl;)?)?
        };
    };
    (@state) => { None };
    (@state $name:ident [$($ttl:ident)?] [$($note:literal)?]) => {
        Some($crate::schema::StateSpec {
            name: stringify!($name),
            ttl: [$(Some(stringify!($ttl)),)? None][0],
            note: [$($note,)? ""][0],
        })
    };
    (@column $name:ident, $cell:ty, [$($doc:literal)+], [$($flag:ident)?]) => {
        $crate::schema::ColumnSpec {
            name: $crate::schema::column_name(stringify!($name)),
            sql: <$cell as $crate::schema::Cell>::SQL,
            data_type: <$cell as $crate::schema::Cell>::data_type,
            nullable: <$cell as $crate::schema::Cell>::NULLABLE,
            bloom: false $(|| $crate::schema::is_bloom(stringify!($flag)))?,
            doc: $crate::schema::trimmed(concat!($($doc),+)),
        }
    };
}
pub(crate) use table;

/// Whether a column's flag is `bloom`, the only one; another word does not compile.
pub(crate) const fn is_bloom(flag: &str) -> bool {
    assert!(matches!(flag.as_bytes(), b"bloom"), "the only flag of a column is [bloom]");
    true
}

/// A doc comment without the space after its slashes.
pub(crate) const fn trimmed(doc: &'static str) -> &'static str {
    doc.trim_ascii()
}

/// The name of a column whose field had to be a raw identifier, such as `r#type`.
pub(crate) const fn column_name(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}
