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
    let mut folders: Vec<PathBuf> = FOLDERS.map(|folder| root.join(folder)).into();
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

/// Returns what the log macros of this level write, outside of tests.
fn written(source: &str, level: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    let opening = format!("tracing::{}!(", level.to_lowercase());
    code.split(&opening).skip(1).map(message).collect()
}

/// Returns the text of a log macro: the last one in quotes before its parenthesis closes.
fn message(call: &str) -> String {
    let call = call.replace("\\\"", "'");
    let mut pieces = call.split('"');
    let (mut depth, mut text) = (1, "");
    while let Some(code) = pieces.next() {
        for c in code.chars() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                // A long text may be broken by a backslash.
                let words: Vec<_> = text
                    .split_whitespace()
                    .filter(|word| *word != "\\")
                    .collect();
                return words.join(" ");
            }
        }
        text = pieces.next().unwrap_or_default();
    }
    panic!("a call does not end: {call}");
}

/// Returns the rows of the table: event and level.
fn events() -> Vec<(&'static str, &'static str)> {
    let rows: Vec<_> = EVENTS
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(event, rest)| (event, rest.split(" | ").next().unwrap()))
        .collect();
    assert!(rows.len() > 50, "{}", rows.len());
    rows
}

#[test]
fn every_log_line_of_the_table_is_written_at_its_level() {
    let sources = sources();
    for (event, level) in events() {
        assert!(LEVELS.contains(&level), "{event}: {level}");
        let mut texts = sources.iter().flat_map(|source| written(source, level));
        assert!(
            texts.any(|text| text.starts_with(event)),
            "nothing writes '{event}' at {level}"
        );
    }
}

#[test]
fn every_log_line_that_is_written_is_in_the_table_at_its_level() {
    let (sources, events) = (sources(), events());
    for level in LEVELS {
        let texts = sources.iter().flat_map(|source| written(source, level));
        // Where the text is chosen at run time nothing can be compared.
        for text in texts.filter(|text| !text.starts_with('{')) {
            let is_row = |(event, of): &(&str, &str)| text.starts_with(event) && *of == level;
            assert!(events.iter().any(is_row), "'{text}' at {level} is missing");
        }
    }
}

#[test]
fn alarms_about_log_lines_name_such_as_are_written() {
    let lists = ALERTS.split("message=~\"").skip(1);
    let texts = lists.flat_map(|rest| rest.split('"').next().unwrap().split('|'));
    let texts: BTreeSet<_> = texts.map(|text| text.trim_end_matches(".*")).collect();
    assert_eq!(texts.len(), 2);
    for text in texts {
        assert!(
            events().iter().any(|(event, _)| event.starts_with(text)),
            "nothing writes '{text}'"
        );
    }
}

const LEVELS: [&str; 3] = ["INFO", "WARN", "ERROR"];
/// What the issuers are made of.
const FOLDERS: [&str; 9] = [
    "access-token/src",
    "bearer-token/src",
    "shared/audit/src",
    "shared/bus/src",
    "shared/otlp/src",
    "shared/service/src",
    "shared/token/src",
    "shared/verify/src",
    "shared/wire/src",
];
