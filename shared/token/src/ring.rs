//! The keys of one issuer through their lives: published, signing, published still, gone.
//!
//! A state machine without a clock. It keeps four promises, each a property test: at most one key
//! signs; a key signs only after it was published for the agreed time, unless it is the first or
//! every verifier is known to have it; no key is withdrawn while a token that it signed may be
//! alive; a clock that steps back changes nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::identifier::KeyId;
use crate::jwk::{Jwk, JwkSet};
use crate::key::SigningKey;
use crate::mint::{ACCESS_CEILING, ACCESS_PADDING};

/// The times of a key's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    /// How old the signing key grows before another one is due.
    pub interval: Duration,
    /// How long a key is published before it signs, where nobody confirms it earlier.
    pub activation_delay: Duration,
    /// How long a key is published after it stopped signing: as long as its tokens live.
    pub retention: Duration,
}

impl RotationPolicy {
    /// Returns the policy of the access issuer: the peer's activation delay of 10 s, and retention
    /// for the longest token with a minute to spare.
    #[must_use]
    pub const fn access(interval: Duration) -> Self {
        Self {
            interval,
            activation_delay: ACTIVATION_DELAY,
            retention: ACCESS_CEILING
                .saturating_add(ACCESS_PADDING)
                .saturating_add(MARGIN),
        }
    }
}

/// The key ring of one process.
///
/// All times are those of one monotonic clock; an earlier `now` than before counts as the latest.
/// Private halves are in the ring while their key is next or active only.
#[derive(Debug)]
pub struct KeyRing {
    policy: RotationPolicy,
    latest: Option<Instant>,
    /// Since when another key is wanted regardless of the age of the one that signs.
    requested: Option<Instant>,
    next: Option<Held>,
    active: Option<Held>,
    /// Newest first.
    retired: Vec<Retired>,
}

/// A key with the time since when it is in its state.
#[derive(Debug)]
struct Held {
    key: Arc<SigningKey>,
    since: Instant,
}

#[derive(Debug)]
struct Retired {
    jwk: Jwk,
    until: Instant,
}

/// Where a key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStation {
    /// It is published and does not sign yet.
    Waits {
        /// Since when.
        since: Instant,
    },
    /// It signs.
    Signs {
        /// Since when.
        since: Instant,
    },
    /// It signs no more and is still published.
    Retired {
        /// Until when.
        until: Instant,
    },
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The key signs from now on.
    Activated(KeyId),
    /// The key signs no more, and is still published.
    Retired(KeyId),
    /// The key is published no more.
    Erased(KeyId),
}

impl KeyRing {
    /// Returns an empty ring.
    #[must_use]
    pub fn new(policy: RotationPolicy) -> Self {
        Self {
            policy,
            latest: None,
            requested: None,
            next: None,
            active: None,
            retired: Vec::new(),
        }
    }

    /// Replaces the policy, for keys to come and for those that are waiting to sign.
    pub fn set_policy(&mut self, policy: RotationPolicy) {
        self.policy = policy;
    }

    /// Publishes a key that is to sign next.
    ///
    /// # Errors
    /// [`RingError::NextExists`] while another key waits, [`RingError::KnownKey`] for an identifier
    /// that is in the ring, [`RingError::Full`] if too many keys are published still.
    pub fn prepare(&mut self, key: SigningKey, now: Instant) -> Result<(), RingError> {
        let now = self.at(now);
        if let Some(next) = &self.next {
            return Err(RingError::NextExists(next.key.id().clone()));
        }
        let published = self.published();
        if published.get(key.id()).is_some() {
            return Err(RingError::KnownKey(key.id().clone()));
        }
        if published.len() >= MOST_KEYS {
            return Err(RingError::Full);
        }
        self.requested = None;
        self.next = Some(Held {
            key: Arc::new(key),
            since: now,
        });
        Ok(())
    }

    /// Lets the first key of all sign at once: nobody can miss a key that was never used, and an
    /// issuer without a key mints nothing. Does nothing while a key signs or none waits.
    pub fn activate_now(&mut self, now: Instant) -> Vec<Change> {
        let now = self.at(now);
        if self.active.is_some() {
            Vec::new()
        } else {
            self.activate(now)
        }
    }

    /// Lets the waiting key sign because everybody who must have it has confirmed that. A
    /// confirmation of another key does nothing.
    pub fn confirm(&mut self, id: &KeyId, now: Instant) -> Vec<Change> {
        let now = self.at(now);
        match &self.next {
            Some(next) if next.key.id() == id => self.activate(now),
            _ => Vec::new(),
        }
    }

    /// Does what the time demands: erases keys whose tokens are dead, lets the waiting key sign
    /// after the activation delay.
    pub fn advance(&mut self, now: Instant) -> Vec<Change> {
        let now = self.at(now);
        let mut changes = Vec::new();
        if self
            .next
            .as_ref()
            .is_some_and(|next| self.activation_of(next) <= now)
        {
            changes = self.activate(now);
        }
        self.retired.retain(|retired| {
            if retired.until <= now {
                changes.push(Change::Erased(retired.jwk.id().clone()));
            }
            retired.until > now
        });
        changes
    }

    /// Asks for another key regardless of the age of the one that signs.
    pub fn request_rotation(&mut self, now: Instant) {
        let now = self.at(now);
        // A key that waits already is the answer.
        if self.next.is_none() {
            self.requested.get_or_insert(now);
        }
    }

    /// Tells whether a key should be made and given to [`KeyRing::prepare`].
    #[must_use]
    pub fn rotation_due(&self, now: Instant) -> bool {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        self.rotation_at()
            .is_some_and(|due| due.is_none_or(|due| due <= now))
    }

    /// Returns the key that signs.
    #[must_use]
    pub fn active(&self) -> Option<&Arc<SigningKey>> {
        self.active.as_ref().map(|active| &active.key)
    }

    /// Returns the key that waits, and since when it is published.
    #[must_use]
    pub fn next(&self) -> Option<(&Arc<SigningKey>, Instant)> {
        self.next.as_ref().map(|next| (&next.key, next.since))
    }

    /// Returns the keys that verify our tokens, newest first as the Go service lists them.
    #[must_use]
    pub fn published(&self) -> JwkSet {
        let held = self
            .next
            .iter()
            .chain(&self.active)
            .map(|held| Jwk::of(&held.key));
        let mut set = JwkSet::default();
        for jwk in held.chain(self.retired.iter().map(|retired| retired.jwk.clone())) {
            let pushed = set.push(jwk);
            debug_assert!(pushed.is_ok(), "prepare refuses identifiers that are known");
        }
        set
    }

    /// Returns how long tokens of each published key can still live, for those who serve the keys when we are gone.
    ///
    /// A key that signs, or is about to, can be the key of a token that lives for the whole retention from now.
    #[must_use]
    pub fn lives(&self, now: Instant) -> Vec<(KeyId, Duration)> {
        let held = self.next.iter().chain(&self.active);
        let held = held.map(|held| (held.key.id().clone(), self.policy.retention));
        let retired = self.retired.iter().map(|retired| {
            (
                retired.jwk.id().clone(),
                retired.until.saturating_duration_since(now),
            )
        });
        held.chain(retired).collect()
    }

    /// Returns the keys in the order of [`KeyRing::published`], each with the time of its latest or next change: since when
    /// it waits or signs, until when it is published.
    #[must_use]
    pub fn stations(&self) -> Vec<(KeyId, KeyStation)> {
        let id = |held: &Held| held.key.id().clone();
        let waits = |held| (id(held), KeyStation::Waits { since: held.since });
        let signs = |held| (id(held), KeyStation::Signs { since: held.since });
        let next = self.next.as_ref().map(waits);
        let active = self.active.as_ref().map(signs);
        let retired = self.retired.iter().map(|retired| {
            let until = retired.until;
            (retired.jwk.id().clone(), KeyStation::Retired { until })
        });
        next.into_iter().chain(active).chain(retired).collect()
    }

    /// Returns when another key is due, or was while none is made; none while one waits, or before the first.
    #[must_use]
    pub fn next_rotation(&self) -> Option<Instant> {
        self.rotation_at().flatten()
    }

    /// Returns when [`KeyRing::advance`] or [`KeyRing::rotation_due`] will have something new to
    /// say; none if never. A time that is past means at once.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Instant> {
        let activation = self.next.as_ref().map(|next| self.activation_of(next));
        let rotation = self.rotation_at().and_then(|due| due.or(self.latest));
        let erasures = self.retired.iter().map(|retired| retired.until);
        activation.into_iter().chain(rotation).chain(erasures).min()
    }

    fn activate(&mut self, now: Instant) -> Vec<Change> {
        let Some(next) = self.next.take() else {
            return Vec::new();
        };
        // It may have signed before: what verifiers were shown of it while it waited.
        next.key.verify_next();
        let mut changes = vec![Change::Activated(next.key.id().clone())];
        if let Some(old) = self.active.replace(Held {
            key: next.key,
            since: now,
        }) {
            changes.push(Change::Retired(old.key.id().clone()));
            let until = later(now, self.policy.retention);
            self.retired.insert(
                0,
                Retired {
                    jwk: Jwk::of(&old.key),
                    until,
                },
            );
        }
        changes
    }

    fn activation_of(&self, next: &Held) -> Instant {
        later(next.since, self.policy.activation_delay)
    }

    /// Returns when another key is due: none if one waits already, `Some(None)` if the first one is.
    #[expect(
        clippy::option_option,
        reason = "never, now and then are three answers"
    )]
    fn rotation_at(&self) -> Option<Option<Instant>> {
        match (&self.next, &self.active) {
            (Some(_), _) => None,
            (None, Some(active)) => {
                let aged = later(active.since, self.policy.interval);
                Some(Some(self.requested.map_or(aged, |at| at.min(aged))))
            }
            (None, None) => Some(None),
        }
    }

    /// Takes the time in: it never goes back.
    fn at(&mut self, now: Instant) -> Instant {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        self.latest = Some(now);
        now
    }
}

/// Why a key is not taken into the ring.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// Another key waits to sign.
    #[error("key {0} waits to sign already; wait until it does")]
    NextExists(KeyId),
    /// The identifier is taken.
    #[error("a key with the key id {0} is in the ring already")]
    KnownKey(KeyId),
    /// Keys are made faster than their tokens die.
    #[error("16 keys are published already; wait until the oldest tokens have expired")]
    Full,
}

/// Adds, or keeps the time where the sum has no place in the clock: no process lives that long.
fn later(time: Instant, by: Duration) -> Instant {
    time.checked_add(by)
        .or_else(|| time.checked_add(CENTURY))
        .unwrap_or(time)
}

/// The peer's activation delay. Source: spec: microbus-wire 11.1.
pub const ACTIVATION_DELAY: Duration = Duration::from_secs(10);
/// For the difference between the monotonic clock here and the wall clock of a verifier.
const MARGIN: Duration = Duration::from_secs(60);
const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
/// Keys that may be published at once; a set of 64 may come from four replicas.
const MOST_KEYS: usize = 16;

#[cfg(test)]
mod tests;
