//! Exit codes of the product's processes: one table, documented in the README.

use std::process::ExitCode;

/// Why a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// As it was asked to.
    Ok = 0,
    /// The broker cannot be reached or refuses us.
    BrokerUnreachable = 69,
    /// A fault of ours.
    Internal = 70,
    /// The configuration is wrong, or cannot be had.
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
