//! Public keys as JSON: one key (JWK, RFC 7517) and the set that an issuer publishes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::identifier::{KeyId, KeyIdError};
use crate::key::{KeyError, SigningKey, VerifyingKey};

/// A public key with its identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwk {
    id: KeyId,
    key: VerifyingKey,
}

impl Jwk {
    /// Puts an identifier and a key together.
    #[must_use]
    pub fn new(id: KeyId, key: VerifyingKey) -> Self {
        Self { id, key }
    }

    /// Returns the public half of a private key.
    #[must_use]
    pub fn of(key: &SigningKey) -> Self {
        Self::new(key.id().clone(), key.verifying_key().clone())
    }

    /// Returns the identifier.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Returns `{"kty":"OKP","crv":"Ed25519","x":"…","kid":"…","use":"sig","alg":"EdDSA"}`.
    ///
    /// Source: spec: microbus-wire 11.4; RFC 8037 section 2.
    #[must_use]
    pub fn to_json(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.key.as_bytes());
        let kid = &self.id;
        format!(
            r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{kid}","use":"sig","alg":"EdDSA"}}"#
        )
    }
}

/// The keys of one issuer, in the order of publication; no identifier twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    ignored: usize,
}

impl JwkSet {
    /// Reads a set that another process published.
    ///
    /// Keys of foreign types are left out and counted. `{}` and `{"keys":null}` are empty sets, as
    /// the Go services write them.
    ///
    /// # Errors
    /// [`JwkError`] for a text that is no set, too many or too large, and for a key of our type
    /// that breaks a rule: nothing of such a set is used.
    pub fn from_json(input: &[u8]) -> Result<Self, JwkError> {
        if input.len() > LARGEST_SET {
            return Err(JwkError::TooLarge(input.len()));
        }
        let raw: RawSet<'_> = serde_json::from_slice(input).map_err(JwkError::Json)?;
        expect_object(input)?;
        let members = raw.keys.unwrap_or_default();
        if members.len() > MOST_KEYS {
            return Err(JwkError::TooMany(members.len()));
        }
        let mut set = Self::default();
        for member in members {
            match read_key(member)? {
                None => set.ignored = set.ignored.saturating_add(1),
                Some(jwk) => set.push(jwk)?,
            }
        }
        Ok(set)
    }

    /// Adds a key at the end; a key that is there already stays where it is.
    ///
    /// # Errors
    /// [`JwkError::Conflict`] if another key has the same identifier.
    pub fn push(&mut self, jwk: Jwk) -> Result<(), JwkError> {
        match self.get(jwk.id()) {
            Some(known) if known == jwk.key() => Ok(()),
            Some(_) => Err(JwkError::Conflict(jwk.id)),
            None => {
                self.keys.push(jwk);
                Ok(())
            }
        }
    }

    /// Looks a key up.
    #[must_use]
    pub fn get(&self, id: &KeyId) -> Option<&VerifyingKey> {
        self.keys.iter().find(|jwk| jwk.id() == id).map(Jwk::key)
    }

    /// Returns the keys in order.
    pub fn iter(&self) -> impl Iterator<Item = &Jwk> {
        self.keys.iter()
    }

    /// Returns the number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Tells whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns how many keys of foreign types were left out when the set was read.
    #[must_use]
    pub fn ignored(&self) -> usize {
        self.ignored
    }

    /// Returns `{"keys":[…]}`, or `{}` without a key. The final line feed of the wire is not
    /// included. Source: spec: microbus-wire 4.2, 11.4.
    #[must_use]
    pub fn to_json(&self) -> String {
        if self.keys.is_empty() {
            return "{}".to_owned();
        }
        let keys: Vec<String> = self.keys.iter().map(Jwk::to_json).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }
}

/// Why a JWK Set is not taken.
#[derive(Debug, thiserror::Error)]
pub enum JwkError {
    /// More than 64 KiB.
    #[error("the JWK Set has {0} bytes; the most allowed are 65536")]
    TooLarge(usize),
    /// More than 64 keys.
    #[error("the JWK Set has {0} keys; the most allowed are 64")]
    TooMany(usize),
    /// Not JSON, or not of the shape of a set or key; duplicate members too.
    #[error("the JWK Set is malformed")]
    Json(#[source] serde_json::Error),
    /// A list where an object is wanted.
    #[error("the JWK Set or a key of it is a list")]
    List,
    /// A private key was published. Its owner must be told.
    #[error("a key of the JWK Set has the member `d`: its private half was published; replace it")]
    PrivateKey,
    /// A member of one of our keys has a value that it must not have.
    #[error("member `{0}` of a key of the JWK Set is missing or has a value that is not allowed")]
    Member(&'static str),
    /// The identifier is not of the expected form.
    #[error("member `kid` of a key of the JWK Set is malformed")]
    KeyId(#[source] KeyIdError),
    /// The bytes of `x` are no safe public key.
    #[error("member `x` of a key of the JWK Set is no usable public key")]
    Key(#[source] KeyError),
    /// One identifier, two keys.
    #[error("two keys of the JWK Set have the key id {0}")]
    Conflict(KeyId),
}

#[derive(Deserialize)]
struct RawSet<'a> {
    #[serde(borrow)]
    keys: Option<Vec<&'a RawValue>>,
}

/// What we read of a key. Other members (`n`, `e`, `x5t` …) say nothing to us.
#[derive(Deserialize)]
struct RawKey<'a> {
    #[serde(borrow)]
    kty: Cow<'a, str>,
    crv: Option<&'a RawValue>,
    x: Option<&'a RawValue>,
    kid: Option<&'a RawValue>,
    #[serde(rename = "use")]
    usage: Option<&'a RawValue>,
    key_ops: Option<&'a RawValue>,
    alg: Option<&'a RawValue>,
    d: Option<&'a RawValue>,
}

/// Reads one key; none if it is of a foreign type.
fn read_key(member: &RawValue) -> Result<Option<Jwk>, JwkError> {
    let raw: RawKey<'_> = serde_json::from_str(member.get()).map_err(JwkError::Json)?;
    expect_object(member.get().as_bytes())?;
    if raw.d.is_some() {
        return Err(JwkError::PrivateKey);
    }
    if raw.kty != "OKP" || text(raw.crv).as_deref() != Some("Ed25519") {
        return Ok(None);
    }
    if raw.alg.is_some() && text(raw.alg).as_deref() != Some("EdDSA") {
        return Err(JwkError::Member("alg"));
    }
    if raw.usage.is_some() && text(raw.usage).as_deref() != Some("sig") {
        return Err(JwkError::Member("use"));
    }
    if let Some(operations) = raw.key_ops {
        let operations: Vec<String> = serde_json::from_str(operations.get()).unwrap_or_default();
        if !operations.iter().any(|operation| operation == "verify") {
            return Err(JwkError::Member("key_ops"));
        }
    }
    let kid = text(raw.kid).ok_or(JwkError::Member("kid"))?;
    let id = KeyId::parse(&kid).map_err(JwkError::KeyId)?;
    let x = text(raw.x).ok_or(JwkError::Member("x"))?;
    let bytes = URL_SAFE_NO_PAD
        .decode(x.as_bytes())
        .map_err(|_| JwkError::Member("x"))?;
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| JwkError::Member("x"))?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(JwkError::Key)?;
    Ok(Some(Jwk::new(id, key)))
}

/// Refuses a list, whose elements serde takes for the members of a struct in their order.
fn expect_object(json: &[u8]) -> Result<(), JwkError> {
    let object = json.trim_ascii_start().starts_with(b"{");
    object.then_some(()).ok_or(JwkError::List)
}

fn text(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// Bytes of the largest set that is read.
pub const LARGEST_SET: usize = 64 * 1024;
/// Keys of the largest set that is read.
pub const MOST_KEYS: usize = 64;

#[cfg(test)]
mod tests;
