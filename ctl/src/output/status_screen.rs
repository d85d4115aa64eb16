//! The status as one screen for people.

use std::time::SystemTime;

use lake_proto::v1::{
    MaintenanceStatus, NetworkState, NetworkStatus, Status, TimeStatistics, WriteQueueStatus,
};

use super::{
    Style,
    human::{self, Row, Table, ago, count, one_line, size, system_time},
    status_json::state_word,
};

const TABLE: Table<12> = Table {
    header: [
        "NETWORK",
        "STATE",
        "LEDGERS STORED",
        "TIP",
        "LAG",
        "LEDGERS/S",
        "TRANSACTIONS",
        "ROWS",
        "VERIFIED",
        "GAPS",
        "DUPLICATES",
        "FAILED",
    ],
    left: 3,
    coloured: 1,
};

/// Width of the labels below the table.
const LABEL: usize = 13;

/// The screen, every line ended. `width` is the terminal's, when there is one: longer lines are cut.
pub(crate) fn text(status: &Status, style: Style, width: Option<u16>) -> String {
    let now = status.taken_at.as_ref().and_then(system_time);
    let mut lines = vec![title(status, now), String::new()];
    lines.extend(TABLE.lines(&status.networks.iter().map(row).collect::<Vec<_>>(), style));
    if status.networks.is_empty() {
        lines.push("no networks are configured".to_owned());
    }
    lines.extend(status.networks.iter().flat_map(|network| notes(network, now)));
    lines.push(String::new());
    lines.push(queue_line(&status.write_queue.unwrap_or_default()));
    lines.push(maintenance_line(&status.maintenance.clone().unwrap_or_default(), now));
    human::text(lines, width)
}

fn title(status: &Status, now: Option<SystemTime>) -> String {
    let daemon = status.daemon.clone().unwrap_or_default();
    let up = ago(daemon.started_at.as_ref(), now).map_or(String::new(), |up| format!("  up {up}"));
    let memory = size(daemon.rss_bytes);
    let lake = daemon.lake_path;
    format!("stellar-lake {}  pid {}{up}  memory {memory}  lake {lake}", daemon.version, daemon.pid)
}

/// Green works, yellow waits or tries again, red needs somebody.
fn colour(state: NetworkState) -> u8 {
    match state {
        NetworkState::CatchingUp | NetworkState::Following | NetworkState::Finished => 32,
        NetworkState::Unspecified
        | NetworkState::Starting
        | NetworkState::Waiting
        | NetworkState::Retrying => 33,
        NetworkState::Stopped => 31,
    }
}

fn row(network: &NetworkStatus) -> Row<12> {
    let written = network.written.unwrap_or_default();
    let stored = network.stored.unwrap_or_default();
    let ledgers = match (network.first_ledger, network.last_ledger) {
        (Some(first), Some(last)) => format!("{}..{}", count(first), count(last)),
        (_, _) => "none".to_owned(),
    };
    let known = |value: Option<u32>| value.map_or("-".to_owned(), count);
    let cells = [
        network.name.clone(),
        state_word(network.state()).replace('_', " "),
        ledgers,
        known(network.tip),
        known(network.lag_ledgers),
        format!("{:.1}", network.ledgers_per_second),
        count(stored.transactions.unwrap_or(written.transactions)),
        count(stored.rows.unwrap_or(written.rows)),
        count(network.verified_ledgers),
        count(network.gaps),
        count(network.duplicates),
        count(network.failed_ledgers),
    ];
    Row { cells, colour: colour(network.state()) }
}

/// What does not fit into the row: why it is not running, its last error, and what its tables lack.
fn notes(network: &NetworkStatus, now: Option<SystemTime>) -> Vec<String> {
    let mut notes = Vec::new();
    let state = state_word(network.state());
    if !network.state_reason.is_empty() {
        notes.push(format!("{}: {state}: {}", network.name, one_line(&network.state_reason)));
    }
    if let Some(error) = &network.last_error
        && error.message != network.state_reason
    {
        let when = ago(error.at.as_ref(), now).map_or(String::new(), |ago| format!(" {ago} ago"));
        notes.push(format!("{}: last error{when}: {}", network.name, one_line(&error.message)));
    }
    for lacking in &network.lacking {
        let ledgers: Vec<String> =
            lacking.ledgers.iter().map(|range| format!("{}..{}", range.first, range.last)).collect();
        notes.push(format!(
            "{}: ledgers {} lack tables added later (with the daemon stopped, run `stellar-lake ingest` over \
             them): {}",
            network.name,
            ledgers.join(", "),
            lacking.tables.join(", ")
        ));
    }
    notes
}

fn queue_line(queue: &WriteQueueStatus) -> String {
    format!(
        "{:LABEL$}depth {}/{} ({})  submitted {}  written {}  failed {}  duplicates {}  wait {}  write {}",
        "write queue",
        queue.depth,
        queue.capacity,
        size(queue.bytes),
        count(queue.submitted),
        count(queue.written),
        count(queue.failed),
        count(queue.duplicates),
        times(queue.wait),
        times(queue.write),
    )
}

fn maintenance_line(maintenance: &MaintenanceStatus, now: Option<SystemTime>) -> String {
    let since = |time| ago(time, now).map_or("never".to_owned(), |ago| format!("{ago} ago"));
    let wal = maintenance.wal_bytes.map_or(String::new(), |bytes| format!("  wal {}", size(bytes)));
    let error = maintenance.last_error.as_ref();
    let error = error.map_or(String::new(), |error| format!("  last error: {}", one_line(&error.message)));
    format!(
        "{:LABEL$}last run {}  merged {} files into {}  wal checkpoint {}{wal}{error}",
        "maintenance",
        since(maintenance.last_run_at.as_ref()),
        count(maintenance.merged_files),
        count(maintenance.created_files),
        since(maintenance.last_wal_checkpoint_at.as_ref()),
    )
}

fn times(times: Option<TimeStatistics>) -> String {
    let times = times.unwrap_or_default();
    let short = |micros: u64| match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    };
    format!("{} (max {})", short(times.average_micros), short(times.max_micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_proto::v1::{LackingTables, LastError, LedgerRange, StoredCounts};
    use prost_types::Timestamp;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn status() -> Status {
        let mut mainnet = NetworkStatus {
            name: "mainnet".to_owned(),
            first_ledger: Some(1),
            last_ledger: Some(500),
            tip: Some(510),
            lag_ledgers: Some(10),
            ledgers_per_second: 12.34,
            stored: Some(StoredCounts { transactions: Some(150_000), ..StoredCounts::default() }),
            lacking: vec![LackingTables {
                ledgers: vec![LedgerRange { first: 1, last: 400 }],
                tables: vec!["ttl_snapshot_v1".to_owned(), "effects_row_v1".to_owned()],
            }],
            ..NetworkStatus::default()
        };
        mainnet.set_state(NetworkState::CatchingUp);
        let mut testnet = NetworkStatus {
            name: "testnet".to_owned(),
            state_reason: "ledger 7\ndoes not link".to_owned(),
            last_error: Some(LastError { message: "no route".to_owned(), at: at(940) }),
            ..NetworkStatus::default()
        };
        testnet.set_state(NetworkState::Stopped);
        Status { networks: vec![mainnet, testnet], taken_at: at(1_000), ..Status::default() }
    }

    #[test]
    fn one_row_per_network_and_its_trouble_below() {
        let text = text(&status(), Style::Plain, None);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[2].starts_with("NETWORK  STATE        LEDGERS STORED  TIP  LAG  LEDGERS/S"), "{text}");
        assert!(lines[3].starts_with("mainnet  catching up  1..500          510   10       12.3"), "{text}");
        assert!(lines[4].starts_with("testnet  stopped      none              -    -"), "{text}");
        assert!(lines[5].starts_with("mainnet: ledgers 1..400 lack tables added later"), "{text}");
        assert!(lines[5].ends_with("ttl_snapshot_v1, effects_row_v1"), "{text}");
        assert_eq!(lines[6], "testnet: stopped: ledger 7 does not link");
        assert_eq!(lines[7], "testnet: last error 1m00s ago: no route");
        assert!(text.contains("maintenance  last run never"), "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn a_narrow_terminal_cuts_lines_and_a_coloured_one_colours_states() {
        let narrow = text(&status(), Style::Plain, Some(30));
        assert!(narrow.lines().all(|line| line.chars().count() <= 30), "{narrow}");
        assert!(text(&status(), Style::Coloured, None).contains("\x1b[31mstopped    \x1b[0m"));
    }

    #[test]
    fn times_use_units_that_fit() {
        assert_eq!(
            times(Some(TimeStatistics { average_micros: 1_250, max_micros: 2_000_000 })),
            "1.2 ms (max 2.0 s)"
        );
    }
}
