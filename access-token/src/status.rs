//! The one mapping from the issuer's errors to answers.

use crate::issuer::MintError;
use microbus_bus::Failure;
use microbus_wire::status::ErrorStatus;

/// Returns the answer that says why a token was not minted (spec: microbus-wire 11.5).
pub(crate) fn failure(error: MintError) -> Failure {
    match error {
        MintError::NoKey => Failure::new(ErrorStatus::UNAVAILABLE, "no signing key available"),
        MintError::LiteralName(_) => {
            Failure::new(ErrorStatus::BAD_REQUEST, "a claim name is not allowed").with_detail(error)
        }
        MintError::Transformer(failure) => failure,
    }
}
