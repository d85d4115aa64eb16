//! Diagnostic events: the trace of a call and the meters of core, as a node with diagnostics on writes them.

use std::sync::LazyLock;

use stellar_xdr::{
    ContractEvent, ContractEventBody, ContractEventType, ContractEventV0, ContractId, DiagnosticEvent,
    ExtensionPoint, InvokeContractArgs, ScAddress, ScBytes, ScError, ScVal, ScVec,
};

use super::token::string;
use crate::{encode, encode::Seq, entries};

/// What core meters, in its order.
const METRICS: [&str; 19] = [
    "read_entry",
    "write_entry",
    "ledger_read_byte",
    "ledger_write_byte",
    "read_key_byte",
    "write_key_byte",
    "read_data_byte",
    "write_data_byte",
    "read_code_byte",
    "write_code_byte",
    "emit_event",
    "emit_event_byte",
    "cpu_insn",
    "mem_byte",
    "invoke_time_nsecs",
    "max_rw_key_byte",
    "max_rw_data_byte",
    "max_rw_code_byte",
    "max_emit_event_byte",
];

/// The trace of a call that went well, with copies of its events.
///
/// `rolled_back` are events of calls within it that failed: their copies are not said to be successful.
pub(super) fn success(
    out: &mut Seq,
    args: &InvokeContractArgs,
    events: &[ContractEvent],
    rolled_back: &[ContractEvent],
) {
    push(out, true, None, vec![entries::symbol("fn_call"), contract(args), function(args)], arguments(args));
    failed_events(out, rolled_back);
    let mut event_bytes = 0;
    for event in events {
        event_bytes += encode::xdr(event).len();
        out.push(&DiagnosticEvent { in_successful_contract_call: true, event: event.clone() });
    }
    push(out, true, id(args), vec![entries::symbol("fn_return"), function(args)], ScVal::Void);
    metrics(out, true, events.len(), event_bytes);
}

/// The trace of a call that failed with `error`.
pub(super) fn failure(
    out: &mut Seq,
    args: &InvokeContractArgs,
    error: ScError,
    rolled_back: &[ContractEvent],
) {
    push(out, false, None, vec![entries::symbol("fn_call"), contract(args), function(args)], arguments(args));
    failed_events(out, rolled_back);
    let topics = vec![entries::symbol("error"), ScVal::Error(error.clone())];
    push(out, false, id(args), topics, string("failing with contract error"));
    let failed = vec![entries::symbol("host_fn_failed"), ScVal::Error(error)];
    push(out, false, None, failed, ScVal::Void);
    metrics(out, false, 0, 0);
}

fn failed_events(out: &mut Seq, events: &[ContractEvent]) {
    for event in events {
        out.push(&DiagnosticEvent { in_successful_contract_call: false, event: event.clone() });
    }
}

fn push(out: &mut Seq, ok: bool, contract_id: Option<ContractId>, topics: Vec<ScVal>, data: ScVal) {
    out.push(&diagnostic(ok, contract_id, topics, data));
}

fn diagnostic(ok: bool, contract_id: Option<ContractId>, topics: Vec<ScVal>, data: ScVal) -> DiagnosticEvent {
    let body = ContractEventBody::V0(ContractEventV0 { topics: encode::vecm(topics), data });
    let event =
        ContractEvent { ext: ExtensionPoint::V0, contract_id, type_: ContractEventType::Diagnostic, body };
    DiagnosticEvent { in_successful_contract_call: ok, event }
}

fn id(args: &InvokeContractArgs) -> Option<ContractId> {
    let ScAddress::Contract(id) = &args.contract_address else { return None };
    Some(id.clone())
}

fn contract(args: &InvokeContractArgs) -> ScVal {
    let bytes = id(args).map(|id| id.0.0.to_vec()).unwrap_or_default();
    ScVal::Bytes(ScBytes(bytes.try_into().expect("an id is short")))
}

fn function(args: &InvokeContractArgs) -> ScVal {
    ScVal::Symbol(args.function_name.clone())
}

fn arguments(args: &InvokeContractArgs) -> ScVal {
    ScVal::Vec(Some(ScVec(encode::vecm(args.args.to_vec()))))
}

/// Every meter's event without its value, once for failed and once for successful calls.
static METERS: LazyLock<[Vec<Vec<u8>>; 2]> =
    LazyLock::new(|| [false, true].map(|ok| METRICS.map(|name| meter(ok, name)).to_vec()));

fn meter(ok: bool, name: &str) -> Vec<u8> {
    let topics = vec![entries::symbol("core_metrics"), entries::symbol(name)];
    let mut bytes = encode::xdr(&diagnostic(ok, None, topics, ScVal::U64(0)));
    // The value is the last thing in the event.
    bytes.truncate(bytes.len().saturating_sub(8));
    bytes
}

fn metrics(out: &mut Seq, ok: bool, events: usize, event_bytes: usize) {
    let (events, event_bytes) = (u64::from(encode::count(events)), u64::from(encode::count(event_bytes)));
    let [failed, good] = &*METERS;
    for (name, meter) in METRICS.iter().zip(if ok { good } else { failed }) {
        let value: u64 = match *name {
            "emit_event" => events,
            "emit_event_byte" | "max_emit_event_byte" => event_bytes,
            "cpu_insn" => 1_851_747 + 977 * event_bytes,
            "mem_byte" => 1_602_546,
            "invoke_time_nsecs" => 340_000 + 11 * event_bytes,
            "read_entry" => 4,
            "write_entry" => 3 * events,
            "write_data_byte" | "ledger_write_byte" => 900 * events,
            "read_data_byte" | "ledger_read_byte" => 260,
            _ => 120,
        };
        out.push_raw(&[meter, &value.to_be_bytes()]);
    }
}
