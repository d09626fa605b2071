//! Whether what must be closed is closed, seen from where this runs.

use super::{Check, Finding};
use std::time::Duration;
use tokio::net::TcpStream;
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
        let targets: Vec<String> =
            if host.parse::<std::net::SocketAddr>().is_ok() || names_a_port(host) {
                vec![host.clone()]
            } else {
                PORTS.iter().map(|port| format!("{host}:{port}")).collect()
            };
        for target in targets {
            tried = tried.saturating_add(1);
            if matches!(
                timeout(PATIENCE, TcpStream::connect(target.as_str())).await,
                Ok(Ok(_))
            ) {
                wrong.push(CHECK.fail(
                    format!("{target} is open from here"),
                    "let it listen on a private network, or close it with a firewall",
                ));
            }
        }
    }
    CHECK.all(wrong, || {
        format!("{tried} ports tried, all closed from here")
    })
}

fn names_a_port(host: &str) -> bool {
    host.rsplit_once(':')
        .is_some_and(|(name, port)| !name.contains(':') && port.parse::<u16>().is_ok())
}

/// Clients, cluster, leaf nodes and monitors of NATS; the services' door; internal ports of the bus.
const PORTS: [u16; 8] = [4222, 6222, 7422, 8222, 8080, 444, 666, 888];
const PATIENCE: Duration = Duration::from_millis(1500);
