//! Whether a token of today verifies with the keys of today.

use super::issuers_up::Published;
use super::{Check, Finding};
use microbus_token::{Unverified, VerifyError};
use std::time::{Duration, SystemTime};

pub(super) const CHECK: Check = Check {
    id: "first-verification",
    what: "a token against the keys that its issuer publishes now",
    expected: "it verifies",
};

/// Judges `token`.
pub(super) fn check(token: &str, published: &Published, now: SystemTime) -> Finding {
    let unverified = match Unverified::parse(token.trim(), LARGEST_TOKEN) {
        Ok(unverified) => unverified,
        Err(error) => return CHECK.fail(error.to_string(), remedy(&error)),
    };
    let (issuer, key_id) = (unverified.issuer(), unverified.key_id().clone());
    let host = issuer.host();
    let Some((_, keys)) = published.iter().find(|(who, _)| *who == issuer) else {
        return CHECK.unknown(format!("{host} publishes nothing"), "see issuers-up");
    };
    let Some(key) = keys.get(&key_id) else {
        let found = format!("{host} does not publish the key of the token");
        return CHECK.fail(found, remedy(&VerifyError::UnknownKey));
    };
    match unverified.verify(key, now, Duration::ZERO) {
        Ok(_) => CHECK.pass(format!("a token of {host} verifies")),
        Err(error) => CHECK.fail(format!("a token of {host}: {error}"), remedy(&error)),
    }
}

fn remedy(error: &VerifyError) -> &'static str {
    if matches!(error, VerifyError::UnknownKey) {
        return "the key was replaced: get a new token; an old key that still has tokens belongs into AltPrivateKey";
    }
    if matches!(error, VerifyError::Issuer) {
        return "only https://access.token.core and https://bearer.token.core are believed; have foreign tokens exchanged";
    }
    if matches!(error, VerifyError::Expired | VerifyError::IssuedLater) {
        return "get a new token, and see clock";
    }
    "microbus-deploy explain says more about it"
}

const LARGEST_TOKEN: usize = 1 << 16;
