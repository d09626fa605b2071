//! The bridge between a stand-in for an identity provider and both issuers, over the in-process bus.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

#[expect(
    dead_code,
    reason = "the bridge logs in otherwise than the ingress's example"
)]
#[path = "../../../client/examples/ingress/app.rs"]
mod app;
mod exchange;
#[path = "../../../client/examples/ingress/issuers.rs"]
mod issuers;
mod login;
mod providers;
#[path = "../../examples/bridge/routes.rs"]
mod routes;
#[expect(dead_code, reason = "attacks are elsewhere")]
#[path = "../../examples/bridge/signer.rs"]
mod signer;
#[path = "../../examples/bridge/stand_in.rs"]
mod stand_in;
mod tokens;
mod world;
