//! Whether the broker's monitoring port tells others who is connected.

use super::{Check, Finding};
use crate::broker::ServerReport;
use serde_json::Value;
use std::net::IpAddr;

pub(super) const CHECK: Check = Check {
    id: "broker-monitor",
    what: "where the servers' monitoring ports listen",
    expected: "closed, or on loopback: they show connections and subscriptions to whoever asks",
};

pub(super) fn check(servers: &[ServerReport]) -> Vec<Finding> {
    let wrong: Vec<_> = servers.iter().filter_map(look).collect();
    CHECK.all(wrong, || {
        format!("closed or on loopback at {} servers", servers.len())
    })
}

fn look(server: &ServerReport) -> Option<Finding> {
    let port = |name: &str| {
        server
            .settings
            .get(name)
            .and_then(Value::as_i64)
            .filter(|port| *port != 0)
    };
    let open = port("http_port").or_else(|| port("https_port"))?;
    let host = server
        .settings
        .get("http_host")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|host| host.is_loopback()) {
        return None;
    }
    Some(CHECK.fail(
        format!("{} listens for monitors at {host}:{open}", server.name),
        "write `http: 127.0.0.1:8222` or no `http` at all, and restart the server",
    ))
}
