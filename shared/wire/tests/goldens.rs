//! Every recorded message of the Go services is read, written and compared.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its goldens has failed"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use microbus_wire::subject::{reply_subject, request_subject};
use microbus_wire::trace::Layout;
use microbus_wire::{
    Address, Fragment, Hostname, Letterhead, Method, OpCode, Plane, ReplySubject, Request,
    RequestSubject, Response, ResponseHead, Sender, Slot, TracedError, header,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    case: String,
    seq: u32,
    subject: String,
    reply: String,
    payload_b64: String,
}

impl Golden {
    fn payload(&self) -> Bytes {
        STANDARD.decode(&self.payload_b64).unwrap().into()
    }

    fn is_reply(&self) -> bool {
        self.subject.split('.').nth(1) == Some("reply")
    }

    /// Tells whether a Go connector wrote the message, rather than a person.
    fn is_written_by_the_peer(&self, from_id: Option<&str>) -> bool {
        let by_hand = [Some("id-rawtester0"), Some("id-fakereplic")];
        RequestSubject::parse(&self.subject).source != "raw_tester" && !by_hand.contains(&from_id)
    }

    fn name(&self) -> String {
        format!("{} {}", self.case, self.seq)
    }
}

fn goldens() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/goldens");
    ["local", "prod", "extra", "acl", "rotation"]
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(folder.join(format!("{file}.jsonl"))).unwrap();
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect::<Vec<Golden>>()
        })
        .collect()
}

/// The requests to which the Go service says nothing, because it cannot read them.
const REFUSED: [&str; 2] = ["unparsable_message", "invalid_method_FOO"];

#[test]
fn every_recorded_request_is_read_and_written_again() {
    let (mut requests, mut by_the_peer) = (0, 0);
    for golden in goldens().iter().filter(|golden| !golden.is_reply()) {
        let name = golden.name();
        let payload = golden.payload();
        let parsed = Request::parse(&payload);
        assert_eq!(
            parsed.is_err(),
            REFUSED.contains(&golden.case.as_str()),
            "{name}"
        );
        let Ok(request) = parsed else { continue };
        requests += 1;
        let written = Bytes::from(request.encode());
        if golden.is_written_by_the_peer(request.headers.get(header::FROM_ID)) {
            by_the_peer += 1;
            assert_eq!(written, payload, "{name}");
            let address = Address::parse(request.target()).unwrap();
            assert_eq!(
                Some(address.host_and_port().as_str()),
                request.host(),
                "{name}"
            );
            assert_eq!(address.target(), request.target(), "{name}");
        } else {
            let again = Request::parse(&written).unwrap();
            assert_eq!(again.encode(), written, "{name}");
            assert_eq!(again.body, request.body, "{name}");
        }
    }
    assert_eq!((requests, by_the_peer), (431, 234));
}

#[test]
fn every_recorded_response_is_read_and_written_again_byte_for_byte() {
    let mut responses = 0;
    for golden in goldens().iter().filter(|golden| golden.is_reply()) {
        let payload = golden.payload();
        let response = Response::parse(&payload).unwrap();
        let written = Bytes::from(response.encode());
        if golden.is_written_by_the_peer(response.headers.get(header::FROM_ID)) {
            assert_eq!(written, payload, "{}", golden.name());
            responses += 1;
        } else {
            assert_eq!(Response::parse(&written), Ok(response), "{}", golden.name());
        }
    }
    assert_eq!(responses, 897);
}

#[test]
fn every_recorded_ack_and_plain_response_is_what_the_fast_writers_write() {
    let mut compared = BTreeMap::new();
    for golden in goldens().iter().filter(|golden| golden.is_reply()) {
        let payload = golden.payload();
        let response = Response::parse(&payload).unwrap();
        let get = |name| response.headers.get(name);
        if !golden.is_written_by_the_peer(get(header::FROM_ID)) {
            continue;
        }
        let mut fragment = Fragment::from_header(get(header::FRAGMENT));
        if response.status == 100 {
            fragment = Fragment { index: 1, count: 2 };
        }
        let message_id = get(header::MESSAGE_ID).unwrap_or_default();
        let letterhead = Letterhead::new(&Sender {
            host: get(header::FROM_HOST).unwrap_or_default(),
            id: get(header::FROM_ID).unwrap_or_default(),
            version: get(header::FROM_VERSION).map_or(0, |version| version.parse().unwrap()),
            locality: get(header::LOCALITY),
            queue: get(header::QUEUE),
        });
        let op_code = response.op_code().unwrap();
        let mut written = BytesMut::new();
        if op_code == OpCode::Ack {
            letterhead.ack(message_id, fragment, &mut written);
        } else {
            let standard = response
                .headers
                .iter()
                .all(|(name, _)| name.starts_with("Microbus-") || name == header::CONTENT_TYPE);
            if !standard {
                continue;
            }
            let head = ResponseHead {
                status: response.status,
                op_code,
                content_type: get(header::CONTENT_TYPE),
                message_id,
                fragment,
            };
            letterhead.response(&head, &response.body, &mut written);
        }
        assert_eq!(written.freeze(), payload, "{}", golden.name());
        *compared.entry(op_code.as_str()).or_insert(0) += 1;
    }
    assert_eq!(compared["Ack"], 453);
    assert!(
        compared["Res"] > 300 && compared["Err"] > 50,
        "{compared:?}"
    );
}

#[test]
fn every_recorded_subject_is_taken_apart_and_built_again() {
    for golden in goldens() {
        let name = golden.name();
        assert_eq!(golden.reply, "", "{name}");
        if golden.is_reply() {
            let reply = ReplySubject::parse(&golden.subject).unwrap();
            let plane = Plane::parse(reply.plane).unwrap();
            let built = reply_subject(&plane, reply.source, reply.destination, reply.instance);
            assert_eq!(built.unwrap(), golden.subject, "{name}");
            assert_eq!(golden.subject.split('.').count(), 6, "{name}");
            continue;
        }
        let subject = RequestSubject::parse(&golden.subject);
        let plane = Plane::parse(subject.plane).unwrap();
        let slot = Slot::parse(subject.slot).unwrap();
        let destination = microbus_wire::host::unescape_host(subject.destination);
        let Ok(request) = Request::parse(&golden.payload()) else {
            continue;
        };
        // In one case the method of the subject is not that of the message.
        let method = Method::parse(golden.subject.split('.').nth(6).unwrap()).unwrap();
        let source = subject.source_host();
        let built = request_subject(
            &plane,
            subject.port,
            &source,
            &destination,
            &slot,
            method,
            &request.path(),
        );
        assert_eq!(built.unwrap(), golden.subject, "{name}");
        if golden.is_written_by_the_peer(request.headers.get(header::FROM_ID)) {
            let source = Hostname::parse(&source).unwrap();
            let address = Address::parse(request.target()).unwrap();
            let built = address.subject_at(&slot, &plane, &source, method).unwrap();
            assert_eq!(built, golden.subject, "{name}");
        }
    }
}

#[test]
fn every_recorded_error_is_read_and_what_is_written_says_the_same() {
    let mut errors = 0;
    for golden in goldens().iter().filter(|golden| golden.is_reply()) {
        let response = Response::parse(&golden.payload()).unwrap();
        if response.op_code() != Some(OpCode::Err) {
            continue;
        }
        let mut error = TracedError::decode(&response.body);
        if golden.case.starts_with("client_panic_on_bad_err_body") {
            assert_eq!(error.error, "unparsable error response", "{}", golden.case);
            continue;
        }
        if !golden.is_written_by_the_peer(response.headers.get(header::FROM_ID)) {
            continue;
        }
        errors += 1;
        assert_eq!(error.status.code(), response.status, "{}", golden.name());
        assert!(!error.stack.is_empty() && error.stack.iter().all(|frame| frame.line > 0));
        error.stack.clear();
        let layout = if response.body.starts_with(b"{\n") {
            Layout::Indented
        } else {
            Layout::Compact
        };
        let written = error.encode(layout);
        assert_eq!(TracedError::decode(&written), error, "{}", golden.name());
        assert_eq!(written, without_stack(&response.body), "{}", golden.name());
    }
    assert!(errors > 50, "{errors}");
}

/// Cuts the stack, which we do not send, out of the text of an error.
fn without_stack(body: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(body).unwrap();
    let (start, end) = if text.starts_with("{\n") {
        ("    \"stack\": [", "\n    ],\n")
    } else {
        ("\"stack\":[", "],")
    };
    let from = text.find(start).unwrap();
    let to = from + text[from..].find(end).unwrap() + end.len();
    format!("{}{}", &text[..from], &text[to..]).into_bytes()
}
