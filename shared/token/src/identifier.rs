//! Identifiers of keys (`kid`) and tokens (`jti`).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};

/// The `kid` of a key: 1 to 64 of `A-Z a-z 0-9 _ -`.
///
/// Access keys have 16 random characters, bearer keys the 11 that [`KeyId::of_public_key`] makes.
/// The narrow alphabet keeps a hostile `kid` out of logs, subjects and JSON escapes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// Checks `text` and takes it as a key identifier.
    ///
    /// # Errors
    /// [`KeyIdError`] if the length is not 1 to 64 or a character is not of the alphabet.
    pub fn parse(text: &str) -> Result<Self, KeyIdError> {
        if text.is_empty() || text.len() > LONGEST_KEY_ID {
            return Err(KeyIdError::Length(text.len()));
        }
        if !text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        {
            return Err(KeyIdError::Character);
        }
        Ok(Self(text.into()))
    }

    /// Returns 16 random characters of `0-9 A-Z a-z` (95 bits).
    ///
    /// Source: spec: microbus-wire 11.1.
    #[must_use]
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(random_text(rng, 16).into())
    }

    /// Returns the identifier that the bearer issuer gives to a public key: the unpadded base64url
    /// of the first 8 bytes of its SHA-256, 11 characters.
    ///
    /// Source: spec: microbus-wire 11.3.
    #[must_use]
    pub fn of_public_key(public_key: &[u8; 32]) -> Self {
        let digest = Sha256::digest(public_key);
        let first: Vec<u8> = digest.iter().copied().take(8).collect();
        Self(URL_SAFE_NO_PAD.encode(first).into())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.0)
    }
}

/// Why a text is not a key identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyIdError {
    /// Empty or longer than 64 bytes.
    #[error("key id has {0} bytes; wanted are 1 to 64")]
    Length(usize),
    /// A character outside the alphabet.
    #[error("key id has a character other than A-Z, a-z, 0-9, _ and -")]
    Character,
}

/// The `jti` of a token: random characters of `0-9 A-Z a-z`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenId(Box<str>);

impl TokenId {
    /// Characters of the `jti` of an access token. Source: spec: microbus-wire 11.1.
    pub const ACCESS_LENGTH: usize = 16;
    /// Characters of the `jti` of a bearer token. Source: spec: microbus-wire 11.3.
    pub const BEARER_LENGTH: usize = 24;

    /// Returns `length` random characters, 5.95 bits each.
    #[must_use]
    pub fn random(rng: &mut impl CryptoRng, length: usize) -> Self {
        Self(random_text(rng, length).into())
    }

    /// Takes an identifier out of a recorded token.
    #[cfg(test)]
    pub(crate) fn recorded(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Draws `length` characters without bias: of the 64 values of six bits, two are thrown away.
fn random_text(rng: &mut impl CryptoRng, length: usize) -> String {
    let mut text = String::with_capacity(length);
    let mut pool = [0; 32];
    while text.len() < length {
        rng.fill_bytes(&mut pool);
        let drawn = pool
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte & 0x3f)));
        let missing = length.saturating_sub(text.len());
        text.extend(drawn.take(missing).map(|&b| char::from(b)));
    }
    text
}

const LONGEST_KEY_ID: usize = 64;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn random_identifiers_have_their_length_and_alphabet() {
        let mut rng = StdRng::seed_from_u64(1);
        assert_eq!(KeyId::random(&mut rng).as_str().len(), 16);
        for length in [0, 1, TokenId::ACCESS_LENGTH, TokenId::BEARER_LENGTH, 100] {
            let id = TokenId::random(&mut rng, length);
            assert_eq!(id.as_str().len(), length);
            assert!(id.as_str().bytes().all(|b| b.is_ascii_alphanumeric()));
        }
        assert_ne!(KeyId::random(&mut rng), KeyId::random(&mut rng));
    }

    #[test]
    fn every_character_is_drawn_equally_often() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut counts = HashMap::new();
        for c in random_text(&mut rng, 62_000).chars() {
            *counts.entry(c).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 62);
        assert!(
            counts.values().all(|&n| (800..1200).contains(&n)),
            "{counts:?}"
        );
    }

    #[test]
    fn key_ids_outside_the_alphabet_are_refused() {
        assert_eq!(KeyId::parse(""), Err(KeyIdError::Length(0)));
        assert_eq!(KeyId::parse(&"a".repeat(65)), Err(KeyIdError::Length(65)));
        for text in ["a/b", "../x", "a b", "a\0", "ключ", "a\r\nb", "a.b"] {
            assert_eq!(KeyId::parse(text), Err(KeyIdError::Character), "{text:?}");
        }
        assert_eq!(KeyId::parse("NHUPmL1Z_Pw").unwrap().as_str(), "NHUPmL1Z_Pw");
    }
}
