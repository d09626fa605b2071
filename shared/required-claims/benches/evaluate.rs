//! Evaluation for each request, and parsing once for each endpoint.
#![expect(
    missing_docs,
    reason = "the macros of criterion make undocumented functions"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up must stop"
)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use microbus_required_claims::RequiredClaims;
use serde_json::{Map, Value, json};

fn claims() -> Map<String, Value> {
    let claims = json!({
        "iss": "https://access.token.core", "sub": "harry@hogwarts.edu", "tid": 42, "level": 5,
        "roles": ["reader", "writer", "manager", "admin"], "idp": "https://login.corp.example",
        "exp": 1_800_000_020, "iat": 1_800_000_000,
    });
    claims.as_object().unwrap().clone()
}

fn evaluate(c: &mut Criterion) {
    let claims = claims();
    for (name, source) in [
        ("role", "roles.admin"),
        ("three_terms", "roles.admin && level>=5 && !guest"),
        ("regexp", r"idp=~'^https://login\.corp\.example$'"),
    ] {
        let guard = RequiredClaims::parse(source).unwrap();
        assert!(
            guard.is_met_by(&claims),
            "{source} must be evaluated to its end"
        );
        c.bench_function(&format!("evaluate_{name}"), |b| {
            b.iter(|| black_box(&guard).is_met_by(black_box(&claims)));
        });
    }
}

fn parse(c: &mut Criterion) {
    c.bench_function("parse_three_terms", |b| {
        b.iter(|| RequiredClaims::parse(black_box("roles.admin && level>=5 && !guest")).unwrap());
    });
}

criterion_group!(benches, evaluate, parse);
criterion_main!(benches);
