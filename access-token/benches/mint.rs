//! What watching costs: a Mint without it, with metrics, with a policy, and with the audit trail.
#![expect(
    missing_docs,
    reason = "the macros of criterion make undocumented functions"
)]
#![expect(
    clippy::expect_used,
    reason = "a bench that cannot be set up must stop"
)]

use access_token::{Config, Issuer, PROFILE};
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use microbus_bus::{
    Acknowledge, Answered, Clock as _, Connection, Connector, Delivery, Failures, Handling,
    Identity, Incoming, Outgoing, Reply, Route, Scope, SystemClock, Urgency, random_instance_id,
};
use microbus_service::{Reason, Refused, arguments, bench_entry};
use microbus_wire::{Address, Hostname, Method, Plane};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BODY: &str = r#"{"claims":{"sub":"harry@hogwarts.example","iss":"https://idp.example","roles":["user"],"tenant":7}}"#;

fn route(handler: impl Fn(Incoming) -> Handling + Send + Sync + 'static) -> Route {
    Route {
        name: "Mint",
        scope: Scope::Own,
        port: 666,
        method: None,
        path: "/mint",
        delivery: Delivery::One,
        urgency: Urgency::Sheddable,
        acknowledge: Acknowledge::IfLate,
        handler: Arc::new(handler),
    }
}

/// Sends a request over the bus within the process and returns it as a handler sees it.
fn incoming() -> Incoming {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be had");
    runtime.block_on(async {
        let identity = Identity {
            plane: Plane::default(),
            hostname: Hostname::parse(PROFILE.issuer.host()).expect("a host name"),
            version: 4,
            instance: random_instance_id(),
            locality: None,
        };
        let clock = Arc::new(SystemClock);
        let connection = Connection::in_process();
        let connector = Connector::open(connection, identity, Failures::Redacted, clock)
            .await
            .expect("it opens");
        let seen = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&seen);
        let handler = move |request| {
            *keep.lock().expect("not poisoned") = Some(request);
            Handling::Done(Ok(Reply::empty(200)))
        };
        connector.subscribe(route(handler)).await.expect("a route");
        let address = Address::parse("https://access.token.core:666/mint").expect("an address");
        let request = Outgoing::new(Method::Post, address).json(BODY);
        connector.request(request).await.expect("an answer");
        let seen = seen.lock().expect("not poisoned").take();
        seen.expect("the handler was called")
    })
}

fn issuer() -> Issuer {
    let clock = Arc::new(SystemClock);
    let now = clock.now();
    let rng = StdRng::seed_from_u64(1);
    let issuer = Issuer::new("id-bench".to_owned(), Config::default(), vec![], rng, clock);
    issuer.start(now).expect("a key can be made");
    issuer.activate_first(now);
    issuer
}

fn mint(criterion: &mut Criterion) {
    let (request, issuer) = (incoming(), issuer());
    let mut group = criterion.benchmark_group("mint");
    group.bench_function("unwatched", |bencher| {
        bencher.iter(|| {
            let claims = arguments::claims(&request).expect("claims");
            let drafted = issuer.draft(claims, request.given_budget());
            let token = drafted.expect("a draft").draft.sign();
            black_box(Bytes::from(format!(
                "{{\"token\":\"{}\"}}\n",
                token.as_str()
            )))
        });
    });
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("audit.jsonl");
    let log = log.to_str().expect("a path");
    let host = PROFILE.issuer.host();
    let policy = format!("{host}: \"!roles.admin\"");
    let cases: [(&str, &[(&str, &str)]); 4] = [
        ("metrics", &[]),
        ("metrics, policy", &[("MintPolicy", &policy)]),
        ("metrics, audit", &[("AuditLog", log)]),
        (
            "metrics, chained audit",
            &[("AuditLog", log), ("AuditChain", "true")],
        ),
    ];
    let mint_route = route(|_| Handling::Done(Ok(Reply::empty(200))));
    for (name, texts) in cases {
        let (minting, observer) = bench_entry::minting(&PROFILE, texts).expect("valid texts");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let draft = |claims| {
                    let drafted = issuer.draft(claims, request.given_budget());
                    drafted.map(|drafted| drafted.draft).map_err(|_| Refused {
                        reason: Reason::NoKey,
                        failure: microbus_bus::Failure::new(
                            microbus_wire::ErrorStatus::UNAVAILABLE,
                            "no key",
                        ),
                    })
                };
                let reply = minting.answer(&request, draft).expect("a token");
                observer.answered(&Answered {
                    route: &mint_route,
                    method: Method::Post,
                    status: 200,
                    failed: false,
                    body_length: reply.body.len(),
                    took: Duration::from_micros(30),
                    traced: None,
                    error: None,
                });
                black_box(reply)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, mint);
criterion_main!(benches);
