//! Traces, metrics and logs to an OpenTelemetry collector, by OTLP.
//!
//! It promises
//! - that whoever hands a span or a line over never waits: what there is no room for is dropped and counted;
//! - that a collector that is away, slow, or answers garbage costs what was to be exported, and nothing else;
//! - to read the variables of OpenTelemetry as the Go services do.
//!
//! It refuses to know what the spans are of. One thread of its own does everything.
//!
//! ```
//! use microbus_otlp::{Exporter, Parts, Resource, Settings, Spans};
//! use std::time::Duration;
//!
//! let variable = |name: &str| match name {
//!     "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" => Some("http://127.0.0.1:4318/v1/traces"),
//!     _ => None,
//! };
//! let settings = Settings::read(variable).map_err(|problems| problems.join("\n"))?;
//! let parts = Parts {
//!     resource: Resource(vec![]),
//!     spans: Spans::All,
//!     readings: Box::new(|| None),
//!     metric_interval: Duration::from_secs(60),
//! };
//! let exporter = Exporter::start(&settings, parts)?;
//! assert!(exporter.takes_spans() && !exporter.takes_logs());
//! assert!(exporter.finish(Duration::from_secs(10)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buffer;
mod exporter;
#[cfg(test)]
mod fixture;
mod message;
mod outcome;
mod selection;
mod settings;
mod signal;
mod tls;
mod transport;
mod work;

pub use exporter::{Exporter, Parts, Spans, StartError};
pub use outcome::Outcome;
pub use settings::{Settings, Signal, Target};
pub use signal::{
    Attributes, LogRecord, Metric, MetricKind, Reading, Readings, Resource, Series, Severity, Span,
    SpanKind, Value,
};
pub use tls::TlsError;
