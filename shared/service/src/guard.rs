//! Lets a request through to its handler only if the actor that it carries, if any, is who it says.
//!
//! Source: spec: microbus-wire 4 step 13, 12.1, 13.5. A header that does not look like a JWT is no actor: no endpoint of an
//! issuer requires one.

use microbus_bus::{Failure, Handler, Handling, Incoming, Route};
use microbus_token::looks_like_jwt;
use microbus_verify::{Check, Refusal, Verifier};
use microbus_wire::header;
use microbus_wire::status::ErrorStatus;
use std::sync::Arc;

/// Wraps a route's handler.
pub(crate) fn guarded(mut route: Route, verifier: &Verifier) -> Route {
    route.handler = Arc::new(Guarded {
        inner: Arc::clone(&route.handler),
        verifier: verifier.clone(),
    });
    route
}

struct Guarded {
    inner: Arc<dyn Handler>,
    verifier: Verifier,
}

impl Handler for Guarded {
    fn handle(&self, request: Incoming) -> Handling {
        let Some(token) = request
            .header(header::ACTOR)
            .filter(|text| looks_like_jwt(text))
        else {
            return self.inner.handle(request);
        };
        match self.verifier.check(token) {
            Check::Done(Ok(_)) => self.inner.handle(request),
            Check::Done(Err(refusal)) => Handling::Done(Err(unauthorized(&request, &refusal))),
            Check::Waiting(outcome) => {
                let inner = Arc::clone(&self.inner);
                Handling::Later(Box::pin(async move {
                    if let Err(refusal) = outcome.await {
                        return Err(unauthorized(&request, &refusal));
                    }
                    match inner.handle(request) {
                        Handling::Done(answer) => answer,
                        Handling::Later(answer) => answer.await,
                    }
                }))
            }
        }
    }
}

/// The reason is for our log; to a stranger it is one word.
fn unauthorized(request: &Incoming, refusal: &Refusal) -> Failure {
    tracing::warn!(reason = %refusal, caller = request.from_host(), "Refused an actor");
    Failure::new(ErrorStatus::UNAUTHORIZED, "unauthorized")
}

#[cfg(test)]
mod tests;
