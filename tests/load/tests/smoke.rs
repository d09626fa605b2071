//! The generator, for a moment, against the real issuer and the floors on a real nats-server.

use serde_json::Value;
use std::process::Command;

#[test]
fn requests_are_answered_without_errors_and_the_report_has_the_plots() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.html");
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["--only", "access-mint,jwks", "--claims", "200"])
        .args(["--callers", "1,8", "--pairs", "1", "--seconds", "0.1"])
        .args(["--startup", "--json", "--report"])
        .arg(&report)
        .output()
        .unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");

    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let measurements = results["measurements"].as_array().unwrap();
    assert_eq!(
        measurements.len(),
        4,
        "two workloads, each with 1 and 8 in flight"
    );
    for measurement in measurements {
        let lines = measurement["lines"].as_array().unwrap();
        let floors = if measurement["operation"] == "jwks" {
            1
        } else {
            2
        };
        assert_eq!(lines.len(), 2 + floors, "ours, with and without acks");
        assert_eq!(measurement["ratios"].as_array().unwrap().len(), 2 * floors);
        for line in lines {
            assert_eq!(line["errors"], serde_json::json!({}), "{line}\n{progress}");
            for number in [
                "rate",
                "p50",
                "p99",
                "cpu",
                "broker_cpu",
                "memory",
                "messages",
            ] {
                assert!(
                    line["median"][number].as_f64().unwrap() > 0.0,
                    "{number} of {line}"
                );
            }
        }
    }
    let startups = results["startups"].as_array().unwrap();
    assert_eq!(startups.len(), 4, "both of ours and both floors");

    let page = std::fs::read_to_string(report).unwrap();
    assert_eq!(page.matches("<svg").count(), 8);
    assert!(page.contains("signing floor") && page.contains("access Mint, 200 B"));
}

#[test]
fn what_watching_costs_is_measured_against_the_same_issuer_unwatched() {
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["--telemetry", "--only", "access-mint", "--claims", "200"])
        .args([
            "--callers",
            "8",
            "--pairs",
            "1",
            "--seconds",
            "0.1",
            "--json",
        ])
        .output()
        .unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let measurement = &results["measurements"][0];
    for line in measurement["lines"].as_array().unwrap() {
        assert_eq!(line["errors"], serde_json::json!({}), "{line}\n{progress}");
        assert!(line["median"]["rate"].as_f64().unwrap() > 0.0, "{line}");
    }
    let ratios = measurement["ratios"].as_array().unwrap();
    let pairs: Vec<_> = ratios
        .iter()
        .map(|ratio| (ratio["of"].as_str().unwrap(), ratio["to"].as_str().unwrap()))
        .collect();
    let expected = [
        ("ours, audited", "ours"),
        ("ours, audited and chained", "ours"),
        ("ours, traced", "ours"),
        ("ours, exporting all traces", "ours"),
    ];
    assert_eq!(pairs, expected);
}

#[test]
fn an_overload_is_measured_against_the_best_of_the_same_round() {
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["--only", "access-mint", "--claims", "200", "--pairs", "1"])
        .args(["--overload", "0.5,2", "--seconds", "0.2", "--json"])
        .output()
        .unwrap();
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let overloads = results["overloads"].as_array().unwrap();
    assert_eq!(overloads.len(), 4, "two of ours, two rates: {progress}");
    for overload in overloads {
        for number in ["offered", "goodput"] {
            assert!(overload[number].as_f64().unwrap() > 0.0, "{overload}");
        }
        let errors = overload["errors"].as_object().unwrap();
        assert!(
            !errors.contains_key("0"),
            "none is left unanswered: {overload}"
        );
    }
}
