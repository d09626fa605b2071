//! A call that every instance answers.

use std::collections::{BTreeSet, HashSet};
use std::time::Instant;

use super::{CallError, CallSetup, Exchange, Heard};
use crate::frame::Response;
use crate::header;

/// The queue keys that answered: the queue group of a responder or, without one, its instance and host.
pub type Responders = BTreeSet<String>;

/// A call that collects the answers of all who ack it. spec: microbus-wire 5.4
///
/// Whoever keeps the responders of a finished call and hands them to the next one to the same subject need not wait for
/// a full round trip again.
#[derive(Debug)]
pub struct Multicast {
    exchange: Exchange,
    known: Option<Responders>,
    heard: Responders,
    /// False as long as an unheard responder may still ack.
    acks_over: bool,
    answered: HashSet<String>,
    results: Vec<Result<Response, CallError>>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum MulticastStep {
    /// Wait for a message or for [`Multicast::next_wakeup`].
    Wait,
    /// Publish fragments 2 and up to the slot of this instance.
    SendRest {
        /// The instance that acked.
        responder_id: String,
    },
    /// The call is over.
    Done {
        /// The answers in order of arrival; none at all if nobody listens. If the time was up, the last is the timeout.
        results: Vec<Result<Response, CallError>>,
        /// What to remember for the next call to the same subject; `None` is to forget.
        responders: Option<Responders>,
    },
}

impl Multicast {
    /// Begins a call whose first message is being published now; `known` is what the last call to the subject left.
    pub fn new(setup: CallSetup, known: Option<Responders>, now: Instant) -> Self {
        Self {
            exchange: Exchange::new(setup, now),
            known: known.filter(|responders| !responders.is_empty()),
            heard: Responders::new(),
            acks_over: false,
            answered: HashSet::new(),
            results: Vec::new(),
        }
    }

    /// Takes an ack, a response or a fragment of one. `source_host` is that of the subject, not of the header.
    ///
    /// A second answer of the same instance is ignored.
    pub fn on_message(
        &mut self,
        source_host: &str,
        response: Response,
        now: Instant,
    ) -> MulticastStep {
        let responder_id = response
            .headers
            .get(header::FROM_ID)
            .unwrap_or_default()
            .to_owned();
        if self.answered.contains(&responder_id) {
            return MulticastStep::Wait;
        }
        let queue_key = match response.headers.get(header::QUEUE) {
            Some(queue) => queue.to_owned(),
            None => format!("{responder_id}.{source_host}"),
        };
        self.heard.insert(queue_key);
        self.acks_over |= self.known.as_ref() == Some(&self.heard);
        match self.exchange.hear(response, now) {
            Heard::SendRest { responder_id } => return MulticastStep::SendRest { responder_id },
            Heard::Answer(answer) => {
                self.answered.insert(responder_id);
                self.results.push(*answer);
            }
            Heard::Nothing => {}
        }
        self.conclude()
    }

    /// Ends the wait for acks, or the call, if their time is up.
    pub fn on_timeout(&mut self, now: Instant) -> MulticastStep {
        self.acks_over |= now >= self.exchange.ack_deadline;
        let step = self.conclude();
        if step == MulticastStep::Wait && now >= self.exchange.deadline {
            let mut results = std::mem::take(&mut self.results);
            results.push(Err(self.exchange.timeout()));
            return MulticastStep::Done {
                results,
                responders: None,
            };
        }
        step
    }

    /// Returns when to call [`Multicast::on_timeout`].
    pub fn next_wakeup(&self) -> Option<Instant> {
        let Exchange {
            ack_deadline,
            deadline,
            ..
        } = self.exchange;
        Some(if self.acks_over {
            deadline
        } else {
            deadline.min(ack_deadline)
        })
    }

    fn conclude(&mut self) -> MulticastStep {
        if !self.acks_over || self.answered.len() < self.exchange.seen.len() {
            return MulticastStep::Wait;
        }
        let responders = std::mem::take(&mut self.heard);
        MulticastStep::Done {
            results: std::mem::take(&mut self.results),
            responders: (!responders.is_empty()).then_some(responders),
        }
    }
}
