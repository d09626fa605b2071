//! Host names and their form in a subject.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::percent;

/// The host name of a microservice: dot-separated labels of `[a-z0-9-]`, shorter than 253 bytes, not `all` and not
/// beginning with `id-` or `loc-`, which the bus reads as a slot.
///
/// Cloning is cheap. spec: microbus-wire 1.5
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hostname {
    name: Arc<str>,
    segment: Arc<str>,
}

impl Hostname {
    /// Returns the host name in lower case.
    ///
    /// # Errors
    /// [`HostnameError`] names the rule that is broken.
    pub fn parse(text: &str) -> Result<Self, HostnameError> {
        let name = text.to_ascii_lowercase();
        check_labels(&name)?;
        if name.starts_with("id-") || name.starts_with("loc-") {
            return Err(HostnameError::Slot);
        }
        if name == "all" || name.ends_with(".all") {
            return Err(HostnameError::Broadcast);
        }
        Ok(Self {
            segment: escape_host(&name).into(),
            name: name.into(),
        })
    }

    /// Returns the name with its dots, for example `access.token.core`.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Returns the name as a subject segment, for example `access_token_core`.
    pub fn segment(&self) -> &str {
        &self.segment
    }
}

impl fmt::Debug for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hostname({})", self.name)
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Why a text is no host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HostnameError {
    /// Empty, or a label is empty.
    #[error(
        "a host name has an empty label; write labels of letters, digits and hyphens, joined by dots"
    )]
    EmptyLabel,
    /// A byte outside `[A-Za-z0-9.-]`.
    #[error("a host name has a character other than letters, digits, hyphens and dots")]
    Character,
    /// 253 bytes or more.
    #[error("a host name has 253 characters or more; shorten it")]
    TooLong,
    /// Begins with `id-` or `loc-`.
    #[error(
        "a host name begins with id- or loc-, which address one instance or a locality; rename it"
    )]
    Slot,
    /// `all`, or ends in `.all`.
    #[error("a host name is `all` or ends in `.all`, which is the broadcast address; rename it")]
    Broadcast,
}

/// Checks labels, characters and length, which host names and localities have in common.
pub(crate) fn check_labels(name: &str) -> Result<(), HostnameError> {
    if name.len() >= 253 {
        return Err(HostnameError::TooLong);
    }
    if name.split('.').any(str::is_empty) {
        return Err(HostnameError::EmptyLabel);
    }
    if !name
        .bytes()
        .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
    {
        return Err(HostnameError::Character);
    }
    Ok(())
}

/// Returns a host name as a subject segment: lower case, `.` as `_`, anything unusual as `%xx`.
///
/// spec: microbus-wire 2.2
pub fn escape_host(host: &str) -> Cow<'_, str> {
    if host.bytes().all(is_plain) {
        return Cow::Borrowed(host);
    }
    let mut segment = String::with_capacity(host.len());
    for byte in host.to_lowercase().bytes() {
        match byte {
            b'.' => segment.push('_'),
            plain if is_plain(plain) => segment.push(char::from(plain)),
            other => percent::push_escaped(&mut segment, other),
        }
    }
    Cow::Owned(segment)
}

/// Returns the host name of a subject segment. If its escapes are malformed they stay as they are, as with the peer.
///
/// A name that holds `_` itself does not survive the round trip, because `_` stands for a dot.
/// spec: microbus-wire 2.2
pub fn unescape_host(segment: &str) -> Cow<'_, str> {
    if !segment.bytes().any(|byte| byte == b'_' || byte == b'%') {
        return Cow::Borrowed(segment);
    }
    let dotted = segment.replace('_', ".");
    match percent::decode::<false>(&dotted) {
        Some(Cow::Owned(decoded)) => Cow::Owned(decoded),
        Some(Cow::Borrowed(_)) | None => Cow::Owned(dotted),
    }
}

/// Tells whether a byte stands for itself in the segment of a host.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_name_is_lowercased_and_flattened() {
        let host = Hostname::parse("Access.Token.CORE").unwrap();
        assert_eq!(host.as_str(), "access.token.core");
        assert_eq!(host.segment(), "access_token_core");
    }

    #[test]
    fn a_host_name_that_means_something_else_is_refused() {
        let long = "a".repeat(253);
        for (text, error) in [
            ("", HostnameError::EmptyLabel),
            ("a..b", HostnameError::EmptyLabel),
            (".a", HostnameError::EmptyLabel),
            ("a_b", HostnameError::Character),
            ("a b", HostnameError::Character),
            ("ä.example", HostnameError::Character),
            ("id-abc.core", HostnameError::Slot),
            ("LOC-us.core", HostnameError::Slot),
            ("all", HostnameError::Broadcast),
            ("x.all", HostnameError::Broadcast),
            (long.as_str(), HostnameError::TooLong),
        ] {
            assert_eq!(Hostname::parse(text), Err(error), "{text}");
        }
        assert!(Hostname::parse(&"a".repeat(252)).is_ok());
    }

    #[test]
    fn unusual_bytes_are_escaped_with_lowercase_hex() {
        assert_eq!(escape_host("A.b*c>d"), "a_b%2ac%3ed");
        assert_eq!(unescape_host("a_b%2ac%3Ed"), "a.b*c>d");
        assert_eq!(unescape_host("a_b%zz"), "a.b%zz");
    }

    proptest! {
        #[test]
        fn a_host_without_underscores_survives_the_round_trip(host in "[a-z0-9.%*> é-]{0,40}") {
            let segment = escape_host(&host);
            prop_assert_eq!(unescape_host(&segment), host.as_str());
        }

        #[test]
        fn a_segment_is_a_single_subject_token(host in "\\PC{0,40}") {
            let segment = escape_host(&host).into_owned();
            prop_assert!(segment.bytes().all(|b| is_plain(b) || b == b'%'), "{}", segment);
        }
    }
}
