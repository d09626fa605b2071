//! One entry per parser, for fuzzers and for the test that replays their corpora.
//!
//! Each takes any bytes and asserts a relation between what was read and what is written back.

use bytes::Bytes;

use crate::fragment::{Fragment, split};
use crate::host::{escape_host, unescape_host};
use crate::subject::{MAX_SUBJECT, Plane, ReplySubject, RequestSubject, matches, reply_subject};
use crate::trace::Layout;
use crate::{Address, Hostname, Request, Response, TracedError, duration, query};

/// A request that is read and written is read the same again, and its body is part of the payload.
pub fn fuzz_request(bytes: &[u8]) {
    let payload = Bytes::copy_from_slice(bytes);
    if let Ok(request) = Request::parse(&payload) {
        assert!(request.body.len() <= bytes.len());
        let written = Bytes::from(request.encode());
        let again = Request::parse(&written);
        assert_eq!(again.map(|again| again.encode()).as_deref(), Ok(&*written));
    }
}

/// A response that is read and written is read the same again, and its body is part of the payload.
pub fn fuzz_response(bytes: &[u8]) {
    let payload = Bytes::copy_from_slice(bytes);
    if let Ok(response) = Response::parse(&payload) {
        assert!(response.body.len() <= bytes.len());
        let written = Bytes::from(response.encode());
        let again = Response::parse(&written);
        assert_eq!(again.map(|again| again.encode()).as_deref(), Ok(&*written));
    }
}

/// A reply that is built of the parts of any subject stays under the prefix of replies.
pub fn fuzz_subject(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let subject = RequestSubject::parse(&text);
    let segments = text.split('.').count();
    assert!(segments > 5 || subject.slot.is_empty());
    assert!(matches(">", &text));
    if let Ok(reply) = reply_subject(&Plane::default(), "me", subject.source, subject.slot) {
        assert!(reply.starts_with("microbus.reply._.me.") && reply.len() <= MAX_SUBJECT);
        assert_eq!(
            ReplySubject::parse(&reply).map(|reply| reply.destination),
            Some(subject.source)
        );
    }
}

/// The target of an address is an address again, the same.
pub fn fuzz_address(bytes: &[u8]) {
    if let Ok(address) = Address::parse(&String::from_utf8_lossy(bytes)) {
        let target = address.target();
        assert_eq!(
            Address::parse(&target).map(|again| again.target()),
            Ok(target)
        );
    }
}

/// A duration that is read and printed is read the same again.
pub fn fuzz_duration(bytes: &[u8]) {
    if let Ok(nanoseconds) = duration::parse(&String::from_utf8_lossy(bytes))
        && let Ok(positive) = u64::try_from(nanoseconds)
    {
        let printed = duration::format(std::time::Duration::from_nanos(positive));
        assert_eq!(duration::parse(&printed), Ok(nanoseconds));
    }
}

/// The parts of a body add up to it, whatever the header says.
pub fn fuzz_fragment(bytes: &[u8]) {
    let fragment = Fragment::parse(&String::from_utf8_lossy(bytes));
    assert_eq!(Fragment::parse(&fragment.to_string()), fragment);
    let size = usize::try_from(fragment.index).unwrap_or(1).clamp(1, 64);
    let parts: Vec<&[u8]> = split(bytes, size).map(|(_, part)| part).collect();
    assert_eq!(parts.concat(), bytes);
}

/// Whatever is decoded can be encoded and decoded to the same, but for the stack.
pub fn fuzz_traced_error(bytes: &[u8]) {
    let mut error = TracedError::decode(bytes);
    error.stack.clear();
    for layout in [Layout::Compact, Layout::Indented] {
        let written = error.encode(layout);
        assert_eq!(TracedError::decode(&written).encode(layout), written);
    }
}

/// A query has no more pairs than parts, and a form that is not malformed has as many.
pub fn fuzz_query(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let parts = text.split('&').filter(|part| !part.is_empty()).count();
    assert!(query::pairs(&text).count() <= parts);
    if let Ok(form) = query::form_pairs(&text) {
        assert_eq!(form.count(), parts);
    }
}

/// A host name survives the way through a subject.
pub fn fuzz_hostname(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let segment = escape_host(&text);
    assert!(!segment.contains(['.', '*', '>', ' ']));
    if let Ok(host) = Hostname::parse(&text) {
        assert_eq!(unescape_host(host.segment()), host.as_str());
    }
}
