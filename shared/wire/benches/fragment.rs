//! Splitting and joining a body of 3 MB.
#![expect(missing_docs, reason = "criterion's macro makes a public function")]
#![expect(clippy::disallowed_methods, reason = "a bench has no other clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use microbus_wire::fragment::split;
use microbus_wire::{Joiner, Response, header};

fn fragment(c: &mut Criterion) {
    let body = Bytes::from(vec![7; 3_000_000]);
    c.bench_function("split 3 MB", |b| {
        b.iter(|| split(black_box(&body), 983_040).count());
    });
    c.bench_function("join 3 MB", |b| {
        let now = Instant::now();
        let mut joiner = Joiner::new(Duration::from_millis(800));
        b.iter(|| {
            for (fragment, part) in split(&body, 983_040) {
                let mut response = Response::new(200, body.slice_ref(part));
                response
                    .headers
                    .set(header::FRAGMENT, &fragment.to_string());
                black_box(joiner.on_fragment("id-rj3qd82i0x|D05aNIKi", response, now));
            }
        });
    });
}

criterion_group!(benches, fragment);
criterion_main!(benches);
