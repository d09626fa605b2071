//! The state of one outgoing call, without the sending: what to wait for, and when it is over.
//!
//! The owner publishes the request, then feeds in every ack and response whose message identifier is that of the call,
//! and calls `on_timeout` at `next_wakeup`, until a step says that the call is done. spec: microbus-wire 5

mod multicast;
mod unicast;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use thiserror::Error;

pub use multicast::{Multicast, MulticastStep, Responders};
pub use unicast::{Unicast, UnicastStep};

use crate::budget::TimeBudget;
use crate::fragment::{JoinError, Joined, Joiner};
use crate::frame::Response;
use crate::header::{self, OpCode};
use crate::status::ErrorStatus;
use crate::trace::TracedError;

/// What a call begins with.
#[derive(Debug, Clone)]
pub struct CallSetup {
    /// The URL without its query, for error texts: see [`Address::url_without_query`](crate::Address::url_without_query).
    pub url: String,
    /// How long the caller waits.
    pub budget: TimeBudget,
    /// How long to wait for the first sign of life.
    pub round_trip: Duration,
    /// How many fragments the request has; the first is published at once.
    pub fragments: usize,
}

/// Why a call has no answer, or the error that was the answer.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CallError {
    /// Nobody heard the request.
    #[error("ack timeout: {url}")]
    AckTimeout {
        /// Whom the request was for.
        url: String,
    },
    /// Somebody heard the request but did not answer in time.
    #[error("timeout: {url}")]
    Timeout {
        /// Whom the request was for.
        url: String,
    },
    /// The responder answered with an error.
    #[error(transparent)]
    Remote(#[from] TracedError),
    /// The responder sent fragments that do not fit together.
    #[error("the fragments of the response cannot be joined")]
    Fragments(#[from] JoinError),
}

impl CallError {
    /// Returns the status of the error.
    pub fn status(&self) -> ErrorStatus {
        match self {
            Self::AckTimeout { .. } => ErrorStatus::NOT_FOUND,
            Self::Timeout { .. } => ErrorStatus::REQUEST_TIMEOUT,
            Self::Remote(error) => error.status,
            Self::Fragments(_) => ErrorStatus::BAD_GATEWAY,
        }
    }
}

/// What unicast and multicast have in common.
#[derive(Debug)]
struct Exchange {
    url: String,
    fragments: usize,
    /// Until when the first sign of life must have come.
    ack_deadline: Instant,
    /// Until when the answer must have come.
    deadline: Instant,
    /// The instances that were heard.
    seen: HashSet<String>,
    /// The instances that acked, and so were sent the remaining fragments.
    acked: HashSet<String>,
    joiner: Joiner<Response>,
}

/// What a message meant.
enum Heard {
    Nothing,
    SendRest { responder_id: String },
    Answer(Box<Result<Response, CallError>>),
}

impl Exchange {
    fn new(setup: CallSetup, now: Instant) -> Self {
        let later = |wait| now.checked_add(wait).unwrap_or(now);
        Self {
            url: setup.url,
            fragments: setup.fragments,
            ack_deadline: later(setup.round_trip),
            deadline: later(setup.budget.as_duration()),
            seen: HashSet::new(),
            acked: HashSet::new(),
            // The deadline of the call bounds the joiner too.
            joiner: Joiner::new(setup.budget.as_duration()),
        }
    }

    fn hear(&mut self, response: Response, now: Instant) -> Heard {
        let responder_id = response
            .headers
            .get(header::FROM_ID)
            .unwrap_or_default()
            .to_owned();
        self.seen.insert(responder_id.clone());
        match response.op_code() {
            Some(OpCode::Ack) => {
                let first = self.acked.insert(responder_id.clone());
                if first && self.fragments > 1 {
                    Heard::SendRest { responder_id }
                } else {
                    Heard::Nothing
                }
            }
            Some(OpCode::Res | OpCode::Err) => {
                match self.joiner.on_fragment(&responder_id, response, now) {
                    Joined::Pending => Heard::Nothing,
                    Joined::Refused(error) => Heard::Answer(Box::new(Err(error.into()))),
                    Joined::Complete(whole) => Heard::Answer(Box::new(verdict(whole))),
                }
            }
            Some(OpCode::Req) | None => Heard::Nothing,
        }
    }

    fn timeout(&self) -> CallError {
        CallError::Timeout {
            url: self.url.clone(),
        }
    }
}

/// Tells answers from errors.
fn verdict(response: Response) -> Result<Response, CallError> {
    match response.op_code() {
        Some(OpCode::Err) => Err(TracedError::decode(&response.body).into()),
        _ => Ok(response),
    }
}

#[cfg(test)]
mod tests;
