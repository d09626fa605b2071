//! The issuer: the operator's keys, a lifetime, and what may be asked of them. Knows nothing of the bus or of files.
//!
//! Source: spec: microbus-wire 11.3. Minting takes the signing key from a slot that a change of keys replaces in one step;
//! the JWK Set is encoded when the keys change, so that serving it costs a reference count.

use crate::config::Config;
use crate::keys::{Change, Desired, Keys, PublishedKey};
use crate::sisters::LONGEST_HOLD;
use crate::union::{Report, Sisters};
use crate::word::Word;
use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use microbus_bus::Clock;
use microbus_service::{Draft, KeyReport, timestamp};
use microbus_token::{
    BEARER_PADDING, Claims, JwkSet, KeyError, KeyId, Secret, SigningKey, TokenId, VerifyingKey,
    force_bearer,
};
use rand::Rng as _;
use rand::rand_core::UnwrapErr;
use rand::rngs::{StdRng, SysRng};
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
    sisters: Sisters,
    /// Whether anybody can be given a token: until then neither the log nor a sister is told that a key signs.
    begun: bool,
}

/// The key that signs, and until when it does.
struct Signing {
    key: Arc<PublishedKey>,
    until: Option<Instant>,
}

/// The keys that verify tokens of any replica, and the same as the body of an answer; and what sister replicas are told.
struct Published {
    keys: JwkSet,
    body: Bytes,
    own: Bytes,
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
            published: ArcSwap::from_pointee(Published::of(JwkSet::default(), &Word::default())),
            state: Mutex::new(State {
                keys: Keys::new(config.activation_delay),
                desired: Desired::default(),
                ephemeral: None,
                sisters: Sisters::default(),
                begun: false,
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
        let primary = state.keys.primary().cloned();
        let is_new = |change: &Change| matches!(change, Change::Published(id) if Some(id) == primary.as_ref());
        if state.sisters.count() > 0 && changes.iter().any(is_new) {
            let until = now + state.keys.activation_delay() + LONGEST_HOLD;
            state.keys.hold(until);
        }
        self.publish(&mut state, &changes);
    }

    /// Takes in what all sister replicas that are there publish.
    pub(crate) fn hear_sisters(&self, reports: Vec<Report>, now: Instant) {
        let mut state = lock(&self.state);
        state.sisters.hear(reports, now);
        let union = state.sisters.union(&state.keys.published());
        if union != self.published.load().keys {
            let kids = self.publish_union(&mut state);
            tracing::info!(
                published = kids,
                sisters = state.sisters.count(),
                "Keys of sister replicas changed"
            );
        }
    }

    /// Returns the instances of the sister replicas.
    pub(crate) fn sisters(&self) -> Vec<String> {
        lock(&self.state).sisters.instances()
    }

    /// Returns the key that is to sign.
    pub(crate) fn primary(&self) -> Option<KeyId> {
        lock(&self.state).keys.primary().cloned()
    }

    /// Tells whether some sister replica does not publish a key.
    pub(crate) fn lack(&self, id: &KeyId) -> bool {
        lock(&self.state).sisters.lack(id)
    }

    /// Tells whether sister replicas sign, and none of them with a key.
    pub(crate) fn sisters_sign_without(&self, id: &KeyId) -> bool {
        lock(&self.state).sisters.sign_with_others(id)
    }

    /// Takes note that tokens are given out from now on.
    pub(crate) fn begin(&self) {
        let mut state = lock(&self.state);
        state.begun = true;
        let signer = state.keys.signer().map(|key| key.key().id().clone());
        let changes: Vec<_> = signer.map(Change::Signs).into_iter().collect();
        self.publish(&mut state, &changes);
    }

    /// Tells whether the primary key does not sign yet.
    pub(crate) fn waits(&self) -> bool {
        lock(&self.state).keys.next_wakeup().is_some()
    }

    /// Returns for how long a new key is published before it signs.
    pub(crate) fn activation_delay(&self) -> Duration {
        lock(&self.state).keys.activation_delay()
    }

    /// Lets the primary key sign at its time, because every sister replica publishes it.
    pub(crate) fn release(&self, now: Instant) {
        let mut state = lock(&self.state);
        let changes = state.keys.release(now);
        self.publish(&mut state, &changes);
    }

    /// Has the alternate sign until the primary is known to all sister replicas; tells whether there is one.
    pub(crate) fn stand_back(&self, now: Instant) -> bool {
        let mut state = lock(&self.state);
        let Some(changes) = state.keys.stand_back(now) else {
            return false;
        };
        let until = now + state.keys.activation_delay() + LONGEST_HOLD;
        state.keys.hold(until);
        self.publish(&mut state, &changes);
        true
    }

    /// Tells whether verifiers are to be shown keys.
    pub(crate) fn warms_verifiers(&self) -> bool {
        self.config.load().warm_verifiers
    }

    /// Returns a token that shows the primary key to verifiers before, or while, it signs.
    ///
    /// # Security
    /// It is a valid token of nobody in particular for at most six seconds: it has a fixed `sub` and no other claim.
    pub(crate) fn warm_up(&self) -> Option<Draft> {
        let key = lock(&self.state).keys.primary_key()?;
        let wall = self.clock.wall();
        let seconds = wall.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let jti = TokenId::random(&mut *lock(&self.rng), TokenId::BEARER_LENGTH);
        let mut claims = Claims::new();
        claims
            .insert("iss", microbus_token::Issuer::Bearer.url())
            .ok()?;
        claims.insert("sub", WARM_UP_SUBJECT).ok()?;
        claims.insert("iat", seconds.saturating_sub(5)).ok()?;
        claims.insert("exp", seconds.saturating_add(6)).ok()?;
        claims.insert("jti", jti.as_str()).ok()?;
        Some(Draft {
            claims,
            key,
            lifetime: Duration::from_secs(1),
        })
    }

    /// Lets the primary key sign at once; tells whether another key signed until now.
    pub fn activate_now(&self, now: Instant) -> bool {
        let mut state = lock(&self.state);
        let changes = state.keys.activate_now(now);
        self.publish(&mut state, &changes);
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
        // Not of our own generator, whose state would give the key away.
        UnwrapErr(SysRng).fill_bytes(&mut seed);
        // Of a seed, so that its key ID follows from the public key like those of the operator's keys.
        let key = Arc::new(SigningKey::from_seed(&Secret::new(seed))?);
        tracing::warn!(
            kid = %key.id(),
            "No PrivateKey: a key was made that is lost with this process, and all its tokens with it"
        );
        state.ephemeral = Some(key);
        let changes = state.replace_keys(now);
        self.publish(&mut state, &changes);
        Ok(())
    }

    /// Does what the time demands of the keys and returns when to call again.
    pub fn advance(&self, now: Instant) -> Option<Instant> {
        let mut state = lock(&self.state);
        let changes = state.keys.advance(now);
        self.publish(&mut state, &changes);
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
        let state = lock(&self.state);
        let own = state.keys.states(now);
        let published = own.iter().filter(|key| key.is_published).count();
        KeyReport {
            foreign: self.published.load().keys.len().saturating_sub(published),
            replicas: state.sisters.count(),
            own,
            ..KeyReport::default()
        }
    }

    /// Returns the body of an answer to a sister replica: our own keys alone, and which key signs.
    #[must_use]
    pub fn own_jwk_set(&self) -> Bytes {
        self.published.load().own.clone()
    }

    /// Returns the public half of a key that is published.
    #[must_use]
    pub fn verifying_key(&self, id: &KeyId) -> Option<VerifyingKey> {
        self.published.load().keys.get(id).cloned()
    }

    /// Publishes first and signs second, so that no token precedes its key.
    fn publish(&self, state: &mut State, changes: &[Change]) {
        if changes.is_empty() {
            return;
        }
        let kids = self.publish_union(state);
        self.signing.store(state.keys.signer().map(|key| {
            key.key().verify_next();
            Arc::new(Signing {
                key: Arc::clone(key),
                until: state.keys.next_wakeup(),
            })
        }));
        let is_true = |change: &&Change| state.begun || !matches!(change, Change::Signs(_));
        for change in changes.iter().filter(is_true) {
            self.log(change, &kids);
        }
    }

    /// Publishes our own keys and those of sister replicas; returns their IDs.
    fn publish_union(&self, state: &mut State) -> String {
        let own = state.keys.published();
        state.sisters.note_own(&own);
        let union = state.sisters.union(&own);
        let signer = state.keys.signer().filter(|_| state.begun);
        let word = Word {
            keys: own,
            signs: signer.map(|key| key.key().id().clone()),
        };
        let published = Published::of(union, &word);
        let kids: Vec<_> = published.keys.iter().map(|jwk| jwk.id().as_str()).collect();
        let kids = kids.join(" ");
        self.published.store(Arc::new(published));
        kids
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
    fn of(keys: JwkSet, word: &Word) -> Self {
        Self {
            body: Bytes::from(keys.to_json() + "\n"),
            own: Bytes::from(word.to_json()),
            keys,
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

/// Names the warm-up to whoever reads a log; see [`Issuer::warm_up`].
const WARM_UP_SUBJECT: &str = "warm-up@bearer.token.core";

/// A panic elsewhere must not end minting: the data behind our locks is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
