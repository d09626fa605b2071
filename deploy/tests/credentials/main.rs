//! The verbs that make and judge credentials, as an operator runs them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod creds;
mod init;
mod tool;
