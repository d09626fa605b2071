//! Verifies actor tokens against the JWK Sets of the two issuers of a bus, and of nobody else.
//!
//! Keys are fetched only from the host that a token's `iss` is pinned to, and a key ID counts only for the issuer that
//! published it. While a fetch is on its way everyone who needs it waits for it: nobody is refused because
//! somebody else asked first. Source: spec: microbus-wire 12.2; spec: verify 2.3, 3.

mod cache;
mod source;
mod verifier;

pub use cache::Lookup;
pub use source::{BusKeySource, FetchError, KeySource};
pub use verifier::{Check, Refusal, Verifier};
