//! Values of the command line that several verbs take.

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
