//! What callers of the token issuers need: typed calls, an ingress's exchange of tokens, and guards of handlers.
//!
//! | For | Use |
//! |---|---|
//! | whoever mints tokens or reads JWK Sets over the bus | [`Issuers`] |
//! | an HTTP ingress of `axum`, `hyper` or any `tower` server | [`ExchangeLayer`], [`PortRules`], [`destination`] |
//! | an HTTP handler behind that ingress | [`RequireClaimsLayer`] |
//! | a handler on the bus | [`Protected`] |
//!
//! The ingress finds the bearer token of a client (header `Authorization: Bearer …`, else cookie `Authorization`), verifies it
//! against the keys of bearer.token.core alone, has access.token.core mint an access token for the same claims, and
//! hands it on in `Microbus-Actor` and as the extension [`Actor`]. Who has no good token goes on without an actor: the guards
//! refuse, not the ingress. Headers of the platform from outside are removed, and so is the bearer token itself.
//! Source: spec: verify 5.
//!
//! ```
//! use microbus_bus::{Connector, SystemClock};
//! use microbus_client::{Exchange, ExchangeLayer, ExchangeSettings, RequireClaimsLayer};
//! use microbus_required_claims::RequiredClaims;
//! use std::sync::Arc;
//!
//! async fn admin() -> &'static str {
//!     "hello, admin"
//! }
//!
//! fn ingress(connector: &Arc<Connector>) -> Result<axum::Router, Box<dyn std::error::Error>> {
//!     let exchange = Exchange::new(connector, Arc::new(SystemClock), ExchangeSettings::default());
//!     Ok(axum::Router::new()
//!         .route("/admin", axum::routing::get(admin))
//!         .layer(RequireClaimsLayer::new(RequiredClaims::parse("roles.admin")?))
//!         .layer(ExchangeLayer::new(exchange)))
//! }
//! ```
//!
//! Security: tokens are wiped from our own memory when dropped and never shown by `Debug`, errors or logs; a request that fails tells
//! a stranger no more than [`Failures`](microbus_bus::Failures) allows.

mod actor;
mod destination;
mod exchange;
mod headers;
mod issuers;
mod layer;
mod ports;
mod protected;
mod refusal;
mod require;
mod reuse;

pub use actor::{Actor, MintedToken};
pub use destination::{DestinationError, destination};
pub use exchange::{Exchange, ExchangeError, ExchangeSettings, LONGEST_REUSE};
pub use issuers::{Budget, IssuerError, Issuers};
pub use layer::{Deadline, ExchangeLayer, ExchangeService};
pub use ports::{PortRules, PortRulesError};
pub use protected::{Caller, Protected};
pub use refusal::error_response;
pub use require::{RequireClaimsLayer, RequireClaimsService};
