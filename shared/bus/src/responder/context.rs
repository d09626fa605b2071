//! What it takes to answer a request, and the answering.

use super::Responder;
use crate::connection::ConnectionClosed;
use crate::failure::Failure;
use crate::handler::{Answer, Delivery, Incoming, Reply, Route};
use crate::identity::Identity;
use crate::in_flight::Flight;
use crate::notes::Notes;
use crate::observer::Answered;
use async_nats::Subject;
use bytes::Bytes;
use microbus_wire::fragment::{self, Fragment};
use microbus_wire::frame::{Letterhead, Request, Response, ResponseHead, Sender, path_of_target};
use microbus_wire::header::{self, OpCode};
use microbus_wire::host::escape_host;
use microbus_wire::locality::Locality;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::{Method, RequestSubject, SubjectError, reply_subject};
use microbus_wire::text::Text;
use microbus_wire::trace::{Layout, TracedError, trace_id};
use microbus_wire::trace_context::TraceContext;
use std::sync::Arc;
use std::time::Instant;

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

/// What it takes to answer.
pub(super) struct Context {
    pub(super) endpoint: Arc<Endpoint>,
    /// Whether the caller was told that it was heard.
    pub(super) acked: bool,
    reply_to: Subject,
    message_id: Text,
    method: Method,
    target: Text,
    heard: Instant,
    call_depth: u32,
    traceparent: Option<Text>,
    notes: Notes,
    /// The request, if its handling is a span: what is observed of it is known when it is answered.
    traced: Option<Box<Incoming>>,
    pub(super) flight: Flight,
}

impl Context {
    /// Returns what the answer must echo.
    pub(super) fn message_id(&self) -> &str {
        &self.message_id
    }

    /// Gives back the share in the memory of the message.
    pub(super) fn detach(&mut self) {
        self.message_id = self.message_id.detached();
        self.target = self.target.detached();
        self.traceparent = self.traceparent.as_ref().map(Text::detached);
    }

    /// Keeps what is to be known of `request` when it is answered.
    pub(super) fn take_note_of(&mut self, request: &Incoming) {
        self.notes = request.notes.clone();
        self.traced = request.traced().map(|_| Box::new(request.clone()));
    }

    /// Returns the ID of the trace that the request belongs to.
    fn trace_id(&self) -> Option<&str> {
        match self.notes.traced() {
            Some(traced) => Some(traced.context.trace.as_str()),
            None => trace_id(self.traceparent.as_deref()?),
        }
    }

    /// Returns an ack and where it goes.
    pub(super) fn encode_ack(&self, fragment: Fragment) -> (Subject, Bytes) {
        let ack = self.endpoint.letterhead.ack(&self.message_id, fragment);
        (self.reply_to.clone(), ack.into())
    }
}

impl Responder {
    /// Judges whether a request can be answered at all.
    pub(super) fn context(
        &self,
        endpoint: &Arc<Endpoint>,
        frame: &Request,
        subject: &RequestSubject<'_>,
        now: Instant,
    ) -> Result<Context, NotAnswerable> {
        let required = |name: &'static str| {
            frame
                .headers
                .text(name)
                .filter(|value| !value.is_empty())
                .ok_or(NotAnswerable::Missing(name))
        };
        let from_id = required(header::FROM_ID)?;
        let message_id = required(header::MESSAGE_ID)?;
        if subject.source.is_empty() {
            return Err(NotAnswerable::Missing(header::FROM_HOST));
        }
        let from_host = subject.source_host();
        let own = self.identity.hostname.segment();
        let caller = escape_host(&from_host);
        let depth = frame.headers.get(header::CALL_DEPTH);
        Ok(Context {
            endpoint: Arc::clone(endpoint),
            acked: false,
            reply_to: reply_subject(&self.identity.plane, own, &caller, &from_id)?.into(),
            message_id,
            method: frame.method,
            target: frame.target_text(),
            heard: now,
            call_depth: depth.and_then(|depth| depth.parse().ok()).unwrap_or(0),
            traceparent: frame.headers.text(header::TRACEPARENT),
            notes: Notes::default(),
            traced: None,
            flight: self.in_flight.begin(),
        })
    }

    /// Tells the caller that we are here.
    pub(super) async fn ack(
        &self,
        context: &mut Context,
        fragment: Fragment,
    ) -> Result<(), ConnectionClosed> {
        context.acked = true;
        let (reply_to, ack) = context.encode_ack(fragment);
        self.connection.publish(reply_to, ack).await
    }

    /// Sends the answer, in fragments where it must be.
    pub(super) async fn answer(&self, context: Context, answer: Answer) {
        let (op_code, reply, error) = match answer {
            Ok(reply) => (OpCode::Res, reply, None),
            Err(failure) => {
                let reply = self.error_reply(&context, &failure);
                (OpCode::Err, reply, Some(failure.to_string()))
            }
        };
        self.observe(&context, op_code, &reply, error.as_deref());
        for (fragment, body) in fragment::split(&reply.body, self.settings.fragment_size) {
            let head = ResponseHead {
                status: reply.status,
                op_code,
                content_type: reply.content_type,
                message_id: &context.message_id,
                fragment,
            };
            let payload = context.endpoint.letterhead.response(&head, &body);
            let payload = with_headers(payload, &reply.headers);
            let reply_to = context.reply_to.clone();
            if self.connection.publish(reply_to, payload).await.is_err() {
                return;
            }
        }
    }

    /// Begins the span that the handling of a request is, if it is to be one.
    pub(super) fn notes_of(&self, endpoint: &Endpoint, frame: &Request) -> Notes {
        let traced = self.observation.get().and_then(|observer| {
            let inbound = frame.headers.get(header::TRACEPARENT);
            observer.trace(&endpoint.route, inbound.and_then(TraceContext::parse))
        });
        Notes::new(traced)
    }

    fn observe(&self, context: &Context, op_code: OpCode, reply: &Reply, error: Option<&str>) {
        if let Some(observer) = self.observation.get() {
            observer.answered(&Answered {
                route: &context.endpoint.route,
                method: context.method,
                status: reply.status,
                failed: op_code == OpCode::Err,
                body_length: reply.body.len(),
                took: self.clock.now().saturating_duration_since(context.heard),
                traced: context.notes.traced().zip(context.traced.as_deref()),
                error,
            });
        }
    }

    fn error_reply(&self, context: &Context, failure: &Failure) -> Reply {
        context.notes.log_scope().in_scope(|| {
            tracing::error!(
                error = %failure,
                path = %path_of_target(&context.target),
                depth = context.call_depth,
                code = failure.status.code(),
                trace = context.trace_id().unwrap_or(NO_TRACE),
                "Handling request"
            );
        });
        let mut error = TracedError::new(failure.status, failure.text(self.settings.reveal));
        let traced = context.notes.traced();
        error.trace = traced.map(|traced| traced.context.trace.as_str().to_owned());
        let layout = if self.settings.reveal {
            Layout::Indented
        } else {
            Layout::Compact
        };
        Reply {
            status: failure.status.code(),
            ..Reply::json(error.encode(layout))
        }
    }
}

/// Why a request gets neither ack nor answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAnswerable {
    #[error("empty {0} header")]
    Missing(&'static str),
    #[error(transparent)]
    Subject(#[from] SubjectError),
}

pub(super) fn too_late() -> Failure {
    Failure::new(ErrorStatus::REQUEST_TIMEOUT, "timeout")
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
fn with_headers(payload: Vec<u8>, headers: &[(&'static str, &'static str)]) -> Bytes {
    let payload = Bytes::from(payload);
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
