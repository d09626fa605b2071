//! Why no key of a JWK Set can be used.

use crate::refusal::Reason;
use microbus_token::{JwkError, JwkSet, KeyError};

/// Returns the reason for which a verifier takes no key of a set.
pub(super) fn broken(error: &JwkError) -> Reason {
    match error {
        JwkError::TooLarge(_) => Reason::JwksTooLarge,
        JwkError::TooMany(_) => Reason::JwksTooMany,
        JwkError::Json(_) | JwkError::List => Reason::JwksMalformed,
        JwkError::PrivateKey => Reason::JwksPrivateKey,
        JwkError::Member("x") => Reason::JwksX,
        JwkError::Member("kid") | JwkError::KeyId(_) => Reason::JwksKid,
        JwkError::Member(_) => Reason::JwksMember,
        JwkError::Key(KeyError::SmallOrder) => Reason::JwksSmallOrder,
        JwkError::Key(_) => Reason::JwksNotAPoint,
        JwkError::Conflict(_) => Reason::JwksConflict,
    }
}

/// Returns the reason for which a set that can be read has no key for anybody.
pub(super) fn useless(set: &JwkSet) -> Option<Reason> {
    match (set.is_empty(), set.ignored()) {
        (false, _) => None,
        (true, 0) => Some(Reason::JwksEmpty),
        (true, _) => Some(Reason::JwksForeign),
    }
}
