//! Why a command could not do what it was asked to.

use crate::exit::Exit;
use std::error::Error;
use std::fmt;

/// A reason for the operator, with what to do, and the exit code that goes with it.
///
/// The reason is one line, and holds no secret.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    reason: String,
}

impl Failure {
    /// Ends the command with `exit`, for `reason`.
    pub(crate) fn new(exit: Exit, reason: impl Into<String>) -> Self {
        Self {
            exit,
            reason: reason.into(),
        }
    }

    /// Ends the command with `exit`, because `doing` something failed for the reasons that `error` gives, outermost first.
    pub(crate) fn caused(exit: Exit, doing: impl fmt::Display, error: &dyn Error) -> Self {
        let mut reason = format!("{doing}: {error}");
        let mut source = error.source();
        while let Some(deeper) = source {
            reason.push_str(&format!(": {deeper}"));
            source = deeper.source();
        }
        Self::new(exit, reason)
    }

    /// Returns the exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}
