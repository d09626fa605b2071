//! Claims transformers: the extension point for issuers that add or change claims.

use microbus_bus::Failure;
use microbus_token::Claims;

/// Changes the claims of a token before it is minted.
///
/// It runs after the original issuer was saved as `idp` and before the critical claims are forced: whatever it does to
/// `iss`, `iat`, `exp`, `jti` and `idp` does not last. Source: spec: microbus-wire 11.1.
pub trait ClaimsTransformer: Send + Sync + 'static {
    /// Changes `claims` in place. Called for each mint on the connection's thread: it must not block.
    ///
    /// # Errors
    /// Any [`Failure`] refuses the mint and becomes the answer.
    fn transform(&self, claims: &mut Claims) -> Result<(), Failure>;
}

impl<F> ClaimsTransformer for F
where
    F: Fn(&mut Claims) -> Result<(), Failure> + Send + Sync + 'static,
{
    fn transform(&self, claims: &mut Claims) -> Result<(), Failure> {
        self(claims)
    }
}
