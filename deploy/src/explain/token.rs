//! A token before a verifier: the verifier's own verdict, and which of several mistakes led to it.

use super::view::{View, decode};
use super::{Explanation, Fact, jwk_set, signature};
use crate::date;
use crate::refusal::Reason;
use microbus_token::{Issuer, JwkError, JwkSet, KeyId, Unverified, VerifyError, VerifyingKey};
use std::time::{Duration, SystemTime};

/// Where a token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// To a service, as its actor: tokens of both issuers count.
    Bus,
    /// To an ingress: bearer tokens only.
    Edge,
}

/// The JWK Sets at hand: that of the token's issuer, and that of the other one.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeySets<'a> {
    /// Of the issuer that the token names.
    pub own: Option<&'a Published>,
    /// Of the other issuer.
    pub other: Option<&'a Published>,
}

/// A JWK Set and where it came from.
#[derive(Debug)]
pub struct Published {
    source: String,
    set: Result<JwkSet, JwkError>,
    replicas: Vec<Replica>,
}

/// What one replica of an issuer publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its instance ID.
    pub id: String,
    /// Its keys, and since when each is published in Unix seconds, where it tells.
    pub keys: Vec<(KeyId, Option<i64>)>,
}

impl Published {
    /// Reads a JWK Set that `source` gave.
    #[must_use]
    pub fn read(source: impl Into<String>, json: &[u8]) -> Self {
        Self {
            source: source.into(),
            set: JwkSet::from_json(json),
            replicas: Vec::new(),
        }
    }

    /// Adds what each replica publishes by itself.
    #[must_use]
    pub fn with_replicas(self, replicas: Vec<Replica>) -> Self {
        Self { replicas, ..self }
    }

    /// Returns the set, which may be empty.
    ///
    /// # Errors
    /// The [`Reason`] for which no verifier takes a key of it.
    pub fn set(&self) -> Result<&JwkSet, Reason> {
        self.set.as_ref().map_err(jwk_set::broken)
    }

    /// Returns what each replica publishes by itself, where it was asked.
    #[must_use]
    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// Tells whether the set has a key. A verifier may ask any replica: see [`Published::without`].
    #[must_use]
    pub fn has(&self, id: &KeyId) -> bool {
        self.key(id).is_some()
    }

    /// Returns the instance IDs of the replicas that do not publish a key, where they were asked.
    pub fn without<'a>(&'a self, id: &'a KeyId) -> impl Iterator<Item = &'a str> {
        let lacks = move |replica: &&Replica| replica.keys.iter().all(|(known, _)| known != id);
        let without = self.replicas.iter().filter(lacks);
        without.map(|replica| replica.id.as_str())
    }

    fn key(&self, id: &KeyId) -> Option<&VerifyingKey> {
        self.set.as_ref().ok()?.get(id)
    }

    fn keys(&self) -> impl Iterator<Item = (&KeyId, &VerifyingKey)> {
        let keys = self.set.iter().flat_map(JwkSet::iter);
        keys.map(|jwk| (jwk.id(), jwk.key()))
    }
}

/// Returns the issuer that a token names, whether or not it is any good.
#[must_use]
pub fn issuer(token: &str) -> Option<Issuer> {
    View::of(token).issuer()
}

/// Explains what a verifier says to `token` at the time `now`.
#[must_use]
pub fn explain(token: &str, sets: KeySets<'_>, surface: Surface, now: SystemTime) -> Explanation {
    let view = View::of(token);
    let mut facts = view.facts(token, now);
    let unverified = match Unverified::parse(token, SIZE_LIMIT) {
        Ok(unverified) => unverified,
        Err(error) => return Explanation::refused(view.reason(&error, token), facts),
    };
    if surface == Surface::Edge && unverified.issuer() == Issuer::Access {
        return Explanation::refused(Reason::AccessTokenAtEdge, facts);
    }
    let Some(own) = sets.own else {
        return without_keys(&view, facts, now);
    };
    facts.extend(key_facts(unverified.key_id(), own));
    let key = match find(unverified.key_id(), own, sets.other) {
        Ok(key) => key,
        Err(reason) => return Explanation::refused(reason, facts),
    };
    match unverified.verify(key, now, Duration::ZERO) {
        Ok(verified) => {
            facts.push(Fact::new("signature", "verified with this key"));
            let who = verified.issuer().host();
            let why =
                format!("A verifier believes it: {who} signed it, and it is within its times");
            Explanation::accepted(&why, facts)
        }
        Err(VerifyError::Signature) => {
            let (reason, found) = wrong_signature(token, key, sets);
            facts.push(Fact::new("signature", found));
            Explanation::refused(reason, facts)
        }
        Err(error) => {
            facts.push(Fact::new("signature", "verified with this key"));
            Explanation::refused(view.reason(&error, token), facts)
        }
    }
}

/// What can be said where nobody knows the keys: only that the time is over.
fn without_keys(view: &View, mut facts: Vec<Fact>, now: SystemTime) -> Explanation {
    facts.push(Fact::new("signature", "not checked: no JWK Set was given"));
    if view.time("exp").is_some_and(|exp| exp <= date::unix(now)) {
        return Explanation::refused(Reason::Expired, facts);
    }
    Explanation::unknown(
        "Form and issuer are right; whether the key is known and the signature holds needs a JWK Set",
        "Give --jwks FILE, or --nats URL with --creds FILE.",
        facts,
    )
}

fn find<'a>(
    id: &KeyId,
    own: &'a Published,
    other: Option<&Published>,
) -> Result<&'a VerifyingKey, Reason> {
    let set = own.set()?;
    if let Some(key) = set.get(id) {
        return Ok(key);
    }
    if other.is_some_and(|other| other.key(id).is_some()) {
        return Err(Reason::KidOfOtherIssuer);
    }
    Err(jwk_set::useless(set).unwrap_or(Reason::KidUnknown))
}

fn wrong_signature(token: &str, key: &VerifyingKey, sets: KeySets<'_>) -> (Reason, String) {
    let unknown = (Reason::Signature, "wrong under this key".to_owned());
    let Some((signed, encoded)) = token.rsplit_once('.') else {
        return unknown;
    };
    let Some(bytes) = decode(encoded).and_then(|bytes| bytes.try_into().ok()) else {
        return unknown;
    };
    let published = [sets.own, sets.other].into_iter().flatten();
    let signer = published
        .flat_map(Published::keys)
        .find(|(_, key)| key.verify(signed.as_bytes(), &bytes));
    if let Some((id, _)) = signer {
        let found = format!("wrong under this key, right under {id}");
        return (Reason::SignatureOfOtherKey, found);
    }
    if signature::is_malleated(key, signed.as_bytes(), &bytes) {
        let found = "right but for the group order, which was added to it".to_owned();
        return (Reason::SignatureMalleated, found);
    }
    unknown
}

fn key_facts(id: &KeyId, own: &Published) -> Vec<Fact> {
    let source = &own.source;
    let found = match &own.set {
        Err(error) => format!("{source} cannot be used: {error}"),
        Ok(set) if set.get(id).is_some() => format!("{id} is one of {} in {source}", set.len()),
        Ok(set) => {
            let known: Vec<_> = set.iter().map(|jwk| jwk.id().as_str()).collect();
            format!("{id} is not in {source}, which has: {}", known.join(" "))
        }
    };
    let mut facts = vec![Fact::new("published", found)];
    facts.extend(own.replicas.iter().map(|replica| {
        let published = replica.keys.iter().find(|(known, _)| known == id);
        let word = match published {
            None => "does not publish it".to_owned(),
            Some((_, None)) => {
                "publishes it; since when needs MICROBUS_PROMETHEUS_EXPORTER=1".to_owned()
            }
            Some((_, Some(since))) => format!("publishes it since {}", date::text(*since)),
        };
        Fact::new("replica", format!("{} {word}", replica.id))
    }));
    facts
}

/// What services read at most (see `microbus_verify::Settings`).
pub(super) const SIZE_LIMIT: usize = 8 * 1024;
