//! Contract events: what contracts, and since protocol 23 classic operations and fees, told the world.
//!
//! An event stands in up to three places of a transaction's meta: in the list of the transaction (fees; CAP-67), in that
//! of an operation, and in the diagnostics, which repeat the events of operations. Each event gives one row.

mod encoded;
#[cfg(test)]
mod tests;

use stellar_xdr as xdr;

use super::{ExtractError, Input};
use crate::{
    decode::{Ledger, Transaction},
    schema::{Base64, Contract, Hex32, ScVal, ScVals, Shown, Timestamp, Word, table},
    text::{Put, put::digits},
};
use encoded::{Encoded, TopicText, TopicsBase64};

table! {
    /// One row per event of every transaction, each event once, failed transactions included.
    contract_events_stream_v1 { key: [event_id], ledger: ledger_sequence }
    columns {
        /// Id that stellar-rpc gives the event: a SEP-35 id and a counter. It sorts events in the order in which they
        /// came about: those of stage `before` under transaction 0, of an operation under its position from 0, of
        /// `after` under operation 4095, of `after_all` under transaction 1048575. Diagnostics, which stellar-rpc does
        /// not number, carry their transaction's id and `-d` before their position.
        event_id: Shown<EventId>,
        /// Contract that emitted the event, C...; NULL where the host or the network did.
        contract_id: Option<Contract> [bloom],
        /// Ledger that holds the transaction.
        ledger_sequence: i64,
        /// Hash of the transaction, of the outer one for a fee bump.
        transaction_hash: Hex32 [bloom],
        /// Close time of the ledger, UTC.
        closed_at: Timestamp,
        /// `contract`, `system` or `diagnostic`.
        event_type: Word,
        /// Whether the call that emitted the event was kept: for events of transactions and operations whether the
        /// transaction succeeded. Of a `diagnostic` event what the node wrote.
        in_successful_contract_call: bool,
        /// Topics: JSON array of base64 XDR.
        topics_json: TopicsBase64,
        /// Topics: JSON array of SEP-51 values.
        topics_decoded: ScVals,
        /// Value of the event, base64 XDR.
        data_xdr: Base64,
        /// Value of the event, SEP-51 JSON.
        data_decoded: ScVal,
        /// Number of topics.
        topic_count: i32,
        /// Position of the operation in its transaction, from 0; NULL for events of transactions and for diagnostics.
        operation_index: Option<i32>,
        /// Position of the event in its list, from 0: the events of its operation, of its transaction, or the
        /// transaction's diagnostics. Not the counter of `event_id`.
        event_index: i32,
        /// Close time of the ledger, UTC.
        created_at: Timestamp,
    }
    ledger_range;
    columns {}
    era_id; version_label;
    columns {
        /// Whether the transaction was applied and kept.
        successful: bool,
        /// When the event came about: `before` all transactions of the ledger, in an `operation`, `after` the
        /// transaction, or `after_all` of the ledger. NULL for diagnostics, and before TransactionMeta V4.
        stage: Option<Word>,
        /// SEP-35 id of the transaction.
        transaction_id: i64,
        /// SEP-35 id of the operation; NULL for events of transactions and for diagnostics.
        operation_id: Option<i64>,
        /// The event (ContractEvent), base64 XDR.
        event_xdr: Base64,
        /// First topic as text: symbols and strings as they are, addresses as strkeys, numbers as decimals, bytes as
        /// hex, other values as SEP-51 JSON. NULL where there is none.
        topic0: Option<TopicText>,
        /// Second topic as text.
        topic1: Option<TopicText>,
        /// Third topic as text.
        topic2: Option<TopicText>,
        /// Fourth topic as text.
        topic3: Option<TopicText>,
    }
}

/// Appends the events of this ledger in transaction order: those before the transaction, of its operations, after it,
/// and its diagnostics.
///
/// # Errors
/// A value that has no row, with the transaction and event that it stands in.
pub(crate) fn extract(input: &Input<'_>, out: &mut Columns) -> Result<(), ExtractError> {
    let mut writer =
        Writer { ledger: input.ledger, out, encoded: Encoded::default(), before: 0, after_all: 0 };
    for tx in &input.ledger.transactions {
        writer.push_all(tx).map_err(|reason| ExtractError {
            seq: input.ledger.seq,
            table: SPEC.name,
            reason: format!("transaction {} {reason}", tx.hash),
        })?;
    }
    Ok(())
}

/// SEP-35 id and counter.
#[derive(Clone, Copy, Debug)]
pub struct EventId {
    toid: i64,
    counter: usize,
    is_diagnostic: bool,
}

impl Put for EventId {
    fn put(&self, to: &mut Vec<u8>) {
        let Self { toid, counter, is_diagnostic } = *self;
        if toid < 0 {
            to.push(b'-');
        }
        digits(toid.unsigned_abs(), if toid < 0 { 18 } else { 19 }, to);
        to.extend_from_slice(if is_diagnostic { b"-d" } else { b"-" });
        // No list is longer than 64 bits can count.
        digits(u64::try_from(counter).unwrap_or(u64::MAX), if is_diagnostic { 9 } else { 10 }, to);
    }
}

/// Where an event stands.
struct Place<'l> {
    event: &'l xdr::ContractEvent,
    id: EventId,
    stage: Option<&'static str>,
    in_successful_contract_call: bool,
    operation: Option<usize>,
    index: usize,
}

struct Writer<'l, 'o> {
    ledger: &'l Ledger,
    out: &'o mut Columns,
    /// Reused from event to event.
    encoded: Encoded,
    /// Events of stage `before` so far: their counter runs over the whole ledger.
    before: usize,
    /// Events of stage `after_all` so far.
    after_all: usize,
}

/// Numbers that stellar-rpc gives to what has none in SEP-35: the highest ones of 12 and 20 bits.
const AFTER_OPERATIONS: i64 = 0xfff;
const AFTER_TRANSACTIONS: i64 = 0xf_ffff << 12;

impl Writer<'_, '_> {
    fn push_all(&mut self, tx: &Transaction) -> Result<(), String> {
        let toid = tx.toid(self.ledger.seq);
        let first = toid & !0xffff_ffff;
        let mut after = 0;
        let events = tx.transaction_events().iter().enumerate();
        for (index, event) in events.clone() {
            if event.stage != xdr::TransactionEventStage::BeforeAllTxs {
                continue;
            }
            let id = EventId { toid: first, counter: count(&mut self.before), is_diagnostic: false };
            self.push_of_transaction(tx, index, event, id, "before")?;
        }
        self.push_operations(tx, toid)?;
        for (index, event) in events {
            let (toid, counter, stage) = match event.stage {
                xdr::TransactionEventStage::BeforeAllTxs => continue,
                xdr::TransactionEventStage::AfterTx => (toid | AFTER_OPERATIONS, count(&mut after), "after"),
                xdr::TransactionEventStage::AfterAllTxs => {
                    (first | AFTER_TRANSACTIONS, count(&mut self.after_all), "after_all")
                }
            };
            let id = EventId { toid, counter, is_diagnostic: false };
            self.push_of_transaction(tx, index, event, id, stage)?;
        }
        self.push_diagnostics(tx, toid)
    }

    fn push_of_transaction(
        &mut self,
        tx: &Transaction,
        index: usize,
        event: &xdr::TransactionEvent,
        id: EventId,
        stage: &'static str,
    ) -> Result<(), String> {
        let place = Place {
            event: &event.event,
            id,
            stage: Some(stage),
            in_successful_contract_call: tx.successful(),
            operation: None,
            index,
        };
        self.push(tx, &place).map_err(|reason| format!("event {index}: {reason}"))
    }

    fn push_operations(&mut self, tx: &Transaction, toid: i64) -> Result<(), String> {
        let stage = matches!(tx.meta, xdr::TransactionMeta::V4(_)).then_some("operation");
        for operation in 0..tx.meta_operations().max(tx.operations().len()) {
            for (index, event) in tx.operation_events(operation).iter().enumerate() {
                let position = i64::try_from(operation).ok().filter(|n| *n < AFTER_OPERATIONS);
                let position = position.ok_or_else(|| format!("operation {operation} has no number"))?;
                let place = Place {
                    event,
                    id: EventId { toid: toid | position, counter: index, is_diagnostic: false },
                    stage,
                    in_successful_contract_call: tx.successful(),
                    operation: Some(operation),
                    index,
                };
                self.push(tx, &place)
                    .map_err(|reason| format!("operation {operation} event {index}: {reason}"))?;
            }
        }
        Ok(())
    }

    fn push_diagnostics(&mut self, tx: &Transaction, toid: i64) -> Result<(), String> {
        for (index, diagnostic) in tx.diagnostic_events().iter().enumerate() {
            let kept = diagnostic.in_successful_contract_call;
            let event = &diagnostic.event;
            // Contract and system events of kept calls are copies. Comparing would not find them: where history was
            // encoded anew, only the original was. The others were rolled back and stand nowhere else.
            let in_successful_contract_call = match event.type_ {
                xdr::ContractEventType::Diagnostic => kept,
                xdr::ContractEventType::Contract | xdr::ContractEventType::System => {
                    if kept && tx.successful() {
                        continue;
                    }
                    false
                }
            };
            let place = Place {
                event,
                id: EventId { toid, counter: index, is_diagnostic: true },
                stage: None,
                in_successful_contract_call,
                operation: None,
                index,
            };
            self.push(tx, &place).map_err(|reason| format!("diagnostic event {index}: {reason}"))?;
        }
        Ok(())
    }

    fn push(&mut self, tx: &Transaction, place: &Place<'_>) -> Result<(), String> {
        self.encoded.set(place.event).map_err(|e| format!("event_xdr: {e}"))?;
        let xdr::ContractEventBody::V0(body) = &place.event.body;
        let (seq, closed_at) = (self.ledger.seq, self.ledger.closed_at_micros());
        let int = |column: &str, n: usize| {
            i32::try_from(n).map_err(|_| format!("{column} {n} does not fit its column"))
        };
        self.out.push(Row {
            event_id: place.id,
            contract_id: place.event.contract_id.as_ref().map(|id| id.0.0),
            ledger_sequence: i64::from(seq.get()),
            transaction_hash: tx.hash,
            closed_at,
            event_type: match place.event.type_ {
                xdr::ContractEventType::System => "system",
                xdr::ContractEventType::Contract => "contract",
                xdr::ContractEventType::Diagnostic => "diagnostic",
            },
            in_successful_contract_call: place.in_successful_contract_call,
            topics_json: &self.encoded,
            topics_decoded: &body.topics,
            data_xdr: self.encoded.data(),
            data_decoded: &body.data,
            topic_count: int("topic_count", body.topics.len())?,
            operation_index: place.operation.map(|n| int("operation_index", n)).transpose()?,
            event_index: int("event_index", place.index)?,
            created_at: closed_at,
            successful: tx.successful(),
            stage: place.stage,
            transaction_id: tx.toid(seq),
            operation_id: place.operation.map(|n| tx.operation_toid(seq, n)),
            event_xdr: self.encoded.event(),
            topic0: body.topics.first(),
            topic1: body.topics.get(1),
            topic2: body.topics.get(2),
            topic3: body.topics.get(3),
        });
        Ok(())
    }
}

/// The number of this one, from 0.
fn count(next: &mut usize) -> usize {
    let this = *next;
    *next = next.saturating_add(1);
    this
}
