//! Requests of which fragments are missing.
//!
//! Source: spec: microbus-wire 6, 13.14, 15.5. Unlike the peer, what cannot be joined is answered.

use super::Responder;
use super::context::Context;
use crate::failure::Failure;
use microbus_wire::fragment::{JoinError, Joined, Joiner};
use microbus_wire::frame::Request;
use microbus_wire::header;
use microbus_wire::status::ErrorStatus;
use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The fragments that arrived, and whom to answer if the others do not.
pub(super) struct Partial {
    joiner: Joiner<Request>,
    /// One for each request that is being joined.
    contexts: HashMap<String, Context>,
    /// Whether a task watches for requests whose time is up.
    watched: bool,
}

impl Partial {
    pub(super) fn new(round_trip: Duration) -> Self {
        Self {
            joiner: Joiner::new(round_trip.saturating_mul(PATIENCE)),
            contexts: HashMap::new(),
            watched: false,
        }
    }

    /// Takes out those of whom to tell that the rest did not come.
    fn expire(&mut self, now: Instant) -> Vec<Context> {
        let expired = self.joiner.expire(now);
        expired
            .iter()
            .filter_map(|one| self.contexts.remove(&one.key))
            .collect()
    }
}

impl Responder {
    /// Puts a fragment, of a message of `size` bytes, to the others of its request; returns the request when it is whole.
    pub(super) async fn join(
        self: &Arc<Self>,
        frame: Request,
        size: usize,
        from_host: &str,
        mut context: Context,
    ) -> Option<(Request, Context)> {
        if size.saturating_sub(frame.body.len()) > MOST_HEADERS {
            let failure = Failure::new(
                ErrorStatus::BAD_REQUEST,
                "the headers of a fragment are too large",
            );
            self.answer(context, Err(failure)).await;
            return None;
        }
        // A slice keeps its whole message in memory, which the joiner's bounds do not see.
        let frame = frame.detached();
        context.detach();
        let from_id = frame.headers.get(header::FROM_ID).unwrap_or_default();
        let key = format!("{from_host}|{from_id}|{}", context.message_id());
        let (joined, earlier) = {
            let mut partial = self.partial();
            let joined = partial.joiner.on_fragment(&key, frame, self.clock.now());
            if joined == Joined::Pending {
                partial.contexts.entry(key).or_insert(context);
                if !std::mem::replace(&mut partial.watched, true) {
                    tokio::spawn(Arc::clone(self).watch());
                }
                return None;
            }
            (joined, partial.contexts.remove(&key))
        };
        drop(earlier);
        match joined {
            Joined::Complete(whole) => Some((whole, context)),
            Joined::Refused(error) => {
                self.answer(context, Err(refusal(error))).await;
                None
            }
            Joined::Pending => None,
        }
    }

    /// Answers 408 to requests whose other fragments do not come, as long as there are incomplete ones.
    async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.settings.round_trip / 2).await;
            let expired = self.partial().expire(self.clock.now());
            for context in expired {
                let failure = Failure::new(ErrorStatus::REQUEST_TIMEOUT, "timeout")
                    .with_detail("the fragments of the request did not all arrive");
                self.answer(context, Err(failure)).await;
            }
            let mut partial = self.partial();
            if partial.contexts.is_empty() {
                partial.watched = false;
                return;
            }
        }
    }

    fn partial(&self) -> MutexGuard<'_, Partial> {
        self.partial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refusal(error: JoinError) -> Failure {
    let (status, public) = match error {
        JoinError::TooManyMessages => (
            ErrorStatus::UNAVAILABLE,
            "too many requests are being received",
        ),
        JoinError::TooLarge => (ErrorStatus::PAYLOAD_TOO_LARGE, "the request is too large"),
        JoinError::Index(_)
        | JoinError::TooMany(_)
        | JoinError::Duplicate(_)
        | JoinError::Count(_) => (
            ErrorStatus::BAD_REQUEST,
            "the fragments do not fit together",
        ),
    };
    Failure::new(status, public).with_detail(error)
}

/// How many round trips the next fragment may take to arrive (spec: microbus-wire 1.4).
const PATIENCE: u32 = 8;
/// What a full fragment leaves free for its headers (spec: microbus-wire 1.4).
const MOST_HEADERS: usize = 64 << 10;
