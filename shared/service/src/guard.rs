//! Lets a request through to its handler only if the actor that it carries, if any, is who it says.
//!
//! Source: spec: microbus-wire 4 step 13, 8.6, 12.1, 13.5. A header that does not look like a JWT is no actor: no endpoint of
//! an issuer requires one.

use crate::metrics::Metrics;
use microbus_bus::{Actor, Failure, Handler, Handling, Incoming, Route};
use microbus_token::{Verified, VerifyError, looks_like_jwt};
use microbus_verify::{Check, Refusal, Verifier};
use microbus_wire::header;
use microbus_wire::status::ErrorStatus;
use std::borrow::Cow;
use std::sync::Arc;
use tracing::{Instrument as _, Span};

/// Judges actors.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) verifier: Verifier,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) unsigned: Unsigned,
}

/// What an actor with `alg` none counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsigned {
    /// It is refused like any other that does not verify.
    Refused,
    /// It is none at all. Tests of services name actors so, and pass them on to whatever they call.
    ///
    /// # Security
    /// Nobody gains by it, since a request without an actor passes too; nothing believes what an unsigned token says.
    Ignored,
}

impl Guard {
    /// Puts itself before a route's handler.
    pub(crate) fn before(&self, mut route: Route) -> Route {
        route.handler = Arc::new(Guarded {
            inner: Arc::clone(&route.handler),
            guard: self.clone(),
        });
        route
    }

    fn ignores(&self, refusal: &Refusal) -> bool {
        self.unsigned == Unsigned::Ignored
            && matches!(refusal, Refusal::Token(VerifyError::Unsigned))
    }
}

struct Guarded {
    inner: Arc<dyn Handler>,
    guard: Guard,
}

impl Handler for Guarded {
    fn handle(&self, request: Incoming) -> Handling {
        let Some(token) = request
            .header(header::ACTOR)
            .filter(|text| looks_like_jwt(text))
        else {
            return self.inner.handle(request);
        };
        match self.guard.verifier.check(token) {
            Check::Done(Ok(verified)) => handle_for(&verified, &*self.inner, request),
            Check::Done(Err(refusal)) if self.guard.ignores(&refusal) => self.inner.handle(request),
            Check::Done(Err(refusal)) => {
                Handling::Done(Err(unauthorized(&self.guard.metrics, &request, &refusal)))
            }
            Check::Waiting(outcome) => {
                let (inner, metrics) = (Arc::clone(&self.inner), Arc::clone(&self.guard.metrics));
                Handling::Later(Box::pin(async move {
                    let verified = match outcome.await {
                        Ok(verified) => verified,
                        Err(refusal) => return Err(unauthorized(&metrics, &request, &refusal)),
                    };
                    handle_for(&verified, &*inner, request).answer().await
                }))
            }
        }
    }
}

/// Handles a request whose actor is verified; log lines about it name the actor.
fn handle_for(verified: &Verified, inner: &dyn Handler, request: Incoming) -> Handling {
    let roles = verified.roles();
    request.note_actor(Actor {
        iss: verified.iss().unwrap_or_default().into_owned(),
        sub: verified.sub().map(Cow::into_owned),
        tenant: verified.tenant(),
        roles: (!roles.is_empty()).then(|| serde_json::json!(roles).to_string()),
    });
    let scope = request.log_scope();
    let handling = scope.in_scope(|| inner.handle(request));
    go_on_within(scope, handling)
}

/// Has what is left to do done within a scope.
fn go_on_within(scope: Span, handling: Handling) -> Handling {
    match handling {
        Handling::Done(answer) => Handling::Done(answer),
        Handling::Next(stage) => Handling::Next(Box::new(|| {
            let handling = scope.in_scope(|| stage.run());
            go_on_within(scope, handling)
        })),
        Handling::Later(answer) => Handling::Later(Box::pin(answer.instrument(scope))),
    }
}

/// The reason is for our log; to a stranger it is one word.
fn unauthorized(metrics: &Metrics, request: &Incoming, refusal: &Refusal) -> Failure {
    metrics
        .verify_failures
        .with_label_values(&[reason(refusal)])
        .inc();
    tracing::warn!(
        reason = %refusal,
        caller = request.from_host(),
        trace = request.trace_id(),
        "Refused an actor"
    );
    Failure::new(ErrorStatus::UNAUTHORIZED, "unauthorized")
}

/// Returns the reason as a label.
fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Fetch(_) => "keys_unavailable",
        Refusal::Token(error) => match error {
            VerifyError::TooLarge { .. }
            | VerifyError::Segments
            | VerifyError::Encoding
            | VerifyError::Header(_)
            | VerifyError::Type
            | VerifyError::Payload(_) => "malformed",
            VerifyError::Unsigned | VerifyError::Algorithm => "algorithm",
            VerifyError::HeaderMember(_) => "header_member",
            VerifyError::KeyIdMissing | VerifyError::KeyId(_) => "key_id",
            VerifyError::Issuer => "issuer",
            VerifyError::UnknownKey => "unknown_key",
            VerifyError::SignatureLength(_) | VerifyError::Signature => "signature",
            VerifyError::ExpiryMissing | VerifyError::IssueTimeMissing | VerifyError::Time(_) => {
                "time_claim"
            }
            VerifyError::Expired => "expired",
            VerifyError::NotYetValid | VerifyError::IssuedLater => "not_yet_valid",
        },
    }
}

/// All that [`reason`] returns: each has a series from the start, so that the first refusal is an increase.
pub(crate) const REASONS: [&str; 11] = [
    "algorithm",
    "expired",
    "header_member",
    "issuer",
    "key_id",
    "keys_unavailable",
    "malformed",
    "not_yet_valid",
    "signature",
    "time_claim",
    "unknown_key",
];

#[cfg(test)]
mod tests;
