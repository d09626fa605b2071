//! Exit codes: one table for the product, documented in the README.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As it was meant to.
    Ok = 0,
    /// There is a finding, or a refusal that was asked about.
    Finding = 1,
    /// What is at hand does not tell.
    Unsure = 5,
    /// The disk, the terminal or the operating system failed us.
    Internal = 70,
    /// A file is missing or cannot be used.
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
