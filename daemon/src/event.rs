//! The events that an operator acts on. Each has a target of its own for the log, and a MESSAGE_ID in the journal that
//! `systemd/stellar-lake.catalog` explains.

/// An event that the journal knows by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Target of its lines in the log.
    pub target: &'static str,
    /// MESSAGE_ID: 128 bits in hexadecimal, for good.
    pub message_id: &'static str,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $target:literal, $id:literal;)+) => {
        $($(#[$doc])* pub(crate) const $name: &str = concat!("stellar_lake::event::", $target);)+

        /// All of them.
        pub const ALL: &[Event] = &[
            $(Event { target: $name, message_id: $id },)+
        ];
    };
}

events! {
    /// The daemon answers, and its sources were tried.
    READY = "ready", "ac89c8cdf75c4153b287c56df514531c";
    /// A stop was asked for: what is in flight is committed.
    STOPPING = "stopping", "01fb269b4fbe4009b0b531b5bb2f5d93";
    /// All is closed.
    STOPPED = "stopped", "2e3508cb1a7243a3b45ec8818175437e";
    /// The stop's deadline passed before all in flight was committed.
    NOT_DRAINED = "not_drained", "71c47cb446704c95a45f039cee675c48";
    /// The configuration was read again.
    RELOADED = "reloaded", "c9f0a2b67d7a4a0ba9b6c1a4e2f18d35";
    /// The configuration was not read again.
    NOT_RELOADED = "not_reloaded", "5d3c1f0e8b6e4f71a3d9207c64be1a98";
    /// A network met an error that does not pass by itself.
    NETWORK_STOPPED = "network_stopped", "f8618a10cad94dcf99abe7bcdeb8fd9c";
    /// A network met an error that may pass.
    NETWORK_RETRYING = "network_retrying", "82faca710ed74a3cbb7daaa96daa9c62";
    /// Sources are silent at the start.
    SOURCES_SILENT = "sources_silent", "a21e9dbad8114811a82bfb52c5de2757";
    /// A backfill job waits for an operator.
    BACKFILL_STOPPED = "backfill_stopped", "4fec00f5d7af4fe2bee1bf838ac21370";
    /// A backfill job has stored all it can.
    BACKFILL_FINISHED = "backfill_finished", "87137235de4d44da98ffdc9c56331d30";
    /// A backfill job left ledgers out.
    LEDGERS_PARKED = "ledgers_parked", "7aba781401f3484dbed2f7f6562e9fe1";
    /// The lake did not take a batch.
    NOT_COMMITTED = "not_committed", "c470c724f08f41acb4bd5ea9a013a69e";
    /// A file of the lake is missing or not what the catalog says.
    FILE_DAMAGED = "file_damaged", "e92c387bbd8143efbe96f851c0c04ddb";
    /// Maintenance failed.
    MAINTENANCE_FAILED = "maintenance_failed", "5f85b1a274a144749f5ad2984aa44365";
    /// Memory is short: caches shrink.
    MEMORY_PRESSURE = "memory_pressure", "3f1c7b52a0e94d0e8f6d2a57c98b41e6";
    /// A limit of the process is too small for the settings.
    LIMIT_LOW = "limit_low", "f9f3f29f1c494cf799c5ab438d24db6c";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const CATALOG: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/stellar-lake.catalog"));

    #[test]
    fn the_catalog_explains_each_event_and_nothing_else() {
        let explained: BTreeSet<&str> =
            CATALOG.lines().filter_map(|line| line.strip_prefix("-- ")).filter(|id| id.len() == 32).collect();
        let known: BTreeSet<&str> = ALL.iter().map(|event| event.message_id).collect();
        assert_eq!(explained, known);
        assert_eq!(known.len(), ALL.len());
        assert!(known.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
        assert_eq!(ALL.iter().map(|event| event.target).collect::<BTreeSet<_>>().len(), ALL.len());
    }
}
