//! Writing messages, byte for byte as the peer's HTTP writer writes them.

use super::parse::allows_body;
use super::{Request, Response};
use crate::fragment::Fragment;
use crate::header::{self, OpCode, clean_value};
use crate::status;
use crate::subject::Method;

pub(super) fn request(request: &Request, out: &mut Vec<u8>) {
    let sorted = request.headers.sorted();
    put(
        out,
        &[
            request.method.as_str(),
            " ",
            &request.target,
            " HTTP/1.1\r\n",
        ],
    );
    if let Some(host) = &request.host {
        put(out, &["Host: ", host.trim_ascii(), "\r\n"]);
    }
    put_named(out, &sorted, header::USER_AGENT);
    put_named(out, &sorted, header::CONNECTION);
    let expects_body = matches!(request.method, Method::Post | Method::Put | Method::Patch);
    if expects_body || !request.body.is_empty() {
        put(
            out,
            &["Content-Length: ", &request.body.len().to_string(), "\r\n"],
        );
    }
    for (name, value) in sorted {
        if name != header::USER_AGENT.as_bytes() && name != header::CONNECTION.as_bytes() {
            put_field(out, name, value);
        }
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&request.body);
}

pub(super) fn response(response: &Response, out: &mut Vec<u8>) {
    let sorted = response.headers.sorted();
    put_status(out, response.status);
    put_named(out, &sorted, header::CONNECTION);
    let body: &[u8] = if allows_body(response.status) {
        &response.body
    } else {
        &[]
    };
    put_length(out, body);
    for (name, value) in sorted {
        if name != header::CONNECTION.as_bytes() {
            put_field(out, name, value);
        }
    }
    if allows_body(response.status) {
        put_no_length(out, body);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// Says that somebody heard a request, before any work is done. spec: microbus-wire 3.2
#[derive(Debug, Clone, Copy)]
pub struct Ack<'a> {
    /// The identifier of the request.
    pub message_id: &'a str,
    /// The host that heard it.
    pub from_host: &'a str,
    /// The instance that heard it.
    pub from_id: &'a str,
    /// The queue group of the subscription; the response must say the same.
    pub queue: Option<&'a str>,
    /// Where the instance runs.
    pub locality: Option<&'a str>,
    /// Which fragment was heard: one of many is acked by a 100 instead of a 202.
    pub fragment: Fragment,
}

impl Ack<'_> {
    /// Returns the whole message.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(320);
        let whole = self.fragment.is_whole();
        put_status(&mut out, if whole { 202 } else { 100 });
        out.extend_from_slice(b"Connection: close\r\n");
        put_value(&mut out, header::FROM_HOST, self.from_host);
        put_value(&mut out, header::FROM_ID, self.from_id);
        put_optional(&mut out, header::LOCALITY, self.locality);
        put_value(&mut out, header::MESSAGE_ID, self.message_id);
        put_value(&mut out, header::OP_CODE, OpCode::Ack.as_str());
        put_optional(&mut out, header::QUEUE, self.queue);
        if whole {
            put_no_length(&mut out, &[]);
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

/// What precedes the body of a response: writes the message without building [`Headers`](crate::Headers).
///
/// A handler that sets headers of its own uses [`Response`]. spec: microbus-wire 3.3
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    /// The status, below 1000.
    pub status: u16,
    /// [`OpCode::Res`] or [`OpCode::Err`].
    pub op_code: OpCode,
    /// The media type of the body.
    pub content_type: Option<&'a str>,
    /// The identifier of the request.
    pub message_id: &'a str,
    /// The host that answers.
    pub from_host: &'a str,
    /// The instance that answers.
    pub from_id: &'a str,
    /// The generation of the service; 0 is not written.
    pub from_version: u32,
    /// The queue group of the subscription, as in the ack.
    pub queue: Option<&'a str>,
    /// Where the instance runs.
    pub locality: Option<&'a str>,
    /// Which part of the body follows.
    pub fragment: Fragment,
}

impl ResponseHead<'_> {
    /// Returns the whole message.
    pub fn encode(&self, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len().saturating_add(448));
        put_status(&mut out, self.status);
        let body = if allows_body(self.status) { body } else { &[] };
        put_length(&mut out, body);
        put_optional(&mut out, header::CONTENT_TYPE, self.content_type);
        if !self.fragment.is_whole() {
            put_value(&mut out, header::FRAGMENT, &self.fragment.to_string());
        }
        put_value(&mut out, header::FROM_HOST, self.from_host);
        put_value(&mut out, header::FROM_ID, self.from_id);
        if self.from_version > 0 {
            put_value(
                &mut out,
                header::FROM_VERSION,
                &self.from_version.to_string(),
            );
        }
        put_optional(&mut out, header::LOCALITY, self.locality);
        put_value(&mut out, header::MESSAGE_ID, self.message_id);
        put_value(&mut out, header::OP_CODE, self.op_code.as_str());
        put_optional(&mut out, header::QUEUE, self.queue);
        if allows_body(self.status) {
            put_no_length(&mut out, body);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
        out
    }
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

fn put_status(out: &mut Vec<u8>, code: u16) {
    match status::reason(code) {
        "" => put(
            out,
            &[
                "HTTP/1.1 ",
                &format!("{code:03} status code {code}"),
                "\r\n",
            ],
        ),
        reason => put(out, &["HTTP/1.1 ", &code.to_string(), " ", reason, "\r\n"]),
    }
}

/// The peer writes the length of a body first …
fn put_length(out: &mut Vec<u8>, body: &[u8]) {
    if !body.is_empty() {
        put(out, &["Content-Length: ", &body.len().to_string(), "\r\n"]);
    }
}

/// … but that of an empty body last.
fn put_no_length(out: &mut Vec<u8>, body: &[u8]) {
    if body.is_empty() {
        out.extend_from_slice(b"Content-Length: 0\r\n");
    }
}

/// A folded value may end in a blank, which the peer keeps while it reads but does not write.
fn put_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value.trim_ascii(), b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn put_value(out: &mut Vec<u8>, name: &str, value: &str) {
    put_field(out, name.as_bytes(), clean_value(value).as_bytes());
}

fn put_optional(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        put_value(out, name, value);
    }
}

fn put_named(out: &mut Vec<u8>, sorted: &[(&[u8], &[u8])], wanted: &str) {
    for (name, value) in sorted.iter().filter(|(name, _)| *name == wanted.as_bytes()) {
        put_field(out, name, value);
    }
}
