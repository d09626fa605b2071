//! The verbs that make and judge credentials, as an operator runs them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod audit;
mod creds;
mod diff;
mod init;
mod inspect;
mod tool;
