//! Requests to send, and why they can fail.

use crate::connection::ConnectionClosed;
use crate::handler::Incoming;
use bytes::Bytes;
use microbus_wire::address::Address;
use microbus_wire::call::CallError;
use microbus_wire::header::{self, Headers};
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::{Method, SubjectError};
use std::time::{Duration, Instant};

/// A request to send.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub(crate) method: Method,
    pub(crate) address: Address,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
    pub(crate) budget: Option<Duration>,
    pub(crate) announces_budget: bool,
    pub(crate) deadline: Option<Instant>,
    pub(crate) inbound_depth: u32,
}

impl Outgoing {
    /// Makes a request without a body.
    #[must_use]
    pub fn new(method: Method, address: Address) -> Self {
        Self {
            method,
            address,
            content_type: None,
            headers: Headers::new(),
            body: Bytes::new(),
            budget: None,
            announces_budget: true,
            deadline: None,
            inbound_depth: 0,
        }
    }

    /// Gives it a JSON body.
    #[must_use]
    pub fn json(mut self, body: impl Into<Bytes>) -> Self {
        self.content_type = Some("application/json");
        self.body = body.into();
        self
    }

    /// Gives it a time budget; 20 s without one.
    #[must_use]
    pub fn within(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Sends no time budget with it: the responder's default counts there, and 20 s here.
    #[must_use]
    pub fn without_budget(mut self) -> Self {
        self.announces_budget = false;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.set(name, value);
        self
    }

    /// Lets it take its own time, whatever is left of the request that it is part of.
    #[must_use]
    pub fn in_its_own_time(mut self) -> Self {
        self.deadline = None;
        self
    }

    /// Makes it part of the handling of `inbound`: its deadline, call depth, trace context and what travels with nested
    /// calls (spec: microbus-wire 5.1). The actor does not travel: an issuer speaks for itself.
    #[must_use]
    pub fn on_behalf_of(mut self, inbound: &Incoming) -> Self {
        self.inbound_depth = inbound.call_depth();
        self.deadline = Some(inbound.deadline());
        self.headers.copy_from(inbound.headers(), |name| {
            name.starts_with(header::FORWARDED_PREFIX)
                || name.starts_with(header::BAGGAGE_PREFIX)
                || [
                    header::ACCEPT_LANGUAGE,
                    header::TRACEPARENT,
                    header::TRACESTATE,
                ]
                .contains(&name)
        });
        if let Some(traced) = inbound.traced() {
            let context = traced.context.to_string();
            self.headers.set(header::TRACEPARENT, &context);
        }
        self
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No time is left to make it.
    #[error("timeout")]
    NoTimeLeft,
    /// Calls are nested too deep.
    #[error("call depth overflow")]
    CallDepth,
    /// Its address or length does not make a subject.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// The connection is closed.
    #[error(transparent)]
    Closed(#[from] ConnectionClosed),
    /// It was made, and failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl RequestError {
    /// Returns the status of the error, as callers of ours see it when it is passed on.
    #[must_use]
    pub fn status(&self) -> ErrorStatus {
        match self {
            Self::NoTimeLeft => ErrorStatus::REQUEST_TIMEOUT,
            Self::CallDepth => ErrorStatus::LOOP_DETECTED,
            Self::Subject(_) => ErrorStatus::INTERNAL,
            Self::Closed(_) => ErrorStatus::UNAVAILABLE,
            Self::Call(error) => error.status(),
        }
    }
}
