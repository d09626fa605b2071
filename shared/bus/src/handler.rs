//! What answers requests, and what it is given and gives back.

use crate::failure::Failure;
use crate::notes::{Actor, Traced, scope_of};
use crate::responder::Caller;
use async_nats::Subject;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use microbus_wire::frame::Request;
use microbus_wire::header::{self, Headers};
use microbus_wire::subject::Method;
use microbus_wire::trace::trace_id;
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// An endpoint: where it is subscribed and what answers there.
#[derive(Clone)]
pub struct Route {
    /// Name in logs and metrics, such as `Mint`.
    pub name: &'static str,
    /// Whose host it answers for.
    pub scope: Scope,
    /// Port, such as `888`.
    pub port: u16,
    /// Method of the subscription; `None` is any.
    pub method: Option<Method>,
    /// Path, such as `/mint`.
    pub path: &'static str,
    /// Whether one replica answers (a queue group of the host name), or all.
    pub delivery: Delivery,
    /// Whether it is answered even when more is in flight than should be.
    pub urgency: Urgency,
    /// When its callers are told that they were heard.
    pub acknowledge: Acknowledge,
    /// What answers.
    pub handler: Arc<dyn Handler>,
}

/// Whose host a [`Route`] answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Our own host name.
    Own,
    /// `all`: broadcasts.
    All,
}

/// Which replicas hear a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// One of them: they share a queue group.
    One,
    /// Every one.
    Every,
}

/// Whether a request may be shed under overload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// 503 at once when too many of its kind are in flight.
    Sheddable,
    /// Counted apart, so that it is shed only where it is itself too much: one error of any replica fails the whole JWK Set
    /// of a Go replica.
    Exempt,
}

/// When callers are told that they were heard, before they are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// In any case, as the framework does: when its turn comes or the batch before it ends, and before the answer unless
    /// another thread answers just then.
    AtOnce,
    /// Only if the answer will be late, where [`Connector::answer_without_ack`](crate::Connector::answer_without_ack) says
    /// so: a caller takes the first answer as final, acked or not (spec: microbus-wire 5.2, 5.4). For endpoints that answer
    /// in microseconds.
    IfLate,
}

/// Answers requests. Called on the connection's own thread and, while many requests wait, on another one at the same time:
/// it must not block and should take microseconds.
pub trait Handler: Send + Sync + 'static {
    /// Answers `request`, now or later. A panic becomes a 500 of this request alone.
    fn handle(&self, request: Incoming) -> Handling;
}

impl<F: Fn(Incoming) -> Handling + Send + Sync + 'static> Handler for F {
    fn handle(&self, request: Incoming) -> Handling {
        self(request)
    }
}

/// A request's answer, or the promise of one.
pub enum Handling {
    /// Here it is.
    Done(Answer),
    /// There is more to do, at once.
    Next(Box<dyn Stage>),
    /// It takes something slow; cut off with 408 at the request's deadline.
    Later(BoxFuture<'static, Answer>),
}

/// A part of the work that an answer takes.
///
/// All requests that are handled together pass through one stage before any of them passes through the next: code and tables
/// of a signature fill the nearest caches of a processor, so that whatever takes turns with it is fetched anew each time.
pub trait Stage: Send {
    /// Does it. A panic becomes a 500 of this request alone.
    fn run(self: Box<Self>) -> Handling;
}

impl<F: FnOnce() -> Handling + Send> Stage for F {
    fn run(self: Box<Self>) -> Handling {
        self()
    }
}

impl Handling {
    /// Does what there is to do, and waits for what is slow.
    ///
    /// # Errors
    /// The failure that is the answer.
    pub async fn answer(self) -> Answer {
        let mut handling = self;
        loop {
            handling = match handling {
                Self::Done(answer) => return answer,
                Self::Next(stage) => stage.run(),
                Self::Later(answer) => return answer.await,
            }
        }
    }
}

/// A reply, or why there is none.
pub type Answer = Result<Reply, Failure>;

/// What a handler replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if there is one to name.
    pub content_type: Option<&'static str>,
    /// Further headers, in canonical form.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// Makes a 200 with a JSON body.
    #[must_use]
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self {
            status: 200,
            content_type: Some("application/json"),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Makes a reply without a body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }
}

/// A whole request: fragments joined, sender known from the subject, time budget judged. Cloning counts a reference.
#[derive(Debug, Clone)]
pub struct Incoming(Arc<Received>);

/// What a request is made of.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) frame: Request,
    pub(crate) caller: Arc<Caller>,
    pub(crate) budget: Duration,
    pub(crate) budget_given: bool,
    pub(crate) deadline: Instant,
    /// The span that its handling is, if it is one.
    pub(crate) traced: Option<Traced>,
    /// Whom it speaks for, once that is verified.
    pub(crate) actor: OnceLock<Actor>,
}

impl From<Received> for Incoming {
    fn from(received: Received) -> Self {
        Self(Arc::new(received))
    }
}

impl Incoming {
    /// Returns the method of the message, which need not be the one of its subject.
    #[must_use]
    pub fn method(&self) -> Method {
        self.0.frame.method
    }

    /// Returns the decoded path.
    #[must_use]
    pub fn path(&self) -> Cow<'_, str> {
        self.0.frame.path()
    }

    /// Returns the query as it was written.
    #[must_use]
    pub fn query(&self) -> &str {
        self.0.frame.query()
    }

    /// Returns the first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.frame.headers.get(name)
    }

    /// Returns the body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.frame.body
    }

    /// Returns the host that sent this, as the broker vouches for it in the subject.
    #[must_use]
    pub fn from_host(&self) -> &str {
        &self.0.caller.host
    }

    /// Returns the message ID.
    #[must_use]
    pub fn message_id(&self) -> &str {
        self.header(header::MESSAGE_ID).unwrap_or_default()
    }

    /// Returns the time budget in force: 20 s where none was given, at most 15 min.
    #[must_use]
    pub fn budget(&self) -> Duration {
        self.0.budget
    }

    /// Returns the time budget only if the request carried a valid one.
    #[must_use]
    pub fn given_budget(&self) -> Option<Duration> {
        self.0.budget_given.then_some(self.0.budget)
    }

    /// Returns when an answer comes too late.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// Returns how deep this call is nested; 0 when the header is absent or malformed.
    #[must_use]
    pub fn call_depth(&self) -> u32 {
        self.header(header::CALL_DEPTH)
            .and_then(|depth| depth.parse().ok())
            .unwrap_or(0)
    }

    /// Returns the ID of the trace that this belongs to: 32 lowercase hex digits, not all zeros.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        match self.traced() {
            Some(traced) => Some(traced.context.trace.as_str()),
            None => trace_id(self.header(header::TRACEPARENT)?),
        }
    }

    /// Returns the span that the handling of this is, if it is one.
    #[must_use]
    pub fn traced(&self) -> Option<&Traced> {
        self.0.traced.as_ref()
    }

    /// Returns the host that was addressed, without what chooses among its instances, and the port as it was written.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.frame.host().unwrap_or_default()
    }

    /// Returns names and values of the headers, in order; a value that is no text is empty.
    pub fn headers_as_text(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.0.frame.headers.iter();
        fields.map(|(name, value)| (name, std::str::from_utf8(value).unwrap_or_default()))
    }

    /// Notes whom this speaks for, once that is verified; the first one stays.
    pub fn note_actor(&self, actor: Actor) {
        drop(self.0.actor.set(actor));
    }

    /// Returns whom this speaks for, if that was verified.
    #[must_use]
    pub fn actor(&self) -> Option<&Actor> {
        self.0.actor.get()
    }

    /// Returns the scope of log lines about this: they name its actor, once there is one.
    #[must_use]
    pub fn log_scope(&self) -> tracing::Span {
        scope_of(self.actor())
    }

    /// Returns the subject of what is sent to whoever sent this.
    pub(crate) fn reply_to(&self) -> &Subject {
        &self.0.caller.reply_to
    }

    pub(crate) fn caller(&self) -> Arc<Caller> {
        Arc::clone(&self.0.caller)
    }

    pub(crate) fn headers(&self) -> &Headers {
        &self.0.frame.headers
    }

    pub(crate) fn frame(&self) -> &Request {
        &self.0.frame
    }

    /// Returns another request of the same sender and time, not traced.
    pub(crate) fn of_frame(&self, frame: Request) -> Self {
        Self::from(Received {
            frame,
            caller: self.caller(),
            budget: self.0.budget,
            budget_given: self.0.budget_given,
            deadline: self.0.deadline,
            traced: None,
            actor: OnceLock::new(),
        })
    }
}
