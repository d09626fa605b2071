//! Verifies actor tokens against the JWK Sets of the two issuers of a bus, and of nobody else.
//!
//! A [`Verifier`] is made once and cloned freely. [`Verifier::verify`] waits for a key where it must,
//! [`Verifier::verify_now`] never waits, and [`Verifier::check`] tells which it has to be.
//!
//! What it promises:
//! - keys come only from the two pinned hosts, over the bus, and count only for the issuer that published
//!   them; nothing in a token leads anywhere else;
//! - `EdDSA` alone is believed; unsigned tokens only in a build with the feature `testing`, and only where
//!   [`Settings`] say so;
//! - one fetch at a time per issuer, and everyone who needs it waits for it, a second at most: nobody is
//!   refused because somebody else asked first;
//! - at most one fetch a second, backing off from 250 ms to 5 s while an issuer fails, and no fetch at all for what
//!   was unknown a second ago;
//! - a key that is published no more is dropped at once (bearer), or when the last token that it may have signed has
//!   expired (access);
//! - all memory is bounded, and any token is answered within the cost of one signature.
//!
//! To the caller every refusal is one word, `unauthorized`; [`Refusal`] is for the log. Its texts never hold the
//! token. Source: spec: microbus-wire 12.2; spec: verify 2, 3.
//!
//! ```
//! use microbus_bus::{Connector, SystemClock};
//! use microbus_verify::{BusKeySource, Refusal, Settings, Verifier};
//! use std::sync::Arc;
//!
//! async fn who(connector: &Arc<Connector>, token: &str) -> Result<Option<String>, Refusal> {
//!     let source = BusKeySource::new(Arc::downgrade(connector));
//!     let verifier = Verifier::new(source, Arc::new(SystemClock), Settings::default());
//!     Ok(verifier.verify(token).await?.sub().map(String::from))
//! }
//! ```

mod cache;
mod memory;
mod settings;
mod source;
mod store;
mod verifier;

pub use settings::{LONGEST_LEEWAY, Settings};
pub use source::{BusKeySource, FetchError, KeySource};
pub use store::{Fetched, Finding, KeyStore, Pace};
pub use verifier::{Check, REFRESH_INTERVAL, Refusal, Verifier};
