//! The subscriptions of both services, against those that were recorded.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its goldens has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use microbus_wire::subject::{reply_subscription, subscription_subject};
use microbus_wire::{Hostname, InstanceId, Locality, Method, Plane, Slot};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    subject: String,
    queue: String,
}

fn recorded(file: &str) -> Vec<Recorded> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/goldens")
        .join(file);
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Port, route, method, and whether the endpoint has a queue. spec: microbus-wire 2.6
const OWN: [(&str, &str, Option<Method>, bool); 11] = [
    ("888", "/dcache/all", None, false),
    ("888", "/dcache/rescue", None, true),
    ("666", "/mint", None, true),
    ("888", "/jwks", None, true),
    ("888", "/ping", None, false),
    ("888", "/config-refresh", None, false),
    ("888", "/metrics", None, false),
    ("888", "/trace", None, false),
    ("888", "/on-new-subs", None, false),
    ("888", "/openapi.json", Some(Method::Get), true),
    ("888", "/local-keys", None, false),
];

/// Those of the endpoints that are heard on `all` too.
const BROADCAST: [&str; 6] = [
    "/ping",
    "/config-refresh",
    "/metrics",
    "/trace",
    "/on-new-subs",
    "/openapi.json",
];

fn expected(
    host: &Hostname,
    id: &InstanceId,
    locality: Option<&Locality>,
) -> BTreeSet<(String, String)> {
    let plane = Plane::default();
    let mut slots = vec![Slot::Unpinned, Slot::Instance(id.clone())];
    if let Some(locality) = locality {
        slots.extend(
            locality
                .prefixes()
                .map(|region| Slot::Locality(region.to_owned())),
        );
    }
    let responses = reply_subscription(&plane, host.segment(), id.as_str()).unwrap();
    let mut all = BTreeSet::from([(responses, id.to_string())]);
    for (port, route, method, queued) in OWN {
        if route == "/local-keys" && host.as_str() != "access.token.core" {
            continue;
        }
        let queue = if queued { host.as_str() } else { "" };
        let broadcast = BROADCAST.contains(&route).then_some("all");
        for destination in [host.as_str()].into_iter().chain(broadcast) {
            for slot in &slots {
                let subject = subscription_subject(&plane, port, destination, slot, method, route);
                all.insert((subject.unwrap(), queue.to_owned()));
            }
        }
    }
    all
}

#[test]
fn the_subscriptions_of_both_services_are_the_recorded_ones() {
    let us_west_1 = Locality::parse("us-west-1").unwrap();
    for (host, counts) in [
        ("access.token.core", [35, 35, 86]),
        ("bearer.token.core", [33, 33, 81]),
    ] {
        let deployments = [
            ("local", None),
            ("prod-acl", None),
            ("prod-us-west-1", Some(&us_west_1)),
        ];
        for ((deployment, locality), count) in deployments.into_iter().zip(counts) {
            let recorded = recorded(&format!("subs-{deployment}-{host}.jsonl"));
            assert_eq!(recorded.len(), count);
            let id = InstanceId::parse(recorded[0].subject.rsplit('.').next().unwrap()).unwrap();
            let found: BTreeSet<_> = recorded
                .into_iter()
                .map(|sub| (sub.subject, sub.queue))
                .collect();
            assert_eq!(found.len(), count);
            assert_eq!(
                expected(&Hostname::parse(host).unwrap(), &id, locality),
                found,
                "{deployment} {host}"
            );
        }
    }
}
