//! What a verb prints.

use crate::exit::Exit;
use crate::failure::Failure;
use serde::Serialize;
use std::io::Write as _;

/// Writes `text` to standard output.
///
/// # Errors
/// [`Failure`] when nobody takes it.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::caused(Exit::Internal, "writing to standard output", &error))
}

/// Tells the operator of something that is not refused.
pub(crate) fn warn(text: &str) {
    // Without a standard error there is nobody to warn.
    drop(writeln!(
        std::io::stderr(),
        "microbus-deploy: warning: {text}"
    ));
}

/// Writes `value` to standard output as indented JSON.
///
/// # Errors
/// [`Failure`] when nobody takes it.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::caused(Exit::Internal, "writing JSON", &error))?;
    print(&format!("{text}\n"))
}
