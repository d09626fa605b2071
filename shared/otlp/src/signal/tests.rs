use super::*;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue as TheirKeyValue;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};

fn resource() -> Resource {
    Resource(vec![(
        "service.name".into(),
        Value::Text("access.token.core".into()),
    )])
}

fn text(attributes: &[TheirKeyValue], name: &str) -> String {
    let found = attributes
        .iter()
        .find(|attribute| attribute.key == name)
        .unwrap();
    let value = found.value.as_ref().unwrap().value.as_ref().unwrap();
    if let any_value::Value::StringValue(text) = value {
        return text.clone();
    }
    let any_value::Value::IntValue(number) = value else {
        panic!("{value:?}");
    };
    number.to_string()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn a_span_is_read_by_others_as_it_was_meant() {
    let trace = TraceId::parse("0af7651916cd43dd8448eb211c80319c").unwrap();
    let span = Span {
        trace,
        span: SpanId::from_bytes([1; 8]).unwrap(),
        parent: SpanId::from_bytes([2; 8]),
        name: ":666/mint".into(),
        kind: SpanKind::Server,
        start: at(100),
        took: Duration::from_secs(2),
        attributes: vec![("http.status_code".into(), Value::Integer(403))],
        failure: Some("no".to_owned()),
    };
    let bytes = encode_spans(&resource(), vec![span]);
    let read = ExportTraceServiceRequest::decode(&bytes[..]).unwrap();
    let of_resource = &read.resource_spans[0];
    let named = text(
        &of_resource.resource.as_ref().unwrap().attributes,
        "service.name",
    );
    assert_eq!(named, "access.token.core");
    let of_scope = &of_resource.scope_spans[0];
    assert_eq!(of_scope.scope.as_ref().unwrap().name, "microbus");
    let span = &of_scope.spans[0];
    assert_eq!(span.trace_id, trace.to_bytes());
    assert_eq!(
        (span.span_id.clone(), span.parent_span_id.clone()),
        (vec![1; 8], vec![2; 8])
    );
    assert_eq!((span.name.as_str(), span.kind), (":666/mint", 2));
    assert_eq!(span.start_time_unix_nano, 100_000_000_000);
    assert_eq!(span.end_time_unix_nano, 102_000_000_000);
    assert_eq!(text(&span.attributes, "http.status_code"), "403");
    let status = span.status.as_ref().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "no"));
    assert_eq!(span.events[0].name, "exception");
    assert_eq!(text(&span.events[0].attributes, "exception.message"), "no");
}

#[test]
fn a_line_of_the_log_is_read_by_others_as_it_was_meant() {
    let trace = TraceId::parse("0af7651916cd43dd8448eb211c80319c");
    let record = LogRecord {
        time: at(7),
        severity: Severity::Warn,
        body: "Refused to mint".to_owned(),
        attributes: vec![("caller".into(), Value::Text("a.example".into()))],
        trace,
    };
    let bytes = encode_logs(&resource(), vec![record]);
    let read = ExportLogsServiceRequest::decode(&bytes[..]).unwrap();
    let record = &read.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(
        (record.time_unix_nano, record.observed_time_unix_nano),
        (7_000_000_000, 7_000_000_000)
    );
    assert_eq!(
        (record.severity_number, record.severity_text.as_str()),
        (13, "WARN")
    );
    let body = record.body.as_ref().unwrap().value.as_ref().unwrap();
    assert_eq!(
        *body,
        any_value::Value::StringValue("Refused to mint".to_owned())
    );
    assert_eq!(text(&record.attributes, "caller"), "a.example");
    assert_eq!(record.trace_id, trace.unwrap().to_bytes());
}

#[test]
fn metrics_are_read_by_others_as_they_were_meant() {
    let one = |name: &str, kind, reading| Metric {
        name: name.to_owned(),
        description: String::new(),
        kind,
        series: vec![Series {
            attributes: vec![("caller".into(), Value::Text("a".into()))],
            reading,
        }],
    };
    let distribution = Reading::Distribution {
        count: 6,
        sum: 9.5,
        buckets: vec![(1.0, 2), (2.0, 5)],
    };
    let readings = Readings {
        since: at(1),
        at: at(2),
        metrics: vec![
            one("counted", MetricKind::Counter, Reading::Number(3.0)),
            one("measured", MetricKind::Gauge, Reading::Number(-1.0)),
            one("distributed", MetricKind::Histogram, distribution),
        ],
    };
    let bytes = encode_metrics(&resource(), readings);
    let read = ExportMetricsServiceRequest::decode(&bytes[..]).unwrap();
    let metrics = &read.resource_metrics[0].scope_metrics[0].metrics;
    let metric::Data::Sum(sum) = metrics[0].data.as_ref().unwrap() else {
        panic!("{:?}", metrics[0]);
    };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
    let point = &sum.data_points[0];
    assert_eq!(point.value, Some(number_data_point::Value::AsDouble(3.0)));
    assert_eq!(
        (point.start_time_unix_nano, point.time_unix_nano),
        (1_000_000_000, 2_000_000_000)
    );
    assert_eq!(text(&point.attributes, "caller"), "a");
    let metric::Data::Gauge(gauge) = metrics[1].data.as_ref().unwrap() else {
        panic!("{:?}", metrics[1]);
    };
    let value = number_data_point::Value::AsDouble(-1.0);
    assert_eq!(gauge.data_points[0].value, Some(value));
    let metric::Data::Histogram(histogram) = metrics[2].data.as_ref().unwrap() else {
        panic!("{:?}", metrics[2]);
    };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum), (6, Some(9.5)));
    assert_eq!(point.explicit_bounds, [1.0, 2.0]);
    assert_eq!(point.bucket_counts, [2, 3, 1]);
}
