//! Whether the broker takes each credential; if not, why: to the client it says no more than `Authorization Violation`.

use super::chain::first_broken_link;
use super::place::Place;
use super::{Check, Finding};
use crate::broker::{Login, Server, Session, SessionError};
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

/// A credential with how the broker took it.
pub(super) struct Attempt<'a> {
    path: &'a Path,
    jwt: &'a Jwt,
    login: Result<Login, SessionError>,
}

/// Logs in with each credential. Brokers look an account up when somebody needs it, so this comes before asking about them.
pub(super) async fn attempt<'a>(
    places: &'a [Place],
    server: &Server,
    artifacts: &Artifacts,
) -> Vec<Attempt<'a>> {
    let mut attempts = Vec::new();
    for (path, credentials, jwt) in places.iter().flat_map(Place::readable) {
        let login = log_in(server, artifacts, credentials).await;
        attempts.push(Attempt { path, jwt, login });
    }
    attempts
}

pub(super) fn check(attempts: &[Attempt<'_>], trusted: Option<&Trusted>, now: i64) -> Vec<Finding> {
    if attempts.is_empty() {
        return vec![CHECK.skip("no directory holds credentials")];
    }
    let wrong = attempts.iter().filter_map(|attempt| match &attempt.login {
        Ok(Login::Accepted) => None,
        Ok(Login::Refused(reason)) => {
            Some(explain(attempt.path, attempt.jwt, reason, trusted, now))
        }
        Err(error) => Some(CHECK.unknown(
            format!("{}: {error}", attempt.path.display()),
            "see broker-reachable",
        )),
    });
    CHECK.all(wrong.collect(), || {
        format!("{} credentials accepted", attempts.len())
    })
}

async fn log_in(
    server: &Server,
    artifacts: &Artifacts,
    credentials: &Credentials,
) -> Result<Login, SessionError> {
    let mut session = Session::open(server, artifacts).await?;
    session.log_in(Some(credentials)).await
}

fn explain(path: &Path, jwt: &Jwt, reason: &str, trusted: Option<&Trusted>, now: i64) -> Finding {
    let path = path.display();
    let Some(trusted) = trusted else {
        return CHECK.fail(
            format!("{path}: {reason}"),
            "give --system-creds, and this says which link of the chain is broken",
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
