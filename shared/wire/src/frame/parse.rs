//! Reading messages, as the peer's HTTP parser reads them.

use std::borrow::Cow;
use std::str;

use bytes::Bytes;
use memchr::memchr;

use super::{FrameError, MOST_FIELDS, Request, Response};
use crate::header::{self, Headers, USUAL_NAMES};
use crate::percent;
use crate::subject::Method;
use crate::text::{Text, split_at_byte};

pub(super) fn request(payload: &Bytes) -> Result<Request, FrameError> {
    let mut lines = Lines::of(payload);
    let line = text(lines.next_line()?)?;
    let (method, rest) = split_at_byte(line, b' ').ok_or(FrameError::StartLine)?;
    let (target, version) = split_at_byte(rest, b' ').ok_or(FrameError::StartLine)?;
    let version = parse_version(version)?;
    let method = Method::parse(method).ok_or(FrameError::Method)?;
    check_target(method, target)?;
    let head = Head::read(payload, &mut lines, version)?;
    let body = match head.framing {
        Framing::Absent => Bytes::new(),
        Framing::Length(length) => leading(payload, lines.rest, length),
        Framing::Chunked => join_chunks(lines.rest)?,
    };
    Ok(Request {
        method,
        target: Text::of(payload, target),
        host: head.host,
        headers: head.headers,
        body,
    })
}

pub(super) fn response(payload: &Bytes) -> Result<Response, FrameError> {
    let mut lines = Lines::of(payload);
    let line = text(lines.next_line()?)?;
    let (version, status) = line.split_once(' ').ok_or(FrameError::StartLine)?;
    let version = parse_version(version)?;
    let status = status
        .trim_start_matches(' ')
        .split(' ')
        .next()
        .unwrap_or_default();
    if status.len() != 3 || !status.bytes().all(|b| b.is_ascii_digit()) {
        return Err(FrameError::Status);
    }
    let status = status.parse().map_err(|_| FrameError::Status)?;
    let head = Head::read(payload, &mut lines, version)?;
    let body = match head.framing {
        _ if !allows_body(status) => Bytes::new(),
        Framing::Absent => payload.slice_ref(lines.rest),
        Framing::Length(length) => leading(payload, lines.rest, length),
        Framing::Chunked => join_chunks(lines.rest)?,
    };
    Ok(Response {
        status,
        headers: head.headers,
        body,
    })
}

/// Tells whether a response of this status has a body at all (RFC 9110 section 6.4.1).
pub(super) fn allows_body(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// Returns the path of a target, still escaped.
pub(super) fn target_path(target: &str) -> &str {
    Target::of(target).path
}

/// The target of a request line without its query.
struct Target<'a> {
    /// The scheme, and what stands between `://` and the path.
    origin: Option<(&'a str, &'a str)>,
    path: &'a str,
}

impl<'a> Target<'a> {
    fn of(target: &'a str) -> Self {
        let hierarchy = split_at_byte(target, b'?').map_or(target, |(before, _)| before);
        let scheme = split_at_byte(hierarchy, b':')
            .and_then(|(scheme, rest)| Some((scheme, rest.strip_prefix("//")?)))
            .filter(|(scheme, _)| !scheme.as_bytes().contains(&b'/'));
        let Some((scheme, rest)) = scheme else {
            return Self {
                origin: None,
                path: hierarchy,
            };
        };
        let slash = memchr(b'/', rest.as_bytes()).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(slash).unwrap_or((rest, ""));
        Self {
            origin: Some((scheme, authority)),
            path,
        }
    }
}

/// Returns the query of a target, without the question mark; empty if there is none.
pub(super) fn target_query(target: &str) -> &str {
    split_at_byte(target, b'?').map_or("", |(_, query)| query)
}

/// What says how long the body is.
enum Framing {
    Absent,
    Length(u64),
    Chunked,
}

struct Head {
    headers: Headers,
    host: Option<Text>,
    framing: Framing,
}

impl Head {
    /// Reads header lines up to and including the empty one.
    fn read(payload: &Bytes, lines: &mut Lines<'_>, version: Version) -> Result<Self, FrameError> {
        let mut headers = Headers::of(payload);
        let mut host = None;
        let mut length: Option<Cow<'_, [u8]>> = None;
        let mut encoding: Option<Cow<'_, [u8]>> = None;
        if lines.is_at_blank() {
            return Err(FrameError::Header);
        }
        let head = lines.rest;
        let mut fields = 0_usize;
        while let Some(Line { name, value }) = lines.next_header()? {
            fields = fields.saturating_add(1);
            if fields > MOST_FIELDS {
                return Err(FrameError::Fields);
            }
            let Some(name) = name else { continue };
            match &*name {
                b"Host" if host.is_some() => return Err(FrameError::Host),
                b"Host" => host = Some(host_text(payload, value)),
                b"Content-Length" if length.as_ref().is_some_and(|first| *first != value) => {
                    return Err(FrameError::ContentLength);
                }
                b"Content-Length" => length = Some(value),
                b"Transfer-Encoding" if encoding.is_some() => {
                    return Err(FrameError::TransferEncoding);
                }
                b"Transfer-Encoding" => encoding = Some(value),
                b"Trailer" => {}
                _ => headers.push_read(name, value),
            }
        }
        let read = head.len().saturating_sub(lines.rest.len());
        if !are_values(head.get(..read).unwrap_or_default()) {
            return Err(FrameError::Header);
        }
        headers.end_at(payload.len().saturating_sub(lines.rest.len()));
        let framing = framing(length.as_deref(), encoding.as_deref(), version)?;
        Ok(Self {
            headers,
            host,
            framing,
        })
    }
}

/// Tells whether these lines hold no control characters but those that end lines, and tabs.
///
/// All lines are looked at together, because many bytes at a time are cheap and many short values are not. Names have no
/// control characters anyway.
fn are_values(lines: &[u8]) -> bool {
    let following = lines.get(1..).unwrap_or_default();
    let printable = lines.iter().fold(true, |valid, byte| {
        valid & (((*byte >= b' ') & (*byte != 0x7f)) | matches!(*byte, b'\t' | b'\r' | b'\n'))
    });
    // A CR that ends no line would be part of a value.
    let pairs = lines.iter().zip(following);
    printable
        && pairs.fold(true, |valid, (byte, next)| {
            valid & ((*byte != b'\r') | (*next == b'\n'))
        })
}

fn host_text(payload: &Bytes, value: Cow<'_, [u8]>) -> Text {
    let bytes = match value {
        Cow::Borrowed(bytes) => payload.slice_ref(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    Text::new(bytes.clone()).unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned().into())
}

/// Decides how the body is delimited; where two readers might decide differently, the message is refused.
fn framing(
    length: Option<&[u8]>,
    encoding: Option<&[u8]>,
    version: Version,
) -> Result<Framing, FrameError> {
    match (length, encoding) {
        (None, None) => Ok(Framing::Absent),
        (Some(length), None) => {
            let digits = text(length).map_err(|_| FrameError::ContentLength)?;
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(FrameError::ContentLength);
            }
            match digits.parse::<i64>() {
                Ok(length) => Ok(Framing::Length(length.unsigned_abs())),
                Err(_) => Err(FrameError::ContentLength),
            }
        }
        (None, Some(encoding))
            if encoding.eq_ignore_ascii_case(b"chunked") && version >= Version(1, 1) =>
        {
            Ok(Framing::Chunked)
        }
        (_, Some(_)) => Err(FrameError::TransferEncoding),
    }
}

/// One header. The name is canonical, or `None` if it has a blank before the colon: nobody would find it then.
struct Line<'a> {
    name: Option<Cow<'a, [u8]>>,
    value: Cow<'a, [u8]>,
}

/// What is left of the message, read line by line.
struct Lines<'a> {
    rest: &'a [u8],
    /// Which of [`USUAL_NAMES`] may come next.
    usual: usize,
}

impl<'a> Lines<'a> {
    fn of(message: &'a [u8]) -> Self {
        Self {
            rest: message,
            usual: 0,
        }
    }

    /// Returns the next line without its LF or CRLF.
    fn next_line(&mut self) -> Result<&'a [u8], FrameError> {
        let (line, rest) = split_line(self.rest).ok_or(FrameError::Unterminated)?;
        self.rest = rest;
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    fn is_at_blank(&self) -> bool {
        matches!(self.rest, [b' ' | b'\t', ..])
    }

    /// Returns the next header, with its continuation lines; `None` at the empty line.
    fn next_header(&mut self) -> Result<Option<Line<'a>>, FrameError> {
        let line = self.next_line()?;
        if line.is_empty() {
            return Ok(None);
        }
        let (name, value) = match self.usual_name(line) {
            Some((name, value)) => (Some(Cow::Borrowed(name)), value),
            None => {
                let (name, value) = split_at(line, b':').ok_or(FrameError::Header)?;
                (header_name(name)?, value)
            }
        };
        let mut value = Cow::Borrowed(trim(value));
        while self.is_at_blank() {
            let continuation = trim(self.next_line()?);
            let whole = value.to_mut();
            whole.push(b' ');
            whole.extend_from_slice(continuation);
        }
        if let Cow::Owned(folded) = &mut value {
            *folded = trim_start(folded).to_vec();
        }
        Ok(Some(Line { name, value }))
    }

    /// Splits a line with one of [`USUAL_NAMES`] behind those before.
    fn usual_name(&mut self, line: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let coming = USUAL_NAMES.get(self.usual..)?;
        let is_next =
            |usual: &&[u8]| line.starts_with(usual) && line.get(usual.len()) == Some(&b':');
        let passed = coming.iter().position(is_next)?;
        let (name, value) = line.split_at_checked(coming.get(passed)?.len())?;
        self.usual = self.usual.saturating_add(passed).saturating_add(1);
        Some((name, value.strip_prefix(b":")?))
    }
}

fn header_name(name: &[u8]) -> Result<Option<Cow<'_, [u8]>>, FrameError> {
    match header::canonical_name(name) {
        Some(name) => Ok(Some(name)),
        None if name.is_empty() => Err(FrameError::Header),
        None if name.iter().all(|b| *b == b' ' || header::is_token_byte(*b)) => Ok(None),
        None => Err(FrameError::Header),
    }
}

/// Major and minor version of HTTP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u8, u8);

fn parse_version(text: &str) -> Result<Version, FrameError> {
    match text.as_bytes() {
        [
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            major @ b'0'..=b'9',
            b'.',
            minor @ b'0'..=b'9',
        ] => Ok(Version(*major, *minor)).map(|Version(major, minor)| {
            Version(major.saturating_sub(b'0'), minor.saturating_sub(b'0'))
        }),
        _ => Err(FrameError::Version),
    }
}

/// Accepts a URL with a host, a path, `*`, and for CONNECT an authority.
fn check_target(method: Method, target: &str) -> Result<(), FrameError> {
    let printable = target
        .bytes()
        .fold(true, |all, byte| all & (byte >= b' ') & (byte != 0x7f));
    if target.is_empty() || !printable {
        return Err(FrameError::Target);
    }
    let Target { origin, path } = Target::of(target);
    let known = match origin {
        Some((scheme, authority)) => {
            let letters = scheme.bytes().all(|b| b.is_ascii_alphanumeric());
            letters
                && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && is_authority(authority)
        }
        None if path.starts_with('/') || target == "*" => true,
        None if method == Method::Connect => {
            return if is_authority(path) {
                Ok(())
            } else {
                Err(FrameError::Target)
            };
        }
        None => false,
    };
    if known && percent::decode::<false>(path).is_some() {
        Ok(())
    } else {
        Err(FrameError::Target)
    }
}

fn is_authority(authority: &str) -> bool {
    let port = split_at_byte(authority, b':').map_or("", |(_, port)| port);
    let plain = |b: u8| b.is_ascii_alphanumeric() | matches!(b, b'-' | b'.' | b'_' | b':');
    authority.bytes().fold(true, |all, byte| all & plain(byte))
        && port.bytes().all(|b| b.is_ascii_digit())
}

/// Returns the data of a chunked body. If its end is missing, what arrived is the body.
fn join_chunks(mut rest: &[u8]) -> Result<Bytes, FrameError> {
    let mut body = Vec::with_capacity(rest.len());
    while let Some((line, after)) = split_line(rest) {
        let line = line.strip_suffix(b"\r").ok_or(FrameError::Chunk)?;
        let size = chunk_size(line)?;
        if size == 0 {
            break;
        }
        let available = usize::try_from(size).unwrap_or(usize::MAX).min(after.len());
        let (data, after) = after.split_at_checked(available).unwrap_or((after, &[]));
        body.extend_from_slice(data);
        match after {
            [b'\r', b'\n', next @ ..] => rest = next,
            [] | [_] => break,
            _ => return Err(FrameError::Chunk),
        }
    }
    Ok(body.into())
}

fn chunk_size(line: &[u8]) -> Result<u64, FrameError> {
    let line = trim_end(line);
    let digits = line.split(|b| *b == b';').next().unwrap_or_default();
    let hexadecimal = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    if line.len() >= MAX_CHUNK_LINE || digits.len() > 16 || !hexadecimal {
        return Err(FrameError::Chunk);
    }
    let digits = text(digits).map_err(|_| FrameError::Chunk)?;
    u64::from_str_radix(digits, 16).map_err(|_| FrameError::Chunk)
}

/// Returns at most `length` bytes of what follows the headers.
fn leading(payload: &Bytes, rest: &[u8], length: u64) -> Bytes {
    let length = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(rest.len());
    payload.slice_ref(rest.get(..length).unwrap_or_default())
}

/// Splits at the first LF, which is in neither part; `None` if there is none.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    split_at(bytes, b'\n')
}

/// Splits at the first occurrence of a byte, which is in neither part.
fn split_at(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(byte, bytes)?;
    Some((bytes.get(..at)?, bytes.get(at.saturating_add(1)..)?))
}

fn text(bytes: &[u8]) -> Result<&str, FrameError> {
    str::from_utf8(bytes).map_err(|_| FrameError::StartLine)
}

fn trim(bytes: &[u8]) -> &[u8] {
    trim_start(trim_end(bytes))
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The longest line before a chunk that the peer reads.
const MAX_CHUNK_LINE: usize = 4096;
