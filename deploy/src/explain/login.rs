//! A login before the broker: the first link of the chain from the seed to the operator that does not hold.
//!
//! The broker says `Authorization Violation` to all of them. Source: spec: deploy 5.4, 6.1, 7.

use super::{Explanation, Fact};
use crate::credentials::{Credentials, CredentialsError};
use crate::date;
use crate::jwt::{Jwt, JwtError};
use crate::nkey::NkeyKind;
use crate::refusal::Reason;
use serde_json::Value;

/// What is known of both sides of a login.
#[derive(Debug, Default)]
pub struct Login<'a> {
    /// The text of the credentials file.
    pub credentials: Option<&'a str>,
    /// The JWT of the account as the broker has it.
    pub account: Option<&'a str>,
    /// The operator that the broker trusts.
    pub operator: Option<&'a Jwt>,
}

impl Login<'_> {
    /// Explains why a broker with this account and operator refuses a login with these credentials at the time `now`.
    #[must_use]
    pub fn explain(&self, now: i64) -> Explanation {
        let mut facts = Vec::new();
        let reason = self.broken_link(now, &mut facts);
        Explanation::refused(reason.unwrap_or(Reason::LoginRefused), facts)
    }

    /// Explains the end of a connection for which the broker gave its `reason`.
    #[must_use]
    pub fn explain_end(&self, reason: Reason, now: i64) -> Explanation {
        let mut facts = vec![Fact::new("now", date::text(now))];
        // Only what it notes of the credentials counts here: the broker has said the reason.
        let _link = self.broken_link(now, &mut facts);
        Explanation::refused(reason, facts)
    }

    fn broken_link(&self, now: i64, facts: &mut Vec<Fact>) -> Option<Reason> {
        let text = self.credentials?;
        let user = match user(text) {
            Ok((user, length)) => {
                facts.extend(user_facts(&user, length, now));
                if length > LONGEST_JWT {
                    return Some(Reason::CredsTooLong);
                }
                user
            }
            Err(reason) => return Some(reason),
        };
        let account = match self.account.map(account) {
            None => return by_itself(&user, now),
            Some(Ok(account)) => account,
            Some(Err(reason)) => return Some(reason),
        };
        facts.push(Fact::new(
            "account",
            format!("{} {}", account.sub, account.name),
        ));
        belonging(&user, &account)
            .or_else(|| {
                self.operator
                    .and_then(|operator| trust(&account, operator, facts))
            })
            .or_else(|| signer(&user, &account))
            .or_else(|| by_itself(&user, now))
            .or_else(|| is_revoked(&user, &account).then_some(Reason::CredsRevoked))
            .or_else(|| is_over(&account, now).then_some(Reason::AccountExpired))
    }
}

fn user(text: &str) -> Result<(Jwt, usize), Reason> {
    let credentials = Credentials::parse(text).map_err(|error| match error {
        CredentialsError::NoJwt => Reason::CredsWithoutJwt,
        CredentialsError::NoSeed => Reason::CredsWithoutSeed,
        CredentialsError::Jwt(JwtError::Signature { .. }) => Reason::CredsJwtChanged,
        CredentialsError::Jwt(_) => Reason::CredsJwtMalformed,
        CredentialsError::Seed(_) => Reason::CredsSeedMalformed,
        CredentialsError::OtherSeed { user, .. } if !user.starts_with('U') => {
            Reason::CredsNotOfUser
        }
        CredentialsError::OtherSeed { .. } => Reason::CredsSeedDiffers,
    })?;
    let jwt = Jwt::read(credentials.jwt()).map_err(|_| Reason::CredsJwtMalformed)?;
    if jwt.kind() != Some(NkeyKind::User) || kind(&jwt) != Some("user") {
        return Err(Reason::CredsNotOfUser);
    }
    if jwt.signer_kind() != Some(NkeyKind::Account) {
        return Err(Reason::CredsSignerNotAccount);
    }
    Ok((jwt, credentials.jwt().len()))
}

fn account(text: &str) -> Result<Jwt, Reason> {
    let jwt = Jwt::read(text).map_err(|_| Reason::AccountMalformed)?;
    let is_account = jwt.kind() == Some(NkeyKind::Account) && kind(&jwt) == Some("account");
    is_account.then_some(jwt).ok_or(Reason::AccountMalformed)
}

fn belonging(user: &Jwt, account: &Jwt) -> Option<Reason> {
    let named = user.nats.get("issuer_account").and_then(Value::as_str);
    if named.unwrap_or(&user.iss) == account.sub {
        return None;
    }
    let signed_by_listed_key = signing_keys(account).any(|(key, _)| key == user.iss);
    Some(match named {
        None if signed_by_listed_key => Reason::IssuerAccountMissing,
        None | Some(_) => Reason::AccountDiffers,
    })
}

fn trust(account: &Jwt, operator: &Jwt, facts: &mut Vec<Fact>) -> Option<Reason> {
    facts.push(Fact::new(
        "operator",
        format!("{} {}", operator.sub, operator.name),
    ));
    let signs =
        account.iss == operator.sub || operator.strings(&["signing_keys"]).contains(&&*account.iss);
    (!signs).then_some(Reason::OperatorDiffers)
}

fn signer(user: &Jwt, account: &Jwt) -> Option<Reason> {
    if user.iss == account.sub {
        return None;
    }
    let Some((_, is_scoped)) = signing_keys(account).find(|(key, _)| *key == user.iss) else {
        return Some(Reason::SignerNotListed);
    };
    let has_own = ["pub", "sub"]
        .iter()
        .any(|verb| !user.strings(&[verb, "allow"]).is_empty());
    (is_scoped && has_own).then_some(Reason::SignerScoped)
}

fn by_itself(user: &Jwt, now: i64) -> Option<Reason> {
    if is_over(user, now) {
        return Some(Reason::CredsExpired);
    }
    user.nbf
        .is_some_and(|begin| now < begin)
        .then_some(Reason::CredsNotYetValid)
}

/// A revocation counts for what was issued up to its time, that second included (spec: deploy 6.1).
fn is_revoked(user: &Jwt, account: &Jwt) -> bool {
    let revocations = account.nats.get("revocations").and_then(Value::as_object);
    revocations.is_some_and(|revocations| {
        [&*user.sub, "*"]
            .iter()
            .filter_map(|key| revocations.get(*key)?.as_i64())
            .any(|time| user.iat <= time)
    })
}

fn is_over(jwt: &Jwt, now: i64) -> bool {
    jwt.exp.is_some_and(|exp| exp != 0 && exp <= now)
}

/// Returns the signing keys of an account, and which of them are scoped (spec: deploy 5.3).
fn signing_keys(account: &Jwt) -> impl Iterator<Item = (&str, bool)> {
    let keys = account.nats.get("signing_keys").and_then(Value::as_array);
    keys.into_iter()
        .flatten()
        .filter_map(|key| match key.as_str() {
            Some(key) => Some((key, false)),
            None => Some((key.get("key")?.as_str()?, true)),
        })
}

fn kind(jwt: &Jwt) -> Option<&str> {
    jwt.nats.get("type")?.as_str()
}

fn user_facts(user: &Jwt, length: usize, now: i64) -> Vec<Fact> {
    let until = match user.exp {
        None | Some(0) => "for ever".to_owned(),
        Some(exp) if exp <= now => format!(
            "until {}, {} ago",
            date::text(exp),
            date::span(exp.saturating_sub(now))
        ),
        Some(exp) => format!("until {}", date::text(exp)),
    };
    vec![
        Fact::new("user", format!("{} {}", user.sub, user.name)),
        Fact::new("signed by", &*user.iss),
        Fact::new("issued", date::text(user.iat)),
        Fact::new("valid", until),
        Fact::new("JWT", format!("{length} bytes")),
    ]
}

/// The longest JWT that was seen to fit into CONNECT, with a client that sends little else (spec: deploy 2.5).
const LONGEST_JWT: usize = 3828;
