//! One request to mint, from its arrival to the token or the refusal: what is the same for both issuers.
//!
//! An issuer makes a [`Draft`] of a caller's claims; whether it is signed is decided here, and counted by caller.

mod callers;

use crate::arguments;
use crate::metrics::{Metrics, Reason};
use bytes::Bytes;
use callers::{Caller, Callers};
use microbus_bus::{Answer, Clock, Failure, Incoming, Reply};
use microbus_token::{Claims, CompactJwt, SigningKey, sign_claims};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A token that lacks nothing but its signature.
#[derive(Debug)]
pub struct Draft {
    /// The final claims.
    pub claims: Claims,
    /// The key that is to sign them.
    pub key: Arc<SigningKey>,
    /// How long the token is to live, the grace for clocks not included.
    pub lifetime: Duration,
}

impl Draft {
    /// Signs it.
    #[must_use]
    pub fn sign(&self) -> CompactJwt {
        sign_claims(&self.claims, &self.key)
    }
}

/// A request to mint that was refused.
#[derive(Debug)]
pub struct Refused {
    /// Why, for metrics.
    pub reason: Reason,
    /// The answer.
    pub failure: Failure,
}

/// Answers requests to mint.
pub struct Minting {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    callers: Mutex<Callers>,
}

impl Minting {
    pub(crate) fn new(metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        Self {
            metrics,
            clock,
            callers: Mutex::default(),
        }
    }

    /// Answers `request` with the token that `draft` makes of its claims: `{"token":"…"}`.
    ///
    /// # Errors
    /// The failure that is the answer.
    pub fn answer(
        &self,
        request: &Incoming,
        draft: impl FnOnce(Claims) -> Result<Draft, Refused>,
    ) -> Answer {
        let caller = self.meet(request.from_host());
        match self.decide(request, draft) {
            Ok((draft, token)) => {
                caller.minted.inc();
                self.metrics
                    .minted
                    .lifetime
                    .observe(draft.lifetime.as_secs_f64());
                Ok(Reply::json(token_body(token.as_str())))
            }
            Err(Refused { reason, failure }) => {
                self.metrics.minted.refused(&caller.label, reason);
                Err(failure)
            }
        }
    }

    fn decide(
        &self,
        request: &Incoming,
        draft: impl FnOnce(Claims) -> Result<Draft, Refused>,
    ) -> Result<(Draft, CompactJwt), Refused> {
        let began = self.clock.now();
        let claims = arguments::claims(request).map_err(|failure| Refused {
            reason: Reason::Malformed,
            failure,
        })?;
        let read = self.clock.now();
        let draft = draft(claims)?;
        let token = draft.sign();
        let minted = &self.metrics.minted;
        minted
            .parsing
            .observe(read.saturating_duration_since(began).as_secs_f64());
        let signed = self.clock.now();
        minted
            .signing
            .observe(signed.saturating_duration_since(read).as_secs_f64());
        Ok((draft, token))
    }

    /// Returns what is kept of a caller; tells the operator of one that is new since the process was started.
    fn meet(&self, host: &str) -> Arc<Caller> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let (caller, is_new) = callers.meet(host, &self.metrics.minted);
        drop(callers);
        if is_new {
            self.metrics.minted.first_seen.inc();
            tracing::warn!(
                caller = host,
                event = "first-seen-caller",
                "A caller asks for a token for the first time"
            );
        }
        caller
    }
}

impl fmt::Debug for Minting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Minting").finish_non_exhaustive()
    }
}

/// Returns `{"token":"…"}` and LF; a compact JWT needs no escaping.
fn token_body(token: &str) -> Bytes {
    let mut body = Vec::with_capacity(token.len() + 13);
    body.extend_from_slice(b"{\"token\":\"");
    body.extend_from_slice(token.as_bytes());
    body.extend_from_slice(b"\"}\n");
    body.into()
}
