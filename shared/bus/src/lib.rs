//! Connections to the Microbus bus: NATS, or one process alone.
//!
//! A [`Connector`] is one instance of a service on one [`Connection`]: it subscribes endpoints ([`Route`]) and asks others
//! ([`Outgoing`]). What the messages look like is `microbus_wire`'s; here are sockets, timers and tasks. Meant for one
//! current-thread runtime per connection: handlers run inline on it, and beside it while many requests wait.
//!
//! ```
//! use microbus_bus::{
//!     Answer, Connection, Connector, Delivery, Failures, Handling, Identity, Incoming, Outgoing, Reply, Route, Scope,
//!     SystemClock, Urgency, Acknowledge, random_instance_id,
//! };
//! use microbus_wire::{Address, Hostname, Method, Plane};
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let identity = Identity {
//!     plane: Plane::default(),
//!     hostname: Hostname::parse("echo.example")?,
//!     version: 1,
//!     instance: random_instance_id(),
//!     locality: None,
//! };
//! let connection = Connection::in_process();
//! let connector =
//!     Connector::open(connection, identity, Failures::Redacted, Arc::new(SystemClock)).await?;
//! let echo = |request: Incoming| Handling::Done(Answer::Ok(Reply::json(request.body().clone())));
//! connector
//!     .subscribe(Route {
//!         name: "Echo",
//!         scope: Scope::Own,
//!         port: 443,
//!         method: None,
//!         path: "/echo",
//!         delivery: Delivery::One,
//!         urgency: Urgency::Sheddable,
//!         acknowledge: Acknowledge::AtOnce,
//!         handler: Arc::new(echo),
//!     })
//!     .await?;
//! let address = Address::parse("https://echo.example/echo")?;
//! let response = connector.request(Outgoing::new(Method::Post, address).json("{}")).await?;
//! assert_eq!(response.body, "{}");
//! # Ok(())
//! # }
//! ```

mod artifacts;
mod claim;
mod clock;
mod connection;
mod connector;
mod failure;
mod handler;
mod identity;
mod in_flight;
mod in_process;
mod nats;
mod notes;
mod observer;
mod outgoing;
mod plain;
mod requester;
mod responder;

pub use artifacts::{Artifacts, CredentialsError};
pub use claim::{Claim, Others};
#[cfg(any(test, feature = "testing"))]
pub use clock::FakeClock;
pub use clock::{Clock, SystemClock};
pub use connection::{Connection, ConnectionClosed, Link};
pub use connector::{Connector, Failures, OpenError};
pub use failure::Failure;
pub use handler::{
    Acknowledge, Answer, Delivery, Handler, Handling, Incoming, Reply, Route, Scope, Stage, Urgency,
};
pub use identity::{Identity, random_instance_id};
pub use nats::{ConnectError, DeprecatedLogin, NatsSettings};
pub use notes::{Actor, Traced};
pub use observer::{Answered, Observer};
pub use outgoing::{Outgoing, RequestError};
pub use plain::{Patience, PlainClient};
pub use requester::Answers;
pub use responder::SubscribeError;
