//! End-to-end tests: a file per promise.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, in its helpers too, and judges tokens by the wall clock"
)]

mod ack_timeout;
mod acl;
mod admin;
mod admin_tls;
mod alone;
mod artifacts;
mod audit;
mod bearer;
mod bring_up;
#[cfg(feature = "collector-tests")]
mod collector;
mod configuration;
mod connections;
mod deployment;
mod diagnosis;
mod differences;
mod doctor;
mod embedded;
mod flood;
mod fragments;
mod harness;
#[cfg(feature = "idp-tests")]
mod idp;
mod ingress;
mod metrics;
mod mint;
mod observability;
#[cfg(feature = "packaging-tests")]
mod packaging;
#[cfg(feature = "browser-tests")]
mod page;
mod policy;
#[cfg(feature = "prometheus-tests")]
mod prometheus;
mod readme;
mod reconnect;
mod replay;
mod replicas;
mod revocation;
mod rotation;
mod runbook;
mod samples;
mod secrets;
mod shutdown;
mod sisters;
mod startup;
mod subscriptions;
mod telemetry;
mod up;
#[cfg(feature = "walk-tests")]
mod walk;
