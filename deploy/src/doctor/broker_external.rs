//! Whether what must be closed is closed, seen from where this runs.

use super::{Check, Finding};
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

pub(super) const CHECK: Check = Check {
    id: "broker-external",
    what: "ports of the broker and of the bus, from outside",
    expected: "closed but 80 and 443 of the ingress; run it where your users are",
};

/// Tries ports of each of `hosts`: the usual ones, or the one that it names.
pub(super) async fn check(hosts: &[String]) -> Vec<Finding> {
    if hosts.is_empty() {
        return vec![CHECK.skip("no host to try from here, named with --outside")];
    }
    let mut wrong = Vec::new();
    let mut tried = 0_usize;
    for host in hosts {
        let targets = match targets(host).await {
            Ok(targets) => targets,
            Err(error) => {
                wrong.push(CHECK.unknown(
                    format!("{host} cannot be looked up: {error}"),
                    "mend the name, or run this where it is known",
                ));
                continue;
            }
        };
        for target in targets {
            tried = tried.saturating_add(1);
            match try_port(target).await {
                Ok(Port::Closed) => {}
                Ok(Port::Open) => wrong.push(CHECK.fail(
                    format!(
                        "port {} of {} ({host}) is open from here",
                        target.port(),
                        target.ip()
                    ),
                    "let it listen on a private network, or close it with a firewall",
                )),
                Err(error) => {
                    wrong.push(CHECK.unknown(
                        format!("{target} ({host}) cannot be tried from here: {error}"),
                        "run this where that address can be reached, or name one that can be from here",
                    ));
                    // The way to the host is missing, for its other ports too.
                    break;
                }
            }
        }
    }
    CHECK.all(wrong, || {
        format!("{tried} ports tried, all closed from here")
    })
}

enum Port {
    Open,
    Closed,
}

/// Tries one port; nobody answers at one that a firewall closes.
async fn try_port(target: SocketAddr) -> Result<Port, Error> {
    match timeout(PATIENCE, TcpStream::connect(target)).await {
        Ok(Ok(_)) => Ok(Port::Open),
        Err(_) => Ok(Port::Closed),
        Ok(Err(error)) if CLOSED.contains(&error.kind()) => Ok(Port::Closed),
        Ok(Err(error)) => Err(error),
    }
}

/// Returns the ports to try at each address of `host`.
async fn targets(host: &str) -> Result<Vec<SocketAddr>, Error> {
    let (name, ports) = match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            let port = port.parse();
            (
                name,
                vec![port.map_err(|_| Error::other("its port is no number"))?],
            )
        }
        _ => (host, PORTS.to_vec()),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let mut targets = Vec::new();
    for address in lookup_host((name, 0)).await? {
        targets.extend(
            ports
                .iter()
                .map(|port| SocketAddr::new(address.ip(), *port)),
        );
    }
    Ok(targets)
}

/// Clients, cluster, leaf nodes and monitors of NATS; the services' door; internal ports of the bus.
const PORTS: [u16; 8] = [4222, 6222, 7422, 8222, 8080, 444, 666, 888];
/// How a connection fails at a port that is closed; all else is a way that is missing.
const CLOSED: [ErrorKind; 2] = [ErrorKind::ConnectionRefused, ErrorKind::TimedOut];
const PATIENCE: Duration = Duration::from_millis(1500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[tokio::test]
    async fn a_host_names_one_port_or_gets_all() {
        for (host, first, count) in [
            ("127.0.0.1", "127.0.0.1:4222", PORTS.len()),
            ("127.0.0.1:80", "127.0.0.1:80", 1),
            ("::1", "[::1]:4222", PORTS.len()),
            ("[::1]", "[::1]:4222", PORTS.len()),
            ("[::1]:80", "[::1]:80", 1),
        ] {
            let targets = targets(host).await.unwrap();
            assert_eq!(targets[0].to_string(), first, "{host}");
            assert_eq!(targets.len(), count, "{host}");
        }
        assert!(targets("127.0.0.1:https").await.is_err());
    }

    #[tokio::test]
    async fn what_cannot_be_tried_is_not_closed() {
        // Port 1 of this machine; an empty name; an address that no TCP connection can go to.
        for (host, verdict) in [
            ("127.0.0.1:1", Verdict::Pass),
            (":4222", Verdict::Unknown),
            ("224.0.0.1:4222", Verdict::Unknown),
        ] {
            let findings = check(&[host.to_owned()]).await;
            assert_eq!(findings.len(), 1, "{host}");
            assert_eq!(findings[0].verdict, verdict, "{host}: {findings:?}");
        }
    }
}
