//! What is exported: spans, log records and metrics, and how each is written.

use crate::message::{self, Any, AnyValue, Export, KeyValue, OfResource, OfScope, Scope};
use microbus_wire::trace_context::{SpanId, TraceId};
use prost::Message;
use std::borrow::Cow;
use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Names and values that describe something.
pub type Attributes = Vec<(Cow<'static, str>, Value)>;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text.
    Text(Cow<'static, str>),
    /// A whole number.
    Integer(i64),
    /// Any number.
    Number(f64),
    /// Yes or no.
    Switch(bool),
}

/// What something took, as part of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The trace that it belongs to.
    pub trace: TraceId,
    /// Its identity.
    pub span: SpanId,
    /// The span within which it happened.
    pub parent: Option<SpanId>,
    /// What happened.
    pub name: Cow<'static, str>,
    /// On whose behalf.
    pub kind: SpanKind,
    /// When it began.
    pub start: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// What else there is to say.
    pub attributes: Attributes,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// On whose behalf something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Our own.
    Internal,
    /// Whoever sent the request that was handled.
    Server,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// When it was written.
    pub time: SystemTime,
    /// How bad it is.
    pub severity: Severity,
    /// What happened.
    pub body: String,
    /// What else there is to say.
    pub attributes: Attributes,
    /// The trace that it belongs to.
    pub trace: Option<TraceId>,
}

/// How bad a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// For who looks for a fault.
    Debug,
    /// Good to know.
    Info,
    /// Worth a look.
    Warn,
    /// Something does not work.
    Error,
}

/// A metric with all its series.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// What it counts or measures.
    pub description: String,
    /// What it is.
    pub kind: MetricKind,
    /// Its series.
    pub series: Vec<Series>,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts by size.
    Histogram,
}

/// One series of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What tells it from the others.
    pub attributes: Attributes,
    /// What it says now.
    pub reading: Reading,
}

/// What a series says.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// A number.
    Number(f64),
    /// How many were how large.
    Distribution {
        /// How many in all.
        count: u64,
        /// All of them together.
        sum: f64,
        /// Upper bounds, and how many are below each, those below lower bounds included.
        buckets: Vec<(f64, u64)>,
    },
}

/// All readings of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Readings {
    /// When counting began.
    pub since: SystemTime,
    /// When they were taken.
    pub at: SystemTime,
    /// The metrics.
    pub metrics: Vec<Metric>,
}

/// Who speaks, as the collector sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource(pub Attributes);

/// Encodes a request to export spans.
pub(crate) fn encode_spans(resource: &Resource, spans: Vec<Span>) -> Vec<u8> {
    encode(resource, spans.into_iter().map(span).collect())
}

/// Encodes a request to export lines of the log.
pub(crate) fn encode_logs(resource: &Resource, records: Vec<LogRecord>) -> Vec<u8> {
    encode(resource, records.into_iter().map(log_record).collect())
}

/// Encodes a request to export metrics.
pub(crate) fn encode_metrics(resource: &Resource, readings: Readings) -> Vec<u8> {
    let (since, at) = (nanoseconds(readings.since), nanoseconds(readings.at));
    let metrics = readings.metrics.into_iter();
    encode(
        resource,
        metrics.map(|one| metric(one, since, at)).collect(),
    )
}

fn encode<T: Message + Default + Debug>(resource: &Resource, items: Vec<T>) -> Vec<u8> {
    let export = Export {
        of_resources: vec![OfResource {
            resource: Some(message::Resource {
                attributes: attributes(resource.0.clone()),
            }),
            of_scopes: vec![OfScope {
                scope: Some(Scope {
                    name: SCOPE.to_owned(),
                }),
                items,
            }],
        }],
    };
    export.encode_to_vec()
}

fn span(span: Span) -> message::Span {
    let end = span.start.checked_add(span.took).unwrap_or(span.start);
    let (code, events) = match &span.failure {
        None => (OK, Vec::new()),
        Some(text) => (ERROR, vec![exception(end, text)]),
    };
    message::Span {
        trace_id: span.trace.to_bytes().to_vec(),
        span_id: span.span.to_bytes().to_vec(),
        parent_span_id: span
            .parent
            .map(|id| id.to_bytes().to_vec())
            .unwrap_or_default(),
        name: span.name.into_owned(),
        kind: match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
        },
        start: nanoseconds(span.start),
        end: nanoseconds(end),
        attributes: attributes(span.attributes),
        events,
        status: Some(message::Status {
            message: span.failure.unwrap_or_default(),
            code,
        }),
    }
}

/// An error as the conventions of OpenTelemetry want it told. There is no stack to tell: it would name our code.
fn exception(at: SystemTime, text: &str) -> message::Event {
    let text = Value::Text(Cow::Owned(text.to_owned()));
    message::Event {
        time: nanoseconds(at),
        name: "exception".to_owned(),
        attributes: attributes(vec![("exception.message".into(), text)]),
    }
}

fn log_record(record: LogRecord) -> message::LogRecord {
    let (severity, text) = match record.severity {
        Severity::Debug => (5, "DEBUG"),
        Severity::Info => (9, "INFO"),
        Severity::Warn => (13, "WARN"),
        Severity::Error => (17, "ERROR"),
    };
    let time = nanoseconds(record.time);
    message::LogRecord {
        time,
        severity,
        severity_text: text.to_owned(),
        body: Some(any(Value::Text(record.body.into()))),
        attributes: attributes(record.attributes),
        trace_id: record
            .trace
            .map(|id| id.to_bytes().to_vec())
            .unwrap_or_default(),
        observed: time,
    }
}

fn metric(metric: Metric, start: u64, time: u64) -> message::Metric {
    let (mut numbers, mut distributions) = (Vec::new(), Vec::new());
    for series in metric.series {
        let attributes = attributes(series.attributes);
        match series.reading {
            Reading::Number(value) => numbers.push(message::NumberPoint {
                start,
                time,
                value: Some(value),
                attributes,
            }),
            Reading::Distribution {
                count,
                sum,
                buckets,
            } => distributions.push(message::HistogramPoint {
                start,
                time,
                count,
                sum: Some(sum),
                counts: apart(&buckets, count),
                bounds: buckets.iter().map(|(bound, _)| *bound).collect(),
                attributes,
            }),
        }
    }
    let data = match metric.kind {
        MetricKind::Counter => message::Data::Sum(message::Sum {
            points: numbers,
            temporality: CUMULATIVE,
            is_monotonic: true,
        }),
        MetricKind::Gauge => message::Data::Gauge(message::Gauge { points: numbers }),
        MetricKind::Histogram => message::Data::Histogram(message::Histogram {
            points: distributions,
            temporality: CUMULATIVE,
        }),
    };
    message::Metric {
        name: metric.name,
        description: metric.description,
        data: Some(data),
    }
}

/// Returns how many are in each bucket alone, and last how many are above all bounds.
fn apart(buckets: &[(f64, u64)], count: u64) -> Vec<u64> {
    let below = buckets.iter().map(|(_, below)| *below);
    let lower = std::iter::once(0).chain(below.clone());
    below
        .chain([count])
        .zip(lower)
        .map(|(upper, lower)| upper.saturating_sub(lower))
        .collect()
}

fn attributes(attributes: Attributes) -> Vec<KeyValue> {
    attributes
        .into_iter()
        .map(|(key, value)| KeyValue {
            key: key.into_owned(),
            value: Some(any(value)),
        })
        .collect()
}

fn any(value: Value) -> AnyValue {
    let value = match value {
        Value::Text(text) => Any::Text(text.into_owned()),
        Value::Integer(number) => Any::Integer(number),
        Value::Number(number) => Any::Number(number),
        Value::Switch(switch) => Any::Switch(switch),
    };
    AnyValue { value: Some(value) }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The scope that the Go services name.
const SCOPE: &str = "microbus";
/// Codes of a span's status.
const OK: i32 = 1;
const ERROR: i32 = 2;
/// Counters tell what happened since the start of the process.
const CUMULATIVE: i32 = 2;

#[cfg(test)]
mod tests;
