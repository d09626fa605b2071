//! NATS key pairs: the identities of operators, accounts and users.
//!
//! Source: spec: deploy 5.1.

use nkeys::{KeyPair, KeyPairType};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// Whose identity a key pair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NkeyKind {
    /// The root of trust of a cluster of servers; public keys start with `O`.
    Operator,
    /// One isolated space of subjects, and the signer of its users; public keys start with `A`.
    Account,
    /// One connecting service; public keys start with `U`.
    User,
}

/// A key pair with its seed.
///
/// Its `Debug` shows the public half only.
pub struct Nkey {
    kind: NkeyKind,
    pair: KeyPair,
}

impl Nkey {
    /// Makes the key pair of `kind` whose Ed25519 seed is `random`: 32 bytes from a cryptographic generator.
    ///
    /// # Errors
    /// [`NkeyError`] when the bytes make no key pair.
    pub fn from_random(kind: NkeyKind, random: [u8; 32]) -> Result<Self, NkeyError> {
        let random = Zeroizing::new(random);
        let pair =
            KeyPair::new_from_raw(kind.in_library(), *random).map_err(|_| NkeyError::Seed)?;
        Ok(Self { kind, pair })
    }

    /// Reads a seed (`SO…`, `SA…`, `SU…`), with blanks around it ignored.
    ///
    /// # Errors
    /// [`NkeyError::Seed`] when the text is no seed or its checksum differs, [`NkeyError::Kind`] when it is the seed
    /// of another kind of identity.
    pub fn from_seed(kind: NkeyKind, seed: &str) -> Result<Self, NkeyError> {
        let pair = KeyPair::from_seed(seed.trim()).map_err(|_| NkeyError::Seed)?;
        if pair.key_pair_type() != kind.in_library() {
            return Err(NkeyError::Kind { wanted: kind });
        }
        Ok(Self { kind, pair })
    }

    /// Returns whose identity this is.
    #[must_use]
    pub fn kind(&self) -> NkeyKind {
        self.kind
    }

    /// Returns the public key: 56 characters, the first of which tells the kind.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.pair.public_key()
    }

    /// Returns the seed, 58 characters. Whoever reads it is this identity.
    ///
    /// # Errors
    /// [`NkeyError::Seed`] when the seed is not at hand.
    pub fn expose_seed(&self) -> Result<Zeroizing<String>, NkeyError> {
        self.pair
            .seed()
            .map(Zeroizing::new)
            .map_err(|_| NkeyError::Seed)
    }

    /// Returns the Ed25519 signature of `message`, 64 bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, NkeyError> {
        self.pair.sign(message).map_err(|_| NkeyError::Seed)
    }
}

impl fmt::Debug for Nkey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Nkey")
            .field(&self.public_key())
            .finish()
    }
}

impl NkeyKind {
    /// Returns whose identity a public key is; `None` for another text, or a kind that a bus does not use.
    #[must_use]
    pub fn of_public_key(key: &str) -> Option<Self> {
        let kind = KeyPair::from_public_key(key).ok()?.key_pair_type();
        [Self::Operator, Self::Account, Self::User]
            .into_iter()
            .find(|known| known.in_library() == kind)
    }

    /// Returns the letters that a seed begins with.
    #[must_use]
    pub fn seed_prefix(self) -> &'static str {
        match self {
            Self::Operator => "SO",
            Self::Account => "SA",
            Self::User => "SU",
        }
    }

    fn in_library(self) -> KeyPairType {
        match self {
            Self::Operator => KeyPairType::Operator,
            Self::Account => KeyPairType::Account,
            Self::User => KeyPairType::User,
        }
    }
}

impl fmt::Display for NkeyKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Operator => "an operator",
            Self::Account => "an account",
            Self::User => "a user",
        })
    }
}

/// Why a key pair cannot be used. Never quotes what it read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NkeyError {
    /// The text or bytes are no seed: wrong length, alphabet or checksum.
    #[error("not a seed; a seed is 58 characters that start with SO, SA or SU")]
    Seed,
    /// A seed, but of another kind of identity.
    #[error("the key of somebody else than {wanted}, whose seed begins with {}", .wanted.seed_prefix())]
    Kind {
        /// The kind that the place asked for.
        wanted: NkeyKind,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_restores_the_same_identity() {
        for (kind, prefix) in [
            (NkeyKind::Operator, "O"),
            (NkeyKind::Account, "A"),
            (NkeyKind::User, "U"),
        ] {
            let key = Nkey::from_random(kind, [7; 32]).unwrap();
            assert!(key.public_key().starts_with(prefix));
            let seed = key.expose_seed().unwrap();
            let again = Nkey::from_seed(kind, &format!(" {}\n", *seed)).unwrap();
            assert_eq!(again.public_key(), key.public_key());
        }
    }

    #[test]
    fn a_seed_of_another_kind_or_with_a_typing_error_is_refused() {
        let seed = Nkey::from_random(NkeyKind::User, [7; 32])
            .unwrap()
            .expose_seed()
            .unwrap();
        assert_eq!(
            Nkey::from_seed(NkeyKind::Account, &seed).unwrap_err(),
            NkeyError::Kind {
                wanted: NkeyKind::Account
            }
        );
        let (head, last) = seed.split_at(57);
        let other = if last == "A" { "B" } else { "A" };
        assert_eq!(
            Nkey::from_seed(NkeyKind::User, &format!("{head}{other}")).unwrap_err(),
            NkeyError::Seed
        );
    }

    #[test]
    fn debug_does_not_show_the_seed() {
        let key = Nkey::from_random(NkeyKind::Account, [9; 32]).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.public_key()), "{shown}");
        assert!(
            !shown.contains(key.expose_seed().unwrap().as_str()),
            "{shown}"
        );
    }
}
