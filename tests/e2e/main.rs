//! End-to-end tests: a file per promise.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, in its helpers too, and judges tokens by the wall clock"
)]

mod admin;
mod artifacts;
mod audit;
mod bearer;
mod configuration;
mod connections;
mod differences;
mod embedded;
mod fragments;
mod harness;
mod ingress;
mod metrics;
mod mint;
mod observability;
mod policy;
#[cfg(feature = "prometheus-tests")]
mod prometheus;
mod readme;
mod reconnect;
mod replay;
mod replicas;
mod rotation;
mod secrets;
mod shutdown;
mod sisters;
mod startup;
mod subscriptions;
