//! Everything of this crate that talks to a broker: as the system account, and as a client that looks at how it is taken.
//!
//! Source: spec: deploy 5.4, 6.2, 8.

pub mod server;
pub mod service;
pub mod session;
pub mod system;
pub mod tls;

pub use server::{Server, ServerError};
pub use session::{Info, Login, Session, SessionError};
pub use system::{ConnectionReport, PushAnswer, ServerReport, System, SystemError};
