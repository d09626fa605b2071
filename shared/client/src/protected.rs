//! A guard of handlers on the bus.

use microbus_bus::{Failure, Handler, Handling, Incoming};
use microbus_required_claims::RequiredClaims;
use microbus_token::{Verified, looks_like_jwt};
use microbus_verify::{Check, Refusal, Verifier};
use microbus_wire::header;
use microbus_wire::status::ErrorStatus;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Who a verified actor is, to a handler.
#[derive(Debug, Clone)]
pub struct Caller {
    verified: Verified,
    claims: Map<String, Value>,
}

impl Caller {
    /// Returns the token's claims.
    #[must_use]
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Returns the token as it was verified: its issuer, subject, tenant and roles.
    #[must_use]
    pub fn token(&self) -> &Verified {
        &self.verified
    }
}

/// A handler that is called only with actors who are who they say, and who meet the required claims.
///
/// | `Microbus-Actor` | nothing required | something required |
/// |---|---|---|
/// | absent, or not shaped like a JWT | called, without a caller | 401 |
/// | a JWT that does not verify | 401 | 401 |
/// | a JWT that verifies | called | called, or 403 |
///
/// Source: spec: verify 2.1.
pub struct Protected<F> {
    shared: Arc<Shared<F>>,
    verifier: Verifier,
}

struct Shared<F> {
    required: Option<RequiredClaims>,
    inner: F,
}

impl<F> Protected<F>
where
    F: Fn(Incoming, Option<Caller>) -> Handling + Send + Sync + 'static,
{
    /// Protects `inner`, which is called with the actor if there is one.
    pub fn new(verifier: Verifier, required: Option<RequiredClaims>, inner: F) -> Self {
        Self {
            shared: Arc::new(Shared { required, inner }),
            verifier,
        }
    }
}

impl<F> Handler for Protected<F>
where
    F: Fn(Incoming, Option<Caller>) -> Handling + Send + Sync + 'static,
{
    fn handle(&self, request: Incoming) -> Handling {
        let token = request
            .header(header::ACTOR)
            .filter(|text| looks_like_jwt(text));
        let Some(token) = token else {
            return match self.shared.required {
                None => (self.shared.inner)(request, None),
                Some(_) => Handling::Done(Err(unauthorized())),
            };
        };
        match self.verifier.check(token) {
            Check::Done(outcome) => self.shared.decide(request, outcome),
            Check::Waiting(outcome) => {
                let shared = Arc::clone(&self.shared);
                Handling::Later(Box::pin(async move {
                    let outcome = outcome.await;
                    shared.decide(request, outcome).answer().await
                }))
            }
        }
    }
}

impl<F> Shared<F>
where
    F: Fn(Incoming, Option<Caller>) -> Handling + Send + Sync + 'static,
{
    fn decide(&self, request: Incoming, outcome: Result<Verified, Refusal>) -> Handling {
        let refused = |reason: &str, failure| {
            tracing::warn!(reason, caller = request.from_host(), "Refused an actor");
            Handling::Done(Err(failure))
        };
        let verified = match outcome {
            Ok(verified) => verified,
            Err(refusal) => return refused(refusal.reason(), unauthorized()),
        };
        // Claims that were verified are an object.
        let Ok(claims) = serde_json::from_slice(&verified.claims().to_json()) else {
            return refused("claims", unauthorized());
        };
        if self
            .required
            .as_ref()
            .is_some_and(|required| !required.is_met_by(&claims))
        {
            let failure = Failure::new(ErrorStatus::FORBIDDEN, "forbidden");
            return refused("required_claims", failure);
        }
        (self.inner)(request, Some(Caller { verified, claims }))
    }
}

fn unauthorized() -> Failure {
    Failure::new(ErrorStatus::UNAUTHORIZED, "unauthorized")
}
