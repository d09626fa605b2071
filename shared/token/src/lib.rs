//! Ed25519 keys, JWTs and JWK Sets of the Microbus token issuers.
//!
//! Pure: no I/O, no clock, no randomness of its own. Time and random generators are arguments.
//!
//! What it promises: a token has the bytes that the Go services would have signed, except that
//! integers keep all digits; verification is strict (`EdDSA` only, canonical encodings only, no
//! duplicate names, no weak keys); nothing that comes from outside makes it panic; private keys are
//! wiped and never shown. What it refuses: other algorithms, encrypted keys, keys inside tokens.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use microbus_token::{Claims, Jwk, JwkSet, Secret, SigningKey, TokenId, mint_access, verify};
//! # use rand::SeedableRng as _;
//! # let mut rng = rand::rngs::StdRng::seed_from_u64(1);
//!
//! let key = SigningKey::from_seed(&Secret::new(vec![1; 32]))?;
//! let claims = Claims::from_json(br#"{"sub":"harry","roles":["admin"]}"#)?;
//! let jti = TokenId::random(&mut rng, TokenId::ACCESS_LENGTH);
//! let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! let token = mint_access(claims, Duration::from_secs(20), &jti, &key, now)?;
//!
//! let mut keys = JwkSet::default();
//! keys.push(Jwk::of(&key))?;
//! let verified = verify(token.as_str(), &keys, now)?;
//! assert_eq!(verified.sub().as_deref(), Some("harry"));
//! assert_eq!(verified.claims().get("exp"), Some("1800000025"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
// Tests may overflow: they fail then.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod arguments;
mod claims;
#[doc(hidden)]
pub mod fuzz_entry;
mod identifier;
mod issuer;
pub mod json;
mod jwk;
mod key;
mod literal;
mod members;
mod mint;
mod pem;
mod pkcs8;
mod ring;
mod secret;
mod verify;

pub use arguments::{ArgumentsError, decode_claims, expect_object};
pub use claims::{Claims, ClaimsError};
pub use identifier::{KeyId, KeyIdError, TokenId};
pub use issuer::Issuer;
pub use jwk::{Jwk, JwkError, JwkSet, LARGEST_SET, MOST_KEYS};
pub use key::{KeyError, SIGNATURE_LENGTH, SigningKey, VerifyingKey, WrongSignature};
pub use literal::is_literal;
pub use mint::{
    ACCESS_CEILING, ACCESS_PADDING, BEARER_PADDING, CompactJwt, IdentityProvider, UnsignedJwt,
    force_access, force_bearer, mint_access, mint_bearer, sign_claims,
};
pub use pem::{KeyTextError, read_key_text};
pub use ring::{ACTIVATION_DELAY, Change, KeyRing, KeyStation, RingError, RotationPolicy};
pub use secret::Secret;
#[cfg(feature = "testing")]
pub use verify::read_unsigned;
pub use verify::{DEFAULT_SIZE_LIMIT, Unverified, Verified, VerifyError, looks_like_jwt, verify};

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod goldens;
