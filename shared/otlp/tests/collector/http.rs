//! Collectors that speak HTTP/1.1, more or less.

use crate::{PATIENCE, line, names, outcome, span, start, until};
use microbus_otlp::Spans;
use microbus_wire::TraceId;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// One request as a collector of these tests sees it.
struct Heard {
    head: String,
    body: Vec<u8>,
}

/// Serves HTTP/1.1 by hand; each connection gets `answer` to each of its requests.
fn collector(answer: &'static [u8]) -> (String, Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heard, hearing) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (heard, mut stream) = (heard.clone(), stream.unwrap());
            std::thread::spawn(move || {
                while let Some(request) = read(&mut stream) {
                    let told = heard.send(request).is_ok();
                    if !told || stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, hearing)
}

fn read(stream: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let lower = head.to_lowercase();
    let length = lower.split("content-length: ").nth(1)?.lines().next()?;
    let mut body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    Some(Heard { head, body })
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn all_signals_arrive_by_http_with_the_operators_headers_at_the_paths_as_written() {
    let (address, heard) = collector(OK);
    let exporter = start(
        &[
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                &format!("http://{address}/as/written"),
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                &format!("http://{address}/v1/traces"),
            ),
            (
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
                &format!("http://{address}/v1/logs?a=b"),
            ),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret"),
        ],
        Spans::All,
    );
    exporter.span(span(1, ":666/mint"));
    exporter.log(line("Startup"));
    assert!(exporter.finish(PATIENCE));
    let mut bodies = BTreeMap::new();
    for _ in 0..3 {
        let request = heard.recv_timeout(PATIENCE).unwrap();
        let head = request.head.to_lowercase();
        assert!(head.contains("content-type: application/x-protobuf\r\n"));
        assert!(head.contains("api-key: secret\r\n"));
        assert!(head.contains(&format!("host: {address}\r\n")));
        let line = request.head.lines().next().unwrap().to_owned();
        bodies.insert(line, request.body);
    }
    let traces = &bodies["POST /v1/traces HTTP/1.1"];
    assert_eq!(names(traces), [":666/mint"]);
    let logs = &bodies["POST /v1/logs?a=b HTTP/1.1"][..];
    let logs = ExportLogsServiceRequest::decode(logs).unwrap();
    let record = &logs.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(record.severity_text, "INFO");
    let metrics = &bodies["POST /as/written HTTP/1.1"][..];
    let metrics = ExportMetricsServiceRequest::decode(metrics).unwrap();
    let metric = &metrics.resource_metrics[0].scope_metrics[0].metrics[0];
    assert_eq!(metric.name, "microbus_token_minted");
    for outcome in exporter.outcomes() {
        assert_eq!(
            (outcome.exported, outcome.dropped, outcome.failing),
            (1, 0, false)
        );
    }
}

#[test]
fn of_traces_that_nobody_selects_nothing_is_exported() {
    let (address, heard) = collector(OK);
    let endpoint = format!("http://{address}");
    let exporter = start(
        &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)],
        Spans::OfSelectedTraces,
    );
    exporter.span(span(1, "before"));
    exporter.span(span(2, "never"));
    let trace = TraceId::from_bytes([1; 16]).unwrap();
    let now = Instant::now();
    assert!(exporter.select(trace, now) && !exporter.select(trace, now));
    exporter.span(span(1, "after"));
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(names(&heard.recv_timeout(PATIENCE).unwrap().body));
    }
    seen.sort_unstable();
    assert_eq!(seen, ["after", "before"]);
    assert!(exporter.finish(PATIENCE));
    assert_eq!(outcome(&exporter).exported, 2);
}

#[test]
fn a_collector_that_is_away_costs_what_was_to_be_exported_and_nothing_else() {
    let address = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    let endpoint = format!("http://{address}");
    let exporter = start(
        &[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &endpoint)],
        Spans::All,
    );
    for _ in 0..3 {
        exporter.log(line("lost"));
    }
    until(&exporter, |outcome| outcome.dropped == 3 && outcome.failing);
    let began = Instant::now();
    exporter.log(line("lost at the end"));
    assert!(exporter.finish(PATIENCE));
    assert!(began.elapsed() < PATIENCE / 2);
    assert_eq!(outcome(&exporter).dropped, 4);
}

#[test]
fn a_collector_that_comes_back_gets_what_comes_after() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = format!("http://{address}");
    let exporter = start(
        &[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &endpoint)],
        Spans::All,
    );
    exporter.log(line("first"));
    let (mut first, _) = listener.accept().unwrap();
    assert!(read(&mut first).is_some());
    first.write_all(OK).unwrap();
    until(&exporter, |outcome| outcome.exported == 1);
    // The connection breaks between two exports: the next one opens another.
    drop(first);
    exporter.log(line("second"));
    let (mut second, _) = listener.accept().unwrap();
    assert!(read(&mut second).is_some());
    second.write_all(OK).unwrap();
    until(&exporter, |outcome| {
        outcome.exported == 2 && !outcome.failing
    });
}

#[test]
fn a_collector_that_never_answers_delays_nobody_and_what_there_is_no_room_for_is_counted() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let exporter = start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)], Spans::All);
    let began = Instant::now();
    for _ in 0..100_000 {
        exporter.span(span(1, "many"));
    }
    assert!(
        outcome(&exporter).dropped > 50_000,
        "{:?}",
        outcome(&exporter)
    );
    assert!(!exporter.finish(Duration::from_millis(100)));
    assert!(began.elapsed() < PATIENCE);
}

#[test]
fn an_answer_that_is_none_is_a_failure_and_ends_nothing() {
    for (answer, fails) in [
        (
            &b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"[..],
            true,
        ),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", true),
        (b"\x00\x01\x02 no HTTP at all\r\n\r\n", true),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            true,
        ),
        // Partial success: one was rejected.
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\x0a\x02\x08\x01",
            true,
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nokay", false),
    ] {
        let (address, heard) = collector(answer);
        let endpoint = format!("http://{address}");
        let exporter = start(
            &[
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
            ],
            Spans::All,
        );
        exporter.span(span(1, "once"));
        until(&exporter, |outcome| outcome.exported + outcome.dropped == 1);
        assert_eq!(
            outcome(&exporter).failing,
            fails,
            "{}",
            String::from_utf8_lossy(answer)
        );
        exporter.span(span(1, "twice"));
        until(&exporter, |outcome| outcome.exported + outcome.dropped == 2);
        assert!(heard.try_iter().count() >= 2);
    }
}
