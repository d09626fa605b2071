//! The URL of an endpoint on the bus.

use std::borrow::Cow;

use thiserror::Error;

use crate::host::Hostname;
use crate::percent;
use crate::subject::{Method, Plane, Slot, SubjectError, request_subject};

/// An endpoint such as `https://access.token.core:666/mint?x=1`.
///
/// If the first label of the host begins with `id-` or `loc-` it pins the request to an instance or a locality. A host
/// that is nothing but such a label is taken whole, as a host. spec: microbus-wire 2.3, 15.9
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    scheme: &'static str,
    host: String,
    port: String,
    slot: Slot,
    raw_path: String,
    path: String,
    query: String,
}

impl Address {
    /// Reads `https://HOST[:PORT][/path][?query]`, or `http`; the port defaults to 443, or 80.
    ///
    /// # Errors
    /// [`AddressError`] names the part that is wrong.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, default_port, rest) = match url.split_once("://") {
            Some((s, rest)) if s.eq_ignore_ascii_case("https") => ("https", "443", rest),
            Some((s, rest)) if s.eq_ignore_ascii_case("http") => ("http", "80", rest),
            _ => return Err(AddressError::Scheme),
        };
        let rest = rest.split_once('#').map_or(rest, |(rest, _fragment)| rest);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path_at = rest.find('/').unwrap_or(rest.len());
        let (authority, raw_path) = rest.split_at_checked(path_at).unwrap_or((rest, ""));
        let (host, port) = split_port(authority, default_port)?;
        if !is_printable(raw_path) || !is_printable(query) {
            return Err(AddressError::Path);
        }
        let path = percent::decode::<false>(raw_path)
            .ok_or(AddressError::Path)?
            .into_owned();
        let (slot, host) = cut_slot(&host)?;
        Ok(Self {
            scheme,
            host,
            port: port.to_owned(),
            slot,
            raw_path: raw_path.to_owned(),
            path,
            query: query.to_owned(),
        })
    }

    /// Returns the host without the slot, in lower case, for example `access.token.core`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port as written, or the default of the scheme.
    pub fn port(&self) -> &str {
        &self.port
    }

    /// Returns whom the request is pinned to.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Returns the decoded path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the query as written, without the question mark.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Returns the address pinned to another slot.
    pub fn with_slot(mut self, slot: Slot) -> Self {
        self.slot = slot;
        self
    }

    /// Returns the value of the `Host` header: the label of the slot, the host and the port.
    pub fn host_and_port(&self) -> String {
        match &self.slot {
            Slot::Unpinned => format!("{}:{}", self.host, self.port),
            slot @ (Slot::Instance(_) | Slot::Locality(_)) => {
                format!("{slot}.{}:{}", self.host, self.port)
            }
        }
    }

    /// Returns the URL with its port and without its query, as error texts and caches of the bus have it.
    pub fn url_without_query(&self) -> String {
        format!(
            "{}://{}{}",
            self.scheme,
            self.host_and_port(),
            self.raw_path
        )
    }

    /// Returns the target of the request line: the whole URL, with the port always written.
    pub fn target(&self) -> String {
        let mut target = self.url_without_query();
        if self.raw_path.is_empty() {
            target.push('/');
        }
        if !self.query.is_empty() {
            target.push('?');
            target.push_str(&self.query);
        }
        target
    }

    /// Returns the subject of a request to this address.
    ///
    /// # Errors
    /// [`SubjectError`], most likely because the path is too long.
    pub fn subject(
        &self,
        plane: &Plane,
        source: &Hostname,
        method: Method,
    ) -> Result<String, SubjectError> {
        self.subject_at(&self.slot, plane, source, method)
    }

    /// Returns the subject of a request that goes to another slot than its URL says, as later fragments do.
    ///
    /// # Errors
    /// As [`Address::subject`].
    pub fn subject_at(
        &self,
        slot: &Slot,
        plane: &Plane,
        source: &Hostname,
        method: Method,
    ) -> Result<String, SubjectError> {
        request_subject(
            plane,
            &self.port,
            source.as_str(),
            &self.host,
            slot,
            method,
            &self.path,
        )
    }
}

/// Why a URL is no address on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Neither `https://` nor `http://`.
    #[error("an address begins with https:// or http://")]
    Scheme,
    /// The host is missing or has characters that no host has.
    #[error(
        "the host of the address is missing or has characters other than letters, digits, hyphens and dots"
    )]
    Host,
    /// The port is no number.
    #[error("the port of the address is not a decimal number below 65536")]
    Port,
    /// The path or query has a blank, a control character or a malformed escape.
    #[error(
        "the path or query of the address has a blank, a control character or a malformed escape"
    )]
    Path,
    /// The first label begins with `id-` or `loc-` but is neither an instance nor a locality.
    #[error(
        "the first label of the host begins with id- or loc- but names neither an instance nor a locality"
    )]
    Slot,
}

fn split_port<'a>(
    authority: &'a str,
    default_port: &'static str,
) -> Result<(Cow<'a, str>, &'a str), AddressError> {
    let (host, port) = match authority.split_once(':') {
        Some((host, "")) => (host, default_port),
        Some((host, port)) => (host, port),
        None => (authority, default_port),
    };
    if !port.bytes().all(|b| b.is_ascii_digit()) || port.len() > 5 || port.parse::<u16>().is_err() {
        return Err(AddressError::Port);
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if host.is_empty() || !host.bytes().all(plain) {
        return Err(AddressError::Host);
    }
    Ok((Cow::Owned(host.to_ascii_lowercase()), port))
}

fn cut_slot(host: &str) -> Result<(Slot, String), AddressError> {
    let pinned = host.starts_with("id-") || host.starts_with("loc-");
    match host.split_once('.') {
        Some((_, "")) if pinned => Err(AddressError::Host),
        Some((label, rest)) if pinned => Ok((
            Slot::parse(label).ok_or(AddressError::Slot)?,
            rest.to_owned(),
        )),
        _ => Ok((Slot::Unpinned, host.to_owned())),
    }
}

fn is_printable(text: &str) -> bool {
    !text.bytes().any(|b| b <= b' ' || b == 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let address = Address::parse("https://Access.Token.Core:666/a%20b?x=1&y=2#z").unwrap();
        assert_eq!(address.host(), "access.token.core");
        assert_eq!(address.port(), "666");
        assert_eq!(address.slot(), &Slot::Unpinned);
        assert_eq!(address.path(), "/a b");
        assert_eq!(address.query(), "x=1&y=2");
        assert_eq!(
            address.url_without_query(),
            "https://access.token.core:666/a%20b"
        );
        assert_eq!(
            address.target(),
            "https://access.token.core:666/a%20b?x=1&y=2"
        );
    }

    #[test]
    fn a_missing_port_is_that_of_the_scheme() {
        assert_eq!(
            Address::parse("https://nobody.example/x")
                .unwrap()
                .url_without_query(),
            "https://nobody.example:443/x"
        );
        assert_eq!(Address::parse("HTTP://h").unwrap().target(), "http://h:80/");
    }

    #[test]
    fn a_pinning_label_is_cut_into_the_slot() {
        let address = Address::parse("https://LOC-us-west.access.token.core:666/mint").unwrap();
        assert_eq!(address.host(), "access.token.core");
        assert_eq!(address.slot(), &Slot::Locality("us-west".to_owned()));
        assert_eq!(address.host_and_port(), "loc-us-west.access.token.core:666");
        let address = Address::parse("https://id-h1ujyo2lpe.access.token.core:666/mint").unwrap();
        assert_eq!(address.slot().to_string(), "id-h1ujyo2lpe");
        assert_eq!(
            address.with_slot(Slot::Unpinned).target(),
            "https://access.token.core:666/mint"
        );
    }

    #[test]
    fn a_pinning_label_alone_is_a_host() {
        let address = Address::parse("https://id-h1ujyo2lpe/x").unwrap();
        assert_eq!(
            (address.host(), address.slot()),
            ("id-h1ujyo2lpe", &Slot::Unpinned)
        );
    }

    #[test]
    fn a_malformed_address_is_refused() {
        for (url, error) in [
            ("access.token.core/mint", AddressError::Scheme),
            ("ftp://h/", AddressError::Scheme),
            ("https:///x", AddressError::Host),
            ("https://a b/x", AddressError::Host),
            ("https://u@h/x", AddressError::Host),
            ("https://h:port/x", AddressError::Port),
            ("https://h:+80/x", AddressError::Port),
            ("https://h:70000/x", AddressError::Port),
            ("https://h:1:2/x", AddressError::Port),
            ("https://h/%zz", AddressError::Path),
            ("https://h/a b", AddressError::Path),
            ("https://h/x?a\r\nb", AddressError::Path),
            ("https://id-short.h/x", AddressError::Slot),
            ("https://loc-us./x", AddressError::Host),
        ] {
            assert_eq!(Address::parse(url), Err(error), "{url}");
        }
    }
}
