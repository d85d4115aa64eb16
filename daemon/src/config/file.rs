//! What a YAML file may say: every field optional, no unknown key. Docs of the fields stand in
//! `config/stellar-lake.yaml`, which is also the built-in layer.

use serde::{Deserialize, Serialize};

use super::value::{DurationText, SizeText, StartText};

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize, Serialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $(#[serde(default, skip_serializing_if = "Option::is_none")] pub $field: Option<$type>),*
        }
    };
}

section!(
    /// A whole file.
    ConfigFile {
        lake: LakeFile,
        networks: Vec<NetworkFile>,
        stamps: StampsFile,
        batch: BatchFile,
        pipeline: PipelineFile,
        backfill: BackfillFile,
        queue: QueueFile,
        maintenance: MaintenanceFile,
        control: ControlFile,
        query: QueryFile,
        metrics: MetricsFile,
        telemetry: TelemetryFile,
        log: LogFile,
        shutdown_timeout: DurationText,
    }
);
section!(LakeFile { path: String, extension_dir: String, compression_level: i32, raw_xdr: bool });
section!(StampsFile { era_id: String, version_label: String });
section!(BatchFile { max_ledgers: u32, max_bytes: SizeText, max_age: DurationText });
section!(PipelineFile { workers: usize, memory: SizeText });
section!(BackfillFile { memory: SizeText, chunk_size: SizeText, prices: PricesFile });
section!(PricesFile { per_thousand_requests: f64, per_gigabyte: f64 });
section!(QueueFile { capacity: usize });
section!(MaintenanceFile {
    enabled: bool,
    interval: DurationText,
    merge_after_files: usize,
    merge_after_commits: u64,
    target_file_size: SizeText,
    max_live_files: usize,
    wal_checkpoint_interval: DurationText,
    expire_snapshots_older_than: DurationText,
    cleanup_files_older_than: DurationText,
});
section!(ControlFile { socket: String });
section!(QueryFile {
    memory_limit: SizeText,
    threads: u32,
    timeout: DurationText,
    max_rows: u64,
    max_concurrent: usize
});
section!(MetricsFile { listen: String });
section!(TelemetryFile { otlp: String });
section!(LogFile { level: String, format: String });
section!(NetworkFile {
    name: String,
    passphrase: String,
    source: SourceFile,
    history: SourceFile,
    live: bool,
    start: StartText,
    end: u32
});
section!(
    /// A map with one key: the kind of source.
    SourceFile { filesystem: FilesystemFile, simulated: SimulatedFile, replay: ReplayFile }
);
section!(FilesystemFile { path: String, timeout: DurationText, latency: DurationText, bandwidth: SizeText });
section!(SimulatedFile { density: String, seed: u64, first_ledger: u32, ledgers_per_second: f64 });
section!(ReplayFile { path: String, ledgers_per_second: f64 });
