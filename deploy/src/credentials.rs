//! The credentials of one service, in the decorated text that NATS clients read.
//!
//! Source: spec: deploy 3.

use crate::jwt::{Jwt, JwtError};
use crate::nkey::{Nkey, NkeyError, NkeyKind};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// A user's JWT and the seed that proves it.
pub struct Credentials {
    jwt: String,
    seed: Zeroizing<String>,
}

impl Credentials {
    pub(crate) fn new(jwt: String, seed: Zeroizing<String>) -> Self {
        Self { jwt, seed }
    }

    /// Reads the content of a `.creds` file: the first block between dashed lines is the JWT, the second the seed.
    ///
    /// # Errors
    /// [`CredentialsError`] when a block is missing, a part cannot be read, or the seed is not that of the JWT's user.
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        let mut blocks = blocks(text);
        let jwt = blocks.next().ok_or(CredentialsError::NoJwt)?;
        let seed = blocks.next().ok_or(CredentialsError::NoSeed)?;
        let user = Nkey::from_seed(NkeyKind::User, seed).map_err(CredentialsError::Seed)?;
        let claims = Jwt::read(jwt)?;
        if user.public_key() != claims.sub {
            return Err(CredentialsError::OtherSeed {
                user: claims.sub,
                seed: user.public_key(),
            });
        }
        let seed = user.expose_seed().map_err(CredentialsError::Seed)?;
        Ok(Self::new(jwt.to_owned(), seed))
    }

    /// Returns the JWT: public, it proves nothing without the seed.
    #[must_use]
    pub fn jwt(&self) -> &str {
        &self.jwt
    }

    /// Returns what proves to a broker that announced `nonce` that the seed is here: base64url of a signature.
    pub(crate) fn sign_nonce(&self, nonce: &str) -> Result<String, NkeyError> {
        let user = Nkey::from_seed(NkeyKind::User, &self.seed)?;
        Ok(URL_SAFE_NO_PAD.encode(user.sign(nonce.as_bytes())?))
    }

    /// Returns the content of a `.creds` file: the JWT, a warning to readers, the seed.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // Lines open with five dashes and close with six: readers look for exactly that.
        Zeroizing::new(format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             The seed below is a secret: whoever reads it is this service.\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            self.jwt, *self.seed
        ))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("jwt", &self.jwt)
            .finish_non_exhaustive()
    }
}

/// Why a text is no credentials. Never quotes what it read but public keys.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CredentialsError {
    /// No line of dashes, or nothing after it.
    #[error("no JWT between dashed lines; give a .creds file")]
    NoJwt,
    /// One block only.
    #[error("a JWT but no seed between dashed lines; the file was cut")]
    NoSeed,
    /// The first block cannot be read.
    #[error(transparent)]
    Jwt(#[from] JwtError),
    /// The second block cannot be read.
    #[error("the second block is no seed of a user")]
    Seed(#[source] NkeyError),
    /// The parts come from two files.
    #[error(
        "the seed is that of {seed}, the JWT that of {user}; the file was put together from two"
    )]
    OtherSeed {
        /// The public key in the JWT.
        user: String,
        /// The public key of the seed.
        seed: String,
    },
}

/// Returns what stands between dashed lines; anything outside is a banner (spec: deploy 3).
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines().map(str::trim);
    std::iter::from_fn(move || {
        lines.find(|line| line.starts_with("---"))?;
        let content = lines.find(|line| !line.is_empty())?;
        lines.find(|line| line.starts_with("---"))?;
        Some(content)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Account, Permissions};
    use std::time::UNIX_EPOCH;

    fn issued() -> Credentials {
        let key = |kind, byte| Nkey::from_random(kind, [byte; 32]).unwrap();
        let account = Account::new("bus", key(NkeyKind::Account, 1)).unwrap();
        let permissions = Permissions::exactly(vec!["p".to_owned()], vec!["s".to_owned()]).unwrap();
        account
            .issue(
                "svc",
                &key(NkeyKind::User, 2),
                &permissions,
                None,
                UNIX_EPOCH,
            )
            .unwrap()
    }

    #[test]
    fn what_was_written_is_read_back() {
        let credentials = issued();
        let text = credentials.to_text();
        let read = Credentials::parse(&text.replace('\n', "\r\n")).unwrap();
        assert_eq!(read.jwt(), credentials.jwt());
        assert_eq!(read.to_text(), text);
    }

    #[test]
    fn a_file_that_is_cut_or_put_together_is_refused() {
        let credentials = issued();
        let text = credentials.to_text();
        assert!(matches!(
            Credentials::parse(""),
            Err(CredentialsError::NoJwt)
        ));
        let (jwt_alone, _) = text.split_once("-----BEGIN USER").unwrap();
        assert!(matches!(
            Credentials::parse(jwt_alone),
            Err(CredentialsError::NoSeed)
        ));
        let other = Nkey::from_random(NkeyKind::User, [9; 32]).unwrap();
        let mixed = Credentials::new(credentials.jwt, other.expose_seed().unwrap());
        assert!(matches!(
            Credentials::parse(&mixed.to_text()),
            Err(CredentialsError::OtherSeed { .. })
        ));
    }

    #[test]
    fn the_text_holds_the_jwt_first_and_the_seed_last() {
        let credentials = Credentials::new("h.p.s".to_owned(), Zeroizing::new("SUSEED".to_owned()));
        let text = credentials.to_text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "-----BEGIN NATS USER JWT-----",
                "h.p.s",
                "------END NATS USER JWT------",
                ""
            ]
        );
        assert_eq!(
            lines[lines.len() - 3..],
            [
                "-----BEGIN USER NKEY SEED-----",
                "SUSEED",
                "------END USER NKEY SEED------"
            ]
        );
    }

    #[test]
    fn debug_does_not_show_the_seed() {
        let credentials = Credentials::new("h.p.s".to_owned(), Zeroizing::new("SUSEED".to_owned()));
        assert!(!format!("{credentials:?}").contains("SUSEED"));
    }
}
