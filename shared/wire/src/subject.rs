//! NATS subjects: who sends, who is meant, and which endpoint.
//!
//! ```text
//! request = plane . trust . port . source . destination . slot . METHOD . path
//! reply   = plane . reply . _ . responder . caller . caller's instance id
//! ```
//!
//! spec: microbus-wire 2

mod path;
mod reply;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

pub use path::{path_segments, route_segments};
pub use reply::{ReplySubject, reply_subject, reply_subscription};

use crate::host::{escape_host, unescape_host};
use crate::id::InstanceId;
use crate::text::split_at_byte;

/// The longest subject that we publish to, in bytes.
///
/// The broker cuts the connection at a PUB line of 4096 bytes; the rest of the line needs far less than the margin.
/// spec: microbus-wire 2.4
pub const MAX_SUBJECT: usize = 4096 - 256;

/// The first segment of every subject, which keeps applications on one broker apart: letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plane(Arc<str>);

impl Plane {
    /// Returns the plane; case matters.
    ///
    /// # Errors
    /// [`PlaneError`] if the text is empty or has anything but ASCII letters and digits.
    pub fn parse(text: &str) -> Result<Self, PlaneError> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(PlaneError);
        }
        Ok(Self(text.into()))
    }

    /// Returns the text, for example `microbus`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Plane {
    fn default() -> Self {
        Self("microbus".into())
    }
}

/// A text that is no plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the plane must be ASCII letters and digits; unset it to get `microbus`")]
pub struct PlaneError;

/// How far the callers of a port are trusted; the broker's permissions are written in these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Any port but 666.
    Safe,
    /// Port 666, which needs a permission of its own.
    Danger,
}

impl Trust {
    /// Returns the trust of a port. Ports are compared as text: `0666` is safe. spec: microbus-wire 15.9
    pub fn of_port(port: &str) -> Self {
        if port == "666" {
            Self::Danger
        } else {
            Self::Safe
        }
    }

    /// Returns the segment, `safe` or `danger`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Danger => "danger",
        }
    }
}

/// Which of the replicas of a host are meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Slot {
    /// Any of them.
    #[default]
    Unpinned,
    /// One instance.
    Instance(InstanceId),
    /// Those of a locality, without the `loc-`: for example `us-west`.
    Locality(String),
}

impl Slot {
    /// Returns the slot that a segment stands for, `None` if it is none.
    pub fn parse(segment: &str) -> Option<Self> {
        if segment == "_" {
            return Some(Self::Unpinned);
        }
        if let Ok(id) = InstanceId::parse(segment) {
            return Some(Self::Instance(id));
        }
        let locality = segment.to_ascii_lowercase();
        let locality = locality.strip_prefix("loc-")?;
        let plain = locality
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        (plain && !locality.is_empty()).then(|| Self::Locality(locality.to_owned()))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpinned => f.write_str("_"),
            Self::Instance(id) => f.write_str(id.as_str()),
            Self::Locality(locality) => write!(f, "loc-{locality}"),
        }
    }
}

/// The methods of HTTP that the bus carries. spec: microbus-wire 4, step 2
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// CONNECT
    Connect,
    /// OPTIONS
    Options,
    /// TRACE
    Trace,
    /// PATCH
    Patch,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 9] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Delete,
        Self::Connect,
        Self::Options,
        Self::Trace,
        Self::Patch,
    ];

    /// Returns the method of an upper-case name, `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }

    /// Returns the name in upper case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a subject cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SubjectError {
    /// The port is no decimal number.
    #[error("the port is not a decimal number of at most five digits")]
    Port,
    /// The name of a locality has characters that a subject cannot carry.
    #[error("the locality has characters other than lower-case letters, digits and hyphens")]
    Locality,
    /// A host segment is empty or has characters outside `[A-Za-z0-9_%-]`.
    #[error("the host segment is empty or holds characters that a subject cannot carry")]
    Host,
    /// An instance identifier is empty or has characters outside `[A-Za-z0-9_-]`.
    #[error("the caller's instance id is empty or holds characters that could lead a reply astray")]
    CallerId,
    /// `{name...}` is not the last part of a route.
    #[error("a `{{name...}}` of the route is not its last part; only the last may match the rest")]
    Rest,
    /// More than [`MAX_SUBJECT`] bytes.
    #[error(
        "the subject has {0} bytes, more than {MAX_SUBJECT}, and the broker would cut the connection; shorten the path"
    )]
    TooLong(usize),
}

/// The parts of the subject of a request, still escaped. What is missing is empty, as with the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestSubject<'a> {
    /// The plane.
    pub plane: &'a str,
    /// `safe` or `danger`.
    pub trust: &'a str,
    /// The port, decimal.
    pub port: &'a str,
    /// The sender's segment, the only source of its identity that the broker vouches for.
    pub source: &'a str,
    /// The addressee's segment.
    pub destination: &'a str,
    /// `_`, an instance identifier or `loc-…`; see [`Slot::parse`].
    pub slot: &'a str,
}

impl<'a> RequestSubject<'a> {
    /// Splits a subject. Only the first six segments are read.
    pub fn parse(subject: &'a str) -> Self {
        let mut rest = subject;
        let mut next = || match split_at_byte(rest, b'.') {
            Some((segment, others)) => {
                rest = others;
                segment
            }
            None => std::mem::take(&mut rest),
        };
        Self {
            plane: next(),
            trust: next(),
            port: next(),
            source: next(),
            destination: next(),
            slot: next(),
        }
    }

    /// Returns the host name of the sender.
    ///
    /// # Security
    /// This, and never the header `Microbus-From-Host`, says who asks: the broker checks subjects, not headers.
    pub fn source_host(&self) -> std::borrow::Cow<'a, str> {
        unescape_host(self.source)
    }
}

/// Returns the subject to publish a request to.
///
/// `source` and `destination` are host names, `path` is the decoded path of the URL.
///
/// # Errors
/// [`SubjectError`] if a part does not fit into a subject, or all of it is longer than [`MAX_SUBJECT`].
pub fn request_subject(
    plane: &Plane,
    port: &str,
    source: &str,
    destination: &str,
    slot: &Slot,
    method: Method,
    path: &str,
) -> Result<String, SubjectError> {
    let tail = path_segments(path);
    build(
        plane,
        port,
        &escape_host(source),
        destination,
        slot,
        method.as_str(),
        &tail,
    )
}

/// Returns the subject to subscribe to for an endpoint; no method means any, and port `0` means any.
///
/// # Errors
/// As [`request_subject`]; [`SubjectError::Rest`] if the route has a `{name...}` that is not last.
pub fn subscription_subject(
    plane: &Plane,
    port: &str,
    destination: &str,
    slot: &Slot,
    method: Option<Method>,
    route: &str,
) -> Result<String, SubjectError> {
    let tail = route_segments(route)?;
    build(
        plane,
        port,
        "*",
        destination,
        slot,
        method.map_or("*", Method::as_str),
        &tail,
    )
    .map(|subject| {
        if port == "0" {
            subject.replacen(".0.", ".*.", 1)
        } else {
            subject
        }
    })
}

/// Tells whether a subject falls under a pattern with the wildcards `*` (one segment) and `>` (one or more at the end).
pub fn matches(pattern: &str, subject: &str) -> bool {
    let mut segments = subject.split('.');
    for expected in pattern.split('.') {
        match segments.next() {
            None => return false,
            Some(_) if expected == ">" => return true,
            Some(segment) if expected != "*" && expected != segment => return false,
            Some(_) => {}
        }
    }
    segments.next().is_none()
}

fn build(
    plane: &Plane,
    port: &str,
    source: &str,
    destination: &str,
    slot: &Slot,
    method: &str,
    tail: &str,
) -> Result<String, SubjectError> {
    if u16::from_str(port).is_err() || port.len() > 5 || port.starts_with('+') {
        return Err(SubjectError::Port);
    }
    if matches!(slot, Slot::Locality(_)) && Slot::parse(&slot.to_string()).is_none() {
        return Err(SubjectError::Locality);
    }
    let destination = escape_host(destination);
    if source.is_empty() || destination.is_empty() {
        return Err(SubjectError::Host);
    }
    let trust = Trust::of_port(port).as_str();
    let plane = plane.as_str();
    let subject = format!("{plane}.{trust}.{port}.{source}.{destination}.{slot}.{method}.{tail}");
    check_length(subject)
}

fn check_length(subject: String) -> Result<String, SubjectError> {
    match subject.len() {
        0..=MAX_SUBJECT => Ok(subject),
        length => Err(SubjectError::TooLong(length)),
    }
}

#[cfg(test)]
mod tests;
