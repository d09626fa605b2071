//! Reading and writing messages of the usual size.
#![expect(missing_docs, reason = "criterion's macro makes a public function")]
#![expect(clippy::unwrap_used, reason = "a bench has no caller to report to")]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, criterion_group, criterion_main};
use microbus_wire::{
    Address, Fragment, Letterhead, Method, OpCode, Request, ResponseHead, Sender, header,
};

fn request() -> Bytes {
    let mint = Address::parse("https://access.token.core:666/mint").unwrap();
    let body = format!(r#"{{"claims":{{"sub":"{}"}}}}"#, "x".repeat(160));
    let mut request = Request::to(&mint, Method::Post, body.into());
    for (name, value) in [
        (header::CALL_DEPTH, "1"),
        (header::FROM_HOST, "http.ingress.core"),
        (header::FROM_ID, "id-rj3qd82i0x"),
        (header::FROM_VERSION, "7"),
        (header::MESSAGE_ID, "D05aNIKi"),
        (header::OP_CODE, "Req"),
        (header::TIME_BUDGET, "19.899934853s"),
        (header::CONTENT_TYPE, "application/json"),
    ] {
        request.headers.set(name, value);
    }
    request.encode().into()
}

fn frame(c: &mut Criterion) {
    let payload = request();
    c.bench_function("read a request", |b| {
        b.iter(|| Request::parse(black_box(&payload)));
    });
    let parsed = Request::parse(&payload).unwrap();
    c.bench_function("write a request", |b| {
        b.iter(|| black_box(&parsed).encode());
    });
    let letterhead = Letterhead::new(&Sender {
        host: "access.token.core",
        id: "id-gsw2gftqlx",
        version: 4,
        locality: None,
        queue: Some("access.token.core"),
    });
    let mut sheet = BytesMut::with_capacity(32 << 10);
    c.bench_function("write an ack", |b| {
        b.iter(|| {
            letterhead.ack(black_box("D05aNIKi"), Fragment::WHOLE, &mut sheet);
            sheet.split().freeze()
        });
    });
    let head = ResponseHead {
        status: 200,
        op_code: OpCode::Res,
        content_type: Some("application/json"),
        message_id: "D05aNIKi",
        fragment: Fragment::WHOLE,
    };
    let token = [b'x'; 500];
    c.bench_function("write a response", |b| {
        b.iter(|| {
            letterhead.response(black_box(&head), &token, &mut sheet);
            sheet.split().freeze()
        });
    });
}

criterion_group!(benches, frame);
criterion_main!(benches);
