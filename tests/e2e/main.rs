//! End-to-end tests: a file per promise.

mod artifacts;
mod configuration;
mod embedded;
mod fragments;
mod harness;
mod mint;
mod reconnect;
mod replay;
mod rotation;
mod shutdown;
mod startup;
mod subscriptions;
