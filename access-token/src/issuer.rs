//! The issuer: a key ring, a policy, and what may be asked of them. Knows nothing of the bus.
//!
//! Source: spec: microbus-wire 11.1, 11.2. Minting takes the active key from a slot that rotation replaces in one step;
//! the JWK Set is encoded when the ring changes, so that serving it costs a reference count.

use crate::config::Config;
use crate::replicas::{Heard, Replicas, Word};
use crate::transform::ClaimsTransformer;
use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use microbus_bus::{Clock, Failure};
use microbus_service::{Draft, KeyReport, KeySlot, KeyState};
use microbus_token::{
    Change, Claims, CompactJwt, IdentityProvider, JwkSet, KeyError, KeyId, KeyRing, KeyStation,
    RingError, RotationPolicy, SigningKey, TokenId, VerifyingKey, force_access, mint_access,
};
use rand::rngs::StdRng;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Mints access tokens and publishes the keys that verify them.
pub struct Issuer {
    config: ArcSwap<Config>,
    active: ArcSwapOption<SigningKey>,
    published: ArcSwap<Published>,
    /// Locked after the ring where both are needed.
    replicas: Mutex<Replicas>,
    ring: Mutex<KeyRing>,
    rng: Mutex<StdRng>,
    transformers: Vec<Box<dyn ClaimsTransformer>>,
    clock: Arc<dyn Clock>,
}

/// The keys that verify tokens of any replica, and the same as the body of an answer.
#[derive(Debug)]
struct Published {
    keys: JwkSet,
    body: Bytes,
}

/// Why a token was not minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// No key signs yet.
    #[error("no signing key available")]
    NoKey,
    /// A claim name that the platform's expression language takes for a literal, and the policy refuses those.
    #[error(
        "claim name {0:?} is a literal of the expression language; rename the claim, or unset RefuseLiteralClaimNames"
    )]
    LiteralName(String),
    /// A transformer refused.
    #[error(transparent)]
    Transformer(#[from] Failure),
}

/// Why no new key could be made.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The key could not be generated.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The ring did not take it.
    #[error(transparent)]
    Ring(#[from] RingError),
}

/// A token that is to be signed, and what is worth noting about it.
#[derive(Debug)]
pub struct Drafted {
    /// The token.
    pub draft: Draft,
    /// Claim names that the platform's expression language takes for literals.
    pub literal_names: Vec<String>,
}

impl Issuer {
    /// Makes the issuer of the replica `instance`, without a key; [`Issuer::start`] makes the first.
    #[must_use]
    pub fn new(
        instance: String,
        config: Config,
        transformers: Vec<Box<dyn ClaimsTransformer>>,
        rng: StdRng,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let policy = RotationPolicy::access(config.key_rotation_interval);
        Self {
            config: ArcSwap::from_pointee(config),
            active: ArcSwapOption::empty(),
            published: ArcSwap::from_pointee(Published::of(JwkSet::default())),
            replicas: Mutex::new(Replicas::new(instance)),
            ring: Mutex::new(KeyRing::new(policy)),
            rng: Mutex::new(rng),
            transformers,
            clock,
        }
    }

    /// Puts a configuration in force, for tokens and keys to come.
    pub fn configure(&self, config: Config) {
        lock(&self.ring).set_policy(RotationPolicy::access(config.key_rotation_interval));
        self.config.store(Arc::new(config));
    }

    /// Makes the first key, which is published and does not sign: see [`Issuer::activate_first`].
    ///
    /// # Errors
    /// [`RotationError`] when no key can be made.
    pub fn start(&self, now: Instant) -> Result<(), RotationError> {
        let mut ring = lock(&self.ring);
        if ring.active().is_none() && ring.next().is_none() {
            ring.prepare(self.new_key()?, now)?;
        }
        self.publish(&ring, &[]);
        Ok(())
    }

    /// Lets the first key sign at once: where no other replica is, no verifier can have missed it.
    pub fn activate_first(&self, now: Instant) {
        let mut ring = lock(&self.ring);
        let changes = ring.activate_now(now);
        self.publish(&ring, &changes);
    }

    /// Lets a key that waits sign before its time, because every replica and every verifier has it.
    pub fn confirm(&self, id: &KeyId, now: Instant) {
        let mut ring = lock(&self.ring);
        let changes = ring.confirm(id, now);
        self.publish(&ring, &changes);
    }

    /// Returns the key that is published and does not sign yet.
    #[must_use]
    pub fn waiting_key(&self) -> Option<KeyId> {
        lock(&self.ring).next().map(|(key, _)| key.id().clone())
    }

    /// Tells whether a key signs.
    #[must_use]
    pub fn signs(&self) -> bool {
        self.active.load().is_some()
    }

    /// Returns the configuration in force.
    #[must_use]
    pub fn config(&self) -> Config {
        **self.config.load()
    }

    /// Takes in what another replica says of keys.
    pub(crate) fn hear(&self, instance: &str, word: &Word, now: Instant) {
        let ring = lock(&self.ring);
        let heard = lock(&self.replicas).hear(instance, word, &ring, now);
        if heard == Heard::News {
            self.publish(&ring, &[]);
        }
    }

    /// Returns what to tell other replicas of keys: the body of a `LocalKeys` request or answer.
    pub(crate) fn word(&self, now: Instant) -> String {
        let ring = lock(&self.ring);
        lock(&self.replicas).word(&ring, now).to_json()
    }

    /// Returns the other replicas that were heard lately.
    pub(crate) fn peers(&self) -> Vec<String> {
        lock(&self.replicas).peers().map(str::to_owned).collect()
    }

    /// Returns a token that shows a key to verifiers before, or while, it signs: of the waiting key if there is one.
    ///
    /// # Security
    /// It is a valid token of nobody in particular for at most six seconds: it has a fixed `sub` and no other claim.
    pub(crate) fn warm_up_token(&self) -> Option<CompactJwt> {
        let ring = lock(&self.ring);
        let key = ring.next().map(|(key, _)| key).or_else(|| ring.active())?;
        let claims = Claims::from_json(WARM_UP_CLAIMS).ok()?;
        let jti = TokenId::random(&mut *lock(&self.rng), TokenId::ACCESS_LENGTH);
        Some(mint_access(
            claims,
            WARM_UP_LIFETIME,
            &jti,
            key,
            self.clock.wall(),
        ))
    }

    /// Does what the time demands of the keys and returns when to call again.
    ///
    /// # Errors
    /// [`RotationError`] when a key is due and cannot be made: the old one goes on signing.
    pub fn advance(&self, now: Instant) -> Result<Option<Instant>, RotationError> {
        let mut ring = lock(&self.ring);
        let changes = ring.advance(now);
        let next_expiry = {
            let mut replicas = lock(&self.replicas);
            replicas.expire(now);
            replicas.next_expiry()
        };
        let rotated = if ring.rotation_due(now) {
            self.new_key().and_then(|key| {
                tracing::info!(kid = %key.id(), "Key published, signs after the activation delay");
                Ok(ring.prepare(key, now)?)
            })
        } else {
            Ok(())
        };
        self.publish(&ring, &changes);
        rotated?;
        Ok(ring.next_wakeup().into_iter().chain(next_expiry).min())
    }

    /// Asks for a new key regardless of the age of the one that signs; [`Issuer::advance`] makes it.
    pub fn rotate(&self) {
        lock(&self.ring).request_rotation();
    }

    /// Drafts a token for `claims` that lives for the caller's time budget.
    ///
    /// # Errors
    /// [`MintError`].
    pub fn draft(
        &self,
        mut claims: Claims,
        given_budget: Option<Duration>,
    ) -> Result<Drafted, MintError> {
        let key = self.active.load_full().ok_or(MintError::NoKey)?;
        let config = self.config.load();
        let identity_provider = IdentityProvider::of(&claims);
        for transformer in &self.transformers {
            transformer.transform(&mut claims)?;
        }
        let literal_names = claims.literal_names();
        if let (true, Some(name)) = (config.refuse_literal_claim_names, literal_names.first()) {
            return Err(MintError::LiteralName(name.clone()));
        }
        let jti = TokenId::random(&mut *lock(&self.rng), TokenId::ACCESS_LENGTH);
        let lifetime = config.lifetime(given_budget);
        force_access(
            &mut claims,
            &identity_provider,
            lifetime,
            &jti,
            self.clock.wall(),
        );
        Ok(Drafted {
            draft: Draft {
                claims,
                key,
                lifetime,
            },
            literal_names,
        })
    }

    /// Returns what is to be seen of the keys of this replica and of the others.
    #[must_use]
    pub fn keys(&self, now: Instant) -> KeyReport {
        let ring = lock(&self.ring);
        let own: Vec<_> = ring
            .stations()
            .into_iter()
            .map(|(kid, station)| key_state(&kid, station, now))
            .collect();
        KeyReport {
            foreign: self.published.load().keys.len().saturating_sub(own.len()),
            own,
            replicas: lock(&self.replicas).peers().count(),
            next_rotation: ring
                .next_rotation()
                .map(|due| due.saturating_duration_since(now)),
        }
    }

    /// Returns the body of an answer with the JWK Set, newest key first; `{}` before the first key.
    #[must_use]
    pub fn jwk_set(&self) -> Bytes {
        self.published.load().body.clone()
    }

    /// Returns the public half of a published key, ours or another replica's.
    #[must_use]
    pub fn verifying_key(&self, id: &KeyId) -> Option<VerifyingKey> {
        self.published.load().keys.get(id).cloned()
    }

    fn new_key(&self) -> Result<SigningKey, RotationError> {
        Ok(SigningKey::generate(&mut *lock(&self.rng))?)
    }

    /// Publishes first and signs second, so that no token precedes its key.
    fn publish(&self, ring: &KeyRing, changes: &[Change]) {
        self.published
            .store(Arc::new(Published::of(lock(&self.replicas).union(ring))));
        self.active.store(ring.active().cloned());
        for change in changes {
            match change {
                Change::Activated(kid) => tracing::info!(%kid, "Key signs"),
                Change::Retired(kid) => tracing::info!(%kid, "Key retired, still published"),
                Change::Erased(kid) => tracing::info!(%kid, "Key withdrawn, its tokens are dead"),
            }
        }
    }
}

impl Published {
    fn of(keys: JwkSet) -> Self {
        let mut body = keys.to_json().into_bytes();
        body.push(b'\n');
        Self {
            keys,
            body: body.into(),
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Issuer")
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

fn key_state(kid: &KeyId, station: KeyStation, now: Instant) -> KeyState {
    let (state, since, until) = match station {
        KeyStation::Waits { since } => (KeySlot::Waits, Some(since), None),
        KeyStation::Signs { since } => (KeySlot::Signs, Some(since), None),
        KeyStation::Retired { until } => (KeySlot::Verifies, None, Some(until)),
    };
    KeyState {
        kid: kid.as_str().to_owned(),
        state,
        is_published: true,
        age: since.map(|since| now.saturating_duration_since(since)),
        left: until.map(|until| until.saturating_duration_since(now)),
    }
}

/// Names the warm-up to whoever reads a log; see [`Issuer::warm_up_token`].
const WARM_UP_CLAIMS: &[u8] = br#"{"sub":"warm-up@access.token.core"}"#;
/// With the padding of all access tokens it expires six seconds ahead.
const WARM_UP_LIFETIME: Duration = Duration::from_secs(1);

/// A panic elsewhere must not end minting: the data behind our locks is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
