//! Values of the command line that several verbs take.

use microbus_deploy::NkeyKind;
use microbus_wire::duration;
use std::time::Duration;

/// Reads a duration in the grammar of Go, as in `720h` or `1m30s`.
///
/// # Errors
/// The reason, when it is none, or negative.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let nanoseconds = duration::parse(text).map_err(|error| error.to_string())?;
    u64::try_from(nanoseconds)
        .map(Duration::from_nanos)
        .map_err(|_| "a duration must not be negative".to_owned())
}

/// Reads the public key of an account, or of one of its signing keys.
///
/// # Errors
/// The reason, when it is none.
pub(crate) fn account_key(text: &str) -> Result<String, String> {
    let key = text.trim();
    if NkeyKind::of_public_key(key) == Some(NkeyKind::Account) {
        return Ok(key.to_owned());
    }
    Err(
        "no public key of an account; it has 56 characters, the first is A, and `inspect` of the account's JWT shows it"
            .to_owned(),
    )
}
