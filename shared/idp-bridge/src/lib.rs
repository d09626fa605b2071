//! A bridge from identity providers to the token issuers of a bus.
//!
//! Tokens of others are never actors on the bus. A [`Bridge`] verifies an ID token (OpenID Connect) or an access token (RFC
//! 9068) of a configured provider, makes claims of ours out of it by a declared mapping, and has an issuer mint a token:
//!
//! | For | Use |
//! |---|---|
//! | a service that calls on the bus for a foreign caller | [`Bridge::access_token`] |
//! | a browser that logs in | [`Bridge::begin_login`], [`Bridge::bearer_token`], [`Bridge::session_cookie`] |
//! | clients that exchange tokens over HTTP (RFC 8693) | [`token_exchange::answer`] |
//!
//! What it promises:
//! - a provider's keys come from where its own description says, over TLS or from this machine, bounded in size and time, without
//!   redirects; nothing in a token leads anywhere;
//! - `RS256`, `PS256`, `ES256` and `EdDSA` where the configuration lists them, each key for one algorithm only; weak keys are left out;
//! - equal member names, unknown `crit`, other encodings of the same bytes, tokens of another kind, audience or party are refused;
//! - no foreign claim passes unless a rule names it, and no foreign name unless it is a plain one, at every level; what only the
//!   platform sets cannot be set;
//! - it starts while a provider is down, says so with 503, and heals by itself. Keys that were fetched count on while a provider
//!   is down, and not a moment longer than it publishes them;
//! - one fetch at a time per provider, and everyone who needs it waits for it; at most one in two seconds.
//!
//! `jsonwebtoken` verifies the signatures, over aws-lc. It is given keys and texts that were judged before, since it takes equal
//! member names, `crit`, keys of small order and points beside the curve, and times with a minute of leeway.
//!
//! A signature is not the only one of its text: anyone can turn one of ES256 into its other form (RFC 7518 section 3.4 allows
//! both), and who has the key can make an `EdDSA` one whose R has a small order. So nothing here takes a signature for the
//! identity of a token.
//! Source: spec: verify 6; RFC 8725.
//!
//! ```
//! use microbus_bus::{Connector, SystemClock};
//! use microbus_client::MintedToken;
//! use microbus_idp_bridge::{Bridge, ForeignToken, Settings, TokenKind};
//! use std::{error::Error, sync::Arc, time::Duration};
//!
//! async fn exchange(connector: &Arc<Connector>, token: &str) -> Result<MintedToken, Box<dyn Error>> {
//!     let settings = Settings::parse(r#"
//!       providers:
//!         - issuer: https://login.example
//!           algorithms: [RS256]
//!           id_tokens: {audiences: [web-app]}
//!           claims:
//!             sub: {prefix: "login|", required: true}
//!             roles: {from: groups, roles: {"Domain Admins": admin}}
//!     "#)?;
//!     let bridge = Bridge::new(settings, connector, Arc::new(SystemClock))?;
//!     tokio::spawn(Arc::clone(&bridge).keep_fresh());
//!     let token = ForeignToken { text: token, kind: TokenKind::IdToken, nonce: None };
//!     Ok(bridge.access_token(token, Duration::from_secs(20)).await?)
//! }
//! ```

mod algorithm;
mod bridge;
mod fetch;
#[doc(hidden)]
pub mod fuzz_entry;
mod key;
mod login;
mod mapping;
mod name;
mod provider;
mod rules;
mod settings;
mod token;
pub mod token_exchange;
mod url;
mod yaml;

pub use bridge::{Bridge, BridgeError, ForeignToken, Identity};
pub use fetch::AuthoritiesError;
pub use login::{Login, forget_nonce, nonce_of};
pub use mapping::RequiredClaimMissing;
pub use settings::{Settings, SettingsError};
pub use token::{ForeignTokenError, TokenKind};
