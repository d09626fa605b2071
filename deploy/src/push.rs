//! A changed account on its way to the servers: what they serve now, whom they trust, and whether they use what was sent.
//!
//! Source: spec: deploy 6.2. Nothing is sent that [`AccountChange::check`] has not passed.

use crate::account_change::{AccountChange, ChangeError};
use crate::broker::{PushAnswer, ServerReport, System, SystemError};
use crate::jwt::Jwt;
use serde_json::Value;
use std::time::{Duration, SystemTime};
use thiserror::Error;

/// The servers of a cluster as a change finds them.
#[derive(Debug)]
pub struct Cluster<'a> {
    system: &'a System,
    servers: Vec<ServerReport>,
}

/// How a change was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// How many servers there are.
    pub servers: usize,
    /// How many of them use what was sent.
    pub using: usize,
    /// How many answered that they took it.
    pub accepted: usize,
    /// What the others answered.
    pub refusals: Vec<PushAnswer>,
    /// Whether they have kept it beyond their next start.
    pub kept: bool,
}

impl Pushed {
    /// Tells whether every server took what was sent, and uses it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.using == self.servers && self.accepted == self.servers && self.refusals.is_empty()
    }
}

impl<'a> Cluster<'a> {
    /// Finds the servers.
    ///
    /// # Errors
    /// [`SystemError`].
    pub async fn find(system: &'a System) -> Result<Self, SystemError> {
        let servers = system.servers().await?;
        Ok(Self { system, servers })
    }

    /// Returns how many servers answered.
    #[must_use]
    pub fn servers(&self) -> &[ServerReport] {
        &self.servers
    }

    /// Returns the operator keys that every server trusts to sign accounts.
    #[must_use]
    pub fn trusted(&self) -> Vec<String> {
        let mut each = self.servers.iter().map(trusted_by);
        let first = each.next().unwrap_or_default();
        each.fold(first, |common, keys| {
            common
                .into_iter()
                .filter(|key| keys.contains(key))
                .collect()
        })
    }

    /// Returns the JWT of `account` that is served, to be changed: the newest that a trusted operator signed.
    ///
    /// # Errors
    /// [`PushError::Unknown`] when no server has one.
    pub async fn served(&self, account: &str) -> Result<String, PushError> {
        let trusted = self.trusted();
        let kept = self.system.kept_account(account).await?;
        let in_use = self.system.accounts_in_use(account).await?;
        let candidates = kept.into_iter().chain(in_use.into_iter().flatten());
        let newest = candidates
            .filter_map(|compact| {
                let jwt = Jwt::read(&compact).ok()?;
                trusted.contains(&jwt.iss).then_some((jwt.iat, compact))
            })
            .max_by_key(|(issued, _)| *issued);
        newest
            .map(|(_, compact)| compact)
            .ok_or_else(|| PushError::Unknown {
                account: account.to_owned(),
            })
    }

    /// Checks `signed`, sends it to every server, and asks each which JWT it uses.
    ///
    /// Where no resolver keeps accounts the servers get it into their memory.
    ///
    /// # Errors
    /// [`PushError::Change`] before anything is sent; [`PushError::System`] when the broker goes away.
    pub async fn push(
        &self,
        change: &AccountChange,
        signed: &str,
        now: SystemTime,
    ) -> Result<Pushed, PushError> {
        change.check(signed, &self.trusted(), now)?;
        let account = change.account();
        let mut answers = self.system.push(signed).await?;
        let kept = !answers.is_empty();
        if !kept {
            answers = self.system.push_to_memory(account, signed).await?;
        }
        let (accepted, refusals): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.code == 200);
        Ok(Pushed {
            servers: self.servers.len(),
            using: self.using(account, signed).await?,
            accepted: accepted.len(),
            refusals,
            kept,
        })
    }

    /// Tells whether every server uses `served`, or will once somebody needs it.
    ///
    /// # Errors
    /// [`SystemError`].
    pub async fn all_use(&self, account: &str, served: &str) -> Result<bool, SystemError> {
        Ok(self.using(account, served).await? == self.servers.len())
    }

    /// Counts the servers that use `signed`, or will once somebody needs it, waiting a moment for the others.
    async fn using(&self, account: &str, signed: &str) -> Result<usize, SystemError> {
        let mut using = 0;
        for _ in 0..ATTEMPTS {
            let kept = self.system.kept_account(account).await?;
            let kept = kept.as_deref() == Some(signed);
            let in_use = self.system.accounts_in_use(account).await?;
            let uses = |jwt: &&Option<String>| jwt.as_ref().map_or(kept, |jwt| jwt == signed);
            using = in_use.iter().filter(uses).count();
            if using == self.servers.len() {
                break;
            }
            tokio::time::sleep(BETWEEN_ATTEMPTS).await;
        }
        Ok(using)
    }
}

/// Returns the operator keys that one server trusts to sign accounts, from what it says about itself.
fn trusted_by(server: &ServerReport) -> Vec<String> {
    let operators = server.settings.get("trusted_operators_jwt");
    let operators = operators.and_then(Value::as_array).into_iter().flatten();
    operators
        .filter_map(|operator| Jwt::read(operator.as_str()?).ok())
        .flat_map(|operator| {
            let mut keys: Vec<_> = operator
                .signing_keys()
                .into_iter()
                .map(str::to_owned)
                .collect();
            keys.push(operator.sub);
            keys
        })
        .collect()
}

/// Why a change did not get to the servers.
#[derive(Debug, Error)]
pub enum PushError {
    /// It is dangerous.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The broker does not answer.
    #[error(transparent)]
    System(#[from] SystemError),
    /// There is nothing to change.
    #[error(
        "no server serves a JWT of the account {account} that an operator it trusts has signed; check the public key. \
         A broker with a MEMORY or URL resolver serves accounts of connected clients only: have a service of the account \
         connected, or change its configuration"
    )]
    Unknown {
        /// The account.
        account: String,
    },
}

/// A server takes a new JWT in milliseconds.
const ATTEMPTS: u32 = 10;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Nkey, NkeyKind, Operator};
    use serde_json::json;
    use std::time::UNIX_EPOCH;

    fn server(byte: u8) -> ServerReport {
        let key = Nkey::from_random(NkeyKind::Operator, [byte; 32]).unwrap();
        let jwt = Operator::new("acme", key).unwrap().jwt(UNIX_EPOCH).unwrap();
        ServerReport {
            id: "N".to_owned(),
            name: "n".to_owned(),
            time: String::new(),
            settings: json!({"trusted_operators_jwt": [jwt, "no JWT"]}),
        }
    }

    #[test]
    fn a_server_trusts_the_operators_that_it_names() {
        let key = Nkey::from_random(NkeyKind::Operator, [1; 32]).unwrap();
        assert_eq!(trusted_by(&server(1)), [key.public_key()]);
    }
}
