//! Which endpoint of the bus a client asks for. Pure.

use crate::ports::PortRules;
use microbus_wire::address::{Address, AddressError};

/// Why a client does not reach an endpoint. To the client each is 404, without an explanation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// The path does not begin with a host.
    #[error("the path names no host")]
    Host(#[from] AddressError),
    /// The port is not open to clients.
    #[error("port {0} is not open to clients")]
    Port(String),
}

/// Returns the endpoint that a path stands for: its first segment is a host, with a port or without; the root is the host
/// `root`. `/Echo.example:8080/x?y` is `https://echo.example:8080/x?y`. Source: spec: verify 5.
///
/// # Errors
/// [`DestinationError`].
pub fn destination(path_and_query: &str, rules: &PortRules) -> Result<Address, DestinationError> {
    let path = path_and_query.strip_prefix('/').unwrap_or(path_and_query);
    let end = path.find(['/', '?']).unwrap_or(path.len());
    let (host, rest) = path.split_at_checked(end).unwrap_or((path, ""));
    let host = if host.is_empty() { "root" } else { host };
    let address = Address::parse(&format!("https://{}{rest}", host.to_lowercase()))?;
    let open = address.port().parse().is_ok_and(|port| rules.allow(port));
    if open {
        Ok(address)
    } else {
        Err(DestinationError::Port(address.port().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_is_the_host() {
        let rules = PortRules::local();
        for (path, url) in [
            ("/", "https://root:443/"),
            ("", "https://root:443/"),
            ("/?x=1", "https://root:443/?x=1"),
            ("/echo.example", "https://echo.example:443/"),
            ("/echo.example?x", "https://echo.example:443/?x"),
            (
                "/Echo.Example:8080/A/b?y=Z",
                "https://echo.example:8080/A/b?y=Z",
            ),
            ("/echo.example//x", "https://echo.example:443//x"),
        ] {
            assert_eq!(destination(path, &rules).unwrap().target(), url, "{path}");
        }
    }

    #[test]
    fn guarded_ports_and_bad_hosts_are_refused() {
        for path in [
            "/access.token.core:666/mint",
            "/access.token.core:888/jwks",
            "/access.token.core:0666/mint",
            "/echo.example:00000888/x",
            "/echo.example:99999/x",
            "/x@echo.example/x",
            "/a b/x",
            "/*/x",
            "/echo%2eexample/x",
        ] {
            assert!(destination(path, &PortRules::local()).is_err(), "{path}");
        }
        for port in [
            "+666",
            "-666",
            " 666",
            "666 ",
            "666.",
            "%36%36%36",
            "0x29a",
            "6.66e2",
            "６６６",
            "٦٦٦",
            "666:443",
            "443:666",
            ":666",
            "65536666",
            "4294967962",
            "666\\",
            "666;443",
            "666@443",
            "666#443",
            "666%2F443",
        ] {
            for host in [
                "access.token.core",
                "x.access.token.core",
                "ACCESS.TOKEN.CORE",
            ] {
                let path = format!("/{host}:{port}/mint");
                let reached = destination(&path, &PortRules::local());
                assert!(reached.is_err(), "{path} reaches {reached:?}");
            }
        }
        let closed = destination("/echo.example:8080/", &PortRules::parse("").unwrap());
        assert_eq!(closed, Err(DestinationError::Port("8080".into())));
    }
}
