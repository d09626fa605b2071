//! A caller that waits as the Go ones do (spec: microbus-wire 5.2): the first response or error is final, and a call that
//! got neither that nor an ack within the ack timeout has failed with 404 "ack timeout", whatever comes later.

use crate::PATIENCE;
use crate::caller::Caller;
use crate::message::Message;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A caller on a near server, whose ack timeout is a tenth of a second.
pub struct GoCaller {
    caller: Caller,
}

/// What such a caller makes of one call.
#[derive(Debug)]
pub enum Outcome {
    /// The first response or error; an ack may have come before.
    Answered {
        /// What came.
        answer: Message,
        /// Whether an ack had come.
        acked: bool,
    },
    /// Neither an ack nor an answer came in time.
    AckTimeout {
        /// How long after it was sent something came nevertheless; `None` if nothing did.
        late: Option<Duration>,
    },
    /// Nothing but an ack came.
    Unanswered,
}

/// A request that was sent.
struct Call {
    sent: Instant,
    /// The ticks that had passed before it was sent.
    sent_at: u32,
    acked: bool,
    outcome: Option<Outcome>,
}

#[derive(Default)]
struct Calls {
    by_id: HashMap<String, Call>,
    ticks: u32,
}

impl GoCaller {
    /// Makes a caller of a connection that nobody else uses.
    #[must_use]
    pub fn new(caller: Caller) -> Self {
        Self { caller }
    }

    /// Sends `count` copies of a recorded request as fast as it can, each with a message ID of its own, and waits for what
    /// becomes of each.
    pub async fn call(&self, recorded: &Message, count: usize) -> Vec<Outcome> {
        let calls = Mutex::new(Calls::default());
        let sending = self.send(recorded, count, &calls);
        let (ids, ()) = tokio::join!(sending, self.wait(count, &calls));
        let mut calls = lock(&calls);
        let outcome = |id| calls.by_id.remove(&id)?.outcome;
        let outcomes = ids.into_iter().map(outcome);
        outcomes
            .map(|outcome| outcome.unwrap_or(Outcome::Unanswered))
            .collect()
    }

    async fn send(&self, recorded: &Message, count: usize, calls: &Mutex<Calls>) -> Vec<String> {
        let text = String::from_utf8(recorded.payload.to_vec()).expect("a request is text");
        let mut ids = Vec::new();
        while ids.len() < count {
            let some: Vec<_> = (ids.len()..count.min(ids.len().saturating_add(AT_ONCE)))
                .map(|_| self.caller.next_message_id())
                .collect();
            {
                let mut calls = lock(calls);
                for id in &some {
                    let call = Call {
                        sent: Instant::now(),
                        sent_at: calls.ticks,
                        acked: false,
                        outcome: None,
                    };
                    calls.by_id.insert(id.clone(), call);
                }
            }
            let requests = some
                .iter()
                .map(|id| text.replace(recorded.message_id(), id));
            self.caller.publish_all(&recorded.subject, requests).await;
            ids.extend(some);
        }
        ids
    }

    /// Takes in what comes, until every call has got something final.
    async fn wait(&self, count: usize, calls: &Mutex<Calls>) {
        let end = Instant::now() + PATIENCE;
        let mut settled = 0;
        while settled < count && Instant::now() < end {
            let tick = tokio::time::Instant::now() + TICK;
            loop {
                let left = tick.saturating_duration_since(tokio::time::Instant::now());
                let Some(message) = self.caller.next_reply(left).await else {
                    break;
                };
                settled += lock(calls).hear(message);
                if settled == count {
                    return;
                }
            }
            // What has arrived has arrived in time, however late we come to read it.
            tokio::task::yield_now().await;
            while let Some(message) = self.caller.next_reply(Duration::ZERO).await {
                settled += lock(calls).hear(message);
            }
            settled += lock(calls).tick();
        }
    }
}

impl Calls {
    /// Takes a reply in, and returns how many calls need not be waited for any more.
    fn hear(&mut self, reply: Message) -> usize {
        let Some(call) = self.by_id.get_mut(reply.message_id()) else {
            return 0;
        };
        let is_ack = reply.op_code() == "Ack";
        match &mut call.outcome {
            None if is_ack => {
                call.acked = true;
                0
            }
            None => {
                let acked = call.acked;
                call.outcome = Some(Outcome::Answered {
                    answer: reply,
                    acked,
                });
                1
            }
            Some(Outcome::AckTimeout { late }) => {
                late.get_or_insert(call.sent.elapsed());
                let waited = self.ticks - call.sent_at;
                usize::from(!is_ack && waited < LATEST_TICKS)
            }
            Some(Outcome::Answered { .. } | Outcome::Unanswered) => 0,
        }
    }

    /// Lets a tick pass, and returns how many calls need not be waited for any more.
    fn tick(&mut self) -> usize {
        self.ticks += 1;
        let mut settled = 0;
        for call in self.by_id.values_mut() {
            let waited = self.ticks - call.sent_at;
            match &call.outcome {
                None if !call.acked && waited > ACK_TICKS => {
                    call.outcome = Some(Outcome::AckTimeout { late: None });
                }
                Some(Outcome::AckTimeout { .. }) if waited == LATEST_TICKS => settled += 1,
                None | Some(_) => {}
            }
        }
        settled
    }
}

fn lock(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ack timeout is counted in ticks, so that time in which the machine does not let this process run does not count.
const TICK: Duration = Duration::from_millis(10);
/// Together the ack timeout.
const ACK_TICKS: u32 = 10;
/// For so long a call that has failed is watched, to tell a late answer from none.
const LATEST_TICKS: u32 = 200;
/// Requests that leave in one write.
const AT_ONCE: usize = 128;
