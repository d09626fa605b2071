//! The keys of one publisher: a cache, and one fetch at a time that everyone who needs it waits for.

use crate::cache::{KeyCache, Lookup};
use crate::source::FetchError;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use microbus_bus::Clock;
use std::borrow::Cow;
use std::fmt;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// Keys of one publisher by their ID, fetched when an unknown one is asked for. Clones share the keys.
///
/// [`Verifier`](crate::Verifier) has one for each issuer of the bus; whoever believes others, such as an identity provider,
/// makes one of its own.
pub struct KeyStore<I, K> {
    inner: Arc<Inner<I, K>>,
}

struct Inner<I, K> {
    host: Cow<'static, str>,
    source: Box<Source<I, K>>,
    clock: Arc<dyn Clock>,
    patience: Duration,
    state: Mutex<State<I, K>>,
}

type Source<I, K> = dyn Fn() -> Fetched<I, K> + Send + Sync;

/// What a source of keys answers in the end: all keys that are published now.
pub type Fetched<I, K> = BoxFuture<'static, Result<Vec<(I, K)>, FetchError>>;

struct State<I, K> {
    cache: KeyCache<I, K>,
    running: Option<Running>,
}

struct Running {
    task: AbortHandle,
    fetch: Fetch,
}

type Fetch = Shared<BoxFuture<'static, Result<(), FetchError>>>;

/// How often a publisher is asked, and how long is waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// At most one fetch in this time after a successful one; whoever needs one sooner waits for its turn. An unknown key
    /// is not asked for again within it.
    pub interval: Duration,
    /// How long a key waits for the publisher's answer, counted from when that may be asked.
    pub patience: Duration,
    /// How long a key that is published no more still counts.
    pub keep_vanished: Duration,
}

/// A key, if it is there.
pub enum Finding<K> {
    /// The key.
    Known(K),
    /// It is not published, or was not a moment ago.
    Unknown,
    /// It is not at hand, and the publisher cannot be asked: the last fetch failed a moment ago, for this cause.
    Unavailable(FetchError),
    /// The publisher has to be asked first; none if it does not publish the key.
    Waiting(BoxFuture<'static, Result<Option<K>, FetchError>>),
}

impl<I, K> KeyStore<I, K>
where
    I: Clone + Eq + Hash + Ord + Send + Sync + 'static,
    K: Clone + Send + Sync + 'static,
{
    /// Makes a store for what `host` publishes, which `source` fetches.
    pub fn new(
        host: impl Into<Cow<'static, str>>,
        source: impl Fn() -> Fetched<I, K> + Send + Sync + 'static,
        clock: Arc<dyn Clock>,
        pace: Pace,
    ) -> Self {
        let state = State {
            cache: KeyCache::new(pace.interval, pace.keep_vanished),
            running: None,
        };
        let inner = Inner {
            host: host.into(),
            source: Box::new(source),
            clock,
            patience: pace.patience,
            state: Mutex::new(state),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Returns a key that is at hand.
    #[must_use]
    pub fn get(&self, id: &I) -> Option<K> {
        self.inner.state().cache.get(id, self.inner.clock.now())
    }

    /// Finds a key; answers at once when it is known, or known to be unknown. Called within a runtime, because it may
    /// start a fetch.
    pub fn find(&self, id: &I) -> Finding<K> {
        let now = self.inner.clock.now();
        let (fetch, begin) = {
            let mut state = self.inner.state();
            match state.cache.lookup(id, now) {
                Lookup::Known(key) => return Finding::Known(key),
                Lookup::Unknown => return Finding::Unknown,
                Lookup::Unavailable(error) => return Finding::Unavailable(error),
                Lookup::Fetch => (self.fetch(&mut state, now), state.cache.next_fetch(now)),
            }
        };
        let (store, id) = (self.clone(), id.clone());
        Finding::Waiting(Box::pin(async move {
            let inner = &store.inner;
            let until = tokio::time::Instant::from_std(begin + inner.patience);
            let fetched = tokio::time::timeout_at(until, fetch).await;
            fetched.unwrap_or_else(|_| Err(inner.failure("no answer in time")))?;
            let found = store.get(&id);
            if found.is_none() {
                let now = inner.clock.now();
                inner.state().cache.remember_unknown(&id, now);
            }
            Ok(found)
        }))
    }

    /// Fetches the keys as soon as that may be done again.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn refresh(&self) -> Result<(), FetchError> {
        let fetch = {
            let mut state = self.inner.state();
            self.fetch(&mut state, self.inner.clock.now())
        };
        fetch.await
    }

    /// Joins the fetch that runs or waits for its turn, or starts one.
    fn fetch(&self, state: &mut State<I, K>, now: Instant) -> Fetch {
        // A task that is over and still stands here ended with the runtime that ran it.
        let running = state.running.as_ref();
        if let Some(running) = running.filter(|running| !running.task.is_finished()) {
            return running.fetch.clone();
        }
        let begin = state.cache.next_fetch(now);
        let inner = Arc::clone(&self.inner);
        let fetch = async move {
            tokio::time::sleep_until(begin.into()).await;
            // A panic of the source must not leave a fetch that never ends.
            let fetching = AssertUnwindSafe(async { (inner.source)().await });
            let fetched = fetching
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(inner.failure("the key source panicked")));
            let mut state = inner.state();
            state.running = None;
            let now = inner.clock.now();
            match fetched {
                Ok(keys) => {
                    state.cache.replace(keys, now);
                    Ok(())
                }
                Err(error) => {
                    state.cache.failed(error.clone(), now);
                    tracing::warn!(error = %error, "Fetching keys");
                    Err(error)
                }
            }
        };
        // Spawned, so that it ends even when everyone who waits for it has given up.
        let spawned = tokio::spawn(fetch);
        let task = spawned.abort_handle();
        let inner = Arc::clone(&self.inner);
        let joined = async move {
            spawned
                .await
                .unwrap_or_else(|error| Err(inner.failure(&error.to_string())))
        };
        let fetch = joined.boxed().shared();
        state.running = Some(Running {
            task,
            fetch: fetch.clone(),
        });
        fetch
    }
}

impl<I, K> Inner<I, K> {
    fn state(&self) -> MutexGuard<'_, State<I, K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, cause: &str) -> FetchError {
        FetchError {
            host: self.host.clone(),
            cause: cause.to_owned(),
            absent: false,
        }
    }
}

impl<I, K> Clone for KeyStore<I, K> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<I, K> fmt::Debug for KeyStore<I, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeyStore")
            .field("host", &self.inner.host)
            .finish_non_exhaustive()
    }
}
