//! The verifier: one cache per issuer, one fetch at a time per issuer.

use crate::cache::{KeyCache, Lookup};
use crate::source::{FetchError, KeySource};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use microbus_bus::Clock;
use microbus_token::{
    ACCESS_CEILING, ACCESS_PADDING, DEFAULT_SIZE_LIMIT, Issuer, KeyId, Unverified, Verified,
    VerifyError, VerifyingKey,
};
use std::fmt;
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
    source: Box<dyn KeySource>,
    clock: Arc<dyn Clock>,
    known: Box<KnownKeys>,
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

impl Verifier {
    /// Makes a verifier that looks keys up in `known` first, then in what `source` fetched.
    #[must_use]
    pub fn new(
        source: impl KeySource,
        known: impl Fn(Issuer, &KeyId) -> Option<VerifyingKey> + Send + Sync + 'static,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let state = |keep| {
            Mutex::new(IssuerState {
                cache: KeyCache::new(keep),
                running: None,
            })
        };
        let shared = Inner {
            access: state(ACCESS_CEILING + ACCESS_PADDING),
            bearer: state(Duration::ZERO),
            source: Box::new(source),
            clock,
            known: Box::new(known),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Checks a compact JWT; answers at once when its key is known or known to be unknown.
    #[must_use]
    pub fn check(&self, token: &str) -> Check {
        let parsed = match Unverified::parse(token, DEFAULT_SIZE_LIMIT) {
            Ok(parsed) => parsed,
            Err(error) => return Check::Done(Err(error.into())),
        };
        match self.shared.lookup(parsed.issuer(), parsed.key_id()) {
            Lookup::Known(key) => Check::Done(
                parsed
                    .verify(&key, self.shared.clock.wall())
                    .map_err(Refusal::Token),
            ),
            Lookup::Unknown => Check::Done(Err(VerifyError::UnknownKey.into())),
            Lookup::Fetch(at) => {
                let fetch = self.fetch(parsed.issuer(), parsed.key_id().clone(), at);
                let (verifier, token) = (self.clone(), token.to_owned());
                Check::Waiting(Box::pin(async move {
                    fetch.await?;
                    verifier.check_again(&token)
                }))
            }
        }
    }

    /// Checks a token after a fetch, which is not repeated.
    fn check_again(&self, token: &str) -> Result<Verified, Refusal> {
        let parsed = Unverified::parse(token, DEFAULT_SIZE_LIMIT)?;
        match self.shared.lookup(parsed.issuer(), parsed.key_id()) {
            Lookup::Known(key) => Ok(parsed.verify(&key, self.shared.clock.wall())?),
            Lookup::Unknown | Lookup::Fetch(_) => Err(VerifyError::UnknownKey.into()),
        }
    }

    /// Joins the fetch that runs or waits for its turn, or starts one.
    fn fetch(&self, issuer: Issuer, wanted: KeyId, at: Instant) -> Fetch {
        let mut state = self.shared.state(issuer);
        if let Some(running) = &state.running {
            return running.clone();
        }
        let shared = Arc::clone(&self.shared);
        let fetch = async move {
            tokio::time::sleep_until(at.into()).await;
            let fetched = shared.source.fetch(issuer).await;
            let mut state = shared.state(issuer);
            state.running = None;
            let now = shared.clock.now();
            match fetched {
                Ok(set) => {
                    state.cache.replace(&set, &wanted, now);
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
                })
            })
        };
        let running = joined.boxed().shared();
        state.running = Some(running.clone());
        running
    }
}

impl Inner {
    fn lookup(&self, issuer: Issuer, id: &KeyId) -> Lookup {
        if let Some(key) = (self.known)(issuer, id) {
            return Lookup::Known(key);
        }
        self.state(issuer).cache.lookup(id, self.clock.now())
    }

    fn state(&self, issuer: Issuer) -> MutexGuard<'_, IssuerState> {
        let state = match issuer {
            Issuer::Access => &self.access,
            Issuer::Bearer => &self.bearer,
        };
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verifier").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_bus::SystemClock;
    use microbus_token::{Claims, Jwk, JwkSet, SigningKey, TokenId, mint_access};
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct SlowSource {
        keys: Vec<Jwk>,
        fetches: Arc<AtomicUsize>,
        fails: bool,
    }

    impl KeySource for SlowSource {
        fn fetch(&self, issuer: Issuer) -> BoxFuture<'static, Result<JwkSet, FetchError>> {
            self.fetches.fetch_add(1, Ordering::Relaxed);
            let mut set = JwkSet::default();
            self.keys
                .iter()
                .for_each(|jwk| set.push(jwk.clone()).unwrap());
            let fails = self.fails;
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if fails {
                    return Err(FetchError {
                        host: issuer.host(),
                        cause: "planted".into(),
                    });
                }
                Ok(set)
            })
        }
    }

    fn key(seed: u64) -> SigningKey {
        SigningKey::generate(&mut StdRng::seed_from_u64(seed)).unwrap()
    }

    fn token(key: &SigningKey) -> String {
        let jti = TokenId::random(&mut StdRng::seed_from_u64(9), TokenId::ACCESS_LENGTH);
        let now = SystemClock.wall();
        mint_access(Claims::new(), Duration::from_secs(20), &jti, key, now).into_string()
    }

    fn verifier(keys: Vec<Jwk>, fails: bool) -> (Verifier, Arc<AtomicUsize>) {
        let fetches = Arc::new(AtomicUsize::new(0));
        let source = SlowSource {
            keys,
            fetches: Arc::clone(&fetches),
            fails,
        };
        (
            Verifier::new(source, |_, _| None, Arc::new(SystemClock)),
            fetches,
        )
    }

    async fn outcome(check: Check) -> Result<Verified, Refusal> {
        match check {
            Check::Done(outcome) => outcome,
            Check::Waiting(waiting) => waiting.await,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_checks_of_an_unknown_key_share_one_fetch_and_all_pass() {
        let signer = key(1);
        let (verifier, fetches) = verifier(vec![Jwk::of(&signer)], false);
        let token = token(&signer);
        let checks: Vec<_> = (0..50).map(|_| outcome(verifier.check(&token))).collect();
        for check in futures_util::future::join_all(checks).await {
            check.unwrap();
        }
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        assert!(
            matches!(verifier.check(&token), Check::Done(Ok(_))),
            "the key is cached now"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_of_this_process_needs_no_fetch() {
        let signer = key(1);
        let own = Jwk::of(&signer);
        let source = SlowSource {
            keys: vec![],
            fetches: Arc::default(),
            fails: true,
        };
        let known = move |issuer, id: &KeyId| {
            (issuer == Issuer::Access && id == own.id()).then(|| own.key().clone())
        };
        let verifier = Verifier::new(source, known, Arc::new(SystemClock));
        assert!(matches!(
            verifier.check(&token(&signer)),
            Check::Done(Ok(_))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_nobody_publishes_is_refused_and_not_asked_for_again() {
        let (verifier, fetches) = verifier(vec![], false);
        let token = token(&key(1));
        for _ in 0..3 {
            let refusal = outcome(verifier.check(&token)).await.unwrap_err();
            assert!(
                matches!(refusal, Refusal::Token(VerifyError::UnknownKey)),
                "{refusal}"
            );
        }
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_fetch_refuses_with_its_cause() {
        let (verifier, _) = verifier(vec![], true);
        let refusal = outcome(verifier.check(&token(&key(1)))).await.unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "no JWK Set from access.token.core: planted"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_of_nobody_we_know_is_refused_without_a_fetch() {
        let (verifier, fetches) = verifier(vec![], false);
        assert!(matches!(
            verifier.check("a.b.c"),
            Check::Done(Err(Refusal::Token(_)))
        ));
        assert_eq!(fetches.load(Ordering::Relaxed), 0);
    }
}
