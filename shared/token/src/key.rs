//! Ed25519 keys: one half signs, the other verifies.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::identifier::KeyId;
use crate::pkcs8::{self, KeyKind};
use crate::secret::Secret;

/// A private key with its identifier, ready to sign.
///
/// Everything that does not change between two tokens is made once: the key pair and the encoded
/// header. `Debug` shows the identifier only; the private half is wiped on drop by the library
/// that holds it.
pub struct SigningKey {
    id: KeyId,
    pair: Ed25519KeyPair,
    public: VerifyingKey,
    header: String,
    /// How many signatures it has made since one was to be verified.
    signatures: AtomicU64,
}

impl SigningKey {
    /// Makes a key with a random identifier of 16 characters, as the access issuer does.
    ///
    /// # Errors
    /// [`KeyError::Unusable`] if the library refuses the seed, which no seed is known to cause.
    pub fn generate(rng: &mut impl CryptoRng) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; SEED_LENGTH]);
        rng.fill_bytes(seed.as_mut());
        Self::build(seed.as_ref(), Some(KeyId::random(rng)))
    }

    /// Makes the key of a 32-byte seed (RFC 8032 section 5.1.5); its identifier is
    /// [`KeyId::of_public_key`].
    ///
    /// # Errors
    /// [`KeyError::SeedLength`] if there are not 32 bytes.
    pub fn from_seed(seed: &Secret) -> Result<Self, KeyError> {
        Self::build(seed.expose(), None)
    }

    /// Reads PKCS#8 in DER, version 1 or 2 (RFC 5958, RFC 8410); the identifier is
    /// [`KeyId::of_public_key`].
    ///
    /// # Errors
    /// [`KeyError::Kind`] for another key, [`KeyError::Malformed`] for what is not DER,
    /// [`KeyError::PublicKeyMismatch`] if a public key is inside that belongs to another seed.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let parts = match pkcs8::read(der) {
            KeyKind::Ed25519(parts) => parts,
            KeyKind::Other(found) => return Err(KeyError::Kind(found)),
            KeyKind::Malformed => return Err(KeyError::Malformed),
        };
        let key = Self::build(parts.seed, None)?;
        // Signing with one half and publishing the other would leak the private key.
        if parts
            .public
            .is_some_and(|public| public != key.public.as_bytes())
        {
            return Err(KeyError::PublicKeyMismatch);
        }
        Ok(key)
    }

    fn build(seed: &[u8], id: Option<KeyId>) -> Result<Self, KeyError> {
        if seed.len() != SEED_LENGTH {
            return Err(KeyError::SeedLength(seed.len()));
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Unusable)?;
        let bytes = <[u8; 32]>::try_from(pair.public_key().as_ref());
        let public = VerifyingKey::from_bytes(&bytes.map_err(|_| KeyError::Unusable)?)?;
        let id = id.unwrap_or_else(|| KeyId::of_public_key(public.as_bytes()));
        // The alphabet of identifiers needs no JSON escapes.
        let header =
            URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"EdDSA","kid":"{id}","typ":"JWT"}}"#));
        Ok(Self {
            id,
            pair,
            public,
            header,
            signatures: AtomicU64::new(0),
        })
    }

    /// Returns the identifier.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// Returns the public half.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// Returns the encoded header `{"alg":"EdDSA","kid":"…","typ":"JWT"}` of every token that this
    /// key signs. Source: spec: microbus-wire 11.1.
    #[must_use]
    pub fn encoded_header(&self) -> &str {
        &self.header
    }

    /// Signs `message` (RFC 8032, plain Ed25519).
    ///
    /// The first signature and each 4096th after it are verified, by another library than the one that
    /// signs: three times as long as signing, hence not each of them.
    ///
    /// # Errors
    /// [`WrongSignature`] if that one does not verify.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_LENGTH], WrongSignature> {
        let mut bytes = [0; SIGNATURE_LENGTH];
        for (to, from) in bytes.iter_mut().zip(self.pair.sign(message).as_ref()) {
            *to = *from;
        }
        let count = self.signatures.fetch_add(1, Ordering::Relaxed);
        if count.is_multiple_of(PROOF_INTERVAL) && !self.public.verify(message, &bytes) {
            self.verify_next();
            return Err(WrongSignature(self.id.clone()));
        }
        Ok(bytes)
    }

    /// Has the next signature verified as the first one is, since the key begins to sign tokens or made a wrong one.
    pub fn verify_next(&self) {
        self.signatures.store(0, Ordering::Relaxed);
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

/// A public key that is safe to verify with: canonically encoded and not of small order.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey(ed25519_dalek::VerifyingKey);

impl VerifyingKey {
    /// Checks 32 bytes and takes them as a public key.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`] if they encode no point or not in the canonical way,
    /// [`KeyError::SmallOrder`] for one of the points under which anybody can sign.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key =
            ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotAPoint)?;
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyError::NotAPoint);
        }
        Ok(Self(key))
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Tells whether `signature` is one of `message`; malleable signatures are none.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_LENGTH]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "VerifyingKey({})",
            URL_SAFE_NO_PAD.encode(self.as_bytes())
        )
    }
}

/// Why something is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A seed of another length.
    #[error("the private key has {0} bytes; an Ed25519 seed has 32")]
    SeedLength(usize),
    /// A key, but not an unencrypted private Ed25519 key in PKCS#8.
    #[error("found {0}; wanted is an Ed25519 private key in PKCS#8")]
    Kind(&'static str),
    /// Not a key at all.
    #[error("the key is not PKCS#8 in DER; wanted is an Ed25519 private key in PKCS#8")]
    Malformed,
    /// The public key inside is not that of the private key.
    #[error("the public key inside the PKCS#8 text does not belong to its private key")]
    PublicKeyMismatch,
    /// Not a point of the curve, or not its canonical encoding.
    #[error("the public key is not a canonically encoded point of edwards25519")]
    NotAPoint,
    /// A point of small order.
    #[error("the public key is a point of small order, under which anybody can sign")]
    SmallOrder,
    /// The signing library refuses the key.
    #[error("the signing library refuses the private key")]
    Unusable,
}

/// A signature that was just made does not verify: memory or the processor is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "what was signed with key {0} does not verify; this machine computes wrongly, run the issuer on another one"
)]
pub struct WrongSignature(KeyId);

const SEED_LENGTH: usize = 32;
/// How many signatures are made from one that is verified to the next.
const PROOF_INTERVAL: u64 = 4096;
/// Bytes of an Ed25519 signature.
pub const SIGNATURE_LENGTH: usize = 64;

#[cfg(test)]
mod tests;
