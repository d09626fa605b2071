//! Whether a process knows its broker.

use super::place::Place;
use super::{Check, Finding};
use crate::broker::Server;

pub(super) const CHECK: Check = Check {
    id: "nats-url",
    what: "the broker that each process connects to",
    expected: "MICROBUS_NATS names it, and no login by variables",
};

pub(super) fn check(places: &[Place]) -> Vec<Finding> {
    let wrong: Vec<_> = places.iter().flat_map(look).collect();
    CHECK.all(wrong, || format!("named in {} directories", places.len()))
}

fn look(place: &Place) -> Vec<Finding> {
    let directory = place.directory.display();
    let mut wrong = Vec::new();
    match place.environment.get("MICROBUS_NATS") {
        None if place.environment.is_off("MICROBUS_SHORT_CIRCUIT") => wrong.push(CHECK.warn(
            format!("{directory}: no MICROBUS_NATS; the process uses nats://127.0.0.1:4222"),
            "set MICROBUS_NATS to the broker's URL",
        )),
        None => wrong.push(CHECK.fail(
            format!("{directory}: no MICROBUS_NATS; a Go service then connects to no broker and runs alone"),
            "set MICROBUS_NATS to the broker's URL",
        )),
        Some(urls) => {
            if Server::parse_list(urls).is_err() {
                wrong.push(CHECK.fail(
                    format!("{directory}: MICROBUS_NATS is no URL of a broker"),
                    "write nats://host:port or tls://host:port, several with commas between",
                ));
            }
        }
    }
    let deprecated = DEPRECATED
        .iter()
        .filter(|name| place.environment.get(name).is_some());
    let deprecated: Vec<_> = deprecated.copied().collect();
    if !deprecated.is_empty() {
        wrong.push(CHECK.warn(
            format!("{directory}: login by {}", deprecated.join(", ")),
            "put <hostname>_nats.creds into the working directory, and unset the variables",
        ));
    }
    wrong
}

/// Logins that the framework still honours (spec: microbus-wire 1.2).
const DEPRECATED: [&str; 5] = [
    "MICROBUS_NATS_USER",
    "MICROBUS_NATS_PASSWORD",
    "MICROBUS_NATS_TOKEN",
    "MICROBUS_NATS_USER_JWT",
    "MICROBUS_NATS_NKEY_SEED",
];
