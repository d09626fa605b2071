//! Requests of which fragments are missing.
//!
//! Source: spec: microbus-wire 6, 13.14, 15.5. Unlike the peer, what cannot be joined is answered.

use super::Responder;
use super::pending::{Pending, budget_of};
use crate::failure::Failure;
use crate::handler::{Incoming, Received};
use microbus_wire::fragment::{JoinError, Joined, Joiner, MAX_SETS};
use microbus_wire::frame::Request;
use microbus_wire::header;
use microbus_wire::status::ErrorStatus;
use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// The fragments that arrived, and whom to answer if the others do not.
pub(super) struct Partial {
    joiner: Joiner<Request>,
    /// One for each request that is being joined.
    pending: HashMap<String, Pending>,
    /// Whether a task watches for requests whose time is up.
    watched: bool,
}

impl Partial {
    pub(super) fn new(round_trip: Duration) -> Self {
        Self {
            joiner: Joiner::new(round_trip.saturating_mul(PATIENCE)),
            pending: HashMap::new(),
            watched: false,
        }
    }

    /// Tells whether a caller has as many incomplete requests as one may have, and this is another one.
    fn is_too_much(&self, caller: &str, key: &str) -> bool {
        let of_caller = |pending: &&Pending| pending.request.from_host() == caller;
        !self.pending.contains_key(key)
            && self.pending.values().filter(of_caller).count() >= MOST_OF_ONE
    }

    /// Takes out those of whom to tell that the rest did not come.
    fn expire(&mut self, now: Instant) -> Vec<Pending> {
        let expired = self.joiner.expire(now);
        expired
            .iter()
            .filter_map(|one| self.pending.remove(&one.key))
            .collect()
    }
}

impl Responder {
    /// Puts a fragment, of a message of `size` bytes, to the others of its request; returns the request when it is whole.
    pub(super) async fn join(
        self: &Arc<Self>,
        mut pending: Pending,
        size: usize,
    ) -> Option<Pending> {
        let fragment = &pending.request;
        if size.saturating_sub(fragment.body().len()) > MOST_HEADERS {
            let failure = Failure::new(
                ErrorStatus::BAD_REQUEST,
                "the headers of a fragment are too large",
            );
            self.answer(pending, Err(failure)).await;
            return None;
        }
        let from_id = fragment.header(header::FROM_ID).unwrap_or_default();
        let (from_host, id) = (fragment.from_host(), fragment.message_id());
        let key = format!("{from_host}|{from_id}|{id}");
        if self.partial().is_too_much(from_host, &key) {
            self.answer(pending, Err(refusal(JoinError::TooManyMessages)))
                .await;
            return None;
        }
        // A slice keeps its whole message in memory, which the joiner's bounds do not see.
        let frame = fragment.frame().detached();
        pending.request = fragment.of_frame(fragment.frame().head());
        let (joined, earlier) = {
            let mut partial = self.partial();
            let joined = partial.joiner.on_fragment(&key, frame, self.clock.now());
            if joined == Joined::Pending {
                partial.pending.entry(key).or_insert(pending);
                if !std::mem::replace(&mut partial.watched, true) {
                    tokio::spawn(Arc::clone(self).watch());
                }
                return None;
            }
            (joined, partial.pending.remove(&key))
        };
        drop(earlier);
        match joined {
            Joined::Complete(whole) => {
                pending.request = self.joined(&pending, whole);
                Some(pending)
            }
            Joined::Refused(error) => {
                self.answer(pending, Err(refusal(error))).await;
                None
            }
            Joined::Pending => None,
        }
    }

    /// Returns the whole request, the last fragment of which is `pending`: that one decides how long its sender still waits,
    /// the first how long it asked for.
    fn joined(&self, pending: &Pending, whole: Request) -> Incoming {
        let (budget, budget_given) = budget_of(&whole);
        Incoming::from(Received {
            traced: self.trace(&pending.endpoint, &whole),
            frame: whole,
            caller: pending.request.caller(),
            budget,
            budget_given,
            deadline: pending.request.deadline(),
            actor: OnceLock::new(),
        })
    }

    /// Answers 408 to requests whose other fragments do not come, as long as there are incomplete ones.
    async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.settings.round_trip / 2).await;
            let expired = self.partial().expire(self.clock.now());
            for pending in expired {
                let failure = Failure::new(ErrorStatus::REQUEST_TIMEOUT, "timeout")
                    .with_detail("the fragments of the request did not all arrive");
                self.answer(pending, Err(failure)).await;
            }
            let mut partial = self.partial();
            if partial.pending.is_empty() {
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
/// How many incomplete requests one caller may have: a quarter of all, so that it leaves room for others.
const MOST_OF_ONE: usize = MAX_SETS / 4;
/// What a full fragment leaves free for its headers (spec: microbus-wire 1.4).
const MOST_HEADERS: usize = 64 << 10;
