//! What watching costs: a Mint without it, with metrics, with a policy, with traces that stay and that are exported, and with
//! the audit trail.
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
use microbus_service::{Deployment, Reason, Refused, arguments, bench_entry};
use microbus_wire::{Address, Hostname, Method, Plane};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::hint::black_box;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
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

/// Starts a collector that reads what it is sent and keeps nothing; returns its endpoint.
fn collector() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(stream);
            while let Some(length) = length_of_next(&mut stream) {
                let mut body = stream.by_ref().take(length);
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                if io::copy(&mut body, &mut io::sink()).is_err()
                    || stream.get_mut().write_all(answer).is_err()
                {
                    break;
                }
            }
        }
    });
    format!("http://{address}/v1/traces")
}

/// Reads the head of a request; returns the length of the body behind it.
fn length_of_next(stream: &mut BufReader<TcpStream>) -> Option<u64> {
    let mut length = None;
    for line in stream.lines() {
        let line = line.ok()?.to_ascii_lowercase();
        if line.is_empty() {
            return length;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
    }
    None
}

/// Names of properties or variables, and their values.
type Texts<'a> = &'a [(&'a str, &'a str)];

/// Has a request pass all of its stages.
fn answer(mut handling: Handling) -> Reply {
    loop {
        match handling {
            Handling::Done(answer) => return answer.expect("a token"),
            Handling::Next(stage) => handling = stage.run(),
            Handling::Later(_) => unreachable!("a mint waits for nothing"),
        }
    }
}

fn mint(criterion: &mut Criterion) {
    let (request, issuer) = (incoming(), issuer());
    let mut group = criterion.benchmark_group("mint");
    group.bench_function("unwatched", |bencher| {
        bencher.iter(|| {
            let claims = arguments::claims(&request).expect("claims");
            let drafted = issuer.draft(claims, request.given_budget());
            let token = drafted.expect("a draft").draft.sign().expect("a signature");
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
    let collector = collector();
    let traces: Texts<'_> = &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &collector)];
    let audit: Texts<'_> = &[("AuditLog", log)];
    let chained: Texts<'_> = &[("AuditLog", log), ("AuditChain", "true")];
    let (prod, lab) = (Deployment::Prod, Deployment::Lab);
    let cases: [(&str, Texts<'_>, Texts<'_>, Deployment); 6] = [
        ("metrics", &[], &[], prod),
        ("metrics, policy", &[("MintPolicy", &policy)], &[], prod),
        ("metrics, traces", &[], traces, prod),
        ("metrics, exported traces", &[], traces, lab),
        ("metrics, audit", audit, &[], prod),
        ("metrics, chained audit", chained, &[], prod),
    ];
    let mint_route = route(|_| Handling::Done(Ok(Reply::empty(200))));
    for (name, texts, variables, deployment) in cases {
        let made = bench_entry::minting(&PROFILE, texts, variables, deployment);
        let (minting, observer) = made.expect("valid texts");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                // A request that is a span is kept until it is answered.
                let traced = observer.trace(&mint_route, None);
                let kept = traced.as_ref().map(|_| request.clone());
                let draft = |request: &Incoming, claims| {
                    let drafted = issuer.draft(claims, request.given_budget());
                    drafted.map(|drafted| drafted.draft).map_err(|_| Refused {
                        reason: Reason::NoKey,
                        failure: microbus_bus::Failure::new(
                            microbus_wire::ErrorStatus::UNAVAILABLE,
                            "no key",
                        ),
                    })
                };
                let reply = answer(minting.handle(request.clone(), draft));
                observer.answered(&Answered {
                    route: &mint_route,
                    method: Method::Post,
                    status: 200,
                    failed: false,
                    body_length: reply.body.len(),
                    took: Duration::from_micros(30),
                    traced: traced.as_ref().zip(kept.as_ref()),
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
