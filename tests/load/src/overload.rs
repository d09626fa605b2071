//! What becomes of a target that is asked for more than it can do.
//!
//! An open loop: requests are sent at a rate, whether or not earlier ones are answered. What counts is how many tokens come
//! back in time all the same, and that whoever gets none is told so at once.

use crate::connection::{ConnectionError, SILENCE};
use crate::generator::{Generator, LOST, Window, now};
use crate::request::{MessageId, Request};
use crate::sample::{Sample, median};
use crate::workload::Workload;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What one target did when it was offered a multiple of its best rate.
#[derive(Debug, Serialize)]
pub(crate) struct Overload {
    #[serde(flatten)]
    pub(crate) workload: Workload,
    pub(crate) name: String,
    /// How many times its best rate it was to be offered.
    pub(crate) times: f64,
    /// The median of each round's requests sent over its best rate: the broker may let less in.
    pub(crate) offered: f64,
    /// The same of requests answered with 200.
    pub(crate) goodput: f64,
    pub(crate) median: Sample,
    /// Requests of all rounds that were not answered with 200, by status; 0 for those never answered.
    pub(crate) errors: BTreeMap<u16, u64>,
    pub(crate) rounds: Vec<Round>,
}

/// One round of one target.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Round {
    /// Requests answered with 200 per second in a closed loop, just before.
    pub(crate) best: f64,
    /// Requests sent per second.
    pub(crate) offered: f64,
    /// What came of them.
    #[serde(flatten)]
    pub(crate) sample: Sample,
}

impl Overload {
    pub(crate) fn new(workload: Workload, name: String, times: f64) -> Self {
        Self {
            workload,
            name,
            times,
            offered: 0.0,
            goodput: 0.0,
            median: Sample::default(),
            errors: BTreeMap::new(),
            rounds: Vec::new(),
        }
    }

    /// Adds a round.
    pub(crate) fn push(&mut self, round: Round, errors: BTreeMap<u16, u64>) {
        self.rounds.push(round);
        for (status, count) in errors {
            *self.errors.entry(status).or_default() += count;
        }
        let share = |of: fn(&Round) -> f64| {
            let shares = self
                .rounds
                .iter()
                .map(|round| of(round) / round.best.max(1.0));
            median(shares)
        };
        self.offered = share(|round| round.offered);
        self.goodput = share(|round| round.sample.rate);
        let samples: Vec<_> = self.rounds.iter().map(|round| round.sample).collect();
        self.median = Sample::median(&samples);
    }
}

impl Generator {
    /// Sends `rate` requests a second, for `warm_up` without looking and then for `length`; `edge` is called when looking
    /// begins and when it ends. Returns what arrived meanwhile, and how many were sent. What is still unanswered after
    /// the usual silence counts as lost.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub(crate) fn offer(
        &mut self,
        request: &mut Request,
        rate: f64,
        warm_up: Duration,
        length: Duration,
        mut edge: impl FnMut(),
    ) -> Result<(Window, u64), ConnectionError> {
        let mut flood = Flood::default();
        self.connection.wait_at_most(TICK)?;
        self.pour(request, &mut flood, rate, warm_up)?;
        flood.window = Window::default();
        let before = flood.sent.len();
        edge();
        let begin = now();
        self.pour(request, &mut flood, rate, length)?;
        let elapsed = now() - begin;
        edge();
        let sent = flood.sent.len().saturating_sub(before);
        let mut window = std::mem::take(&mut flood.window);
        window.elapsed = elapsed;
        self.connection.wait_at_most(SILENCE)?;
        while flood.unanswered > 0 && self.hear(&mut flood)? {}
        if flood.unanswered > 0 {
            window.errors.insert(LOST, flood.unanswered);
        }
        Ok((window, sent as u64))
    }

    fn pour(
        &mut self,
        request: &mut Request,
        flood: &mut Flood,
        rate: f64,
        length: Duration,
    ) -> Result<(), ConnectionError> {
        let (begin, already) = (now(), flood.sent.len());
        loop {
            let elapsed = now() - begin;
            if elapsed >= length {
                return Ok(());
            }
            let due = already + whole(rate * elapsed.as_secs_f64());
            self.output.clear();
            for _ in 0..due.saturating_sub(flood.sent.len()).min(MOST_AT_ONCE) {
                request.write(flood.next(), &mut self.output);
            }
            if !self.output.is_empty() {
                self.connection.send(&self.output)?;
            }
            // Nothing to hear yet is no reason to stop asking.
            self.hear(flood)?;
        }
    }

    fn hear(&mut self, flood: &mut Flood) -> Result<bool, ConnectionError> {
        let reader = &self.reader;
        let mut arrived = None;
        self.connection.receive(|payload| {
            let arrived = *arrived.get_or_insert_with(now);
            flood.window.messages += 1;
            if let Some(reply) = reader.read(payload)
                && !reply.is_ack
            {
                flood.take(reply.id, reply.status, arrived);
            }
        })
    }
}

/// The requests of an open loop.
#[derive(Default)]
struct Flood {
    /// When each was sent; none once it is answered.
    sent: Vec<Option<Instant>>,
    unanswered: u64,
    window: Window,
}

impl Flood {
    fn next(&mut self) -> MessageId {
        let number = self.sent.len();
        self.sent.push(Some(now()));
        self.unanswered += 1;
        MessageId {
            caller: u16::try_from(number >> SEQUENCE_BITS).unwrap_or(u16::MAX),
            sequence: u32::try_from(number & ((1 << SEQUENCE_BITS) - 1)).unwrap_or(0),
        }
    }

    fn take(&mut self, id: MessageId, status: u16, arrived: Instant) {
        let number =
            (usize::from(id.caller) << SEQUENCE_BITS) | usize::try_from(id.sequence).unwrap_or(0);
        let Some(sent) = self.sent.get_mut(number).and_then(Option::take) else {
            return;
        };
        self.unanswered -= 1;
        if status == 200 {
            let latency = arrived.saturating_duration_since(sent).as_nanos();
            self.window
                .latencies
                .push(u64::try_from(latency).unwrap_or(u64::MAX));
        } else {
            *self.window.errors.entry(status).or_default() += 1;
        }
    }
}

/// Returns the whole part of a number of requests.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate times a while, far below 2^53"
)]
fn whole(number: f64) -> usize {
    number as usize
}

/// How long a read waits: no longer than a pause in sending may be.
const TICK: Duration = Duration::from_millis(1);
/// Requests written at once, so that answers are read in between.
const MOST_AT_ONCE: usize = 256;
/// Bits of a message ID that count the requests of one caller.
const SEQUENCE_BITS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_once_and_finds_when_its_request_was_sent() {
        let mut flood = Flood::default();
        let ids: Vec<_> = (0..3).map(|_| flood.next()).collect();
        let later = now() + Duration::from_secs(1);
        flood.take(ids[1], 200, later);
        flood.take(ids[1], 200, later);
        flood.take(ids[2], 503, later);
        assert_eq!((flood.window.latencies.len(), flood.unanswered), (1, 1));
        assert!(flood.window.latencies[0] > 900_000_000);
        assert_eq!(flood.window.errors, BTreeMap::from([(503, 1)]));
    }

    #[test]
    fn shares_are_those_of_the_best_rate_of_the_same_round() {
        let workload = Workload::all(&crate::workload::Operation::ALL, &[200])[0];
        let mut overload = Overload::new(workload, "ours".to_owned(), 2.0);
        for (best, offered, rate) in [(100.0, 200.0, 95.0), (10.0, 18.0, 9.0), (50.0, 100.0, 50.0)]
        {
            let sample = Sample {
                rate,
                ..Sample::default()
            };
            let round = Round {
                best,
                offered,
                sample,
            };
            overload.push(round, BTreeMap::from([(503, 1)]));
        }
        assert_eq!((overload.offered, overload.goodput), (2.0, 0.95));
        assert_eq!(overload.errors, BTreeMap::from([(503, 3)]));
    }
}
