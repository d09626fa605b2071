//! Alarms, dashboard and the table of log lines name what the code exports and writes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const ALERTS: &str = include_str!("../../deploy/observability/alerts.yaml");
const TESTS: &str = include_str!("../../deploy/observability/alerts-test.yaml");
const RUNBOOK: &str = include_str!("../../deploy/observability/README.md");
const DASHBOARD: &str = include_str!("../../deploy/observability/dashboard.json");
const EVENTS: &str = include_str!("../../deploy/observability/events.md");

/// Returns the source files of the issuers.
pub(crate) fn sources() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<PathBuf> = ["shared", "access-token/src", "bearer-token/src"]
        .map(|folder| root.join(folder))
        .into();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    sources
}

/// Returns the names of metrics in `text`, without what a histogram adds to its own.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = text.split(|c| !is_part(c));
    names
        .filter(|name| name.starts_with("microbus_"))
        .map(|name| {
            let suffixes = ["_bucket", "_sum", "_count"];
            let base = suffixes.iter().find_map(|suffix| name.strip_suffix(suffix));
            base.unwrap_or(name).to_owned()
        })
        .collect()
}

#[test]
fn alarms_and_dashboard_ask_for_metrics_that_are_declared() {
    let sources = sources();
    for (text, least) in [(ALERTS, 15), (TESTS, 15), (DASHBOARD, 20)] {
        let names = metrics_in(text);
        assert!(names.len() >= least, "{names:?}");
        for name in names {
            let declared = format!("\"{name}\"");
            assert!(
                sources.iter().any(|source| source.contains(&declared)),
                "nothing declares {name}"
            );
        }
    }
}

#[test]
fn each_alarm_has_a_test_and_a_place_in_the_runbook() {
    let alarms: Vec<_> = ALERTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alarms.len() > 15, "{alarms:?}");
    for alarm in &alarms {
        assert!(
            TESTS.contains(&format!("- alertname: {alarm}\n")),
            "{alarm} is untested"
        );
        assert!(
            RUNBOOK.contains(&format!("\n| {alarm} |")),
            "{alarm} is not explained"
        );
    }
    let explained = RUNBOOK
        .lines()
        .filter(|line| line.starts_with("| "))
        .count();
    assert_eq!(
        explained,
        alarms.len() + 1,
        "an alarm that is no more is explained"
    );
}

/// Tells whether a log macro of this level writes a text that begins with `event`.
fn writes(source: &str, level: &str, event: &str) -> bool {
    source
        .split(&format!("tracing::{}!(", level.to_lowercase()))
        .skip(1)
        .any(|call| {
            let call = call.split(");").next().unwrap_or_default();
            // A long text may be broken by a backslash.
            let words: Vec<_> = call
                .replace("\\\n", " ")
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            words.join(" ").contains(&format!("\"{event}"))
        })
}

#[test]
fn every_log_line_of_the_table_is_written_at_its_level() {
    let sources = sources();
    let rows: Vec<_> = EVENTS
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    assert!(rows.len() > 50, "{}", rows.len());
    for row in rows {
        let mut cells = row.split(" | ");
        let event = cells
            .next()
            .unwrap()
            .trim_start_matches("| ")
            .trim_matches('`');
        let level = cells.next().unwrap();
        assert!(["INFO", "WARN", "ERROR"].contains(&level), "{row}");
        assert!(
            sources.iter().any(|source| writes(source, level, event)),
            "nothing writes '{event}' at {level}"
        );
    }
}
