//! The real process, without a broker: a file per promise.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failing test may panic in its helpers too"
)]

mod issuer;
mod key_files;
mod key_text;
#[cfg(feature = "openssl-tests")]
mod openssl;
mod planted;
mod secrets;
