//! The harness of the end-to-end tests: a real nats-server in operator mode, the real binaries with real
//! credentials, and peers that speak the bus protocol without any code of the services under test.
//!
//! A harness fails the test that uses it: everything here panics with the reason, and what child processes wrote is
//! printed beside it. Waiting is always for a condition, with a limit; nothing sleeps.
#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a harness fails by panicking, and it is what gives the tested processes their clock and environment"
)]

pub mod build_folder;
pub mod caller;
pub mod child;
pub mod configurator;
pub mod desk;
pub mod go_caller;
pub mod goldens;
pub mod http;
pub mod ingress;
pub mod issuer;
pub mod log;
pub mod message;
pub mod nats;
pub mod nats_binary;
pub mod normal;
pub mod operator;
pub mod verifier;

pub use caller::{Answers, Caller, Listener};
pub use configurator::Configurator;
pub use desk::Desk;
pub use go_caller::{GoCaller, Outcome};
pub use ingress::Ingress;
pub use issuer::{Issuer, IssuerSetup, Product};
pub use message::Message;
pub use nats::NatsServer;
pub use operator::Bus;
pub use verifier::{Reason, Verifier};

/// How long a harness waits for something that should happen at once, on a machine that is busy compiling.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
