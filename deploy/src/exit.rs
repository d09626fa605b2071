//! Exit codes: one table for the product, documented in the README.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As it was meant to.
    Ok = 0,
    /// It found what it was asked to look for, or refused what it was asked to do.
    Finding = 1,
    /// The command line is wrong, or credentials would be too large for the broker.
    Usage = 2,
    /// What it compared differs.
    Differences = 3,
    /// What it compared differs, and somebody may reach port 666 who could not.
    DangerAdded = 4,
    /// Something that was asked for could not be told.
    Unknown = 5,
    /// The broker does not answer.
    Unreachable = 69,
    /// The disk, the terminal or the operating system failed us.
    Internal = 70,
    /// A file that it was given is missing or wrong.
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
