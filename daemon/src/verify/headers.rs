//! Headers: the hash of the stored bytes, what the row repeats of them, and the link to the ledger before.

use arrow_array::{Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use base64::{Engine, prelude::BASE64_STANDARD};
use lake_core::{Hash32, LedgerSeq, schema::TableSpec};
use stellar_xdr::{LedgerHeader, Limits, ReadXdr};

use super::{
    Kind,
    columns::{self, number, numbers, text, texts},
    unit::Unit,
};
use crate::lake::{Held, LEDGERS_TABLE};

/// Columns that are read of the ledgers' rows.
const COLUMNS: &[&str] = &[
    "sequence",
    "ledger_hash",
    "previous_ledger_hash",
    "closed_at",
    "protocol_version",
    "total_coins",
    "fee_pool",
    "base_fee",
    "base_reserve",
    "max_tx_set_size",
    "transaction_count",
    "tx_set_operation_count",
    "ledger_header",
    "evicted_keys_count",
    "tx_set_hash",
    "tx_set_result_hash",
    "bucket_list_hash",
    "contract_events_count",
];

/// What a ledger's row says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) hash: Hash32,
    pub(super) previous: Hash32,
    pub(super) transactions: Option<i64>,
    pub(super) operations: Option<i64>,
    pub(super) events: Option<i64>,
    pub(super) evicted: Option<i64>,
}

/// A ledger and its hash.
pub(super) type Link = (LedgerSeq, Hash32);

/// The columns of a batch of rows.
struct Rows<'r> {
    rows: &'r RecordBatch,
    sequence: Int64Array,
    hash: &'r StringArray,
    previous: &'r StringArray,
    header: Option<&'r StringArray>,
    transactions: Option<Int64Array>,
    operations: Option<Int64Array>,
    events: Option<Int64Array>,
    evicted: Option<Int64Array>,
}

impl<'r> Rows<'r> {
    fn of(rows: &'r RecordBatch) -> Option<Self> {
        Some(Self {
            rows,
            sequence: numbers(rows, "sequence")?,
            hash: texts(rows, "ledger_hash")?,
            previous: texts(rows, "previous_ledger_hash")?,
            header: texts(rows, "ledger_header"),
            transactions: numbers(rows, "transaction_count"),
            operations: numbers(rows, "tx_set_operation_count"),
            events: numbers(rows, "contract_events_count"),
            evicted: numbers(rows, "evicted_keys_count"),
        })
    }

    fn facts(&self, row: usize) -> Result<Facts, String> {
        let hash = |name: &str, column: &StringArray| -> Result<Hash32, String> {
            column.value(row).parse().map_err(|e| format!("{name} is no hash ({e})"))
        };
        Ok(Facts {
            hash: hash("ledger_hash", self.hash)?,
            previous: hash("previous_ledger_hash", self.previous)?,
            transactions: number(self.transactions.as_ref(), row),
            operations: number(self.operations.as_ref(), row),
            events: number(self.events.as_ref(), row),
            evicted: number(self.evicted.as_ref(), row),
        })
    }

    /// The stored bytes against their hash, and the row against them. False when there are none.
    fn check_header(&self, row: usize, facts: &Facts) -> Result<bool, String> {
        let Some(stored) = text(self.header, row) else { return Ok(false) };
        let bytes =
            BASE64_STANDARD.decode(stored).map_err(|e| format!("ledger_header is no base64 ({e})"))?;
        let found = Hash32::sha256(&[&bytes]);
        if found != facts.hash {
            return Err(format!("the header's bytes have hash {found}, ledger_hash is {}", facts.hash));
        }
        let limits = Limits { depth: 100, len: bytes.len() };
        let header = LedgerHeader::from_xdr(&bytes, limits)
            .map_err(|e| format!("ledger_header is no LedgerHeader ({e})"))?;
        let same = |name: &str, found: i64, expected: i64| match found == expected {
            true => Ok(()),
            false => Err(format!("{name} is {found}, the header says {expected}")),
        };
        same("sequence", self.sequence.value(row), header.ledger_seq.into())?;
        for (name, expected) in [
            ("protocol_version", i64::from(header.ledger_version)),
            ("total_coins", header.total_coins),
            ("fee_pool", header.fee_pool),
            ("base_fee", header.base_fee.into()),
            ("base_reserve", header.base_reserve.into()),
            ("max_tx_set_size", header.max_tx_set_size.into()),
        ] {
            let column = numbers(&self.rows.slice(row, 1), name);
            same(name, number(column.as_ref(), 0).unwrap_or(i64::MIN), expected)?;
        }
        let closed = self.rows.column_by_name("closed_at");
        let closed = closed.and_then(|column| column.as_any().downcast_ref::<TimestampMicrosecondArray>());
        let micros = i64::try_from(header.scp_value.close_time.0).ok().and_then(|s| s.checked_mul(1_000_000));
        same("closed_at", closed.map_or(i64::MIN, |at| at.value(row)), micros.unwrap_or(i64::MAX))?;
        for (name, expected) in [
            ("previous_ledger_hash", header.previous_ledger_hash.0),
            ("tx_set_hash", header.scp_value.tx_set_hash.0),
            ("tx_set_result_hash", header.tx_set_result_hash.0),
            ("bucket_list_hash", header.bucket_list_hash.0),
        ] {
            let found = text(texts(self.rows, name), row).unwrap_or_default();
            if found != Hash32(expected).to_string() {
                return Err(format!("{name} is {found:?}, the header says {}", Hash32(expected)));
            }
        }
        Ok(true)
    }
}

impl Unit {
    /// Reads a file of the ledgers' table: checks every header and keeps what other checks need.
    pub(super) fn read_headers(&mut self, spec: &'static TableSpec, held: &Held) -> Result<u64, String> {
        let known = |name: &&&str| spec.columns.iter().any(|column| column.name == **name);
        let wanted: Vec<&str> = COLUMNS.iter().filter(known).copied().collect();
        let (mut count, mut problems) = (0, Vec::new());
        for rows in columns::reader(spec, &held.file.path, Some(&wanted))? {
            let rows = rows.map_err(|e| format!("cannot be read ({e})"))?;
            let rows = Rows::of(&rows).ok_or("has not the columns of its table")?;
            for (row, seq) in rows.sequence.values().iter().enumerate() {
                count += 1;
                self.count(spec.name, *seq, held, true)?;
                let Some(index) = self.index(*seq) else { continue };
                let checked = rows.facts(row).and_then(|facts| Ok((facts, rows.check_header(row, &facts)?)));
                match checked {
                    Ok((facts, has_header)) => {
                        self.tally.headers += u64::from(has_header);
                        if let Some(place) = self.facts.get_mut(index) {
                            *place = Some(facts);
                        }
                    }
                    Err(problem) => problems.push((index, problem)),
                }
            }
        }
        problems.sort();
        self.found_of_ledgers(Kind::Header, spec.name, problems);
        Ok(count)
    }

    /// Every ledger names the hash of the one before it.
    pub(super) fn links(&mut self, before: Option<Link>) {
        let mut problems = Vec::new();
        let mut last = before;
        for (index, facts) in self.facts.iter().enumerate() {
            let Some(facts) = facts else {
                last = None;
                continue;
            };
            let seq = self.seq(index);
            if let Some((before, hash)) = last
                && before.next() == Some(seq)
                && facts.previous != hash
            {
                problems.push((
                    index,
                    format!("it names {} before it, ledger {before} has {hash}", facts.previous),
                ));
            }
            last = Some((seq, facts.hash));
        }
        self.found_of_ledgers(Kind::Header, LEDGERS_TABLE, problems);
    }

    /// The last ledger, for the next unit's link.
    pub(super) fn last(&self) -> Option<Link> {
        let facts = self.facts.last()?.as_ref()?;
        Some((self.range.end(), facts.hash))
    }
}
