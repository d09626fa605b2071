//! The issuer: a key ring, a policy, and what may be asked of them. Knows nothing of the bus.
//!
//! Source: spec: microbus-wire 11.1, 11.2. Minting takes the active key from a slot that rotation replaces in one step;
//! the JWK Set is encoded when the ring changes, so that serving it costs a reference count.

use crate::config::Config;
use crate::member::{Member, Outcome, Step};
use crate::transform::ClaimsTransformer;
use crate::word::Word;
use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use microbus_bus::{Clock, Failure};
use microbus_service::{Draft, KeyReport, KeySlot, KeyState, Verifier};
use microbus_token::{
    ACCESS_PADDING, Change, Claims, IdentityProvider, JwkSet, KeyError, KeyId, KeyStation,
    RingError, RotationPolicy, SigningKey, TokenId, VerifyingKey, force_access,
};
use rand::rand_core::UnwrapErr;
use rand::rngs::{StdRng, SysRng};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Mints access tokens and publishes the keys that verify them.
pub struct Issuer {
    config: ArcSwap<Config>,
    active: ArcSwapOption<SigningKey>,
    published: ArcSwap<Published>,
    member: Mutex<Member>,
    /// Counts what happened to our own keys, for those who wait for it.
    changes: watch::Sender<u64>,
    /// The replica whose first word is on its way.
    expected: watch::Sender<Option<Expected>>,
    /// For token IDs alone.
    rng: Mutex<StdRng>,
    transformers: Vec<Box<dyn ClaimsTransformer>>,
    clock: Arc<dyn Clock>,
    made: Instant,
    /// When the last token that was minted here ends, in milliseconds since the issuer was made.
    last_end: AtomicU64,
}

/// The keys that verify tokens of any replica, and the same as the body of an answer.
#[derive(Debug)]
struct Published {
    keys: JwkSet,
    body: Bytes,
}

/// A replica that has announced itself and was not heard yet.
#[derive(Debug, Clone)]
struct Expected {
    instance: String,
    until: Instant,
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
        let member = Member::new(instance, policy, config.warm_verifiers);
        Self {
            config: ArcSwap::from_pointee(config),
            active: ArcSwapOption::empty(),
            published: ArcSwap::from_pointee(Published::of(JwkSet::default())),
            member: Mutex::new(member),
            changes: watch::Sender::new(0),
            expected: watch::Sender::new(None),
            rng: Mutex::new(rng),
            transformers,
            made: clock.now(),
            clock,
            last_end: AtomicU64::new(0),
        }
    }

    /// Puts a configuration in force, for tokens and keys to come.
    pub fn configure(&self, config: Config) {
        let policy = RotationPolicy::access(config.key_rotation_interval);
        lock(&self.member).configure(policy, config.warm_verifiers);
        self.config.store(Arc::new(config));
    }

    /// Makes the first key, which is published and does not sign: see [`Issuer::activate_first`].
    ///
    /// # Errors
    /// [`RotationError`] when no key can be made.
    pub fn start(&self, now: Instant) -> Result<(), RotationError> {
        let mut member = lock(&self.member);
        if member.ring().active().is_none() && member.ring().next().is_none() {
            member.prepare(Self::new_key()?, now)?;
        }
        self.publish(&member);
        Ok(())
    }

    /// Lets the first key sign at once: where no other replica is, no verifier can have missed it.
    pub fn activate_first(&self, now: Instant) {
        self.change(|member| member.activate_first(now));
    }

    /// Tells whether a key signs.
    #[must_use]
    pub fn signs(&self) -> bool {
        self.active.load().is_some()
    }

    /// Tells whether it is this key that signs.
    pub(crate) fn signs_with(&self, kid: &KeyId) -> bool {
        let active = self.active.load();
        active.as_ref().is_some_and(|key| key.id() == kid)
    }

    /// Returns the configuration in force.
    #[must_use]
    pub fn config(&self) -> Config {
        **self.config.load()
    }

    /// Returns what tells of each change of our own keys.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Takes in what another replica says of keys.
    pub(crate) fn hear(&self, instance: &str, word: &Word, now: Instant) {
        let mut member = lock(&self.member);
        let outcome = member.hear(instance, word, now);
        self.take_note(&member, &outcome);
        let is_heard = |expected: &Expected| expected.instance == instance;
        self.expected
            .send_if_modified(|expected| expected.take_if(|one| is_heard(one)).is_some());
    }

    /// Has JWK Sets wait for the word of a replica that has just announced itself, at the latest until `until`.
    pub(crate) fn expect(&self, instance: &str, until: Instant) {
        let instance = instance.to_owned();
        self.expected
            .send_replace(Some(Expected { instance, until }));
    }

    /// Returns until when JWK Sets wait for another replica's word; none almost always.
    pub(crate) fn expects(&self, now: Instant) -> Option<Instant> {
        let expected = self.expected.borrow();
        expected
            .as_ref()
            .map(|expected| expected.until)
            .filter(|until| now < *until)
    }

    /// Returns when that word is heard, or at `until`.
    pub(crate) async fn heard(&self, until: Instant) {
        let mut expected = self.expected.subscribe();
        let heard = expected.wait_for(Option::is_none);
        // Either is a reason to go on.
        drop(tokio::time::timeout_at(until.into(), heard).await);
    }

    /// Returns what to tell other replicas of keys: the body of a `LocalKeys` request or answer.
    pub(crate) fn word(&self, now: Instant) -> String {
        lock(&self.member).word(now).to_json()
    }

    /// Has all further words say that this replica goes.
    pub(crate) fn leave(&self) {
        lock(&self.member).leave();
    }

    /// Tells whether a replica was heard lately.
    pub(crate) fn knows(&self, instance: &str) -> bool {
        let member = lock(&self.member);
        member.replicas().peers().any(|peer| peer == instance)
    }

    /// Tells whether any replica was heard lately.
    pub(crate) fn has_peers(&self) -> bool {
        let member = lock(&self.member);
        member.replicas().peers().next().is_some()
    }

    /// Returns the replicas that were heard lately and warm verifiers as we do.
    pub(crate) fn peers_of_ours(&self) -> Vec<String> {
        let member = lock(&self.member);
        let peers = member.replicas().peers_of_ours();
        peers.map(str::to_owned).collect()
    }

    /// Returns the key that is being introduced to replicas and verifiers.
    pub(crate) fn introducing(&self) -> Option<KeyId> {
        lock(&self.member).introducing().cloned()
    }

    /// Returns what is to be done for it, and who is known to lack it among the replicas.
    pub(crate) fn next_step(&self, now: Instant) -> (Step, Vec<String>) {
        let member = lock(&self.member);
        (member.next_step(now), member.missing())
    }

    /// Says that all replicas were told of a key, and those that answered were heard.
    pub(crate) fn told(&self, kid: &KeyId, now: Instant) {
        self.change(|member| member.told(kid, now));
    }

    /// Says that the key is being shown to verifiers, for so long beyond the time of one fetch.
    pub(crate) fn showing(&self, beyond: Duration, now: Instant) {
        lock(&self.member).showing(beyond, now);
    }

    /// Says what came of it: who does not know the key, and whether everybody answered.
    pub(crate) fn shown(&self, kid: &KeyId, cold: Vec<Verifier>, complete: bool, now: Instant) {
        self.change(|member| member.shown(kid, cold, complete, now));
    }

    /// Returns a token that shows a key to verifiers before, or while, it signs: of the waiting key if there is one.
    ///
    /// # Security
    /// It is a valid token of nobody in particular for at most six seconds: it has a fixed `sub` and no other claim.
    pub(crate) fn warm_up(&self) -> Option<Draft> {
        let key = {
            let member = lock(&self.member);
            let next = member.ring().next().map(|(key, _)| key);
            Arc::clone(next.or_else(|| member.ring().active())?)
        };
        let mut claims = Claims::from_json(WARM_UP_CLAIMS).ok()?;
        let nobody = IdentityProvider::of(&claims);
        let jti = TokenId::random(&mut *lock(&self.rng), TokenId::ACCESS_LENGTH);
        let wall = self.clock.wall();
        force_access(&mut claims, &nobody, WARM_UP_LIFETIME, &jti, wall);
        Some(Draft {
            claims,
            key,
            lifetime: WARM_UP_LIFETIME,
        })
    }

    /// Does what the time demands of the keys and returns when to call again.
    ///
    /// # Errors
    /// [`RotationError`] when a key is due and cannot be made: the old one goes on signing.
    pub fn advance(&self, now: Instant) -> Result<Option<Instant>, RotationError> {
        let mut member = lock(&self.member);
        let outcome = member.advance(now);
        self.take_note(&member, &outcome);
        if member.rotation_due(now) {
            let key = Self::new_key()?;
            tracing::info!(kid = %key.id(), "Key published, signs after the activation delay");
            member.prepare(key, now)?;
            self.publish(&member);
            self.changes
                .send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(member.next_wakeup())
    }

    /// Asks for a new key regardless of the age of the one that signs; [`Issuer::advance`] makes it.
    pub fn rotate(&self) {
        lock(&self.member).request_rotation(self.clock.now());
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
        self.note_end(lifetime);
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
        let member = lock(&self.member);
        let own = member.ring().stations().into_iter();
        let own = own.map(|(kid, station)| key_state(&kid, station, now));
        let next_rotation = member.ring().next_rotation();
        KeyReport {
            foreign: member.replicas().foreign_keys(),
            own: own.collect(),
            replicas: member.replicas().peers().count(),
            next_rotation: next_rotation.map(|due| due.saturating_duration_since(now)),
            overdue: next_rotation.map_or(Duration::ZERO, |due| now.saturating_duration_since(due)),
        }
    }

    /// Returns when no token that was minted here can be alive any more; none if none was minted.
    pub(crate) fn last_end(&self) -> Option<Instant> {
        let milliseconds = self.last_end.load(Ordering::Relaxed);
        (milliseconds > 0).then(|| self.made + Duration::from_millis(milliseconds))
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

    /// Makes a key.
    ///
    /// # Security
    /// It comes from the operating system and not from a generator in our memory, whose state would give away every key
    /// before and after it: [`Issuer::rotate`] mends a leak of that memory.
    fn new_key() -> Result<SigningKey, RotationError> {
        Ok(SigningKey::generate(&mut UnwrapErr(SysRng))?)
    }

    fn note_end(&self, lifetime: Duration) {
        let age = self.clock.now().saturating_duration_since(self.made);
        let end = age.saturating_add(lifetime).saturating_add(ACCESS_PADDING);
        let milliseconds = u64::try_from(end.as_millis()).unwrap_or(u64::MAX);
        self.last_end.fetch_max(milliseconds, Ordering::Relaxed);
    }

    /// Has something happen to our own keys.
    fn change(&self, happen: impl FnOnce(&mut Member) -> Vec<Change>) {
        let mut member = lock(&self.member);
        let changes = happen(&mut member);
        let outcome = Outcome {
            news: false,
            changes,
        };
        self.take_note(&member, &outcome);
    }

    /// Puts what happened in force and tells whoever waits for it.
    fn take_note(&self, member: &Member, outcome: &Outcome) {
        if outcome.news || !outcome.changes.is_empty() {
            self.publish(member);
        }
        for change in &outcome.changes {
            match change {
                Change::Activated(kid) => tracing::info!(%kid, "Key signs"),
                Change::Retired(kid) => tracing::info!(%kid, "Key retired, still published"),
                Change::Erased(kid) => tracing::info!(%kid, "Key withdrawn, its tokens are dead"),
            }
        }
        if !outcome.changes.is_empty() {
            self.changes
                .send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Publishes first and signs second, so that no token precedes its key.
    fn publish(&self, member: &Member) {
        self.published
            .store(Arc::new(Published::of(member.union())));
        self.active.store(member.ring().active().cloned());
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
