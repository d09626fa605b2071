//! The bytes of the Microbus bus protocol.
//!
//! A message is the text of one HTTP/1.1 request or response in a NATS payload, and the NATS subject says who sent it
//! and who is meant. This crate builds and reads both, and holds the state machines that need no network: joining
//! fragments, and waiting for the answers to one call.
//!
//! It promises
//! - to read a message as the peer (the Go service) reads it, or to refuse it: never to read it differently;
//! - to write what the peer writes, byte for byte, header order included;
//! - never to panic, whatever bytes arrive, and to bound the memory that fragments may take.
//!
//! It refuses to do I/O, to read a clock and to make random numbers: time and bytes come in as arguments.
//!
//! ```
//! use bytes::Bytes;
//! use microbus_wire::{header, Address, Hostname, Method, Plane, Request};
//!
//! let plane = Plane::default();
//! let caller = Hostname::parse("tester.client")?;
//! let mint = Address::parse("https://access.token.core:666/mint")?;
//! assert_eq!(
//!     mint.subject(&plane, &caller, Method::Post)?,
//!     "microbus.danger.666.tester_client.access_token_core._.POST.mint"
//! );
//!
//! let mut request = Request::to(&mint, Method::Post, Bytes::from_static(b"{}"));
//! request.headers.set(header::MESSAGE_ID, "D05aNIKi");
//! let received = Request::parse(&Bytes::from(request.encode()))?;
//! assert_eq!(received.headers.get(header::MESSAGE_ID), Some("D05aNIKi"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(clippy::arithmetic_side_effects)]

pub mod address;
pub mod budget;
pub mod call;
pub mod duration;
pub mod fragment;
pub mod frame;
#[doc(hidden)]
pub mod fuzz_entry;
pub mod header;
pub mod host;
pub mod id;
pub mod locality;
mod percent;
pub mod query;
pub mod status;
pub mod subject;
pub mod text;
pub mod trace;
pub mod trace_context;

pub use address::Address;
pub use budget::TimeBudget;
pub use fragment::{Fragment, Joined, Joiner};
pub use frame::{Letterhead, Request, Response, ResponseHead, Sender};
pub use header::{Headers, OpCode};
pub use host::Hostname;
pub use id::{InstanceId, MessageId};
pub use locality::Locality;
pub use status::ErrorStatus;
pub use subject::{Method, Plane, ReplySubject, RequestSubject, Slot, Trust};
pub use text::Text;
pub use trace::TracedError;
pub use trace_context::{SpanId, TraceContext, TraceId};
