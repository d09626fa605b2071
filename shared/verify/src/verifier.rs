//! The verifier: one cache per issuer, one fetch at a time per issuer.

use crate::cache::{KeyCache, Lookup};
use crate::memory::{Digest, Remembered, TokenMemory};
use crate::settings::{LONGEST_LEEWAY, Settings};
use crate::source::{FetchError, KeySource};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use microbus_bus::Clock;
use microbus_token::{
    ACCESS_CEILING, ACCESS_PADDING, Issuer, KeyId, Unverified, Verified, VerifyError, VerifyingKey,
};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Verifies actor tokens of the two pinned issuers. Clones share their caches.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Inner>,
}

struct Inner {
    access: Mutex<IssuerState>,
    bearer: Mutex<IssuerState>,
    tokens: Mutex<TokenMemory>,
    source: Box<dyn KeySource>,
    known: Box<KnownKeys>,
    clock: Arc<dyn Clock>,
    settings: Settings,
}

/// Looks a key up in this process's own memory, before any cache or fetch.
type KnownKeys = dyn Fn(Issuer, &KeyId) -> Option<VerifyingKey> + Send + Sync;

type Fetch = Shared<BoxFuture<'static, Result<(), FetchError>>>;

struct IssuerState {
    cache: KeyCache,
    running: Option<Fetch>,
}

/// What a check came to, at once or after a fetch.
pub enum Check {
    /// The answer is known now.
    Done(Result<Verified, Refusal>),
    /// The issuer has to be asked first.
    Waiting(BoxFuture<'static, Result<Verified, Refusal>>),
}

/// Why a token is not believed. To a stranger all of these are one word: `unauthorized`.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The token itself is at fault, or its key is not published.
    #[error(transparent)]
    Token(#[from] VerifyError),
    /// Its key could not be looked up.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

impl Refusal {
    /// Returns a short fixed code, fit for a metric label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Token(error) => error.reason(),
            Self::Fetch(_) => "no_keys",
        }
    }
}

/// How far a check gets without waiting.
enum Step<'t> {
    Done(Result<Verified, Refusal>),
    Missing(Unverified<'t>),
}

impl Verifier {
    /// Makes a verifier that gets keys from `source`.
    #[must_use]
    pub fn new(source: impl KeySource, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self::with_known_keys(source, |_, _| None, clock, settings)
    }

    /// Makes a verifier that looks keys up in `known` first, then in what `source` fetched: an issuer knows its own.
    #[must_use]
    pub fn with_known_keys(
        source: impl KeySource,
        known: impl Fn(Issuer, &KeyId) -> Option<VerifyingKey> + Send + Sync + 'static,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Self {
        let state = |keep| {
            Mutex::new(IssuerState {
                cache: KeyCache::new(keep),
                running: None,
            })
        };
        let leeway = settings.leeway.min(LONGEST_LEEWAY);
        let shared = Inner {
            access: state(ACCESS_CEILING + ACCESS_PADDING + leeway),
            bearer: state(Duration::ZERO),
            tokens: Mutex::new(TokenMemory::new(settings.remembered_tokens)),
            source: Box::new(source),
            known: Box::new(known),
            clock,
            settings: Settings { leeway, ..settings },
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Verifies a compact JWT with the keys at hand, without asking anybody. Needs no runtime.
    ///
    /// # Errors
    /// [`Refusal::Token`]; [`VerifyError::UnknownKey`] also where the issuer would have to be asked.
    pub fn verify_now(&self, token: &str) -> Result<Verified, Refusal> {
        match self.shared.step(token) {
            Step::Done(outcome) => outcome,
            Step::Missing(_) => Err(VerifyError::UnknownKey.into()),
        }
    }

    /// Verifies a compact JWT; waits for its key if the issuer has to be asked.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn verify(&self, token: &str) -> Result<Verified, Refusal> {
        match self.check(token) {
            Check::Done(outcome) => outcome,
            Check::Waiting(outcome) => outcome.await,
        }
    }

    /// Checks a compact JWT; answers at once when its key is known or known to be unknown. Called within a runtime,
    /// because it may start a fetch.
    #[must_use]
    pub fn check(&self, token: &str) -> Check {
        let missing = match self.shared.step(token) {
            Step::Done(outcome) => return Check::Done(outcome),
            Step::Missing(unverified) => unverified,
        };
        let issuer = missing.issuer();
        let (fetch, patience) = {
            let mut state = self.shared.state(issuer);
            let now = self.shared.clock.now();
            match state.cache.lookup(missing.key_id(), now) {
                // Fetched since, or by another thread.
                Lookup::Known(key) => return Check::Done(self.shared.verify(token, missing, key)),
                Lookup::Unknown => return Check::Done(Err(VerifyError::UnknownKey.into())),
                Lookup::Fetch => (
                    self.fetch(&mut state, issuer, now),
                    state.cache.next_fetch(now),
                ),
            }
        };
        let (verifier, token) = (self.clone(), token.to_owned());
        Check::Waiting(Box::pin(async move {
            let patience = tokio::time::Instant::from_std(patience + LONGEST_WAIT);
            let fetched = tokio::time::timeout_at(patience, fetch).await;
            fetched.unwrap_or_else(|_| {
                Err(FetchError {
                    host: issuer.host(),
                    cause: "no answer within a second".to_owned(),
                    absent: false,
                })
            })?;
            match verifier.shared.step(&token) {
                Step::Done(outcome) => outcome,
                Step::Missing(unverified) => {
                    let now = verifier.shared.clock.now();
                    let mut state = verifier.shared.state(issuer);
                    state.cache.remember_unknown(unverified.key_id(), now);
                    Err(VerifyError::UnknownKey.into())
                }
            }
        }))
    }

    /// Fetches the keys of an issuer as soon as that may be done again, so that the first token need not wait.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn refresh(&self, issuer: Issuer) -> Result<(), FetchError> {
        let fetch = {
            let mut state = self.shared.state(issuer);
            self.fetch(&mut state, issuer, self.shared.clock.now())
        };
        fetch.await
    }

    /// Fetches the keys of every believed issuer now and each [`REFRESH_INTERVAL`], until it is dropped: spawn it.
    ///
    /// Without it keys are fetched when a token names an unknown one, so a withdrawn key counts until then.
    pub async fn keep_fresh(self) {
        loop {
            for issuer in [Issuer::Access, Issuer::Bearer] {
                if self.shared.believes(issuer) {
                    // The fetch has logged its failure.
                    drop(self.refresh(issuer).await);
                }
            }
            tokio::time::sleep(REFRESH_INTERVAL).await;
        }
    }

    /// Joins the fetch that runs or waits for its turn, or starts one.
    fn fetch(&self, state: &mut IssuerState, issuer: Issuer, now: Instant) -> Fetch {
        if let Some(running) = &state.running {
            return running.clone();
        }
        let begin = state.cache.next_fetch(now);
        let shared = Arc::clone(&self.shared);
        let fetch = async move {
            tokio::time::sleep_until(begin.into()).await;
            // A panic of the source must not leave a fetch that never ends.
            let fetching = AssertUnwindSafe(async { shared.source.fetch(issuer).await });
            let fetched = fetching.catch_unwind().await.unwrap_or_else(|_| {
                Err(FetchError {
                    host: issuer.host(),
                    cause: "the key source panicked".to_owned(),
                    absent: false,
                })
            });
            let mut state = shared.state(issuer);
            state.running = None;
            let now = shared.clock.now();
            match fetched {
                Ok(set) => {
                    state.cache.replace(&set, now);
                    Ok(())
                }
                Err(error) => {
                    state.cache.failed(now);
                    tracing::warn!(error = %error, "Fetching keys");
                    Err(error)
                }
            }
        };
        // Spawned, so that it ends even when everyone who waits for it has given up.
        let task = tokio::spawn(fetch);
        let host = issuer.host();
        let joined = async move {
            task.await.unwrap_or_else(|error| {
                Err(FetchError {
                    host,
                    cause: error.to_string(),
                    absent: false,
                })
            })
        };
        let running = joined.boxed().shared();
        state.running = Some(running.clone());
        running
    }
}

impl Inner {
    fn step<'t>(&self, token: &'t str) -> Step<'t> {
        #[cfg(feature = "testing")]
        if self.settings.accept_unsigned
            && let Ok(unsigned) = microbus_token::read_unsigned(token, self.settings.size_limit)
        {
            return Step::Done(Ok(unsigned));
        }
        if let Some(verified) = self.recall(token) {
            return Step::Done(Ok(verified));
        }
        let unverified = match Unverified::parse(token, self.settings.size_limit) {
            Ok(unverified) => unverified,
            Err(error) => return Step::Done(Err(error.into())),
        };
        if !self.believes(unverified.issuer()) {
            return Step::Done(Err(VerifyError::Issuer.into()));
        }
        match self.lookup(unverified.issuer(), unverified.key_id()) {
            Lookup::Known(key) => Step::Done(self.verify(token, unverified, key)),
            Lookup::Unknown => Step::Done(Err(VerifyError::UnknownKey.into())),
            Lookup::Fetch => Step::Missing(unverified),
        }
    }

    fn verify(
        &self,
        token: &str,
        unverified: Unverified<'_>,
        key: VerifyingKey,
    ) -> Result<Verified, Refusal> {
        let now = self.clock.wall();
        let verified = unverified.verify(&key, now, self.settings.leeway)?;
        if self.settings.remembered_tokens > 0 {
            let remembered = Remembered {
                verified: verified.clone(),
                key,
            };
            lock(&self.tokens).remember(Digest::of(token), remembered, now);
        }
        Ok(verified)
    }

    /// Returns a token that was verified before, if its time has not passed and its key still counts.
    fn recall(&self, token: &str) -> Option<Verified> {
        if self.settings.remembered_tokens == 0 || token.len() > self.settings.size_limit {
            return None;
        }
        let digest = Digest::of(token);
        let (now, leeway) = (self.clock.wall(), self.settings.leeway);
        let Remembered { verified, key } = lock(&self.tokens).recall(&digest, now, leeway)?;
        let found = self.lookup(verified.issuer(), verified.key_id());
        matches!(found, Lookup::Known(known) if known == key).then_some(verified)
    }

    fn believes(&self, issuer: Issuer) -> bool {
        self.settings.only.is_none_or(|only| only == issuer)
    }

    fn lookup(&self, issuer: Issuer, id: &KeyId) -> Lookup {
        if let Some(key) = (self.known)(issuer, id) {
            return Lookup::Known(key);
        }
        self.state(issuer).cache.lookup(id, self.clock.now())
    }

    fn state(&self, issuer: Issuer) -> MutexGuard<'_, IssuerState> {
        lock(match issuer {
            Issuer::Access => &self.access,
            Issuer::Bearer => &self.bearer,
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// How long a token waits for the answer of its issuer, counted from when that may be asked.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How often [`Verifier::keep_fresh`] fetches keys. Source: spec: verify 2.3.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
