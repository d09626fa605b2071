//! A closed loop of callers over one connection; the open loop is in [`overload`](crate::overload).

use crate::connection::{Connection, ConnectionError, SILENCE};
use crate::request::{MessageId, Request};
use memchr::memmem::{self, Finder};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Callers that each send their next request as soon as their last is answered.
#[derive(Debug)]
pub(crate) struct Generator {
    pub(crate) connection: Connection,
    pub(crate) reader: Reader,
    pub(crate) output: Vec<u8>,
}

/// What was seen in one stretch of time.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// From sending to the answer, in nanoseconds, for each request answered with 200.
    pub(crate) latencies: Vec<u64>,
    /// Messages that arrived, acks included.
    pub(crate) messages: u64,
    /// Requests answered with another status, by status; 0 for those never answered.
    pub(crate) errors: BTreeMap<u16, u64>,
    /// The time between the first and the last answer that may count.
    pub(crate) elapsed: Duration,
}

/// A complete answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The message, headers included.
    pub(crate) payload: Vec<u8>,
    /// Messages that came before it, acks.
    pub(crate) acks: u8,
}

struct Caller {
    id: MessageId,
    sent: Instant,
    waiting: bool,
}

impl Generator {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            reader: Reader::new(),
            output: Vec::new(),
        }
    }

    /// Asks once and waits for the answer; `None` when none came within `limit` or none with status 200.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub(crate) fn ask(
        &mut self,
        request: &mut Request,
        sequence: u32,
        limit: Duration,
    ) -> Result<Option<Answer>, ConnectionError> {
        let id = MessageId {
            caller: ASKING,
            sequence,
        };
        self.output.clear();
        request.write(id, &mut self.output);
        self.connection.send(&self.output)?;
        self.connection.wait_at_most(limit)?;
        let (mut acks, mut found) = (0, None);
        while found.is_none() {
            let reader = &self.reader;
            let heard = self
                .connection
                .receive(|payload| match reader.read(payload) {
                    Some(reply) if reply.id == id && reply.is_ack => acks += 1,
                    Some(reply) if reply.id == id => found = Some((reply.status, payload.to_vec())),
                    Some(_) | None => {}
                })?;
            if !heard {
                break;
            }
        }
        self.connection.wait_at_most(SILENCE)?;
        let answered = found.filter(|(status, _)| *status == 200);
        Ok(answered.map(|(_, payload)| Answer { payload, acks }))
    }

    /// Keeps `callers` requests in flight, for `warm_up` without looking and then for `length`; `edge` is called when
    /// looking begins and when it ends. Nothing is in flight any more when this returns.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub(crate) fn drive(
        &mut self,
        request: &mut Request,
        callers: u16,
        warm_up: Duration,
        length: Duration,
        mut edge: impl FnMut(),
    ) -> Result<Window, ConnectionError> {
        let mut loop_ = Loop::start(callers, now());
        self.output.clear();
        for caller in &loop_.callers {
            request.write(caller.id, &mut self.output);
        }
        self.connection.send(&self.output)?;

        self.turn(request, &mut loop_, warm_up)?;
        loop_.window = Window::default();
        edge();
        let begin = now();
        self.turn(request, &mut loop_, length)?;
        let elapsed = now() - begin;
        edge();
        let mut window = std::mem::take(&mut loop_.window);
        window.elapsed = elapsed;

        loop_.closing = true;
        while loop_.in_flight() > 0 && self.batch(request, &mut loop_)? {}
        let lost = loop_.in_flight();
        if lost > 0 {
            window.errors.insert(LOST, lost);
        }
        Ok(window)
    }

    /// Goes round for `length`, or until silence shows that everything in flight is lost.
    fn turn(
        &mut self,
        request: &mut Request,
        loop_: &mut Loop,
        length: Duration,
    ) -> Result<(), ConnectionError> {
        let begin = now();
        while now() - begin < length && self.batch(request, loop_)? {}
        Ok(())
    }

    /// Reads once, and writes the next request of each caller that was answered.
    fn batch(&mut self, request: &mut Request, loop_: &mut Loop) -> Result<bool, ConnectionError> {
        let (reader, output) = (&self.reader, &mut self.output);
        output.clear();
        let mut arrived = None;
        let heard = self.connection.receive(|payload| {
            // One clock for the batch: its messages came with one read.
            let arrived = *arrived.get_or_insert_with(now);
            loop_.window.messages += 1;
            let next = reader
                .read(payload)
                .and_then(|reply| loop_.take(&reply, arrived));
            if let Some(id) = next {
                request.write(id, output);
            }
        })?;
        if !output.is_empty() {
            self.connection.send(output)?;
        }
        Ok(heard)
    }
}

/// The callers and what they have seen.
struct Loop {
    callers: Vec<Caller>,
    window: Window,
    closing: bool,
}

impl Loop {
    fn start(callers: u16, now: Instant) -> Self {
        let caller = |caller| Caller {
            id: MessageId {
                caller,
                sequence: 0,
            },
            sent: now,
            waiting: true,
        };
        Self {
            callers: (0..callers).map(caller).collect(),
            window: Window::default(),
            closing: false,
        }
    }

    fn in_flight(&self) -> u64 {
        self.callers
            .iter()
            .map(|caller| u64::from(caller.waiting))
            .sum()
    }

    /// Notes a reply, and returns the ID of the request that its caller sends next.
    fn take(&mut self, reply: &Reply, arrived: Instant) -> Option<MessageId> {
        let caller = self.callers.get_mut(usize::from(reply.id.caller))?;
        if reply.is_ack || reply.id != caller.id || !caller.waiting {
            return None;
        }
        if reply.status == 200 {
            let latency = arrived.saturating_duration_since(caller.sent);
            let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
            self.window.latencies.push(nanoseconds);
        } else {
            *self.window.errors.entry(reply.status).or_default() += 1;
        }
        caller.waiting = !self.closing;
        caller.id = caller.id.next();
        caller.sent = arrived;
        caller.waiting.then_some(caller.id)
    }
}

/// Finds what matters in a reply without reading the rest of it.
#[derive(Debug)]
pub(crate) struct Reader {
    id: Finder<'static>,
    ack: Finder<'static>,
}

pub(crate) struct Reply {
    pub(crate) id: MessageId,
    pub(crate) status: u16,
    pub(crate) is_ack: bool,
}

impl Reader {
    fn new() -> Self {
        Self {
            id: Finder::new("\r\nMicrobus-Msg-Id: "),
            ack: Finder::new("\r\nMicrobus-Op-Code: Ack\r\n"),
        }
    }

    pub(crate) fn read(&self, payload: &[u8]) -> Option<Reply> {
        let status = std::str::from_utf8(payload.get(9..12)?)
            .ok()?
            .parse()
            .ok()?;
        let id_at = self.id.find(payload)? + self.id.needle().len();
        let id = MessageId::parse(payload.get(id_at..id_at + MessageId::BYTES)?)?;
        // Only an ack is accepted or continued; the search is spared for every other message.
        let is_ack = matches!(status, 100 | 202) && self.ack.find(payload).is_some();
        Some(Reply { id, status, is_ack })
    }
}

impl Answer {
    /// Returns the body.
    pub(crate) fn body(&self) -> &[u8] {
        let body = memmem::find(&self.payload, b"\r\n\r\n").map(|end| end + 4);
        body.and_then(|body| self.payload.get(body..))
            .unwrap_or_default()
    }
}

/// Returns the time; latency is what this program is about.
#[expect(
    clippy::disallowed_methods,
    reason = "a load generator measures real time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The caller number of single questions; a closed loop never has so many.
const ASKING: u16 = 4095;
/// The status under which lost requests are counted.
pub(crate) const LOST: u16 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, caller: u16, sequence: u32, is_ack: bool) -> Reply {
        let id = MessageId { caller, sequence };
        Reply { id, status, is_ack }
    }

    #[test]
    fn a_caller_goes_on_at_its_own_answer_only() {
        let start = now();
        let mut callers = Loop::start(2, start);
        let later = start + Duration::from_micros(7);
        assert_eq!(callers.take(&reply(202, 0, 0, true), later), None);
        assert_eq!(callers.take(&reply(200, 0, 9, false), later), None);
        assert_eq!(callers.take(&reply(200, 7, 0, false), later), None);
        let next = callers.take(&reply(200, 1, 0, false), later).unwrap();
        assert_eq!((next.caller, next.sequence), (1, 1));
        assert_eq!(callers.window.latencies, [7000]);
        assert_eq!(callers.in_flight(), 2);
    }

    #[test]
    fn an_error_is_counted_by_its_status_and_a_closing_loop_sends_no_more() {
        let start = now();
        let mut callers = Loop::start(1, start);
        callers.closing = true;
        assert_eq!(callers.take(&reply(503, 0, 0, false), start), None);
        assert_eq!(callers.window.errors, BTreeMap::from([(503, 1)]));
        assert!(callers.window.latencies.is_empty() && callers.in_flight() == 0);
    }

    #[test]
    fn a_reply_is_told_from_an_ack_wherever_its_headers_stand() {
        let reader = Reader::new();
        let ack =
            b"HTTP/1.1 202 Accepted\r\nMicrobus-Msg-Id: 00100002\r\nMicrobus-Op-Code: Ack\r\n\r\n";
        let reply = reader.read(ack).unwrap();
        assert!(reply.is_ack && reply.status == 202 && reply.id.caller == 1);
        let answer =
            b"HTTP/1.1 200 OK\r\nMicrobus-Op-Code: Res\r\nMicrobus-Msg-Id: 00100002\r\n\r\n{}";
        let reply = reader.read(answer).unwrap();
        assert!(!reply.is_ack && reply.status == 200 && reply.id.sequence == 2);
        assert!(reader.read(b"HTTP/1.1 200 OK\r\n\r\n").is_none());
    }
}
