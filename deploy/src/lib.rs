//! What an operator of a Microbus bus does before a service starts: an operator and its accounts, credentials
//! with exact permissions, and the configuration of the server that enforces them.
//!
//! It promises that a credential allows what its [`Permissions`] list and nothing more, that no key of it is a
//! bearer of anything by itself (the server always asks for a signature), and that no seed is ever shown by `Debug`.
//!
//! It refuses to read a clock or make random numbers: time and seed bytes come in as arguments. Only [`broker`] and what
//! is written over it talk to anybody.
//!
//! ```
//! use microbus_deploy::{Account, Nkey, NkeyKind, Operator, Permissions, ServerConfig};
//! use microbus_wire::{Hostname, Plane};
//! use std::time::SystemTime;
//!
//! # let random = |byte| [byte; 32];
//! let now = SystemTime::now();
//! let operator = Operator::new("acme", Nkey::from_random(NkeyKind::Operator, random(1))?)?;
//! let account = Account::new("microbus", Nkey::from_random(NkeyKind::Account, random(2))?)?;
//! let user = Nkey::from_random(NkeyKind::User, random(3))?;
//! let host = Hostname::parse("access.token.core")?;
//! let permissions = Permissions::of_issuer(&Plane::parse("prod")?, &host);
//!
//! let credentials = account.issue("access.token.core", &user, &permissions, None, now)?;
//! let config = ServerConfig::new(operator.jwt(now)?)
//!     .with_account(&account, operator.sign_account(&account, now)?);
//!
//! assert!(credentials.to_text().starts_with("-----BEGIN NATS USER JWT-----\n"));
//! assert!(config.to_text().contains("resolver: MEMORY"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod account;
pub mod account_change;
pub mod audit;
pub mod bearer_key;
pub mod bootstrap;
pub mod broker;
pub mod bundle;
pub mod calls;
pub mod claims;
pub mod credentials;
pub mod date;
pub mod difference;
pub mod doctor;
pub mod explain;
pub mod grants;
mod http;
pub mod inspection;
pub mod jwt;
pub mod manifest;
pub mod nkey;
pub mod operator;
pub mod permissions;
pub mod presets;
pub mod push;
pub mod refusal;
pub mod rotation;
pub mod server_config;
pub mod service;
pub mod signer;
pub mod survey;
pub mod target;
pub mod warm_up;

pub use account::Account;
pub use account_change::AccountChange;
pub use bootstrap::Bootstrap;
pub use calls::Calls;
pub use credentials::Credentials;
pub use difference::Difference;
pub use grants::{Grant, Verb};
pub use inspection::Inspection;
pub use jwt::Jwt;
pub use manifest::Manifest;
pub use nkey::{Nkey, NkeyKind};
pub use operator::Operator;
pub use permissions::Permissions;
pub use presets::Presets;
pub use refusal::Reason;
pub use server_config::{Limits, Resolver, ServerConfig, Tls};
pub use service::Service;
pub use signer::Signer;
pub use target::Target;
