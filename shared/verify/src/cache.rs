//! What is remembered of one publisher's keys. Pure: time is handed in.

use crate::source::FetchError;
use microbus_token::MOST_KEYS;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Keys of one publisher as this process knows them.
#[derive(Debug)]
pub(crate) struct KeyCache<I, K> {
    keys: HashMap<I, CachedKey<K>>,
    /// Key IDs that the last fetches did not know, and until when not to ask again.
    unknown: HashMap<I, Instant>,
    /// At most one fetch in this time after a successful one.
    interval: Duration,
    /// How long a key that is published no more still verifies.
    keep_vanished: Duration,
    /// Whoever needs a fetch sooner waits for its turn.
    next_fetch: Option<Instant>,
    /// After a failed fetch nobody asks before this.
    backed_off: Option<(Instant, FetchError)>,
    failures: u32,
}

#[derive(Debug)]
struct CachedKey<K> {
    key: K,
    /// Set once the key is published no more.
    gone_at: Option<Instant>,
}

/// What is known of a key ID.
#[derive(Debug)]
pub(crate) enum Lookup<K> {
    /// The key.
    Known(K),
    /// Nothing, and asking may tell more.
    Fetch,
    /// Nothing, and it was asked for just now.
    Unknown,
    /// Nothing, and asking failed just now.
    Unavailable(FetchError),
}

impl<I: Clone + Eq + Hash + Ord, K: Clone> KeyCache<I, K> {
    pub(crate) fn new(interval: Duration, keep_vanished: Duration) -> Self {
        Self {
            keys: HashMap::new(),
            unknown: HashMap::new(),
            interval,
            keep_vanished,
            next_fetch: None,
            backed_off: None,
            failures: 0,
        }
    }

    pub(crate) fn get(&self, id: &I, now: Instant) -> Option<K> {
        let usable = |cached: &&CachedKey<K>| cached.gone_at.is_none_or(|gone_at| now < gone_at);
        let cached = self.keys.get(id).filter(usable)?;
        Some(cached.key.clone())
    }

    pub(crate) fn lookup(&self, id: &I, now: Instant) -> Lookup<K> {
        if let Some(key) = self.get(id, now) {
            return Lookup::Known(key);
        }
        if let Some((until, error)) = &self.backed_off
            && now < *until
        {
            return Lookup::Unavailable(error.clone());
        }
        if self.unknown.get(id).is_some_and(|until| now < *until) {
            return Lookup::Unknown;
        }
        Lookup::Fetch
    }

    /// Returns when the next fetch may begin.
    pub(crate) fn next_fetch(&self, now: Instant) -> Instant {
        let backed_off = self.backed_off.as_ref().map(|(until, _)| *until);
        [self.next_fetch, backed_off]
            .into_iter()
            .flatten()
            .fold(now, Instant::max)
    }

    /// Takes over all keys that are published now.
    pub(crate) fn replace(&mut self, keys: impl IntoIterator<Item = (I, K)>, now: Instant) {
        self.failures = 0;
        self.backed_off = None;
        self.next_fetch = Some(now + self.interval);
        self.keys
            .retain(|_, cached| cached.gone_at.is_none_or(|gone_at| now < gone_at));
        let gone_at = now + self.keep_vanished;
        for cached in self.keys.values_mut() {
            cached.gone_at.get_or_insert(gone_at);
        }
        for (id, key) in keys {
            self.keys.insert(id, CachedKey { key, gone_at: None });
        }
        self.unknown.clear();
        self.forget_oldest_vanished();
    }

    /// Bounds the memory of a publisher whose keys are others each time.
    fn forget_oldest_vanished(&mut self) {
        while self.keys.len() > MOST_CACHED {
            let vanished = |(id, cached): (&I, &CachedKey<K>)| Some((cached.gone_at?, id.clone()));
            let Some((_, oldest)) = self.keys.iter().filter_map(vanished).min() else {
                return;
            };
            self.keys.remove(&oldest);
        }
    }

    /// Notes that a fetch failed; the next one is tried later each time.
    pub(crate) fn failed(&mut self, error: FetchError, now: Instant) {
        let backoff = FIRST_BACKOFF
            .saturating_mul(1 << self.failures.min(5))
            .min(LONGEST_BACKOFF);
        self.failures = self.failures.saturating_add(1);
        self.backed_off = Some((now + backoff, error));
    }

    /// Notes that a fetch did not tell this key.
    pub(crate) fn remember_unknown(&mut self, id: &I, now: Instant) {
        if self.unknown.len() < MOST_UNKNOWN {
            self.unknown.insert(id.clone(), now + self.interval);
        }
    }
}

const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
const MOST_UNKNOWN: usize = 1024;
/// Keys of one publisher that are remembered, published or vanished: four sets of the largest size.
const MOST_CACHED: usize = 4 * MOST_KEYS;

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_token::{KeyId, SigningKey, VerifyingKey};
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    fn key(seed: u64) -> SigningKey {
        SigningKey::generate(&mut StdRng::seed_from_u64(seed)).unwrap()
    }

    type Keys = Vec<(KeyId, VerifyingKey)>;

    fn set(keys: &[&SigningKey]) -> Keys {
        let published = |key: &&SigningKey| (key.id().clone(), key.verifying_key().clone());
        keys.iter().map(published).collect()
    }

    const FETCH_INTERVAL: Duration = Duration::from_secs(1);

    fn cache(keep_vanished: Duration) -> KeyCache<KeyId, VerifyingKey> {
        KeyCache::new(FETCH_INTERVAL, keep_vanished)
    }

    fn failure() -> FetchError {
        FetchError {
            host: "access.token.core".into(),
            cause: "planted".into(),
            absent: false,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can only be got by reading one"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_key_is_fetched_once_and_then_known() {
        let (now, signer) = (start(), key(1));
        let mut cache = cache(Duration::ZERO);
        assert!(matches!(cache.lookup(signer.id(), now), Lookup::Fetch));
        cache.replace(set(&[&signer]), now);
        assert!(matches!(cache.lookup(signer.id(), now), Lookup::Known(_)));
    }

    #[test]
    fn an_unknown_key_is_asked_for_once_a_second() {
        let (now, stranger) = (start(), key(2));
        let mut cache = cache(Duration::ZERO);
        cache.replace(set(&[]), now);
        cache.remember_unknown(stranger.id(), now);
        assert!(matches!(cache.lookup(stranger.id(), now), Lookup::Unknown));
        let later = now + FETCH_INTERVAL;
        assert!(matches!(cache.lookup(stranger.id(), later), Lookup::Fetch));
    }

    #[test]
    fn another_unknown_key_waits_for_the_next_fetch_instead_of_being_refused() {
        let (now, stranger, fresh) = (start(), key(2), key(3));
        let mut cache = cache(Duration::ZERO);
        cache.replace(set(&[]), now);
        cache.remember_unknown(stranger.id(), now);
        assert!(matches!(cache.lookup(fresh.id(), now), Lookup::Fetch));
        assert_eq!(cache.next_fetch(now), now + FETCH_INTERVAL);
    }

    #[test]
    fn a_vanished_key_verifies_as_long_as_its_issuers_rule_says() {
        let (now, signer) = (start(), key(1));
        for (keep, after, known) in [(0, 0, false), (900, 899, true), (900, 900, false)] {
            let mut cache = cache(Duration::from_secs(keep));
            cache.replace(set(&[&signer]), now);
            cache.replace(set(&[]), now);
            let then = now + Duration::from_secs(after);
            let found = matches!(cache.lookup(signer.id(), then), Lookup::Known(_));
            assert_eq!(found, known, "kept {keep} s, asked after {after} s");
        }
    }

    #[test]
    fn failures_back_off_up_to_five_seconds() {
        let (mut now, stranger) = (start(), key(2));
        let mut cache = cache(Duration::ZERO);
        for backoff in [250, 500, 1000, 2000, 4000, 5000, 5000] {
            cache.failed(failure(), now);
            let almost = now + Duration::from_millis(backoff - 1);
            assert!(matches!(
                cache.lookup(stranger.id(), almost),
                Lookup::Unavailable(error) if error == failure()
            ));
            now += Duration::from_millis(backoff);
            assert!(matches!(cache.lookup(stranger.id(), now), Lookup::Fetch));
        }
    }

    #[test]
    fn a_fetch_clears_what_was_unknown() {
        let (now, fresh) = (start(), key(3));
        let mut cache = cache(Duration::ZERO);
        cache.remember_unknown(fresh.id(), now);
        cache.replace(set(&[&fresh]), now);
        assert!(matches!(cache.lookup(fresh.id(), now), Lookup::Known(_)));
        cache.replace(set(&[]), now);
        assert!(matches!(cache.lookup(fresh.id(), now), Lookup::Fetch));
    }

    #[test]
    fn the_memory_of_vanished_keys_is_bounded_and_published_ones_stay() {
        let (now, signer) = (start(), key(1));
        let mut cache = cache(Duration::from_secs(900));
        for fetch in 0..400_u64 {
            let mut fetched = set(&[&signer]);
            let id = KeyId::parse(&format!("k{fetch}")).unwrap();
            let key = key(1).verifying_key().clone();
            fetched.push((id, key));
            cache.replace(fetched, now + Duration::from_millis(fetch));
        }
        assert_eq!(cache.keys.len(), MOST_CACHED);
        let later = now + Duration::from_secs(1);
        let known = |id: &KeyId| matches!(cache.lookup(id, later), Lookup::Known(_));
        assert!(known(signer.id()) && known(&KeyId::parse("k399").unwrap()));
        assert!(!known(&KeyId::parse("k0").unwrap()));
    }

    #[test]
    fn the_memory_of_unknown_keys_is_bounded() {
        let now = start();
        let mut cache = cache(Duration::ZERO);
        for seed in 0..2 * MOST_UNKNOWN {
            cache.remember_unknown(&KeyId::parse(&format!("k{seed}")).unwrap(), now);
        }
        assert_eq!(cache.unknown.len(), MOST_UNKNOWN);
    }
}
