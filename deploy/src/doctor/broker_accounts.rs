//! Whether each server has the accounts, and they are such that somebody can work in them.

use super::{Check, Finding};
use crate::account_change::{ChangeError, check_account};
use crate::jwt::Jwt;
use std::time::SystemTime;

pub(super) const CHECK: Check = Check {
    id: "broker-accounts",
    what: "the JWTs of the accounts that the servers use and keep",
    expected: "each signed by the trusted operator, valid, without a zero limit, the same everywhere",
};

/// An account as the cluster has it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) account: String,
    /// What each server uses, if it has needed it yet.
    pub(super) in_use: Vec<Option<String>>,
    /// What the resolver keeps.
    pub(super) kept: Option<String>,
}

pub(super) fn check(accounts: &[Known], trusted: &[String], now: SystemTime) -> Vec<Finding> {
    let wrong = accounts
        .iter()
        .flat_map(|account| look(account, trusted, now));
    CHECK.all(wrong.collect(), || {
        let names: Vec<_> = accounts
            .iter()
            .map(|known| known.account.as_str())
            .collect();
        names.join(", ")
    })
}

fn look(known: &Known, trusted: &[String], now: SystemTime) -> Vec<Finding> {
    let account = &known.account;
    let push = "sign the account's JWT with a trusted operator key and push it, as microbus-deploy revoke does";
    let mut wrong = Vec::new();
    if let Some(kept) = &known.kept {
        let kept_jwt = Jwt::read(kept);
        let signer = kept_jwt.as_ref().map_or("nobody", |jwt| jwt.iss.as_str());
        if !trusted.iter().any(|key| key == signer) {
            wrong.push(CHECK.fail(
                format!("the resolver keeps a JWT of {account} that {signer} signed; at the next start of a server the account is dead"),
                push,
            ));
        } else if known.in_use.iter().flatten().any(|used| used != kept) {
            wrong.push(CHECK.fail(
                format!("a server uses another JWT of {account} than the resolver keeps"),
                push,
            ));
        }
    }
    for used in known.in_use.iter().flatten() {
        let problem = match Jwt::read(used) {
            Err(error) => error.to_string(),
            Ok(jwt) if !trusted.contains(&jwt.iss) => {
                format!("signed by {}, whom the servers do not trust", jwt.iss)
            }
            Ok(jwt) => match check_account(&jwt, now) {
                Ok(()) => continue,
                Err(error @ (ChangeError::Zero { .. } | ChangeError::Ended)) => error.to_string(),
                Err(other) => other.to_string(),
            },
        };
        wrong.push(CHECK.fail(format!("{account}: {problem}"), push));
    }
    wrong
}
