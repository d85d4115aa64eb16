//! The metrics by OTLP over gRPC. The SDK's own thread asks for the figures and sends them: a collector that hangs or is gone
//! holds up that thread and nothing else.

use std::{
    env, fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{Meter, MeterProvider},
};
use opentelemetry_otlp::{MetricExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{SdkMeterProvider, Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
};

use super::{
    FiguresSource, Recent,
    list::{Kind, LIST, Metric, Value},
};
use crate::lake::{BOUNDS, WriteQueue};

/// The standard variables that name a collector (OpenTelemetry, "OTLP Exporter Configuration").
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// Longest wait for the last export.
const LAST: Duration = Duration::from_secs(3);

/// The exporter cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("telemetry.otlp: {0}")]
pub struct OtlpError(String);

/// What sends the metrics.
pub struct Exporter {
    provider: SdkMeterProvider,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

impl Exporter {
    /// Begins to send; `None` when neither `endpoint` nor a standard variable names a collector. The other standard variables
    /// count too: `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_EXPORTER_OTLP_HEADERS`,
    /// `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`. To be called in a runtime.
    ///
    /// # Errors
    /// An endpoint that is not one.
    pub fn start(
        endpoint: Option<&str>,
        source: Arc<dyn FiguresSource>,
        queue: &WriteQueue,
    ) -> Result<Option<Self>, OtlpError> {
        let is = |name: &str, value: &str| env::var(name).is_ok_and(|is| is.eq_ignore_ascii_case(value));
        let named = ENDPOINTS.iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()));
        if is("OTEL_SDK_DISABLED", "true")
            || is("OTEL_METRICS_EXPORTER", "none")
            || (endpoint.is_none() && !named)
        {
            return Ok(None);
        }
        let mut builder = MetricExporter::builder().with_tonic();
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let exporter = builder.build().map_err(|error| OtlpError(error.to_string()))?;
        let provider = SdkMeterProvider::builder()
            .with_resource(resource())
            .with_periodic_exporter(Told { exporter, failing: AtomicBool::new(false) })
            .build();
        let meter = provider.meter("stellar-lake");
        let recent = Arc::new(Recent::new(source));
        LIST.iter().for_each(|metric| observe(&meter, metric, &recent));
        let histogram = |name: &str| {
            let metric = LIST.iter().find(|metric| metric.name == name);
            let builder = metric.map(|metric| meter.f64_histogram(metric.name).with_description(metric.help));
            builder.map(|builder| builder.with_unit("s").with_boundaries(BOUNDS.to_vec()).build())
        };
        let (wait, commit) = (histogram(WAIT), histogram(COMMIT));
        queue.observe(Box::new(move |waited, took| {
            wait.iter().for_each(|wait| wait.record(waited.as_secs_f64(), &[]));
            commit.iter().zip(took).for_each(|(commit, took)| commit.record(took.as_secs_f64(), &[]));
        }));
        Ok(Some(Self { provider }))
    }

    /// Sends a last time, at most for some seconds; blocks.
    pub fn stop(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(LAST) {
            tracing::debug!(error = %error, "the last metrics were not sent");
        }
    }
}

/// The histograms of the list: each measurement is handed over, as the SDK wants it.
const WAIT: &str = "lake_queue_wait_seconds";
const COMMIT: &str = "lake_commit_seconds";

/// Who sends. What the standard variables say comes first.
fn resource() -> Resource {
    let named = env::var_os("OTEL_SERVICE_NAME").is_some()
        || env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|all| all.contains("service.name="));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    if named { builder.build() } else { builder.with_service_name("stellar-lake").build() }
}

/// Shows a counter or a gauge whenever the SDK asks.
fn observe(meter: &Meter, metric: &'static Metric, recent: &Arc<Recent>) {
    let recent = Arc::clone(recent);
    let samples = move || {
        let samples = metric.samples(&recent.get()).into_iter();
        samples
            .filter_map(|sample| {
                let labels = metric.labels.iter().zip(sample.labels);
                let labels: Vec<KeyValue> = labels.map(|(name, value)| KeyValue::new(*name, value)).collect();
                match sample.value {
                    Value::Number(value) => Some((value, labels)),
                    Value::Times(_) => None,
                }
            })
            .collect::<Vec<_>>()
    };
    let name = metric.otel_name();
    match metric.kind {
        Kind::Counter => {
            meter
                .f64_observable_counter(name)
                .with_description(metric.help)
                .with_unit(metric.unit)
                .with_callback(move |to| {
                    samples().iter().for_each(|(value, labels)| to.observe(*value, labels))
                })
                .build();
        }
        Kind::Gauge => {
            meter
                .f64_observable_gauge(name)
                .with_description(metric.help)
                .with_unit(metric.unit)
                .with_callback(move |to| {
                    samples().iter().for_each(|(value, labels)| to.observe(*value, labels))
                })
                .build();
        }
        Kind::Histogram => {}
    }
}

/// An exporter that says once when a collector does not take the metrics, and once when it does again.
struct Told {
    exporter: MetricExporter,
    failing: AtomicBool,
}

impl PushMetricExporter for Told {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Err(error) if !was_failing => {
                tracing::warn!(error = %error, "the collector does not take the metrics, they are sent again and again: {error}");
            }
            Ok(()) if was_failing => tracing::info!("the collector takes the metrics again"),
            Err(_) | Ok(()) => {}
        }
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
