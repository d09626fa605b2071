//! One request to mint, from its arrival to the token or the refusal: what is the same for both issuers.
//!
//! An issuer makes a [`Draft`] of a caller's claims; whether it is signed is decided here, counted by caller and recorded in
//! the audit trail. The order: may this caller mint at all, and so often; can its claims be read; may it have these.

mod callers;
mod granted;
mod minters;
mod policy;
mod properties;

pub use minters::Minters;
pub use policy::{MintPolicy, PolicyRefusal};
pub use properties::MINTING_PROPERTIES;

use crate::arguments;
use crate::audit::{Audit, NotRecorded};
use crate::log::timestamp;
use crate::metrics::{Metrics, Reason};
use crate::settings::Settings;
use arc_swap::ArcSwap;
use bytes::Bytes;
use callers::{Caller, Callers};
use granted::Granted;
use microbus_audit::{Entry, Field};
use microbus_bus::{Answer, Clock, Failure, Handling, Incoming, Reply};
use microbus_token::{Claims, CompactJwt, SigningKey, UnsignedJwt, WrongSignature, sign_claims};
use microbus_wire::header::FROM_ID;
use microbus_wire::status::ErrorStatus;
use properties::Rules;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
    ///
    /// # Errors
    /// [`WrongSignature`].
    pub fn sign(&self) -> Result<CompactJwt, WrongSignature> {
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

/// What the audit trail tells of a request besides who sent it.
#[derive(Debug, Default)]
struct Learnt {
    iss_given: Option<String>,
    draft: Option<Draft>,
}

/// Answers requests to mint.
pub struct Minting {
    metrics: Arc<Metrics>,
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
    service: &'static str,
    instance: String,
    rules: ArcSwap<Rules>,
    callers: Mutex<Callers>,
}

impl Minting {
    pub(crate) fn new(
        metrics: Arc<Metrics>,
        audit: Arc<Audit>,
        clock: Arc<dyn Clock>,
        service: &'static str,
        instance: String,
    ) -> Self {
        Self {
            metrics,
            audit,
            clock,
            service,
            instance,
            rules: ArcSwap::default(),
            callers: Mutex::default(),
        }
    }

    /// Puts who may mint what in force. A policy that cannot be read refuses its caller, and is reported here.
    pub fn configure(&self, settings: &Settings) {
        let rules = Rules::of(settings);
        for (caller, error) in rules.policy.unreadable() {
            tracing::error!(
                caller,
                error,
                "A mint policy cannot be read, its caller is refused"
            );
        }
        self.rules.store(Arc::new(rules));
    }

    /// Tells whether what a caller may do depends on who it is.
    pub(crate) fn tells_callers_apart(&self) -> bool {
        self.rules.load().tell_callers_apart()
    }

    /// Answers `request` with the token that `draft` makes of its claims: `{"token":"…"}`. What comes before the signature, the
    /// signature, and what comes after it are stages.
    #[must_use]
    pub fn handle(
        self: &Arc<Self>,
        request: Incoming,
        draft: impl FnOnce(&Incoming, Claims) -> Result<Draft, Refused>,
    ) -> Handling {
        let caller = self.meet(request.from_host());
        let mut learnt = Learnt::default();
        match self.decide(&request, &caller, draft, &mut learnt) {
            Ok((key, unsigned)) => Handling::Next(Box::new(Granted {
                minting: Arc::clone(self),
                request,
                caller,
                learnt,
                key,
                unsigned,
                signature: None,
            })),
            Err(refused) => Handling::Done(self.conclude(&request, &caller, &learnt, Err(refused))),
        }
    }

    /// Counts and records what was decided, and returns the answer.
    fn conclude(
        &self,
        request: &Incoming,
        caller: &Caller,
        learnt: &Learnt,
        decided: Result<Bytes, Refused>,
    ) -> Answer {
        let outcome = decided
            .as_ref()
            .map_or_else(|refused| refused.reason.as_str(), |_| MINTED);
        let recorded = if self.audit.wants(decided.is_ok()) {
            self.record(request, outcome, learnt)
        } else {
            Ok(())
        };
        match (decided, recorded) {
            (Ok(body), Ok(())) => {
                caller.minted.inc();
                if let Some(draft) = &learnt.draft {
                    let lifetime = draft.lifetime.as_secs_f64();
                    self.metrics.minted.lifetime.observe(lifetime);
                }
                Ok(Reply::json(body))
            }
            (Ok(_), Err(NotRecorded)) => {
                self.metrics.minted.refused(&caller.label, Reason::Audit);
                let public = "the decision cannot be recorded";
                Err(Failure::new(ErrorStatus::UNAVAILABLE, public))
            }
            (Err(Refused { reason, failure }), _) => {
                self.metrics.minted.refused(&caller.label, reason);
                Err(failure)
            }
        }
    }

    /// Signs a token that nobody asked for, and records it as one of our own; none where that must be recorded and cannot, or
    /// where the signature does not verify.
    #[must_use]
    pub fn sign_own(&self, draft: &Draft) -> Option<CompactJwt> {
        let time = timestamp(self.clock.wall());
        let entry = Entry {
            caller: self.service,
            outcome: MINTED,
            ..self.entry(&time, Some(draft))
        };
        let recorded = !self.audit.wants(true) || self.audit.record(&entry).is_ok();
        recorded.then(|| draft.sign().inspect_err(report).ok())?
    }

    /// Judges and drafts, and returns the answer's body but for the signature; what is learnt on the way is kept even where the
    /// token is refused.
    fn decide(
        &self,
        request: &Incoming,
        caller: &Caller,
        draft: impl FnOnce(&Incoming, Claims) -> Result<Draft, Refused>,
        learnt: &mut Learnt,
    ) -> Result<(Arc<SigningKey>, UnsignedJwt), Refused> {
        let began = self.clock.now();
        let rules = self.rules.load();
        let host = request.from_host();
        if !rules.minters.admits(host) {
            return Err(Refused::of(
                Reason::NotAMinter,
                request,
                "not among Minters",
            ));
        }
        if rules.rate.is_some_and(|rate| !caller.may(rate, began)) {
            return Err(Refused::of(
                Reason::Rate,
                request,
                "above MintRatePerCaller",
            ));
        }
        let claims = arguments::claims(request).map_err(|failure| Refused {
            reason: Reason::Malformed,
            failure,
        })?;
        if self.audit.has(Field::IssGiven) {
            learnt.iss_given = claims.get_text("iss").map(Cow::into_owned);
        }
        let draft = learnt.draft.insert(draft(request, claims)?);
        rules
            .policy
            .judge(host, &draft.claims)
            .map_err(|refusal| Refused::of(Reason::Policy, request, refusal))?;
        // A compact JWT needs no escaping.
        let unsigned = UnsignedJwt::new("{\"token\":\"", &draft.claims, &draft.key, "\"}\n");
        let judging = &self.metrics.minted.judging;
        judging.observe(self.seconds_since(began));
        Ok((Arc::clone(&draft.key), unsigned))
    }

    fn seconds_since(&self, then: Instant) -> f64 {
        let took = self.clock.now().saturating_duration_since(then);
        took.as_secs_f64()
    }

    fn record(
        &self,
        request: &Incoming,
        outcome: &'static str,
        learnt: &Learnt,
    ) -> Result<(), NotRecorded> {
        let time = timestamp(self.clock.wall());
        let given = |field, text| self.audit.has(field).then_some(text).flatten();
        self.audit.record(&Entry {
            caller: request.from_host(),
            outcome,
            caller_id: given(Field::CallerId, request.header(FROM_ID)),
            iss_given: learnt.iss_given.as_deref(),
            trace: given(Field::Trace, request.trace_id()),
            ..self.entry(&time, learnt.draft.as_ref())
        })
    }

    /// Begins an entry of the audit trail with what is to be told of the token.
    fn entry<'a>(&'a self, time: &'a str, draft: Option<&'a Draft>) -> Entry<'a> {
        let of_draft = |field| draft.filter(|_| self.audit.has(field));
        Entry {
            time,
            service: self.service,
            id: &self.instance,
            jti: of_draft(Field::Jti).and_then(|draft| draft.claims.get_text("jti")),
            sub: of_draft(Field::Sub).and_then(|draft| draft.claims.get_text("sub")),
            lifetime: of_draft(Field::Lifetime).map(|draft| draft.lifetime.as_secs()),
            kid: of_draft(Field::Kid).map(|draft| draft.key.id().as_str()),
            ..Entry::default()
        }
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

impl Refused {
    /// Refuses a caller for what it is or wants; the reason is for our log.
    fn of(reason: Reason, request: &Incoming, why: impl fmt::Display) -> Self {
        tracing::warn!(
            caller = request.from_host(),
            reason = reason.as_str(),
            error = %why,
            trace = request.trace_id(),
            "Refused to mint"
        );
        let failure = if reason == Reason::Rate {
            Failure::new(
                ErrorStatus::TOO_MANY_REQUESTS,
                "too many tokens are asked for",
            )
        } else {
            Failure::new(ErrorStatus::FORBIDDEN, "the caller may not mint this")
        };
        Self {
            reason,
            failure: failure.with_detail(why),
        }
    }
}

impl fmt::Debug for Minting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Minting").finish_non_exhaustive()
    }
}

fn report(wrong: &WrongSignature) {
    tracing::error!(error = %wrong, "A signature does not verify");
}

/// The outcome of a request that was granted.
const MINTED: &str = "minted";
