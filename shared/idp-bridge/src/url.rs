//! URLs that the bridge fetches from: `https`, or `http` on this very machine. Pure.

use http::Uri;
use http::uri::{Authority, PathAndQuery};
use std::fmt;
use std::net::IpAddr;

/// An absolute URL without user, query or fragment where those could mislead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    secure: bool,
    authority: Authority,
    path: String,
}

/// Why a text is no such URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("{0:?} is no absolute URL without a user and a fragment")]
    Malformed(String),
    #[error("{0} is not https; http is allowed only for localhost and loopback addresses")]
    Insecure(String),
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let malformed = || UrlError::Malformed(text.to_owned());
        if text.contains('#') {
            return Err(malformed());
        }
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let authority = uri.authority().ok_or_else(malformed)?.clone();
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(malformed());
        }
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_loopback(authority.host()) => false,
            Some(_) => return Err(UrlError::Insecure(text.to_owned())),
            None => return Err(malformed()),
        };
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        Ok(Self {
            secure,
            authority,
            path: path.to_owned(),
        })
    }

    /// Returns where the provider of this issuer describes itself (OpenID Connect Discovery 1.0, section 4.1).
    pub(crate) fn discovery(&self) -> Self {
        let issuer = self.path.strip_suffix('/').unwrap_or(&self.path);
        Self {
            path: format!("{issuer}/.well-known/openid-configuration"),
            ..self.clone()
        }
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns host and port as they go into `Host`.
    pub(crate) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Returns the host without brackets.
    pub(crate) fn host(&self) -> &str {
        bare(self.authority.host())
    }

    pub(crate) fn port(&self) -> u16 {
        let default = if self.secure { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(default)
    }

    /// Returns path and query.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(formatter, "{scheme}://{}{}", self.authority, self.path)
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || bare(host)
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_wanted_but_on_loopback() {
        for text in [
            "https://login.example",
            "https://login.example/",
            "https://login.example:8443/realms/x",
            "http://localhost:3000",
            "http://127.0.0.1:3000/x",
            "http://[::1]:3000",
        ] {
            Url::parse(text).unwrap();
        }
        for text in [
            "http://login.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://10.0.0.1",
            "ftp://login.example",
            "file:///etc/passwd",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        for text in [
            "",
            "login.example",
            "/x",
            "https://",
            "https://user@login.example",
            "http://localhost@evil.example",
            "https://login.example/#x",
            "https://login example",
        ] {
            let error = Url::parse(text).unwrap_err();
            assert_eq!(error, UrlError::Malformed(text.to_owned()), "{text}");
        }
    }

    #[test]
    fn discovery_lies_under_the_issuer() {
        for (issuer, discovery) in [
            (
                "https://a.example",
                "https://a.example/.well-known/openid-configuration",
            ),
            (
                "https://a.example/",
                "https://a.example/.well-known/openid-configuration",
            ),
            (
                "https://a.example:8443/realms/x",
                "https://a.example:8443/realms/x/.well-known/openid-configuration",
            ),
        ] {
            let url = Url::parse(issuer).unwrap();
            assert_eq!(url.discovery().to_string(), discovery);
        }
        assert_eq!(Url::parse("https://[2001:db8::1]").unwrap().port(), 443);
        assert_eq!(Url::parse("http://[::1]:8080/x?y").unwrap().path(), "/x?y");
        assert_eq!(Url::parse("http://[::1]:8080").unwrap().host(), "::1");
    }
}
