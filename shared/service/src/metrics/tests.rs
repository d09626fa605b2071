use super::*;
use crate::fixture;
use crate::service::{KeyReport, KeySlot, KeyState};
use microbus_bus::{
    Acknowledge, Answer, Answered, Delivery, Handling, Incoming, Observer as _, Reply, Route,
    Scope, Urgency,
};
use microbus_otlp::Signal;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Method;
use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

/// The labels of the process, in two parts: own labels of a series stand between them in the order of the alphabet.
const COMMON: &str = "deployment=\"PROD\",id=\"id-abcdefghij\",otel_scope_name=\"microbus\",\
    otel_scope_schema_url=\"\",otel_scope_version=\"\",plane=\"microbus\",service=\"access.token.core\",ver=\"4\"";

fn text(metrics: &Metrics, keys: &KeyReport) -> String {
    let reading = Reading {
        uptime: Duration::from_secs(2),
        wall: UNIX_EPOCH + Duration::from_secs(1000),
        ready: true,
        link: Link {
            connected: true,
            permission_violations: 7,
            ..Link::default()
        },
        overload_refusals: 3,
        keys,
        telemetry: vec![Outcome {
            signal: Signal::Logs,
            exported: 5,
            dropped: 2,
            failing: true,
        }],
    };
    metrics.read(&reading);
    metrics.text().unwrap()
}

fn mint_route() -> Route {
    Route {
        name: "Mint",
        scope: Scope::Own,
        port: 666,
        method: None,
        path: "/mint",
        delivery: Delivery::One,
        urgency: Urgency::Sheddable,
        acknowledge: Acknowledge::AtOnce,
        handler: Arc::new(|_: Incoming| Handling::Done(Answer::Ok(Reply::empty(200)))),
    }
}

#[test]
fn every_series_carries_the_peers_labels() {
    let metrics = fixture::metrics();
    metrics.invalid_configuration.inc();
    let text = text(&metrics, &KeyReport::default());
    for line in [
        format!("microbus_uptime_duration_seconds{{{COMMON}}} 2"),
        format!("microbus_cache_elements{{{COMMON}}} 0"),
        format!("microbus_token_invalid_configuration_total{{{COMMON}}} 1"),
        format!("microbus_token_permission_violations_total{{{COMMON}}} 7"),
        format!("microbus_token_overload_refusals_total{{{COMMON}}} 3"),
    ] {
        assert!(text.contains(&line), "{line} not in\n{text}");
    }
    for (name, value) in [("exported_total", 5), ("dropped_total", 2), ("failing", 1)] {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("microbus_token_telemetry_{name}{{")));
        let line = line.unwrap();
        assert!(
            line.contains("signal=\"logs\"") && line.ends_with(&format!(" {value}")),
            "{line}"
        );
    }
    assert!(
        text.contains("target_info{deployment_environment_name=\"PROD\""),
        "{text}"
    );
}

/// Names, label names and bucket bounds of the series in `text`, by metric.
fn shapes(text: &str) -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let mut shapes: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once('{') else {
            continue;
        };
        let labels = rest.rsplit_once('}').unwrap().0;
        let (mut names, mut bound) = (Vec::new(), None);
        for label in labels.split("\",") {
            let (name, value) = label.split_once("=\"").unwrap();
            if name == "le" {
                bound = Some(value.trim_end_matches('"').to_owned());
            } else {
                names.push(name.to_owned());
            }
        }
        let shape = shapes.entry(name.to_owned()).or_default();
        shape.0 = names;
        if let Some(bound) = bound.filter(|bound| !shape.1.contains(bound)) {
            shape.1.push(bound);
        }
    }
    shapes
}

#[test]
fn the_peers_metrics_have_the_recorded_names_labels_and_buckets() {
    let metrics = fixture::metrics();
    for (method, status, failed) in [(Method::Post, 200, false), (Method::Post, 408, true)] {
        metrics.traffic.answered(&Answered {
            route: &mint_route(),
            method,
            status,
            failed,
            body_length: 372,
            took: Duration::from_micros(300),
            traced: None,
            error: None,
        });
    }
    metrics
        .traffic
        .acked("configurator.core", "888", Duration::from_millis(1));
    metrics.traffic.gave_up(ErrorStatus::NOT_FOUND);
    metrics.callback(Callback::Startup, Duration::from_millis(130), false);
    let subscriber = {
        use tracing_subscriber::layer::SubscriberExt as _;
        tracing_subscriber::registry().with(metrics.messages.clone())
    };
    tracing::subscriber::with_default(subscriber, || tracing::info!("Startup"));
    let text = text(&metrics, &KeyReport::default());
    let ours = shapes(&text);
    let recorded = shapes(include_str!("../../testdata/metrics-access.token.core.txt"));
    assert!(recorded.len() > 10, "{recorded:?}");
    for (name, shape) in &recorded {
        assert_eq!(ours.get(name), Some(shape), "{name}");
    }
    let line = "microbus_server_request_duration_seconds_count{canonical=\"access.token.core:666/mint\",code=\"200\",\
        deployment=\"PROD\",error=\"OK\",id=\"id-abcdefghij\",method=\"POST\",name=\"Mint\"";
    assert!(text.contains(line), "{text}");
    assert!(
        text.contains(&format!(
            "microbus_token_budget_exhausted_total{{{COMMON}}} 1"
        )),
        "{text}"
    );
}

#[test]
fn keys_are_shown_with_times_and_those_that_are_gone_are_not() {
    let metrics = fixture::metrics();
    let mut report = KeyReport {
        own: vec![KeyState {
            kid: "NHUPmL1Z_Pw".to_owned(),
            state: KeySlot::Signs,
            is_published: false,
            age: Some(Duration::from_secs(400)),
            left: None,
        }],
        foreign: 2,
        replicas: 1,
        next_rotation: Some(Duration::from_secs(60)),
        overdue: Duration::ZERO,
    };
    let shown = text(&metrics, &report);
    for part in [
        "microbus_token_key_since_timestamp_seconds{deployment=\"PROD\",id=\"id-abcdefghij\",kid=\"NHUPmL1Z_Pw\"",
        "state=\"signs\",ver=\"4\"} 600\n",
        "state=\"foreign\",ver=\"4\"} 2\n",
        "state=\"own\",ver=\"4\"} 0\n",
        &format!("microbus_token_next_rotation_timestamp_seconds{{{COMMON}}} 1060\n"),
    ] {
        assert!(shown.contains(part), "{part} not in\n{shown}");
    }
    report.next_rotation = Some(Duration::ZERO);
    report.overdue = Duration::from_secs(700);
    let overdue = format!("microbus_token_next_rotation_timestamp_seconds{{{COMMON}}} 300\n");
    let shown = text(&metrics, &report);
    assert!(shown.contains(&overdue), "{shown}");
    report.own.clear();
    assert!(!text(&metrics, &report).contains("NHUPmL1Z_Pw"));
}

#[test]
fn each_reason_to_refuse_an_actor_is_there_before_its_first_event() {
    let shown = text(&fixture::metrics(), &KeyReport::default());
    let is_zero = |line: &&str| {
        line.starts_with("microbus_token_verify_failures_total{") && line.ends_with(" 0")
    };
    assert_eq!(shown.lines().filter(is_zero).count(), REASONS.len());
}

#[test]
fn an_exchange_that_does_not_even_reach_ourselves_has_failed() {
    for (answers, heard_another, expected) in [
        (Some(2), true, "ok"),
        (Some(1), false, "alone"),
        (Some(0), false, "failed"),
        (None, false, "failed"),
    ] {
        let metrics = fixture::metrics();
        metrics.exchanged(answers, heard_another);
        assert_eq!(metrics.exchanges.with_label_values(&[expected]).get(), 1);
    }
}

#[test]
fn hosts_beyond_a_limit_are_counted_as_other() {
    let metrics = fixture::metrics();
    for number in 0..70 {
        metrics
            .traffic
            .acked(&format!("host{number}.example"), "888", Duration::ZERO);
    }
    let text = text(&metrics, &KeyReport::default());
    assert!(text.contains("host=\"host63.example\"") && !text.contains("host=\"host64.example\""));
    assert!(text.contains("host=\"other\""));
}
