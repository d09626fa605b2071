//! access.token.core: the issuer of the short-lived actor tokens that every request inside a Microbus application carries.
//!
//! Ephemeral Ed25519 keys, rotated by itself, never on disk; the lifetime of a token is what is left of its caller's time
//! budget, capped. The binary is [`main`] without transformers. An issuer of your own is a `main.rs` of a few lines:
//!
//! ```no_run
//! use microbus_bus::Failure;
//! use microbus_token::Claims;
//! use microbus_wire::status::ErrorStatus;
//!
//! fn add_tenant(claims: &mut Claims) -> Result<(), Failure> {
//!     let invalid = |error| Failure::new(ErrorStatus::INTERNAL, "claims").with_detail(error);
//!     claims.insert("tenant", 7).map_err(invalid)
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     access_token::main(vec![Box::new(add_tenant)])
//! }
//! ```

mod config;
mod endpoints;
mod exchange;
mod issuer;
mod member;
mod replicas;
mod service;
mod status;
mod transform;
mod word;

pub use config::{Config, PROPERTIES};
pub use issuer::{Drafted, Issuer, MintError, RotationError};
pub use service::{PROFILE, main};
pub use transform::ClaimsTransformer;
