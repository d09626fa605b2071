//! Where a broker listens, as clients are told.

use std::fmt;
use std::net::IpAddr;
use thiserror::Error;
use url::{Host, Url};

/// One broker of a list of URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Whether the URL asks for encryption.
    pub tls: bool,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Server {
    /// Reads one URL or several, separated by commas. User information is left out: it can hold a password.
    ///
    /// # Errors
    /// [`ServerError`] when a part is no URL, or there is none.
    pub fn parse_list(urls: &str) -> Result<Vec<Self>, ServerError> {
        let urls = urls.split(',').map(str::trim).filter(|url| !url.is_empty());
        let servers: Vec<_> = urls.map(Self::parse).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(ServerError);
        }
        Ok(servers)
    }

    /// Tells whether only this machine can reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    fn parse(url: &str) -> Result<Self, ServerError> {
        let url = if url.contains("://") {
            Url::parse(url)
        } else {
            Url::parse(&format!("nats://{url}"))
        };
        let url = url.map_err(|_| ServerError)?;
        let tls = match url.scheme() {
            "nats" => false,
            "tls" => true,
            _ => return Err(ServerError),
        };
        let host = match url.host().ok_or(ServerError)? {
            Host::Ipv6(address) => address.to_string(),
            Host::Ipv4(address) => address.to_string(),
            Host::Domain(name) => name.to_owned(),
        };
        Ok(Self {
            tls,
            host,
            port: url.port().unwrap_or(4222),
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(formatter, "[{}]:{}", self.host, self.port);
        }
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// A text that names no broker.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "not the URL of a broker; write nats://host:port or tls://host:port, several with commas between"
)]
pub struct ServerError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_are_read_and_shown_without_logins() {
        let servers =
            Server::parse_list("nats://u:planted@a.example, tls://[::1]:4333,127.0.0.1:1");
        let servers = servers.unwrap();
        let shown: Vec<_> = servers.iter().map(Server::to_string).collect();
        assert_eq!(shown, ["a.example:4222", "[::1]:4333", "127.0.0.1:1"]);
        let tls: Vec<_> = servers.iter().map(|server| server.tls).collect();
        assert_eq!(tls, [false, true, false]);
        let loopback: Vec<_> = servers.iter().map(Server::is_loopback).collect();
        assert_eq!(loopback, [false, true, true]);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", " , ", "http://a:1", "nats://", "nats://a:port"] {
            assert_eq!(Server::parse_list(text), Err(ServerError), "{text}");
        }
    }
}
