//! Whether the broker takes each credential; if not, why: to the client it says no more than `Authorization Violation`.

use super::chain::first_broken_link;
use super::place::Place;
use super::{Check, Finding};
use crate::broker::{Login, Server, Session};
use crate::credentials::Credentials;
use crate::jwt::Jwt;
use microbus_bus::Artifacts;
use std::path::Path;

pub(super) const CHECK: Check = Check {
    id: "creds-accepted",
    what: "a login at the broker with each credential",
    expected: "accepted",
};

/// What is known of the accounts, where the system account could be asked.
#[derive(Debug, Default)]
pub(super) struct Trusted {
    pub(super) accounts: Vec<Jwt>,
    pub(super) operators: Vec<String>,
}

pub(super) async fn check(
    places: &[Place],
    server: &Server,
    artifacts: &Artifacts,
    trusted: Option<&Trusted>,
    now: i64,
) -> Vec<Finding> {
    let mut wrong = Vec::new();
    let mut accepted = 0_usize;
    for (path, credentials, jwt) in places.iter().flat_map(Place::readable) {
        match log_in(server, artifacts, credentials).await {
            Ok(Login::Accepted) => accepted = accepted.saturating_add(1),
            Ok(Login::Refused(reason)) => wrong.push(explain(path, jwt, &reason, trusted, now)),
            Err(error) => wrong.push(CHECK.unknown(
                format!("{}: {error}", path.display()),
                "see broker-reachable",
            )),
        }
    }
    CHECK.all(wrong, || format!("{accepted} credentials accepted"))
}

async fn log_in(
    server: &Server,
    artifacts: &Artifacts,
    credentials: &Credentials,
) -> Result<Login, crate::broker::SessionError> {
    let mut session = Session::open(server, artifacts).await?;
    session.log_in(Some(credentials)).await
}

fn explain(path: &Path, jwt: &Jwt, reason: &str, trusted: Option<&Trusted>, now: i64) -> Finding {
    let path = path.display();
    let Some(trusted) = trusted else {
        return CHECK.fail(
            format!("{path}: {reason}"),
            "give --system-credentials, and this says which link of the chain is broken",
        );
    };
    match first_broken_link(jwt, &trusted.accounts, &trusted.operators, now) {
        Some(link) => CHECK.fail(format!("{path}: {reason}: {link}"), link.remedy()),
        None => CHECK.fail(
            format!("{path}: {reason}, though its chain to the operator holds"),
            "look into the broker's log, which knows the reason",
        ),
    }
}
