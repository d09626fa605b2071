//! The chain from a credential to the operator that the servers trust: its first broken link is why a broker says
//! `Authorization Violation`, for which it gives no reason.
//!
//! Source: spec: deploy 5.4, 7.

use crate::account_change::revoked_until;
use crate::jwt::Jwt;
use std::fmt;

/// Why a credential is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BrokenLink {
    /// It has ended.
    Expired { at: i64 },
    /// It has not begun.
    NotYet { from: i64 },
    /// A signing key signed it, and it does not say for which account.
    NoIssuerAccount { signer: String },
    /// The servers do not know its account.
    UnknownAccount { account: String },
    /// The account's JWT is not the word of an operator whom the servers trust.
    UntrustedOperator { operator: String },
    /// The account's JWT has ended.
    AccountExpired { at: i64 },
    /// Its signer is not, or no longer, one of the account's.
    UnlistedSigner { signer: String, account: String },
    /// It was revoked.
    Revoked { until: i64 },
}

/// Walks from `user` to the operator; `accounts` are JWTs that the servers use.
pub(super) fn first_broken_link(
    user: &Jwt,
    accounts: &[Jwt],
    trusted: &[String],
    now: i64,
) -> Option<BrokenLink> {
    if let Some(at) = user.exp.filter(|end| *end <= now) {
        return Some(BrokenLink::Expired { at });
    }
    if let Some(from) = user.nbf.filter(|begin| *begin > now) {
        return Some(BrokenLink::NotYet { from });
    }
    let named = user
        .nats
        .get("issuer_account")
        .and_then(|account| account.as_str());
    let name = named.unwrap_or(&user.iss);
    let Some(account) = accounts.iter().find(|account| account.sub == name) else {
        let signs_elsewhere = |account: &&Jwt| account.signing_keys().contains(&user.iss.as_str());
        if named.is_none() && accounts.iter().any(|account| signs_elsewhere(&account)) {
            return Some(BrokenLink::NoIssuerAccount {
                signer: user.iss.clone(),
            });
        }
        return Some(BrokenLink::UnknownAccount {
            account: name.to_owned(),
        });
    };
    if !trusted.contains(&account.iss) {
        return Some(BrokenLink::UntrustedOperator {
            operator: account.iss.clone(),
        });
    }
    if let Some(at) = account.exp.filter(|end| *end <= now) {
        return Some(BrokenLink::AccountExpired { at });
    }
    if user.iss != account.sub && !account.signing_keys().contains(&user.iss.as_str()) {
        return Some(BrokenLink::UnlistedSigner {
            signer: user.iss.clone(),
            account: account.sub.clone(),
        });
    }
    let until = revoked_until(account, &user.sub)?;
    (user.iat <= until).then_some(BrokenLink::Revoked { until })
}

impl BrokenLink {
    /// Returns what to do.
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "issue it anew with microbus-deploy creds, and deploy",
            Self::NotYet { .. } => "set the clocks, or wait",
            Self::NoIssuerAccount { .. } => {
                "issue it with microbus-deploy creds, which names the account of a signing key"
            }
            Self::UnknownAccount { .. } => {
                "add the account's JWT to resolver_preload or push it, or issue the credentials with a key of an account that the broker knows"
            }
            Self::UntrustedOperator { .. } => {
                "sign the account's JWT with the operator that the servers trust, or give the servers ours"
            }
            Self::AccountExpired { .. } => "sign the account's JWT anew and push it",
            Self::UnlistedSigner { .. } => {
                "issue it with a key that the account lists, or microbus-deploy rotate-signing-key add"
            }
            Self::Revoked { .. } => "issue it anew with a key of its own; the old one stays dead",
        }
    }
}

impl fmt::Display for BrokenLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { at } => write!(formatter, "expired at {at}"),
            Self::NotYet { from } => write!(formatter, "not valid before {from}"),
            Self::NoIssuerAccount { signer } => {
                write!(
                    formatter,
                    "signed by the signing key {signer}, without issuer_account"
                )
            }
            Self::UnknownAccount { account } => {
                write!(
                    formatter,
                    "of the account {account}, which the servers do not know"
                )
            }
            Self::UntrustedOperator { operator } => {
                write!(
                    formatter,
                    "its account is signed by {operator}, whom the servers do not trust"
                )
            }
            Self::AccountExpired { at } => write!(formatter, "its account expired at {at}"),
            Self::UnlistedSigner { signer, account } => {
                write!(
                    formatter,
                    "signed by {signer}, which is no key of {account}"
                )
            }
            Self::Revoked { until } => write!(formatter, "revoked: issued before {until}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};

    fn jwt(iss: &str, sub: &str, nats: Value) -> Jwt {
        let nats: Map<String, Value> = serde_json::from_value(nats).unwrap();
        Jwt {
            jti: String::new(),
            iat: 100,
            iss: iss.to_owned(),
            name: String::new(),
            sub: sub.to_owned(),
            exp: None,
            nbf: None,
            nats,
        }
    }

    #[test]
    fn the_first_broken_link_is_the_one_that_is_named() {
        let account = jwt(
            "OP",
            "A1",
            json!({"signing_keys": ["SK"], "revocations": {"U2": 100}}),
        );
        let foreign = jwt("OTHER", "A2", json!({}));
        let ended = Jwt {
            exp: Some(150),
            ..jwt("OP", "A3", json!({}))
        };
        let accounts = [account, foreign, ended];
        let named = |signer, account| jwt(signer, "U1", json!({"issuer_account": account}));
        let plain = |signer| jwt(signer, "U1", json!({}));
        let text = |name: &str| name.to_owned();
        let cases = [
            (plain("A1"), None),
            (named("SK", "A1"), None),
            (
                Jwt {
                    exp: Some(200),
                    ..plain("A1")
                },
                Some(BrokenLink::Expired { at: 200 }),
            ),
            (
                Jwt {
                    nbf: Some(201),
                    ..plain("A1")
                },
                Some(BrokenLink::NotYet { from: 201 }),
            ),
            (
                plain("SK"),
                Some(BrokenLink::NoIssuerAccount { signer: text("SK") }),
            ),
            (
                plain("A9"),
                Some(BrokenLink::UnknownAccount {
                    account: text("A9"),
                }),
            ),
            (
                plain("A2"),
                Some(BrokenLink::UntrustedOperator {
                    operator: text("OTHER"),
                }),
            ),
            (plain("A3"), Some(BrokenLink::AccountExpired { at: 150 })),
            (
                named("STRANGER", "A1"),
                Some(BrokenLink::UnlistedSigner {
                    signer: text("STRANGER"),
                    account: text("A1"),
                }),
            ),
            (
                jwt("A1", "U2", json!({})),
                Some(BrokenLink::Revoked { until: 100 }),
            ),
            (
                Jwt {
                    iat: 101,
                    ..jwt("A1", "U2", json!({}))
                },
                None,
            ),
        ];
        for (user, expected) in cases {
            let found = first_broken_link(&user, &accounts, &[text("OP")], 200);
            assert_eq!(found, expected, "{user:?}");
        }
    }
}
