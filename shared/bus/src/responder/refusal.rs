//! Answering what is not handled, at as little cost as can be: whatever it takes is missing for what is handled.

use super::Responder;
use super::pending::{Pending, error_reply, log};
use crate::failure::Failure;
use crate::handler::Reply;
use microbus_wire::fragment::Fragment;
use microbus_wire::header::OpCode;
use microbus_wire::status::ErrorStatus;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Why a request is not handled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Refusal {
    /// Nobody waits for the answer any more.
    TooLate,
    /// More requests wait than should.
    Overloaded,
}

impl Refusal {
    pub(super) fn failure(self) -> Failure {
        let status = match self {
            Self::TooLate => ErrorStatus::REQUEST_TIMEOUT,
            Self::Overloaded => ErrorStatus::UNAVAILABLE,
        };
        Failure::new(status, self.text())
    }

    fn text(self) -> &'static str {
        match self {
            Self::TooLate => "timeout",
            Self::Overloaded => "too many requests are waiting",
        }
    }
}

/// How a responder refuses.
pub(super) struct Refusals {
    too_late: Reply,
    overloaded: Reply,
    lines: Mutex<Lines>,
}

impl Refusals {
    /// Encodes once what is answered; `reveal` shows details, indented for people.
    pub(super) fn new(reveal: bool) -> Self {
        let reply = |refusal: Refusal| error_reply(&refusal.failure(), None, reveal);
        Self {
            too_late: reply(Refusal::TooLate),
            overloaded: reply(Refusal::Overloaded),
            lines: Mutex::default(),
        }
    }

    fn reply(&self, refusal: Refusal) -> &Reply {
        match refusal {
            Refusal::TooLate => &self.too_late,
            Refusal::Overloaded => &self.overloaded,
        }
    }
}

impl Responder {
    /// Answers what is not handled. A flood of those does not become a flood of lines: making one takes as long as a
    /// signature.
    pub(super) async fn refuse(&self, mut pending: Pending, refusal: Refusal) {
        let due = {
            let lines = &self.refusals.lines;
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.take(self.clock.now())
        };
        if let Some(unlogged) = due {
            let unlogged = (unlogged > 0).then_some(unlogged);
            log(&pending.request, &refusal.failure(), unlogged);
        }
        if self.owes_ack(&pending) && self.ack(&mut pending, Fragment::WHOLE).await.is_err() {
            return;
        }
        if pending.request.traced().is_some() {
            // The answer names the trace.
            return self.send(pending, Err(refusal.failure())).await;
        }
        let reply = self.refusals.reply(refusal);
        self.deliver(&pending, OpCode::Err, reply, Some(refusal.text()))
            .await;
    }
}

/// The lines of the log about refusals.
#[derive(Default)]
struct Lines {
    last: Option<Instant>,
    unlogged: u64,
}

impl Lines {
    /// Takes note of a refusal at `now`. Returns how many were not told before it if this one is to be.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let told = self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < LINE_INTERVAL);
        if told {
            self.unlogged = self.unlogged.saturating_add(1);
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

/// Between two lines about requests that were refused unhandled.
const LINE_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    #[test]
    fn of_many_refusals_one_is_told_from_time_to_time_with_the_number_of_the_others() {
        let (mut lines, now) = (Lines::default(), SystemClock.now());
        let told: Vec<_> = [0, 0, 99, 100, 101, 200]
            .map(|milliseconds| lines.take(now + Duration::from_millis(milliseconds)))
            .into_iter()
            .collect();
        assert_eq!(told, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
