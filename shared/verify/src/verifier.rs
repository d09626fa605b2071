//! The verifier: one store of keys per issuer, and a memory of tokens.

use crate::memory::{Digest, Remembered, TokenMemory};
use crate::settings::{LONGEST_LEEWAY, Settings};
use crate::source::{FetchError, KeySource};
use crate::store::{Fetched, Finding, KeyStore, Pace};
use futures_util::future::BoxFuture;
use microbus_bus::Clock;
use microbus_token::{
    ACCESS_CEILING, ACCESS_PADDING, Issuer, Jwk, KeyId, Unverified, Verified, VerifyError,
    VerifyingKey,
};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Verifies actor tokens of the two pinned issuers. Clones share their caches.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Inner>,
}

struct Inner {
    access: KeyStore<KeyId, VerifyingKey>,
    bearer: KeyStore<KeyId, VerifyingKey>,
    tokens: Mutex<TokenMemory>,
    known: Box<KnownKeys>,
    clock: Arc<dyn Clock>,
    settings: Settings,
}

/// Looks a key up in this process's own memory, before any cache or fetch.
type KnownKeys = dyn Fn(Issuer, &KeyId) -> Option<VerifyingKey> + Send + Sync;

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
        let source = Arc::new(source);
        let store = |issuer: Issuer, keep_vanished| {
            let source = Arc::clone(&source);
            let fetch = move || -> Fetched<KeyId, VerifyingKey> {
                let fetch = source.fetch(issuer);
                Box::pin(async move {
                    let set = fetch.await?;
                    let key = |jwk: &Jwk| (jwk.id().clone(), jwk.key().clone());
                    Ok(set.iter().map(key).collect())
                })
            };
            let pace = Pace {
                interval: FETCH_INTERVAL,
                patience: LONGEST_WAIT,
                keep_vanished,
            };
            KeyStore::new(issuer.host(), fetch, Arc::clone(&clock), pace)
        };
        let leeway = settings.leeway.min(LONGEST_LEEWAY);
        let shared = Inner {
            access: store(Issuer::Access, ACCESS_CEILING + ACCESS_PADDING + leeway),
            bearer: store(Issuer::Bearer, Duration::ZERO),
            tokens: Mutex::new(TokenMemory::new(settings.remembered_tokens)),
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
        let found = match self.shared.store(missing.issuer()).find(missing.key_id()) {
            // Fetched since, or by another thread.
            Finding::Known(key) => return Check::Done(self.shared.verify(token, missing, key)),
            Finding::Unknown => return Check::Done(Err(VerifyError::UnknownKey.into())),
            Finding::Unavailable(error) => return Check::Done(Err(error.into())),
            Finding::Waiting(found) => found,
        };
        let (shared, token) = (Arc::clone(&self.shared), token.to_owned());
        Check::Waiting(Box::pin(async move {
            let key = found.await?.ok_or(VerifyError::UnknownKey)?;
            let unverified = Unverified::parse(&token, shared.settings.size_limit)?;
            shared.verify(&token, unverified, key)
        }))
    }

    /// Fetches the keys of an issuer as soon as that may be done again, so that the first token need not wait.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn refresh(&self, issuer: Issuer) -> Result<(), FetchError> {
        self.shared.store(issuer).refresh().await
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
            Some(key) => Step::Done(self.verify(token, unverified, key)),
            None => Step::Missing(unverified),
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
        let known = self.lookup(verified.issuer(), verified.key_id());
        (known == Some(key)).then_some(verified)
    }

    fn believes(&self, issuer: Issuer) -> bool {
        self.settings.only.is_none_or(|only| only == issuer)
    }

    fn lookup(&self, issuer: Issuer, id: &KeyId) -> Option<VerifyingKey> {
        (self.known)(issuer, id).or_else(|| self.store(issuer).get(id))
    }

    fn store(&self, issuer: Issuer) -> &KeyStore<KeyId, VerifyingKey> {
        match issuer {
            Issuer::Access => &self.access,
            Issuer::Bearer => &self.bearer,
        }
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

/// At most one fetch per issuer in this time. Source: spec: verify 2.3.
const FETCH_INTERVAL: Duration = Duration::from_secs(1);

/// How long a token waits for the answer of its issuer, counted from when that may be asked.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How often [`Verifier::keep_fresh`] fetches keys. Source: spec: verify 2.3.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
