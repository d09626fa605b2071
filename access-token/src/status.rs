//! The one mapping from the issuer's errors to answers.

use crate::issuer::MintError;
use microbus_bus::Failure;
use microbus_service::{Reason, Refused};
use microbus_wire::status::ErrorStatus;

/// Returns the answer that says why a token was not minted (spec: microbus-wire 11.5).
pub(crate) fn refused(error: MintError) -> Refused {
    let (reason, failure) = match error {
        MintError::NoKey => (
            Reason::NoKey,
            Failure::new(ErrorStatus::UNAVAILABLE, "no signing key available"),
        ),
        MintError::LiteralName(_) => (
            Reason::Claims,
            Failure::new(ErrorStatus::BAD_REQUEST, "a claim name is not allowed")
                .with_detail(error),
        ),
        MintError::Transformer(failure) => (Reason::Claims, failure),
    };
    Refused { reason, failure }
}
