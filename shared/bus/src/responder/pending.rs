//! What it takes to answer a request, and the answering.

use super::Responder;
use super::callers::Caller;
use super::paper::Paper;
use crate::connection::ConnectionClosed;
use crate::failure::Failure;
use crate::handler::{Answer, Delivery, Incoming, Received, Reply, Route, Urgency};
use crate::identity::Identity;
use crate::in_flight::Flight;
use crate::notes::Traced;
use crate::observer::Answered;
use async_nats::Subject;
use bytes::Bytes;
use microbus_wire::budget::TimeBudget;
use microbus_wire::fragment::{self, Fragment};
use microbus_wire::frame::{Letterhead, Request, Response, ResponseHead, Sender};
use microbus_wire::header::{self, OpCode};
use microbus_wire::host::escape_host;
use microbus_wire::locality::Locality;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::{RequestSubject, SubjectError, reply_subject};
use microbus_wire::trace::{Layout, TracedError};
use microbus_wire::trace_context::TraceContext;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A route, and what all its answers have in common.
pub(super) struct Endpoint {
    pub(super) route: Route,
    letterhead: Letterhead,
}

impl Endpoint {
    pub(super) fn new(route: Route, identity: &Identity) -> Self {
        let letterhead = Letterhead::new(&Sender {
            host: identity.hostname.as_str(),
            id: identity.instance.as_str(),
            version: identity.version,
            locality: identity.locality.as_ref().map(Locality::as_str),
            queue: queue_group(&route, identity),
        });
        Self { route, letterhead }
    }

    pub(super) fn queue_group<'i>(&self, identity: &'i Identity) -> Option<&'i str> {
        queue_group(&self.route, identity)
    }
}

fn queue_group<'i>(route: &Route, identity: &'i Identity) -> Option<&'i str> {
    (route.delivery == Delivery::One).then(|| identity.hostname.as_str())
}

/// A request that was heard and is not answered yet.
pub(super) struct Pending {
    pub(super) endpoint: Arc<Endpoint>,
    /// The request; as long as fragments of it are missing, the head of one that is there.
    pub(super) request: Incoming,
    /// Whether the caller was told that it was heard.
    pub(super) acked: bool,
    pub(super) heard: Instant,
    /// When nobody waits for the answer any more.
    pub(super) expires: Instant,
    pub(super) flight: Flight,
}

impl Pending {
    pub(super) fn urgency(&self) -> Urgency {
        self.endpoint.route.urgency
    }

    /// Returns an ack and where it goes.
    pub(super) fn encode_ack(&self, fragment: Fragment, paper: &Paper) -> (Subject, Bytes) {
        let letterhead = &self.endpoint.letterhead;
        let ack = paper.write(|out| letterhead.ack(self.request.message_id(), fragment, out));
        (self.request.reply_to().clone(), ack)
    }
}

impl Responder {
    /// Takes a request, or one `part` of it, that can be answered.
    pub(super) fn receive(
        &self,
        endpoint: &Arc<Endpoint>,
        frame: Request,
        part: Fragment,
        subject: &RequestSubject<'_>,
        now: Instant,
    ) -> Result<Pending, NotAnswerable> {
        let required = |name: &'static str| {
            frame
                .headers
                .get(name)
                .filter(|value| !value.is_empty())
                .ok_or(NotAnswerable::Missing(name))
        };
        let from_id = required(header::FROM_ID)?;
        required(header::MESSAGE_ID)?;
        if subject.source.is_empty() {
            return Err(NotAnswerable::Missing(header::FROM_HOST));
        }
        let caller = self.caller(subject, from_id)?;
        let (budget, budget_given) = budget_of(&frame);
        let traced = part.is_whole().then(|| self.trace(endpoint, &frame));
        let request = Received {
            frame,
            caller,
            budget,
            budget_given,
            deadline: now + budget.saturating_sub(self.settings.round_trip),
            traced: traced.flatten(),
            actor: OnceLock::new(),
        };
        Ok(Pending {
            endpoint: Arc::clone(endpoint),
            request: request.into(),
            acked: false,
            heard: now,
            expires: now + budget,
            flight: self.in_flight_of(endpoint.route.urgency).begin(),
        })
    }

    /// Returns whom the broker vouches for as the sender, and where its answers go.
    fn caller(
        &self,
        subject: &RequestSubject<'_>,
        from_id: &str,
    ) -> Result<Arc<Caller>, SubjectError> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.meet(subject.source, from_id, || {
            let host = subject.source_host();
            let (own, other) = (self.identity.hostname.segment(), escape_host(&host));
            let reply_to = reply_subject(&self.identity.plane, own, &other, from_id)?;
            Ok(Caller::new(subject.source, from_id, &host, reply_to))
        })
    }

    /// Begins the span that the handling of a request is, if it is to be one.
    pub(super) fn trace(&self, endpoint: &Endpoint, frame: &Request) -> Option<Traced> {
        let observer = self.observation.get()?;
        let inbound = frame.headers.get(header::TRACEPARENT);
        observer.trace(&endpoint.route, inbound.and_then(TraceContext::parse))
    }

    /// Tells the caller that we are here.
    pub(super) async fn ack(
        &self,
        pending: &mut Pending,
        fragment: Fragment,
    ) -> Result<(), ConnectionClosed> {
        pending.acked = true;
        let (reply_to, ack) = pending.encode_ack(fragment, &self.paper);
        self.connection.publish(reply_to, ack).await
    }

    /// Sends the answer, in fragments where it must be.
    pub(super) async fn answer(&self, pending: Pending, answer: Answer) {
        if let Err(failure) = &answer {
            log(&pending.request, failure, None);
        }
        self.send(pending, answer).await;
    }

    pub(super) async fn send(&self, pending: Pending, answer: Answer) {
        match answer {
            Ok(reply) => self.deliver(&pending, OpCode::Res, &reply, None).await,
            Err(failure) => {
                let traced = pending.request.traced();
                let reply = error_reply(&failure, traced, self.settings.reveal);
                let error = failure.to_string();
                self.deliver(&pending, OpCode::Err, &reply, Some(&error))
                    .await;
            }
        }
    }

    /// Sends a reply, which is an `error` or none.
    pub(super) async fn deliver(
        &self,
        pending: &Pending,
        op_code: OpCode,
        reply: &Reply,
        error: Option<&str>,
    ) {
        self.observe(pending, op_code, reply, error);
        for (fragment, body) in fragment::split(&reply.body, self.settings.fragment_size) {
            let head = ResponseHead {
                status: reply.status,
                op_code,
                content_type: reply.content_type,
                message_id: pending.request.message_id(),
                fragment,
            };
            let letterhead = &pending.endpoint.letterhead;
            let payload = self
                .paper
                .write(|out| letterhead.response(&head, body, out));
            let payload = with_headers(payload, &reply.headers);
            let reply_to = pending.request.reply_to().clone();
            if self.connection.publish(reply_to, payload).await.is_err() {
                return;
            }
        }
    }

    fn observe(&self, pending: &Pending, op_code: OpCode, reply: &Reply, error: Option<&str>) {
        if let Some(observer) = self.observation.get() {
            let request = &pending.request;
            observer.answered(&Answered {
                route: &pending.endpoint.route,
                method: request.method(),
                status: reply.status,
                failed: op_code == OpCode::Err,
                body_length: reply.body.len(),
                took: self.clock.now().saturating_duration_since(pending.heard),
                traced: request.traced().map(|traced| (traced, request)),
                error,
            });
        }
    }
}

/// Returns the answer that tells of a failure; `reveal` shows its details, indented for people.
pub(super) fn error_reply(failure: &Failure, traced: Option<&Traced>, reveal: bool) -> Reply {
    let mut error = TracedError::new(failure.status, failure.text(reveal));
    error.trace = traced.map(|traced| traced.context.trace.as_str().to_owned());
    let layout = if reveal {
        Layout::Indented
    } else {
        Layout::Compact
    };
    Reply {
        status: failure.status.code(),
        ..Reply::json(error.encode(layout))
    }
}

/// Says in the log why a request failed, and how many more were refused since the last such line.
pub(super) fn log(request: &Incoming, failure: &Failure, unlogged: Option<u64>) {
    request.log_scope().in_scope(|| {
        tracing::error!(
            error = %failure,
            path = %request.path(),
            depth = request.call_depth(),
            code = failure.status.code(),
            trace = request.trace_id().unwrap_or(NO_TRACE),
            unlogged,
            "Handling request"
        );
    });
}

/// Returns the budget in force, and whether the request gave it.
pub(super) fn budget_of(frame: &Request) -> (Duration, bool) {
    let given = TimeBudget::from_header(frame.headers.get(header::TIME_BUDGET));
    let budget = TimeBudget::effective(given).as_duration();
    (budget, given.is_some())
}

/// Why a request gets neither ack nor answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAnswerable {
    #[error("empty {0} header")]
    Missing(&'static str),
    #[error(transparent)]
    Subject(#[from] SubjectError),
}

pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic");
    Failure::new(ErrorStatus::INTERNAL, "internal error").with_detail(text)
}

/// Adds the headers that a handler set, which few do.
fn with_headers(payload: Bytes, headers: &[(&'static str, &'static str)]) -> Bytes {
    if headers.is_empty() {
        return payload;
    }
    let Ok(mut response) = Response::parse(&payload) else {
        return payload;
    };
    for (name, value) in headers {
        response.headers.set(name, value);
    }
    response.encode().into()
}

const NO_TRACE: &str = "00000000000000000000000000000000";
