//! Writing messages, byte for byte as the peer's HTTP writer writes them.

use bytes::BytesMut;

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

/// What every ack and every response of one endpoint says of its sender, encoded once.
///
/// Writes whole messages without building [`Headers`](crate::Headers). spec: microbus-wire 3.2, 3.3
#[derive(Debug, Clone)]
pub struct Letterhead {
    /// `Microbus-From-Host`, `Microbus-From-Id`.
    sender: Vec<u8>,
    /// `Microbus-From-Version`, which an ack lacks.
    version: Vec<u8>,
    /// `Microbus-Locality`.
    locality: Vec<u8>,
    /// `Microbus-Queue`.
    queue: Vec<u8>,
    /// An ack of a whole request, up to the identifier and from there on.
    whole_ack: [Vec<u8>; 2],
}

/// What a [`Letterhead`] is made of.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The host that heard the request.
    pub host: &'a str,
    /// The instance that heard it.
    pub id: &'a str,
    /// The generation of the service; 0 is not written.
    pub version: u32,
    /// Where the instance runs.
    pub locality: Option<&'a str>,
    /// The queue group of the subscription.
    pub queue: Option<&'a str>,
}

impl Letterhead {
    /// Encodes what does not change.
    pub fn new(from: &Sender<'_>) -> Self {
        let (mut sender, mut version) = (Vec::new(), Vec::new());
        put_value(&mut sender, header::FROM_HOST, from.host);
        put_value(&mut sender, header::FROM_ID, from.id);
        if from.version > 0 {
            put_value(
                &mut version,
                header::FROM_VERSION,
                &from.version.to_string(),
            );
        }
        let (mut locality, mut queue) = (Vec::new(), Vec::new());
        put_optional(&mut locality, header::LOCALITY, from.locality);
        put_optional(&mut queue, header::QUEUE, from.queue);
        let mut letterhead = Self {
            sender,
            version,
            locality,
            queue,
            whole_ack: Default::default(),
        };
        letterhead.whole_ack = letterhead.ack_around_id(Fragment::WHOLE);
        letterhead
    }

    /// Appends an ack to `out`: somebody heard the request, before any work is done.
    ///
    /// One of many fragments is acked by a 100 instead of a 202.
    pub fn ack(&self, message_id: &str, fragment: Fragment, out: &mut BytesMut) {
        let id = clean_value(message_id);
        let id = id.trim_ascii().as_bytes();
        let mut around = |[before, after]: &[Vec<u8>; 2]| append(out, &[before, id, after]);
        if fragment.is_whole() {
            around(&self.whole_ack);
        } else {
            around(&self.ack_around_id(fragment));
        }
    }

    fn ack_around_id(&self, fragment: Fragment) -> [Vec<u8>; 2] {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let whole = fragment.is_whole();
        put_status(&mut before, if whole { 202 } else { 100 });
        before.extend_from_slice(b"Connection: close\r\n");
        before.extend_from_slice(&self.sender);
        before.extend_from_slice(&self.locality);
        put(&mut before, &[ID_NAME]);
        put(&mut after, &[OP_CODE_NAME, OpCode::Ack.as_str(), "\r\n"]);
        after.extend_from_slice(&self.queue);
        if whole {
            put_no_length(&mut after, &[]);
        }
        after.extend_from_slice(b"\r\n");
        [before, after]
    }

    /// Appends a response with a body, or with one part of a body, to `out`.
    ///
    /// A handler that sets headers of its own uses [`Response`].
    pub fn response(&self, head: &ResponseHead<'_>, body: &[u8], out: &mut BytesMut) {
        let has_body = allows_body(head.status);
        let body = if has_body { body } else { &[] };
        let (mut code, mut length) = (itoa::Buffer::new(), itoa::Buffer::new());
        let odd = odd_status(head.status);
        let (code, reason) = match &odd {
            Some(odd) => (odd.as_str(), ["", ""]),
            None => (code.format(head.status), [" ", status::reason(head.status)]),
        };
        let length = match body.len() {
            0 => ["", "", ""],
            bytes => ["Content-Length: ", length.format(bytes), "\r\n"],
        };
        let content_type = head.content_type.map(clean_value);
        let content_type = match &content_type {
            None => ["", "", ""],
            Some(value) => ["Content-Type: ", value.trim_ascii(), "\r\n"],
        };
        let fragment = if head.fragment.is_whole() {
            String::new()
        } else {
            format!("{}: {}\r\n", header::FRAGMENT, head.fragment)
        };
        let id = clean_value(head.message_id);
        let no_length = if has_body && body.is_empty() {
            NO_LENGTH
        } else {
            ""
        };
        let parts: &[&[u8]] = &[
            b"HTTP/1.1 ",
            code.as_bytes(),
            reason[0].as_bytes(),
            reason[1].as_bytes(),
            b"\r\n",
            length[0].as_bytes(),
            length[1].as_bytes(),
            length[2].as_bytes(),
            content_type[0].as_bytes(),
            content_type[1].as_bytes(),
            content_type[2].as_bytes(),
            fragment.as_bytes(),
            &self.sender,
            &self.version,
            &self.locality,
            ID_NAME.as_bytes(),
            id.trim_ascii().as_bytes(),
            OP_CODE_NAME.as_bytes(),
            head.op_code.as_str().as_bytes(),
            b"\r\n",
            &self.queue,
            no_length.as_bytes(),
            b"\r\n",
            body,
        ];
        append(out, parts);
    }
}

/// What differs between the responses of an endpoint.
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
    /// Which part of the body follows.
    pub fragment: Fragment,
}

const NO_LENGTH: &str = "Content-Length: 0\r\n";
/// What stands before the identifier of the request, and what between that and the code.
const ID_NAME: &str = "Microbus-Msg-Id: ";
const OP_CODE_NAME: &str = "\r\nMicrobus-Op-Code: ";

fn append(out: &mut BytesMut, parts: &[&[u8]]) {
    out.reserve(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

fn put_number(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn put_status(out: &mut Vec<u8>, code: u16) {
    match odd_status(code) {
        Some(odd) => put(out, &["HTTP/1.1 ", &odd, "\r\n"]),
        None => {
            out.extend_from_slice(b"HTTP/1.1 ");
            put_number(out, code.into());
            put(out, &[" ", status::reason(code), "\r\n"]);
        }
    }
}

/// Returns code and reason of a status that has no reason of its own.
fn odd_status(code: u16) -> Option<String> {
    let odd = status::reason(code).is_empty();
    odd.then(|| format!("{code:03} status code {code}"))
}

/// The peer writes the length of a body first …
fn put_length(out: &mut Vec<u8>, body: &[u8]) {
    if !body.is_empty() {
        out.extend_from_slice(b"Content-Length: ");
        put_number(out, body.len());
        out.extend_from_slice(b"\r\n");
    }
}

/// … but that of an empty body last.
fn put_no_length(out: &mut Vec<u8>, body: &[u8]) {
    if body.is_empty() {
        out.extend_from_slice(NO_LENGTH.as_bytes());
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
