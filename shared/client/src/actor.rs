//! On whose behalf a request is made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A token that an issuer minted for us. `Debug` does not show it, and it is wiped when it is dropped.
#[derive(Clone)]
pub struct MintedToken(Arc<Zeroizing<String>>);

impl MintedToken {
    pub(crate) fn new(text: Zeroizing<String>) -> Self {
        Self(Arc::new(text))
    }

    /// Returns the compact JWT, as it goes into `Microbus-Actor`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the claims without verifying them: the issuer itself has just answered with them.
    #[must_use]
    pub fn read_claims(&self) -> Option<Map<String, Value>> {
        let payload = self.0.split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}

impl fmt::Debug for MintedToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MintedToken(…)")
    }
}

/// The actor of an HTTP request, as an extension of it: who the client is inside the bus.
#[derive(Clone)]
pub struct Actor {
    token: MintedToken,
    claims: Arc<Map<String, Value>>,
}

impl Actor {
    pub(crate) fn new(token: MintedToken, claims: Map<String, Value>) -> Self {
        Self {
            token,
            claims: Arc::new(claims),
        }
    }

    /// Returns the access token, for `Microbus-Actor` of calls on the actor's behalf.
    #[must_use]
    pub fn token(&self) -> &MintedToken {
        &self.token
    }

    /// Returns the claims of the access token.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

impl fmt::Debug for Actor {
    /// Shows the names of the claims only, which are personal data.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Actor")?;
        formatter.debug_set().entries(self.claims.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_out_of_a_token_and_nothing_is_shown() {
        let text = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(r#"{"sub":"harry"}"#));
        let token = MintedToken::new(Zeroizing::new(text));
        let claims = token.read_claims().unwrap();
        assert_eq!(claims["sub"], "harry");
        let actor = Actor::new(token, claims);
        assert_eq!(
            format!("{:?} {actor:?}", actor.token()),
            r#"MintedToken(…) Actor{"sub"}"#
        );
        for text in ["", "a.b", "a.!.c", "a.W10.c"] {
            assert!(
                MintedToken::new(Zeroizing::new(text.to_owned()))
                    .read_claims()
                    .is_none()
            );
        }
    }
}
