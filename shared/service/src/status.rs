//! What the page shows of a running issuer, as JSON: nothing secret, but who asks for tokens.

use crate::log::CommonFields;
use crate::metrics::CallerCount;
use crate::service::{KeyReport, KeySlot};
use serde::Serialize;
use std::time::Duration;

/// A running issuer, at one moment.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    service: String,
    instance: String,
    plane: String,
    deployment: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    ready: bool,
    reason: Option<&'static str>,
    checks: Vec<Check>,
    keys: Vec<Key>,
    foreign_keys: usize,
    replicas: usize,
    next_rotation_seconds: Option<u64>,
    verifiers: Verifiers,
    callers: Vec<CallerCount>,
    /// Whether tokens are minted at the same address.
    mints_here: bool,
}

/// Something that can be well or not.
#[derive(Debug, Serialize)]
pub(crate) struct Check {
    name: &'static str,
    ok: bool,
    says: String,
}

#[derive(Debug, Serialize)]
struct Key {
    kid: String,
    state: &'static str,
    published: bool,
    age_seconds: Option<u64>,
    left_seconds: Option<u64>,
}

/// What the latest round of warming found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verifiers {
    pub(crate) warm: i64,
    pub(crate) cold: i64,
    pub(crate) unknown: i64,
}

/// What is known of a process besides its keys.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    pub(crate) uptime: Duration,
    pub(crate) alive: bool,
    pub(crate) not_ready: Option<&'static str>,
    pub(crate) embedded: bool,
    pub(crate) connected: bool,
    pub(crate) audit_failing: bool,
    pub(crate) reload_failed: bool,
    pub(crate) unusable_key_files: i64,
    /// Signals that a collector does not take; `None` where nothing is exported.
    pub(crate) telemetry_failing: Option<Vec<&'static str>>,
    pub(crate) verifiers: Verifiers,
    pub(crate) callers: Vec<CallerCount>,
}

impl Status {
    pub(crate) fn of(about: &CommonFields, signs: Signs, keys: KeyReport) -> Self {
        let checks = checks(&signs, &keys);
        Self {
            service: about.service.clone(),
            instance: about.instance.clone(),
            plane: about.plane.clone(),
            deployment: about.deployment.as_str(),
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: signs.uptime.as_secs(),
            ready: signs.not_ready.is_none(),
            reason: signs.not_ready,
            checks,
            foreign_keys: keys.foreign,
            replicas: keys.replicas,
            next_rotation_seconds: keys.next_rotation.map(|left| left.as_secs()),
            keys: keys
                .own
                .into_iter()
                .map(|key| Key {
                    kid: key.kid,
                    state: key.state.as_str(),
                    published: key.is_published,
                    age_seconds: key.age.map(|age| age.as_secs()),
                    left_seconds: key.left.map(|left| left.as_secs()),
                })
                .collect(),
            verifiers: signs.verifiers,
            callers: signs.callers,
            mints_here: signs.embedded,
        }
    }
}

fn checks(signs: &Signs, keys: &KeyReport) -> Vec<Check> {
    let check = |name, ok, good: &str, bad: &str| Check {
        name,
        ok,
        says: if ok { good } else { bad }.to_owned(),
    };
    let signs_now = keys.own.iter().any(|key| key.state == KeySlot::Signs);
    let broker = if signs.embedded {
        check("broker", true, "none, this process alone", "")
    } else {
        check("broker", signs.connected, "connected", "not connected")
    };
    let Verifiers { cold, unknown, .. } = signs.verifiers;
    let configured = !signs.reload_failed && signs.unusable_key_files == 0;
    let bad_configuration = if signs.unusable_key_files > 0 {
        "a key file cannot be used"
    } else {
        "the latest refresh failed"
    };
    let mut checks = vec![
        check("process", signs.alive, "works", "its thread hangs"),
        broker,
        check("signing key", signs_now, "signs", "none signs"),
        check(
            "verifiers",
            cold + unknown == 0,
            "all know the key",
            &format!("{cold} cold, {unknown} silent"),
        ),
        check("configuration", configured, "in force", bad_configuration),
        check(
            "audit trail",
            !signs.audit_failing,
            "no fault",
            "cannot be written",
        ),
    ];
    if let Some(failing) = &signs.telemetry_failing {
        let bad = format!("{} not taken", failing.join(", "));
        checks.push(check("telemetry", failing.is_empty(), "exported", &bad));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::service::KeyState;

    fn status(signs: Signs, keys: KeyReport) -> serde_json::Value {
        serde_json::to_value(Status::of(&fixture::common(), signs, keys)).unwrap()
    }

    fn bad(status: &serde_json::Value) -> Vec<(&str, &str)> {
        let checks = status["checks"].as_array().unwrap().iter();
        checks
            .filter(|check| check["ok"] == false)
            .map(|check| {
                (
                    check["name"].as_str().unwrap(),
                    check["says"].as_str().unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_reason() {
        let status = status(
            Signs {
                not_ready: Some("starting"),
                audit_failing: true,
                unusable_key_files: 1,
                telemetry_failing: Some(vec!["traces", "logs"]),
                verifiers: Verifiers {
                    warm: 3,
                    cold: 1,
                    unknown: 2,
                },
                ..Signs::default()
            },
            KeyReport::default(),
        );
        assert_eq!(
            (status["ready"].as_bool(), status["reason"].as_str()),
            (Some(false), Some("starting"))
        );
        assert_eq!(
            bad(&status),
            [
                ("process", "its thread hangs"),
                ("broker", "not connected"),
                ("signing key", "none signs"),
                ("verifiers", "1 cold, 2 silent"),
                ("configuration", "a key file cannot be used"),
                ("audit trail", "cannot be written"),
                ("telemetry", "traces, logs not taken"),
            ]
        );
    }

    #[test]
    fn a_healthy_issuer_shows_its_keys_and_callers() {
        let keys = KeyReport {
            own: vec![KeyState {
                kid: "abc".to_owned(),
                state: KeySlot::Signs,
                age: Some(Duration::from_secs(60)),
                left: None,
                is_published: true,
            }],
            next_rotation: Some(Duration::from_secs(3540)),
            ..KeyReport::default()
        };
        let signs = Signs {
            alive: true,
            connected: true,
            callers: vec![CallerCount {
                caller: "tester.client".to_owned(),
                minted: 3,
                refused: 1,
            }],
            ..Signs::default()
        };
        let status = status(signs, keys);
        assert!(bad(&status).is_empty(), "{status}");
        assert_eq!(status["keys"][0]["age_seconds"], 60);
        assert_eq!(status["next_rotation_seconds"], 3540);
        assert_eq!(status["callers"][0]["minted"], 3);
        assert_eq!(status["mints_here"], false);
    }
}
