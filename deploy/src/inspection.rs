//! What a credential or a JWT says, for people and for programs. Never a seed.

use crate::date;
use crate::jwt::Jwt;
use crate::nkey::NkeyKind;
use serde::Serialize;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Who, signed by whom, until when, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// `operator`, `account`, `user`, or the type that the JWT gives itself.
    pub kind: String,
    /// What its owner is called.
    pub name: String,
    /// The public key of its owner.
    pub key: String,
    /// The public key of the signer.
    pub signed_by: String,
    /// The account of a user: the signer, or the account in whose name the signer signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// When it was signed.
    pub issued_at: String,
    /// From when on it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// Until when it counts; `None` is until it is revoked.
    pub valid_until: Option<String>,
    /// Whether that is over.
    pub expired: bool,
    /// What a user may publish to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<String>,
    /// What a user may subscribe to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscribe: Vec<String>,
    /// What a user may not publish to, which no credential of ours has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publish_denied: Vec<String>,
    /// What a user may not subscribe to, which no credential of ours has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscribe_denied: Vec<String>,
    /// The keys that may sign in the name of an operator or an account.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signing_keys: Vec<String>,
    /// The system account of an operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_account: Option<String>,
    /// The limits of an account or a user that are limits.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub limits: Map<String, Value>,
    /// The revoked users of an account, each with the time up to which its JWTs are.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub revocations: Map<String, Value>,
    /// The size of the JWT in bytes.
    pub jwt_bytes: usize,
}

impl Inspection {
    /// Returns what `compact`, read as `jwt`, says at the Unix time `now`.
    #[must_use]
    pub fn of(jwt: &Jwt, compact: &str, now: i64) -> Self {
        let text = |name: &str| {
            jwt.nats
                .get(name)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let owned = |path: &[&str]| jwt.strings(path).into_iter().map(str::to_owned).collect();
        let is_user = jwt.kind() == Some(NkeyKind::User);
        Self {
            kind: text("type").unwrap_or_else(|| "unknown".to_owned()),
            name: jwt.name.clone(),
            key: jwt.sub.clone(),
            signed_by: jwt.iss.clone(),
            account: is_user.then(|| text("issuer_account").unwrap_or_else(|| jwt.iss.clone())),
            issued_at: date::text(jwt.iat),
            valid_from: jwt.nbf.map(date::text),
            valid_until: jwt.exp.map(date::text),
            expired: jwt.exp.is_some_and(|exp| exp <= now),
            publish: owned(&["pub", "allow"]),
            subscribe: owned(&["sub", "allow"]),
            publish_denied: owned(&["pub", "deny"]),
            subscribe_denied: owned(&["sub", "deny"]),
            signing_keys: jwt.signing_keys().into_iter().map(str::to_owned).collect(),
            system_account: text("system_account"),
            limits: limits(jwt),
            revocations: revocations(jwt),
            jwt_bytes: compact.trim().len(),
        }
    }

    /// Returns it as lines of text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        put(&mut text, "name", &format!("{} ({})", self.name, self.kind));
        put(&mut text, "key", &self.key);
        put(&mut text, "signed by", &self.signer());
        put(&mut text, "issued at", &self.issued_at);
        if let Some(from) = &self.valid_from {
            put(&mut text, "valid from", from);
        }
        let until = match &self.valid_until {
            None => "no end",
            Some(until) => until,
        };
        let over = if self.expired { ", which is over" } else { "" };
        put(&mut text, "valid until", &format!("{until}{over}"));
        put(&mut text, "size", &format!("{} bytes", self.jwt_bytes));
        if let Some(account) = &self.system_account {
            put(&mut text, "system", account);
        }
        for (label, lines) in [
            ("may sign", &self.signing_keys),
            ("publish", &self.publish),
            ("not publish", &self.publish_denied),
            ("subscribe", &self.subscribe),
            ("not subscribe", &self.subscribe_denied),
        ] {
            for line in lines {
                put(&mut text, label, line);
            }
        }
        if self.kind == "user" {
            for (label, list) in [("publish", &self.publish), ("subscribe", &self.subscribe)] {
                if list.is_empty() {
                    put(&mut text, label, "everything, because nothing is listed");
                }
            }
        }
        for (label, members) in [("limit", &self.limits), ("revoked", &self.revocations)] {
            for (name, value) in members {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                put(&mut text, label, &format!("{name}: {value}"));
            }
        }
        text
    }

    fn signer(&self) -> String {
        if self.signed_by == self.key {
            return "itself".to_owned();
        }
        match &self.account {
            Some(account) if *account != self.signed_by => {
                format!("{}, a signing key of the account {account}", self.signed_by)
            }
            Some(_) => format!("{}, the account", self.signed_by),
            None => self.signed_by.clone(),
        }
    }
}

fn put(text: &mut String, label: &str, value: &str) {
    // Writing into a string cannot fail.
    let _ok: std::fmt::Result = writeln!(text, "  {label:13} {value}");
}

fn limits(jwt: &Jwt) -> Map<String, Value> {
    // Those of an account are a member of their own, those of a user lie beside its permissions.
    let limits = jwt.nats.get("limits").and_then(Value::as_object);
    let limits = limits.into_iter().flatten();
    let of_user = ["subs", "data", "payload"].map(|name| jwt.nats.get_key_value(name));
    // -1 is no limit, 0 a real one.
    limits
        .chain(of_user.into_iter().flatten())
        .filter(|(_, value)| value.as_i64().is_some_and(|value| value != -1))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn revocations(jwt: &Jwt) -> Map<String, Value> {
    let revocations = jwt.nats.get("revocations").and_then(Value::as_object);
    let revocations = revocations.into_iter().flatten();
    revocations
        .map(|(user, time)| {
            let time = time.as_i64().map(date::text);
            (user.clone(), time.map_or(Value::Null, Value::String))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Account, Nkey, Operator, Permissions, Signer};
    use std::num::NonZeroU32;
    use std::time::{Duration, UNIX_EPOCH};

    fn key(kind: NkeyKind, byte: u8) -> Nkey {
        Nkey::from_random(kind, [byte; 32]).unwrap()
    }

    fn inspected(compact: &str, now: i64) -> Inspection {
        Inspection::of(&Jwt::read(compact).unwrap(), compact, now)
    }

    #[test]
    fn a_user_is_shown_with_signer_account_and_end() {
        let signer = key(NkeyKind::Account, 2);
        let signer_name = signer.public_key();
        let account = Account::new("bus", key(NkeyKind::Account, 1))
            .unwrap()
            .with_signing_key(signer)
            .unwrap();
        let permissions =
            Permissions::exactly(vec!["p.a".to_owned()], vec!["s.a".to_owned()]).unwrap();
        let user = key(NkeyKind::User, 3);
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let expires = Some(now + Duration::from_secs(60));
        let issued = account
            .issue("svc", &user, &permissions, expires, now)
            .unwrap();
        let shown = inspected(issued.jwt(), 1_800_000_060);
        let text = shown.to_text();
        let expected = format!(
            "  name          svc (user)\n  key           {}\n  signed by     {signer_name}, a signing key of the account \
             {}\n  issued at     2027-01-15T08:00:00Z\n  valid until   2027-01-15T08:01:00Z, which is over\n  \
             size          {} bytes\n  publish       p.a\n  subscribe     s.a\n",
            user.public_key(),
            account.public_key(),
            issued.jwt().len()
        );
        assert_eq!(text, expected);
        assert!(!inspected(issued.jwt(), 1_800_000_059).expired);
        let json = serde_json::to_value(&shown).unwrap();
        assert_eq!(json["publish"], serde_json::json!(["p.a"]));
    }

    #[test]
    fn a_user_is_shown_with_the_limits_that_it_has() {
        let key_of_account = key(NkeyKind::Account, 2);
        let permissions = Permissions::exactly(vec!["p.a".into()], vec!["p.b".into()]).unwrap();
        let limits = |subscriptions| {
            let signer = Signer::identity(&key_of_account).unwrap();
            let signer = signer.with_user_limits(NonZeroU32::new(subscriptions), None);
            let user = key(NkeyKind::User, 3);
            let issued = signer.issue("a.b", &user, &permissions, None, UNIX_EPOCH);
            inspected(issued.unwrap().jwt(), 0).limits
        };
        assert!(limits(0).is_empty());
        assert_eq!(Value::from(limits(60)), serde_json::json!({"subs": 60}));
    }

    #[test]
    fn an_account_is_shown_without_the_limits_that_are_none() {
        let operator = Operator::new("acme", key(NkeyKind::Operator, 1)).unwrap();
        let account = Account::new("bus", key(NkeyKind::Account, 2)).unwrap();
        let shown = inspected(&operator.sign_account(&account, UNIX_EPOCH).unwrap(), 0);
        assert_eq!((shown.kind.as_str(), shown.limits.len()), ("account", 0));
        assert!(shown.to_text().contains("valid until   no end"));
        let shown = inspected(&operator.jwt(UNIX_EPOCH).unwrap(), 0);
        assert!(shown.to_text().contains("signed by     itself"));
    }
}
