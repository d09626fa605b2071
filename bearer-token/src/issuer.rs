//! The issuer: the operator's keys, a lifetime, and what may be asked of them. Knows nothing of the bus or of files.
//!
//! Source: spec: microbus-wire 11.3. Minting takes the signing key from a slot that a change of keys replaces in one step;
//! the JWK Set is encoded when the keys change, so that serving it costs a reference count.

use crate::config::Config;
use crate::keys::{Change, Desired, Keys, PublishedKey};
use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use microbus_bus::Clock;
use microbus_service::{Draft, KeyReport, timestamp};
use microbus_token::{
    BEARER_PADDING, Claims, JwkSet, KeyError, KeyId, Secret, SigningKey, TokenId, VerifyingKey,
    force_bearer,
};
use rand::Rng as _;
use rand::rngs::StdRng;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Mints bearer tokens and publishes the keys that verify them.
pub struct Issuer {
    config: ArcSwap<Config>,
    signing: ArcSwapOption<Signing>,
    published: ArcSwap<Published>,
    state: Mutex<State>,
    rng: Mutex<StdRng>,
    clock: Arc<dyn Clock>,
}

struct State {
    keys: Keys,
    desired: Desired,
    /// Signs where the operator gave no key, until there is one.
    ephemeral: Option<Arc<SigningKey>>,
}

/// The key that signs, and until when it does.
struct Signing {
    key: Arc<PublishedKey>,
    until: Option<Instant>,
}

/// The keys that verify our tokens, and the same as the body of an answer.
struct Published {
    keys: JwkSet,
    body: Bytes,
}

/// Why a token was not minted.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// There is no primary key.
    #[error("no signing key configured")]
    NoKey,
}

impl Issuer {
    /// Makes an issuer without a key; [`Issuer::configure`] brings the first.
    #[must_use]
    pub fn new(config: Config, rng: StdRng, clock: Arc<dyn Clock>) -> Self {
        Self {
            config: ArcSwap::from_pointee(config),
            signing: ArcSwapOption::empty(),
            published: ArcSwap::from_pointee(Published::of(JwkSet::default())),
            state: Mutex::new(State {
                keys: Keys::new(config.activation_delay),
                desired: Desired::default(),
                ephemeral: None,
            }),
            rng: Mutex::new(rng),
            clock,
        }
    }

    /// Puts a configuration and keys in force.
    pub fn configure(&self, config: Config, desired: Desired, now: Instant) {
        lock(&self.state)
            .keys
            .set_activation_delay(config.activation_delay);
        self.replace(desired, now);
        self.config.store(Arc::new(config));
    }

    /// Puts keys in force: both in one step.
    pub fn replace(&self, desired: Desired, now: Instant) {
        let mut state = lock(&self.state);
        let ends_ephemeral = desired.primary.is_some() && state.ephemeral.take().is_some();
        state.desired = desired;
        let mut changes = state.replace_keys(now);
        if ends_ephemeral {
            // Its tokens were never to last.
            changes.extend(state.keys.activate_now(now));
        }
        self.publish(&state.keys, &changes);
    }

    /// Lets the primary key sign at once; tells whether another key signed until now.
    pub fn activate_now(&self, now: Instant) -> bool {
        let mut state = lock(&self.state);
        let changes = state.keys.activate_now(now);
        self.publish(&state.keys, &changes);
        !changes.is_empty()
    }

    /// Makes a key that dies with the process, if the operator gave none: for a developer's machine and tests.
    ///
    /// # Errors
    /// [`KeyError`] when no key can be made.
    pub fn start_with_ephemeral_key(&self, now: Instant) -> Result<(), KeyError> {
        let mut state = lock(&self.state);
        if state.desired.primary.is_some() || state.ephemeral.is_some() {
            return Ok(());
        }
        let mut seed = vec![0; 32];
        lock(&self.rng).fill_bytes(&mut seed);
        // Of a seed, so that its key ID follows from the public key like those of the operator's keys.
        let key = Arc::new(SigningKey::from_seed(&Secret::new(seed))?);
        tracing::warn!(
            kid = %key.id(),
            "No PrivateKey: a key was made that is lost with this process, and all its tokens with it"
        );
        state.ephemeral = Some(key);
        let changes = state.replace_keys(now);
        self.publish(&state.keys, &changes);
        Ok(())
    }

    /// Does what the time demands of the keys and returns when to call again.
    pub fn advance(&self, now: Instant) -> Option<Instant> {
        let mut state = lock(&self.state);
        let changes = state.keys.advance(now);
        self.publish(&state.keys, &changes);
        state.keys.next_wakeup()
    }

    /// Drafts a token for `claims`.
    ///
    /// # Errors
    /// [`MintError::NoKey`] until there is a primary key.
    pub fn draft(&self, mut claims: Claims) -> Result<Draft, MintError> {
        let mut signing = self.signing.load();
        let until = signing.as_ref().and_then(|signing| signing.until);
        let now = self.clock.now();
        // Whether or not the timer came in time, no key signs past its end.
        if until.is_some_and(|until| now >= until) {
            self.advance(now);
            signing = self.signing.load();
        }
        let signing = signing.as_deref().ok_or(MintError::NoKey)?;
        let config = self.config.load();
        let jti = TokenId::random(&mut *lock(&self.rng), TokenId::BEARER_LENGTH);
        let wall = self.clock.wall();
        force_bearer(&mut claims, config.token_lifetime, &jti, wall);
        signing.key.note_end(end_of_life(wall, &config));
        Ok(Draft {
            claims,
            key: Arc::clone(signing.key.key()),
            lifetime: config.token_lifetime,
        })
    }

    /// Returns the body of an answer with the JWK Set, primary first; `{}` without a key.
    #[must_use]
    pub fn jwk_set(&self) -> Bytes {
        self.published.load().body.clone()
    }

    /// Returns what is to be seen of the keys; their ages count from when this process published them.
    #[must_use]
    pub fn keys(&self, now: Instant) -> KeyReport {
        KeyReport {
            own: lock(&self.state).keys.states(now),
            ..KeyReport::default()
        }
    }

    /// Returns the public half of a key of ours that is published.
    #[must_use]
    pub fn verifying_key(&self, id: &KeyId) -> Option<VerifyingKey> {
        self.published.load().keys.get(id).cloned()
    }

    /// Publishes first and signs second, so that no token precedes its key.
    fn publish(&self, keys: &Keys, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let published = Published::of(keys.published());
        let kids: Vec<_> = published.keys.iter().map(|jwk| jwk.id().as_str()).collect();
        let kids = kids.join(" ");
        self.published.store(Arc::new(published));
        self.signing.store(keys.signer().map(|key| {
            Arc::new(Signing {
                key: Arc::clone(key),
                until: keys.next_wakeup(),
            })
        }));
        for change in changes {
            self.log(change, &kids);
        }
    }

    /// Tells operator and auditor what became of the keys: `published` lists what verifiers can get now.
    fn log(&self, change: &Change, published: &str) {
        match change {
            Change::Published(kid) => tracing::info!(%kid, published, "Key published"),
            Change::Signs(kid) => tracing::info!(%kid, published, "Key signs"),
            Change::NoneSigns => {
                tracing::warn!(published, "No key signs until PrivateKey is given");
            }
            Change::SameTwice(kid) => {
                tracing::warn!(%kid, "PrivateKey and AltPrivateKey are the same key");
            }
            Change::Withdrawn { key, signs_on } => self.log_withdrawn(key, *signs_on, published),
        }
    }

    fn log_withdrawn(&self, key: &PublishedKey, signs_on: Duration, published: &str) {
        let (kid, wall) = (key.key().id(), self.clock.wall());
        // Of what is signed later, or was by another process, we know only how long it lives.
        let last_mint = wall.checked_add(signs_on).unwrap_or(wall);
        let signed = key.last_end().filter(|_| signs_on.is_zero());
        let end = signed.or_else(|| {
            let seconds = end_of_life(last_mint, &self.config.load());
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
        });
        match end {
            Some(end) if end <= wall => {
                tracing::info!(%kid, published, "Key withdrawn, its tokens are dead");
            }
            end if !signs_on.is_zero() => tracing::warn!(
                %kid,
                published,
                until = end.map(timestamp),
                "Key withdrawn while it signs: make it AltPrivateKey, or send SIGUSR1 if it leaked"
            ),
            end => tracing::warn!(
                %kid,
                published,
                until = end.map(timestamp),
                "Key withdrawn while its tokens can live: verifiers that do not know it refuse them"
            ),
        }
    }
}

impl State {
    fn replace_keys(&mut self, now: Instant) -> Vec<Change> {
        let Desired { primary, alternate } = self.desired.clone();
        let primary = primary.or_else(|| self.ephemeral.clone());
        self.keys.replace(Desired { primary, alternate }, now)
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
        let signing = self.signing.load();
        formatter
            .debug_struct("Issuer")
            .field(
                "signing",
                &signing.as_ref().map(|signing| signing.key.key()),
            )
            .finish_non_exhaustive()
    }
}

/// Returns when a token that is minted now ends, in seconds since 1970.
fn end_of_life(wall: SystemTime, config: &Config) -> u64 {
    wall.checked_add(config.token_lifetime)
        .and_then(|end| end.checked_add(BEARER_PADDING))
        .and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or(u64::MAX, |since| since.as_secs())
}

/// A panic elsewhere must not end minting: the data behind our locks is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
