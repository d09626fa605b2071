//! Whether the broker asks everybody who they are, and believes the right operator.

use super::{Check, Finding};
use crate::broker::{Info, Login, Server, ServerReport};
use crate::jwt::Jwt;
use serde_json::Value;

pub(super) const REACHABLE: Check = Check {
    id: "broker-reachable",
    what: "the broker at each of its URLs",
    expected: "a NATS server answers",
};

pub(super) const CHECK: Check = Check {
    id: "broker-opmode",
    what: "operator mode, and whom the broker lets in",
    expected: "clients sign a nonce, anonymous ones are refused, the trusted operator is ours",
};

/// Judges what a broker announced and how it took a client without credentials.
pub(super) fn check(server: &Server, info: &Info, anonymous: &Login) -> Vec<Finding> {
    let mut wrong = Vec::new();
    let remedy = "start it with `operator`, `resolver` and without users; microbus-deploy init writes such a configuration";
    if *anonymous == Login::Accepted {
        wrong.push(CHECK.fail(
            format!("{server} lets clients in without credentials"),
            remedy,
        ));
    } else if info.nonce.is_empty() || !info.auth_required {
        wrong.push(CHECK.fail(
            format!("{server} asks for a login, but for no signature: it is not in operator mode"),
            remedy,
        ));
    }
    CHECK.all(wrong, || {
        format!(
            "{server} ({}) asks for a signature and refuses anonymous clients",
            info.version
        )
    })
}

/// Judges whom each server of the cluster believes.
pub(super) fn check_operator(servers: &[ServerReport], ours: &Jwt) -> Vec<Finding> {
    let mut wrong = Vec::new();
    for server in servers {
        let trusted = server
            .settings
            .get("trusted_operators_jwt")
            .and_then(Value::as_array);
        let trusted: Vec<_> = trusted
            .into_iter()
            .flatten()
            .filter_map(|jwt| Jwt::read(jwt.as_str()?).ok())
            .collect();
        let same = trusted.iter().find(|operator| operator.sub == ours.sub);
        let name = &server.name;
        match same {
            None => {
                let names: Vec<_> = trusted
                    .iter()
                    .map(|operator| operator.sub.as_str())
                    .collect();
                wrong.push(CHECK.fail(
                    format!(
                        "{name} trusts {}, not our operator {}",
                        names.join(", "),
                        ours.sub
                    ),
                    "put our operator's JWT into the configuration of the server, and restart it",
                ));
            }
            Some(served) if served.signing_keys() != ours.signing_keys() => {
                wrong.push(CHECK.fail(
                    format!("{name} has an operator JWT with other signing keys than ours"),
                    "put the current operator JWT into the configuration of the server, and reload it",
                ));
            }
            Some(_) => {}
        }
    }
    CHECK.all(wrong, || {
        format!("{} servers trust {}", servers.len(), ours.sub)
    })
}
