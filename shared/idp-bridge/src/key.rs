//! Public keys of identity providers, and the sets in which they publish them. Pure.
//!
//! `jsonwebtoken` holds the keys and verifies with them. It looks at a key only when it verifies, and then not closely, so
//! everything that makes a key a bad one is found here, when the set is read.

use crate::algorithm::Algorithm;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use microbus_token::json::{JsonError, Reading, normalise};
use microbus_token::{MOST_KEYS, VerifyingKey};
use serde_json::{Map, Value};

/// Which key signed: its `kid`, and the one algorithm that it may be used with (RFC 8725 section 3.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ForeignKeyId {
    pub(crate) kid: Box<str>,
    pub(crate) algorithm: Algorithm,
}

/// A public key that is safe to verify with, for one algorithm.
#[derive(Clone, Debug)]
pub(crate) struct ForeignKey {
    key: DecodingKey,
    algorithm: Algorithm,
}

impl ForeignKey {
    /// Tells whether `signature` is one of `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        // Not `jsonwebtoken::crypto::verify`: whatever else is in the process can replace the provider of that, and a second
        // feature of the library that anything in its tree turns on makes it panic.
        (DEFAULT_PROVIDER.verifier_factory)(&self.algorithm.into(), &self.key)
            .is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
    }

    fn read(jwk: &Map<String, Value>, algorithm: Algorithm) -> Result<Self, KeyFault> {
        let key = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => rsa(jwk),
            Algorithm::ES256 => p256(jwk),
            Algorithm::EdDSA => ed25519(jwk),
        }?;
        Ok(Self { key, algorithm })
    }
}

/// What a provider publishes, as far as it can be used.
#[derive(Debug)]
pub(crate) struct ForeignKeySet {
    pub(crate) keys: Vec<(ForeignKeyId, ForeignKey)>,
    /// Why keys that look like signing keys of a pinned algorithm were left out.
    pub(crate) faults: Vec<KeyFault>,
}

impl ForeignKeySet {
    /// Reads a JWK Set for use with `pinned` algorithms. Keys for other uses are left out, and so are bad ones: a
    /// provider's mistake in one key must not take the others away.
    ///
    /// # Errors
    /// [`KeySetError`] for what is no set, and for a set in which one identifier has two keys.
    pub(crate) fn read(json: &[u8], pinned: &[Algorithm]) -> Result<Self, KeySetError> {
        let plain = normalise(json, Reading::Strict).map_err(KeySetError::Json)?;
        let set: Value = serde_json::from_slice(&plain).map_err(|_| KeySetError::Shape)?;
        let jwks = set
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(KeySetError::Shape)?;
        if jwks.len() > MOST_KEYS {
            return Err(KeySetError::TooMany(jwks.len()));
        }
        let (mut keys, mut faults) = (Vec::<(ForeignKeyId, ForeignKey)>::new(), Vec::new());
        for jwk in jwks {
            let jwk = jwk.as_object().ok_or(KeySetError::Shape)?;
            match read_key(jwk, pinned) {
                Ok(None) => {}
                Ok(Some((id, key))) if keys.iter().all(|(known, _)| *known != id) => {
                    keys.push((id, key));
                }
                Ok(Some((id, _))) => return Err(KeySetError::Twice(id.kid)),
                Err(fault) => faults.push(fault),
            }
        }
        Ok(Self { keys, faults })
    }
}

/// Why a JWK Set is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeySetError {
    #[error("the JWK Set is not strict JSON")]
    Json(#[source] JsonError),
    #[error("the JWK Set is no object with a list `keys` of objects")]
    Shape,
    #[error("the JWK Set has {0} keys; the most allowed are 64")]
    TooMany(usize),
    #[error("the JWK Set has two keys {0:?} for one algorithm")]
    Twice(Box<str>),
}

/// Why a key is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyFault {
    #[error("member `{0}` is missing or malformed")]
    Member(&'static str),
    #[error("an RSA key of {0} bits; allowed are 2048 to 8192")]
    RsaBits(usize),
    #[error("no usable public key")]
    Unusable,
    #[error("its private half is published: tell the provider to replace it")]
    Private,
    #[error("it has no `alg`, and several of the configured algorithms fit")]
    Ambiguous,
}

/// Reads one key; none if it is not meant for signatures of a pinned algorithm.
fn read_key(
    jwk: &Map<String, Value>,
    pinned: &[Algorithm],
) -> Result<Option<(ForeignKeyId, ForeignKey)>, KeyFault> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let kty = text("kty").ok_or(KeyFault::Member("kty"))?;
    let fitting: Vec<Algorithm> = pinned
        .iter()
        .copied()
        .filter(|algorithm| algorithm.fits(kty, text("crv")))
        .collect();
    let for_signing = jwk.get("use").is_none_or(|usage| usage == "sig")
        && jwk.get("key_ops").is_none_or(|operations| {
            operations
                .as_array()
                .is_some_and(|list| list.iter().any(|operation| operation == "verify"))
        });
    let algorithm = match (jwk.get("alg"), &*fitting) {
        (_, []) => return Ok(None),
        _ if !for_signing => return Ok(None),
        (Some(alg), _) => {
            let named = alg.as_str().and_then(Algorithm::of_name);
            let Some(named) = named.filter(|named| fitting.contains(named)) else {
                return Ok(None);
            };
            named
        }
        (None, [only]) => *only,
        (None, _) => return Err(KeyFault::Ambiguous),
    };
    if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
        .iter()
        .any(|private| jwk.contains_key(*private))
    {
        return Err(KeyFault::Private);
    }
    let kid = text("kid")
        .filter(|kid| is_key_id(kid))
        .ok_or(KeyFault::Member("kid"))?;
    let key = ForeignKey::read(jwk, algorithm)?;
    let id = ForeignKeyId {
        kid: kid.into(),
        algorithm,
    };
    Ok(Some((id, key)))
}

fn rsa(jwk: &Map<String, Value>) -> Result<DecodingKey, KeyFault> {
    // The shortest form (RFC 7518 section 2, Base64urlUInt).
    let integer = |name| bytes(jwk, name).filter(|bytes| bytes.first() != Some(&0));
    let n = integer("n").ok_or(KeyFault::Member("n"))?;
    let e = integer("e").ok_or(KeyFault::Member("e"))?;
    let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
    if !(LEAST_RSA_BITS..=MOST_RSA_BITS).contains(&bits) {
        return Err(KeyFault::RsaBits(bits));
    }
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last % 2 == 1);
    // An exponent of 1 verifies everything; a large one costs too much.
    if !odd(&n) || !odd(&e) || e.len() > 4 || e == [1] {
        return Err(KeyFault::Unusable);
    }
    Ok(DecodingKey::from_rsa_raw_components(&n, &e))
}

fn p256(jwk: &Map<String, Value>) -> Result<DecodingKey, KeyFault> {
    // RFC 7518 section 6.2.1 wants full length of both.
    let coordinate = |name| bytes(jwk, name).filter(|bytes| bytes.len() == 32);
    let x = coordinate("x").ok_or(KeyFault::Member("x"))?;
    let y = coordinate("y").ok_or(KeyFault::Member("y"))?;
    // Uncompressed (SEC 1 section 2.3.3), which is what the library wants for DER. It keeps points beside the curve too.
    let point = [&[4], &*x, &*y].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &*point)
        .map(|_| DecodingKey::from_ec_der(&point))
        .map_err(|_| KeyFault::Unusable)
}

fn ed25519(jwk: &Map<String, Value>) -> Result<DecodingKey, KeyFault> {
    let x = bytes(jwk, "x").and_then(|x| <[u8; 32]>::try_from(x).ok());
    let x = x.ok_or(KeyFault::Member("x"))?;
    // Not of small order: such a key verifies anything.
    VerifyingKey::from_bytes(&x)
        .map(|_| DecodingKey::from_ed_der(&x))
        .map_err(|_| KeyFault::Unusable)
}

/// Tells whether a text can be a `kid`: visible ASCII, and not long. Providers use more characters than our issuers do.
pub(crate) fn is_key_id(text: &str) -> bool {
    (1..=LONGEST_KEY_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok()
}

const LONGEST_KEY_ID: usize = 128;
const LEAST_RSA_BITS: usize = 2048;
const MOST_RSA_BITS: usize = 8192;

#[cfg(test)]
mod tests;
