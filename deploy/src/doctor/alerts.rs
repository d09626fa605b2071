//! Whether somebody is told when something is refused.

use super::{Check, Finding};
use serde_yaml::Value;
use std::path::Path;

pub(super) const CHECK: Check = Check {
    id: "alerts",
    what: "the alarms on security events",
    expected: "a file of Prometheus rules with alarms, such as deploy/observability/alerts.yaml",
};

pub(super) fn check(rules: Option<&Path>) -> Finding {
    let Some(rules) = rules else {
        return CHECK.skip("no file named with --alerts");
    };
    let shown = rules.display();
    let alarms = std::fs::read_to_string(rules)
        .map_err(|error| error.to_string())
        .and_then(|text| serde_yaml::from_str(&text).map_err(|error| error.to_string()))
        .map(|rules| alarms_in(&rules));
    match alarms {
        Ok(0) => CHECK.warn(
            format!("{shown} holds no alarm"),
            "load deploy/observability/alerts.yaml into Prometheus",
        ),
        Ok(alarms) => CHECK.pass(format!(
            "{shown} holds {alarms} alarms; that somebody receives them cannot be seen from here"
        )),
        Err(problem) => CHECK.warn(
            format!("{shown}: {problem}"),
            "name the file of rules that Prometheus loads",
        ),
    }
}

fn alarms_in(rules: &Value) -> usize {
    let list = |value: &Value, name: &str| {
        let list = value.get(name).and_then(Value::as_sequence);
        list.cloned().unwrap_or_default()
    };
    let groups = list(rules, "groups");
    let rules = groups.iter().flat_map(|group| list(group, "rules"));
    rules.filter(|rule| rule.get("alert").is_some()).count()
}
