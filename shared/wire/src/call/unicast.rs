//! A call that one instance answers.

use std::time::Instant;

use super::{CallError, CallSetup, Exchange, Heard};
use crate::frame::Response;

/// A call that the first response ends. spec: microbus-wire 5.2
#[derive(Debug)]
pub struct Unicast(Exchange);

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum UnicastStep {
    /// Wait for a message or for [`Unicast::next_wakeup`].
    Wait,
    /// Publish fragments 2 and up to the slot of this instance.
    SendRest {
        /// The instance that acked.
        responder_id: String,
    },
    /// The call is over.
    Done(Box<Result<Response, CallError>>),
}

impl Unicast {
    /// Begins a call whose first message is being published now.
    pub fn new(setup: CallSetup, now: Instant) -> Self {
        Self(Exchange::new(setup, now))
    }

    /// Takes an ack, a response or a fragment of one.
    pub fn on_message(&mut self, response: Response, now: Instant) -> UnicastStep {
        match self.0.hear(response, now) {
            Heard::Nothing => UnicastStep::Wait,
            Heard::SendRest { responder_id } => UnicastStep::SendRest { responder_id },
            Heard::Answer(answer) => UnicastStep::Done(answer),
        }
    }

    /// Ends the call if its time is up.
    pub fn on_timeout(&mut self, now: Instant) -> UnicastStep {
        let exchange = &self.0;
        if exchange.seen.is_empty() && now >= exchange.ack_deadline {
            let error = CallError::AckTimeout {
                url: exchange.url.clone(),
            };
            return UnicastStep::Done(Box::new(Err(error)));
        }
        if now >= exchange.deadline {
            return UnicastStep::Done(Box::new(Err(exchange.timeout())));
        }
        UnicastStep::Wait
    }

    /// Returns when to call [`Unicast::on_timeout`].
    pub fn next_wakeup(&self) -> Option<Instant> {
        let exchange = &self.0;
        let alive = !exchange.seen.is_empty();
        Some(if alive {
            exchange.deadline
        } else {
            exchange.deadline.min(exchange.ack_deadline)
        })
    }
}
