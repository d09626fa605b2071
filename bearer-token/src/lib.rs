//! bearer.token.core: the issuer of the long-lived tokens that clients of a Microbus application hold.
//!
//! Ed25519 keys of the operator, from the configuration or from files, replaced while running without a refused token: a
//! new key is published before it signs, and the outgoing one signs until then. A key that the operator removes is gone at
//! once. Private keys are never logged, dumped or sent.

mod config;
mod endpoints;
mod issuer;
mod key_file;
mod keys;
mod service;
mod sisters;
mod sources;
mod status;
mod union;
mod word;

pub use config::{Config, PROPERTIES};
pub use issuer::{Issuer, MintError};
pub use keys::Desired;
pub use service::{PROFILE, main};
