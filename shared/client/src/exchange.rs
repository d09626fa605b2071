//! Bearer token in, actor out: what an ingress does for each request.

use crate::actor::Actor;
use crate::issuers::{Budget, IssuerError, Issuers};
use crate::reuse::{Key, Reusable, reuse_time};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use microbus_bus::{Clock, Connector, Failures};
use microbus_token::{Issuer, Verified, looks_like_jwt};
use microbus_verify::{BusKeySource, FetchError, Refusal, Settings, Verifier};
use microbus_wire::status::ErrorStatus;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How an ingress exchanges tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExchangeSettings {
    /// How long a request may take, and so how long its access token lives: 20 s by default.
    pub time_budget: Duration,
    /// How long an access token serves further requests of the same bearer token, at most [`LONGEST_REUSE`]. Not at all by
    /// default: then each request is an exchange, as with the Go ingress.
    ///
    /// With it, tokens are minted to live longer by this time, so that a token that is used again still outlives its
    /// request. A bearer token that expires or whose key is withdrawn is refused at once all the same.
    pub reuse: Duration,
    /// How failures look to clients.
    pub failures: Failures,
}

impl Default for ExchangeSettings {
    fn default() -> Self {
        Self {
            time_budget: Duration::from_secs(20),
            reuse: Duration::ZERO,
            failures: Failures::Redacted,
        }
    }
}

/// The longest time for which an access token is used again. Source: spec: verify 5.
pub const LONGEST_REUSE: Duration = Duration::from_secs(5);

/// Why a request of a client with a token cannot go on. A bad token is no reason: the request goes on without an actor.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExchangeError {
    /// No access token was minted.
    #[error(transparent)]
    Mint(#[from] Arc<IssuerError>),
    /// The keys of the bearer issuer, which is there, could not be fetched.
    #[error(transparent)]
    Keys(#[from] FetchError),
    /// The time of the request is up.
    #[error("timeout")]
    Timeout,
}

impl ExchangeError {
    /// Returns the status of the answer.
    #[must_use]
    pub fn status(&self) -> ErrorStatus {
        match self {
            Self::Mint(error) => error.status(),
            Self::Keys(_) => ErrorStatus::UNAVAILABLE,
            Self::Timeout => ErrorStatus::REQUEST_TIMEOUT,
        }
    }
}

/// Exchanges tokens for an ingress.
pub struct Exchange {
    verifier: Verifier,
    issuers: Issuers,
    clock: Arc<dyn Clock>,
    settings: ExchangeSettings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reusable: Reusable,
    running: HashMap<Key, Running>,
}

type Running = Shared<BoxFuture<'static, Result<Actor, ExchangeError>>>;

impl Exchange {
    /// Makes an exchange that asks through `connector`, whose credentials must allow to mint at access.token.core.
    #[must_use]
    pub fn new(
        connector: &Arc<Connector>,
        clock: Arc<dyn Clock>,
        settings: ExchangeSettings,
    ) -> Arc<Self> {
        let at_the_edge = Settings {
            only: Some(Issuer::Bearer),
            ..Settings::default()
        };
        let source = BusKeySource::new(Arc::downgrade(connector));
        let reuse = settings.reuse.min(LONGEST_REUSE);
        Arc::new(Self {
            verifier: Verifier::new(source, Arc::clone(&clock), at_the_edge),
            issuers: Issuers::new(Arc::clone(connector)),
            clock,
            settings: ExchangeSettings { reuse, ..settings },
            state: Mutex::default(),
        })
    }

    /// Returns the verifier of bearer tokens, for example to keep its keys fresh.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Returns how it was set up.
    #[must_use]
    pub fn settings(&self) -> &ExchangeSettings {
        &self.settings
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Returns the actor of a client with this token; none if the token is no good one.
    ///
    /// # Errors
    /// [`ExchangeError`] if the token is good, or may be, and no actor can be had. The request fails then.
    pub async fn actor(self: &Arc<Self>, bearer: &str) -> Result<Option<Actor>, ExchangeError> {
        if !looks_like_jwt(bearer) {
            return Ok(None);
        }
        let exchange = async {
            let Some(verified) = self.verified(bearer).await? else {
                return Ok(None);
            };
            self.exchanged(bearer, verified).await.map(Some)
        };
        let within = tokio::time::timeout(self.settings.time_budget, exchange).await;
        within.unwrap_or(Err(ExchangeError::Timeout))
    }

    async fn verified(&self, bearer: &str) -> Result<Option<Verified>, ExchangeError> {
        match self.verifier.verify(bearer).await {
            Ok(verified) => Ok(Some(verified)),
            Err(Refusal::Fetch(error)) if !error.absent => Err(error.into()),
            Err(refusal) => {
                tracing::info!(
                    reason = refusal.reason(),
                    "A client's token is not believed"
                );
                Ok(None)
            }
        }
    }

    async fn exchanged(
        self: &Arc<Self>,
        bearer: &str,
        verified: Verified,
    ) -> Result<Actor, ExchangeError> {
        if self.settings.reuse.is_zero() {
            return self.mint(verified).await;
        }
        let key = Key::new(bearer, self.settings.time_budget);
        let running = {
            let mut state = self.state();
            if let Some(actor) = state.reusable.find(&key, self.clock.now()) {
                return Ok(actor);
            }
            let start = || self.start(key, verified);
            state.running.entry(key).or_insert_with(start).clone()
        };
        running.await
    }

    /// Starts the one exchange that all requests of a token wait for. Spawned, so that it ends even if they give up.
    fn start(self: &Arc<Self>, key: Key, verified: Verified) -> Running {
        let exchange = Arc::clone(self);
        let task = tokio::spawn(async move {
            let minting =
                tokio::time::timeout(exchange.settings.time_budget, exchange.mint(verified));
            // A panic must not leave an exchange that never ends for the requests to come.
            let minted = AssertUnwindSafe(minting).catch_unwind().await;
            let minted = minted.unwrap_or(Ok(Err(ExchangeError::Timeout)));
            let minted = minted.unwrap_or(Err(ExchangeError::Timeout));
            let now = exchange.clock.now();
            let mut state = exchange.state();
            state.running.remove(&key);
            if let Ok(actor) = &minted {
                let left = time_left(actor.claims(), exchange.clock.wall());
                let time = reuse_time(left, key.budget(), exchange.settings.reuse);
                if !time.is_zero() {
                    state.reusable.keep(key, actor.clone(), now, now + time);
                }
            }
            minted
        });
        // A task that panicked has no answer for anybody.
        async { task.await.unwrap_or(Err(ExchangeError::Timeout)) }
            .boxed()
            .shared()
    }

    async fn mint(&self, verified: Verified) -> Result<Actor, ExchangeError> {
        let host = Issuer::Access.host();
        let claims = verified.into_claims();
        let budget = Budget::Of(self.settings.time_budget + self.settings.reuse);
        let token = self
            .issuers
            .mint(Issuer::Access, &claims, budget)
            .await
            .map_err(Arc::new)?;
        let wanted = "a token with claims";
        let claims = token
            .read_claims()
            .ok_or_else(|| Arc::new(IssuerError::Answer { host, wanted }))?;
        Ok(Actor::new(token, claims))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Exchange")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Returns how long a token lives on.
fn time_left(claims: &Map<String, Value>, now: SystemTime) -> Duration {
    let expiry = claims
        .get("exp")
        .and_then(Value::as_u64)
        .map(Duration::from_secs);
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    expiry.unwrap_or_default().saturating_sub(now)
}
