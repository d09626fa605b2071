//! The process around a Microbus issuer: environment, configuration, life cycle, control endpoints, logs.
//!
//! An issuer implements [`Service`] and describes itself by a [`Profile`]; [`run`] does the rest. What promises an issuer
//! makes on the bus is its own; what promises a process makes to its operator is here: every problem listed at once, exit
//! codes of one table ([`Exit`]), no secret in a log, no request lost at a stop.

mod admin;
pub mod arguments;
mod audit;
#[doc(hidden)]
pub mod bench_entry;
mod clock_watch;
mod cloud;
mod configuration;
mod control;
mod deployment;
mod door;
mod environment;
mod exit;
mod files;
#[cfg(test)]
mod fixture;
mod further;
mod guard;
mod health;
mod lifecycle;
mod listener;
mod log;
mod metrics;
mod minting;
mod openapi;
mod own_file;
mod pages;
mod process;
mod property;
mod rate;
mod regular_file;
mod service;
mod settings;
mod signal;
mod status;
mod telemetry;
mod vitals;
mod warming;
mod yaml;

pub use audit::AUDIT_PROPERTIES;
pub use deployment::Deployment;
pub use environment::Environment;
pub use exit::Exit;
pub use lifecycle::{Options, run};
pub use log::timestamp;
pub use metrics::{Metrics, Reason};
pub use minting::{
    Draft, MINTING_PROPERTIES, MintPolicy, Minters, Minting, PolicyRefusal, Refused,
};
pub use process::forbid_dumps;
pub use property::{ANSWER_WITHOUT_ACK, InvalidValue, Property, Rule, Value};
pub use regular_file::{mode_for_others, open_regular};
pub use service::{
    Function, KeyReport, KeySlot, KeyState, Parts, Profile, Service, Shape, Station,
};
pub use settings::{Settings, default_settings};
pub use warming::{Shown, Verifier, Warming};
