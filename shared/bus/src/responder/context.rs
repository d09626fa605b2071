//! What it takes to answer a request, and the answering.

use super::Responder;
use crate::connection::ConnectionClosed;
use crate::failure::Failure;
use crate::handler::{Answer, Delivery, Reply, Route};
use crate::in_flight::Flight;
use crate::observer::Answered;
use bytes::Bytes;
use microbus_wire::fragment::{self, Fragment};
use microbus_wire::frame::{Ack, Request, Response, ResponseHead};
use microbus_wire::header::{self, OpCode};
use microbus_wire::locality::Locality;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::{Method, SubjectError, reply_subject};
use microbus_wire::trace::{Layout, TracedError};
use std::sync::Arc;
use std::time::Instant;

/// What it takes to answer.
pub(super) struct Context {
    pub(super) route: Arc<Route>,
    reply_to: String,
    message_id: String,
    path: String,
    method: Method,
    heard: Instant,
    call_depth: u32,
    pub(super) trace: Option<String>,
    pub(super) flight: Flight,
}

impl Context {
    /// Returns what the answer must echo.
    pub(super) fn message_id(&self) -> &str {
        &self.message_id
    }
}

impl Responder {
    /// Judges whether a request can be answered at all.
    pub(super) fn context(
        &self,
        route: &Arc<Route>,
        frame: &Request,
        from_host: &str,
        now: Instant,
    ) -> Result<Context, NotAnswerable> {
        let required = |name: &'static str| {
            frame
                .headers
                .get(name)
                .filter(|value| !value.is_empty())
                .ok_or(NotAnswerable::Missing(name))
        };
        let from_id = required(header::FROM_ID)?;
        let message_id = required(header::MESSAGE_ID)?.to_owned();
        if from_host.is_empty() {
            return Err(NotAnswerable::Missing(header::FROM_HOST));
        }
        let caller = microbus_wire::host::escape_host(from_host);
        let own = self.identity.hostname.segment();
        let depth = frame.headers.get(header::CALL_DEPTH);
        Ok(Context {
            route: Arc::clone(route),
            reply_to: reply_subject(&self.identity.plane, own, &caller, from_id)?,
            message_id,
            path: frame.path().into_owned(),
            method: frame.method,
            heard: now,
            call_depth: depth.and_then(|depth| depth.parse().ok()).unwrap_or(0),
            trace: None,
            flight: self.in_flight.begin(),
        })
    }

    /// Tells the caller that we are here.
    pub(super) async fn ack(
        &self,
        context: &Context,
        fragment: Fragment,
    ) -> Result<(), ConnectionClosed> {
        let ack = Ack {
            message_id: &context.message_id,
            from_host: self.identity.hostname.as_str(),
            from_id: self.identity.instance.as_str(),
            queue: self.queue_group(&context.route),
            locality: self.locality(),
            fragment,
        };
        self.connection
            .publish(context.reply_to.clone(), ack.encode().into())
            .await
    }

    /// Sends the answer, in fragments where it must be.
    pub(super) async fn answer(&self, context: Context, answer: Answer) {
        let (op_code, reply) = match answer {
            Ok(reply) => (OpCode::Res, reply),
            Err(failure) => (OpCode::Err, self.error_reply(&context, &failure)),
        };
        self.observe(&context, op_code, &reply);
        for (fragment, body) in fragment::split(&reply.body, self.settings.fragment_size) {
            let head = ResponseHead {
                status: reply.status,
                op_code,
                content_type: reply.content_type,
                message_id: &context.message_id,
                from_host: self.identity.hostname.as_str(),
                from_id: self.identity.instance.as_str(),
                from_version: self.identity.version,
                queue: self.queue_group(&context.route),
                locality: self.locality(),
                fragment,
            };
            let payload = with_headers(head.encode(&body), &reply.headers);
            if self
                .connection
                .publish(context.reply_to.clone(), payload)
                .await
                .is_err()
            {
                return;
            }
        }
    }

    fn observe(&self, context: &Context, op_code: OpCode, reply: &Reply) {
        if let Some(observer) = self.observation.get() {
            observer.answered(&Answered {
                route: &context.route,
                method: context.method,
                status: reply.status,
                failed: op_code == OpCode::Err,
                body_length: reply.body.len(),
                took: self.clock.now().saturating_duration_since(context.heard),
            });
        }
    }

    fn error_reply(&self, context: &Context, failure: &Failure) -> Reply {
        tracing::error!(
            error = %failure,
            path = context.path,
            depth = context.call_depth,
            code = failure.status.code(),
            trace = context.trace.as_deref().unwrap_or(NO_TRACE),
            "Handling request"
        );
        let error = TracedError::new(failure.status, failure.text(self.settings.reveal));
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

    pub(super) fn queue_group(&self, route: &Route) -> Option<&str> {
        (route.delivery == Delivery::One).then(|| self.identity.hostname.as_str())
    }

    fn locality(&self) -> Option<&str> {
        self.identity.locality.as_ref().map(Locality::as_str)
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
