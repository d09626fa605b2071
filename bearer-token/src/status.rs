//! The one mapping from the issuer's errors to answers.

use crate::issuer::MintError;
use microbus_bus::Failure;
use microbus_wire::status::ErrorStatus;

/// Returns the answer that says why a token was not minted (spec: microbus-wire 11.5).
pub(crate) fn failure(error: &MintError) -> Failure {
    match error {
        MintError::NoKey => Failure::new(ErrorStatus::UNAVAILABLE, error.to_string()),
    }
}
