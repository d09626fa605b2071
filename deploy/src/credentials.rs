//! The credentials of one service, in the decorated text that NATS clients read.
//!
//! Source: spec: deploy 3.

use std::fmt;
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

    /// Returns the JWT: public, it proves nothing without the seed.
    #[must_use]
    pub fn jwt(&self) -> &str {
        &self.jwt
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

#[cfg(test)]
mod tests {
    use super::*;

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
