//! What proves that somebody was cut off.

use super::as_operator::Report;
use microbus_deploy::Jwt;
use microbus_deploy::broker::{Session, System};
use std::time::Duration;

/// Proves that the broker closes a connection that was open before.
pub(crate) async fn prove_cut_off(mut witness: Session, report: &mut Report) {
    match witness.ended(PATIENCE).await {
        Some(reason) => {
            let reason = reason.unwrap_or_else(|| "without a word".to_owned());
            report.done(format!("proven: its connection was closed: {reason}"));
        }
        None => report.wrong(format!(
            "its connection is open {} s later",
            PATIENCE.as_secs()
        )),
    }
}

/// Proves that no server has a connection any more whose JWT is `dead`; only those of `user` are looked at, or all.
pub(crate) async fn prove_gone(
    system: &System,
    user: Option<&str>,
    dead: impl Fn(&Jwt) -> bool,
    report: &mut Report,
) {
    let mut left = 0;
    for _ in 0..ATTEMPTS {
        let connections = match system.connections(user).await {
            Ok(connections) => connections,
            Err(error) => {
                report.open(format!("whether a connection of it is open: {error}"));
                return;
            }
        };
        let jwts = connections
            .iter()
            .filter_map(|connection| Jwt::read(&connection.jwt).ok());
        left = jwts.filter(|jwt| dead(jwt)).count();
        if left == 0 {
            report.done("proven: no server has a connection of it");
            return;
        }
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
    report.wrong(format!("{left} connections of it are open"));
}

/// Returns the account of a user's JWT.
pub(crate) fn account_in(user: &Jwt) -> String {
    let named = user
        .nats
        .get("issuer_account")
        .and_then(|account| account.as_str());
    named.unwrap_or(&user.iss).to_owned()
}

/// A broker closes the connections of a revoked user within a second.
const PATIENCE: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 25;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);
