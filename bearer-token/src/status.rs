//! The one mapping from the issuer's errors to answers.

use crate::issuer::MintError;
use microbus_bus::Failure;
use microbus_service::{Reason, Refused};
use microbus_wire::status::ErrorStatus;

/// Returns the answer that says why a token was not minted (spec: microbus-wire 11.5).
pub(crate) fn refused(error: &MintError) -> Refused {
    match error {
        MintError::NoKey => Refused {
            reason: Reason::NoKey,
            failure: Failure::new(ErrorStatus::UNAVAILABLE, error.to_string()),
        },
    }
}
