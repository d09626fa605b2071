//! A change of an account's JWT: what the broker serves, edited, signed again, and checked before it is sent.
//!
//! Members that this crate does not know stay as they were read. Source: spec: deploy 6.1, 6.2.

use crate::claims::{self, ClaimsError};
use crate::date::unix;
use crate::jwt::{Jwt, JwtError};
use crate::nkey::{Nkey, NkeyKind};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::SystemTime;
use thiserror::Error;

/// The JWT of an account as the broker serves it, open for changes.
#[derive(Clone, Debug)]
pub struct AccountChange {
    compact: String,
    served: Jwt,
    jwt: Jwt,
}

impl AccountChange {
    /// Opens the account JWT that the broker serves.
    ///
    /// # Errors
    /// [`ChangeError::Jwt`] when it is no JWT, [`ChangeError::NoAccount`] when it is somebody else's.
    pub fn of(served: &str) -> Result<Self, ChangeError> {
        let compact = served.trim().to_owned();
        let served = Jwt::read(&compact)?;
        if served.kind() != Some(NkeyKind::Account) {
            return Err(ChangeError::NoAccount { found: served.sub });
        }
        let jwt = served.clone();
        Ok(Self {
            compact,
            served,
            jwt,
        })
    }

    /// Returns the JWT that is served, as it was read.
    #[must_use]
    pub fn served(&self) -> &str {
        &self.compact
    }

    /// Returns the account's public key.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.served.sub
    }

    /// Revokes the credentials that `user` was issued at `until` or earlier; `*` is every user of the account.
    ///
    /// # Errors
    /// [`ChangeError::Future`] when `until` is later than `now`: credentials that are issued in between would be dead
    /// from the start. [`ChangeError::Lowered`] when the user is revoked until later already.
    pub fn revoke(
        &mut self,
        user: &str,
        until: SystemTime,
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        let (until, now) = (unix(until), unix(now));
        if until > now {
            return Err(ChangeError::Future { until, now });
        }
        let revocations = self
            .jwt
            .nats
            .entry(REVOCATIONS)
            .or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(revocations) = revocations else {
            return Err(ChangeError::Shape {
                member: REVOCATIONS,
            });
        };
        match revocations.get(user).and_then(Value::as_i64) {
            Some(earlier) if earlier > until => Err(ChangeError::Lowered {
                user: user.to_owned(),
                until: earlier,
            }),
            Some(_) | None => {
                revocations.insert(user.to_owned(), until.into());
                Ok(())
            }
        }
    }

    /// Lets `key` sign users of the account.
    ///
    /// # Errors
    /// [`ChangeError::Shape`] when the served list is none.
    pub fn add_signing_key(&mut self, key: &str) -> Result<(), ChangeError> {
        let keys = self.listed_signers()?;
        if !keys.iter().any(|listed| key_of(listed) == Some(key)) {
            keys.push(key.into());
        }
        Ok(())
    }

    /// Withdraws `key`: all users that it signed are cut off.
    ///
    /// # Errors
    /// [`ChangeError::NotListed`] when it signs nobody.
    pub fn remove_signing_key(&mut self, key: &str) -> Result<(), ChangeError> {
        let keys = self.listed_signers()?;
        let before = keys.len();
        keys.retain(|listed| key_of(listed) != Some(key));
        if keys.len() == before {
            let listed: Vec<_> = keys.iter().filter_map(key_of).collect();
            return Err(ChangeError::NotListed {
                listed: listed.join(", "),
                key: key.to_owned(),
            });
        }
        Ok(())
    }

    /// Turns the change into a new account of the same name and limits, with `identity` and these signing keys, and
    /// without any revocation: nobody has been issued anything by it.
    #[must_use]
    pub fn into_new_account(mut self, identity: &str, signing_keys: Vec<String>) -> Self {
        self.jwt.sub = identity.to_owned();
        self.jwt.nats.remove(REVOCATIONS);
        let keys = signing_keys.into_iter().map(Value::from).collect();
        self.jwt.nats.insert(SIGNING_KEYS.to_owned(), keys);
        self.served = self.jwt.clone();
        self
    }

    /// Signs what was changed, with the operator's identity or one of its signing keys.
    ///
    /// # Errors
    /// [`ChangeError::Claims`] when `operator` cannot sign; [`ChangeError::Clock`] when `now` is earlier than the JWT that
    /// is served, which brokers would take for the newer one.
    pub fn sign(&self, operator: &Nkey, now: SystemTime) -> Result<String, ChangeError> {
        if unix(now) < self.served.iat {
            return Err(ChangeError::Clock {
                served: self.served.iat,
                now: unix(now),
            });
        }
        Ok(claims::sign_again(&self.jwt, operator, now)?)
    }

    /// Checks a JWT before it is sent in place of the served one. Brokers answer 200 to most of what is refused here,
    /// keep it, and lock the account out at their next start.
    ///
    /// `trusted` are the operator's public keys that *every* server trusts.
    ///
    /// # Errors
    /// [`ChangeError`] says which danger was seen.
    pub fn check(
        &self,
        signed: &str,
        trusted: &[String],
        now: SystemTime,
    ) -> Result<(), ChangeError> {
        let new = Jwt::read(signed)?;
        if !trusted.contains(&new.iss) {
            return Err(ChangeError::Untrusted {
                issuer: new.iss,
                trusted: trusted.join(", "),
            });
        }
        if new.sub != self.served.sub {
            return Err(ChangeError::NoAccount { found: new.sub });
        }
        check_account(&new, now)?;
        if new.iat < self.served.iat {
            return Err(ChangeError::Clock {
                served: self.served.iat,
                now: new.iat,
            });
        }
        let kept = revocations(&new);
        for (user, until) in revocations(&self.served) {
            if kept.get(&user).is_none_or(|kept| *kept < until) {
                return Err(ChangeError::Lowered { user, until });
            }
        }
        Ok(())
    }

    fn listed_signers(&mut self) -> Result<&mut Vec<Value>, ChangeError> {
        let keys = self
            .jwt
            .nats
            .entry(SIGNING_KEYS)
            .or_insert_with(|| Value::Array(Vec::new()));
        keys.as_array_mut().ok_or(ChangeError::Shape {
            member: SIGNING_KEYS,
        })
    }
}

/// Returns the request that has resolvers forget `account`, signed by the operator's identity or a signing key: the word of
/// whoever signs about itself, or servers refuse it.
///
/// # Errors
/// [`ClaimsError`] when `operator` cannot sign.
pub fn deletion(account: &str, operator: &Nkey, now: SystemTime) -> Result<String, ClaimsError> {
    let body = serde_json::json!({ "accounts": [account], "type": "generic", "version": 2 });
    claims::sign(&body, "delete", operator, operator, None, now)
}

/// Checks that users of an account could connect and work: neither limit is zero, and it has not ended.
///
/// # Errors
/// [`ChangeError::Zero`] or [`ChangeError::Ended`].
pub fn check_account(account: &Jwt, now: SystemTime) -> Result<(), ChangeError> {
    if account.exp.is_some_and(|end| end <= unix(now)) {
        return Err(ChangeError::Ended);
    }
    let limits = account.nats.get("limits").and_then(Value::as_object);
    for limit in ["conn", "subs", "payload", "data"] {
        let value = limits.and_then(|limits| limits.get(limit)?.as_i64());
        if value.unwrap_or(0) == 0 {
            return Err(ChangeError::Zero { limit });
        }
    }
    Ok(())
}

/// Returns the revocations of an account: until when the credentials of each user are dead, in Unix seconds.
#[must_use]
pub fn revocations(account: &Jwt) -> BTreeMap<String, i64> {
    let list = account.nats.get(REVOCATIONS).and_then(Value::as_object);
    list.into_iter()
        .flatten()
        .filter_map(|(user, until)| Some((user.clone(), until.as_i64()?)))
        .collect()
}

/// Tells until when credentials of `user` are dead in `account`, in Unix seconds; those that were issued at that very
/// second are dead as well.
#[must_use]
pub fn revoked_until(account: &Jwt, user: &str) -> Option<i64> {
    let revocations = revocations(account);
    let of = |name: &str| revocations.get(name).copied();
    of(user).max(of(EVERYBODY))
}

/// The user that stands for all of them in a list of revocations.
pub const EVERYBODY: &str = "*";

/// Why a change is not made, or not sent.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// What is served or to be sent is no JWT.
    #[error(transparent)]
    Jwt(#[from] JwtError),
    /// It is the JWT of something else.
    #[error("this is the JWT of {found}, not of the account that is to be changed")]
    NoAccount {
        /// Whose it is.
        found: String,
    },
    /// A member has another type than the format gives it.
    #[error("the account's {member} are not of the type that a broker reads; mend its JWT first")]
    Shape {
        /// The member.
        member: &'static str,
    },
    /// A revocation that begins later.
    #[error(
        "--at is {until}, later than now ({now}); credentials issued until then would be refused as well: give a time that has passed"
    )]
    Future {
        /// The time that was asked for, in Unix seconds.
        until: i64,
        /// The present, in Unix seconds.
        now: i64,
    },
    /// A revocation would be lost or weakened.
    #[error(
        "{user} is revoked until {until} already, and this would take that back; give that time or a later one"
    )]
    Lowered {
        /// The user.
        user: String,
        /// The time that is in force, in Unix seconds.
        until: i64,
    },
    /// A key that is not in the account.
    #[error("{key} is not among the signing keys of the account, which are: {listed}")]
    NotListed {
        /// The key.
        key: String,
        /// Those that are.
        listed: String,
    },
    /// The clock of this machine is behind the JWT that is served.
    #[error(
        "the served JWT is of {served} and this one of {now}: brokers keep the newer one; set the clock"
    )]
    Clock {
        /// When the served one was issued, in Unix seconds.
        served: i64,
        /// The present, in Unix seconds.
        now: i64,
    },
    /// An operator that a server does not trust.
    #[error(
        "signed by {issuer}, but the servers trust {trusted}; they would answer 200, keep the JWT and lock the account out at their next start: give the seed of a trusted key"
    )]
    Untrusted {
        /// Who signed.
        issuer: String,
        /// Whom the servers trust.
        trusted: String,
    },
    /// A limit of zero is a real zero.
    #[error(
        "the account's limit {limit} is 0 or absent, with which nobody can work; write -1 for no limit"
    )]
    Zero {
        /// The limit.
        limit: &'static str,
    },
    /// The account JWT has expired.
    #[error("the account's JWT has expired; sign it anew with a later end")]
    Ended,
    /// It cannot be signed.
    #[error("the account's JWT cannot be signed")]
    Claims(#[from] ClaimsError),
}

/// Returns the key of an entry of `signing_keys`: plain, or with the scope of its users.
fn key_of(entry: &Value) -> Option<&str> {
    entry.as_str().or_else(|| entry.get("key")?.as_str())
}

const REVOCATIONS: &str = "revocations";
const SIGNING_KEYS: &str = "signing_keys";

#[cfg(test)]
mod tests;
