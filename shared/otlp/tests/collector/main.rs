//! What becomes of spans, lines and metrics before collectors of all kinds: good ones by HTTP, by gRPC and over TLS, one that is
//! away, one that is slow, and ones that answer garbage.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, in its helpers too, and waits by the real clock"
)]

mod grpc;
mod http;
mod tls;

use microbus_otlp::{
    Exporter, LogRecord, Metric, MetricKind, Outcome, Parts, Reading, Readings, Resource, Series,
    Settings, Severity, Span, SpanKind, Spans, Value,
};
use microbus_wire::{SpanId, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(20);

fn start(variables: &[(&str, &str)], spans: Spans) -> Exporter {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let settings = Settings::read(|name| variables.get(name).copied()).unwrap();
    let readings = || {
        Some(Readings {
            since: UNIX_EPOCH,
            at: UNIX_EPOCH,
            metrics: vec![Metric {
                name: "microbus_token_minted".to_owned(),
                description: String::new(),
                kind: MetricKind::Counter,
                series: vec![Series {
                    attributes: vec![],
                    reading: Reading::Number(3.0),
                }],
            }],
        })
    };
    let parts = Parts {
        resource: Resource(vec![("service.name".into(), Value::Text("test".into()))]),
        spans,
        readings: Box::new(readings),
        metric_interval: Duration::from_secs(3600),
    };
    Exporter::start(&settings, parts).unwrap()
}

/// Has `serve` serve each connection to a port of its own, one after the other, on a thread of its own.
fn listen(serve: impl AsyncFn(TcpStream) + Send + 'static) -> SocketAddr {
    let (told, address) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream).await;
            }
        });
    });
    address.recv_timeout(PATIENCE).unwrap()
}

fn span(trace: u8, name: &'static str) -> Span {
    Span {
        trace: TraceId::from_bytes([trace; 16]).unwrap(),
        span: SpanId::from_bytes([9; 8]).unwrap(),
        parent: None,
        name: name.into(),
        kind: SpanKind::Server,
        start: UNIX_EPOCH,
        took: Duration::from_millis(3),
        attributes: vec![],
        failure: None,
    }
}

fn line(body: &str) -> LogRecord {
    LogRecord {
        time: UNIX_EPOCH,
        severity: Severity::Info,
        body: body.to_owned(),
        attributes: vec![],
        trace: None,
    }
}

fn names(body: &[u8]) -> Vec<String> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let spans = request.resource_spans.into_iter();
    spans
        .flat_map(|of_resource| of_resource.scope_spans)
        .flat_map(|of_scope| of_scope.spans)
        .map(|span| span.name)
        .collect()
}

fn outcome(exporter: &Exporter) -> Outcome {
    exporter.outcomes()[0]
}

fn until(exporter: &Exporter, enough: impl Fn(Outcome) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !enough(outcome(exporter)) {
        assert!(Instant::now() < end, "{:?}", outcome(exporter));
        std::thread::yield_now();
    }
}
