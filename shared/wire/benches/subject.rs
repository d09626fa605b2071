//! Subjects on the path of every request.
#![expect(missing_docs, reason = "criterion's macro makes a public function")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use microbus_wire::subject::{reply_subject, request_subject};
use microbus_wire::{Method, Plane, RequestSubject, Slot};

fn subject(c: &mut Criterion) {
    let plane = Plane::default();
    let subject = "microbus.danger.666.http_ingress_core.access_token_core._.POST.mint";
    c.bench_function("read a subject", |b| {
        b.iter(|| {
            RequestSubject::parse(black_box(subject))
                .source_host()
                .into_owned()
        });
    });
    c.bench_function("build a reply subject", |b| {
        b.iter(|| {
            reply_subject(
                &plane,
                "access_token_core",
                black_box("http_ingress_core"),
                "id-rj3qd82i0x",
            )
        });
    });
    c.bench_function("build a request subject", |b| {
        let slot = Slot::Unpinned;
        b.iter(|| {
            request_subject(
                &plane,
                "888",
                "access.token.core",
                black_box("all"),
                &slot,
                Method::Post,
                "/on-new-subs",
            )
        });
    });
}

criterion_group!(benches, subject);
criterion_main!(benches);
