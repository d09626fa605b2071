//! Whether the broker's limits let services work, and bound what one of them can take.

use super::{Check, Finding};
use crate::broker::{Info, Server, ServerReport};
use serde_json::Value;

pub(super) const CHECK: Check = Check {
    id: "broker-limits",
    what: "max_payload, max_control_line, max_subscriptions",
    expected: "messages of 128 KiB to 8 MiB, lines of 4 KiB, a bound on subscriptions",
};

/// Judges what a broker announces.
pub(super) fn check_announced(server: &Server, info: &Info) -> Vec<Finding> {
    let (payload, mut wrong) = (info.max_payload, Vec::new());
    if payload < LEAST_PAYLOAD {
        wrong.push(CHECK.fail(
            format!("{server} takes messages of {payload} bytes; services do not start below {LEAST_PAYLOAD}"),
            "raise max_payload, of the server or of the account",
        ));
    } else if payload > MOST_PAYLOAD {
        wrong.push(CHECK.warn(
            format!("{server} takes messages of {payload} bytes"),
            "lower max_payload to what the largest message needs",
        ));
    }
    CHECK.all(wrong, || {
        format!("{server} takes messages of {payload} bytes")
    })
}

/// Judges what each server says about itself.
pub(super) fn check_settings(servers: &[ServerReport]) -> Vec<Finding> {
    let mut wrong = Vec::new();
    for server in servers {
        let setting = |name: &str| server.settings.get(name).and_then(Value::as_i64);
        let name = &server.name;
        if setting("max_control_line").is_some_and(|bytes| bytes < LEAST_LINE) {
            wrong.push(CHECK.fail(
                format!(
                    "{name} takes lines of less than {LEAST_LINE} bytes; credentials may not fit"
                ),
                "raise max_control_line",
            ));
        }
        if setting("max_subscriptions").unwrap_or(0) <= 0 {
            wrong.push(CHECK.warn(
                format!("{name} bounds no connection's subscriptions"),
                "set max_subscriptions to a few hundred",
            ));
        }
    }
    CHECK.all(wrong, || format!("bounded at {} servers", servers.len()))
}

/// The connector sets 64 KiB aside for headers and needs as much for a fragment (spec: microbus-wire 1.4).
const LEAST_PAYLOAD: u64 = 131_072;
const MOST_PAYLOAD: u64 = 8 << 20;
const LEAST_LINE: i64 = 4096;
