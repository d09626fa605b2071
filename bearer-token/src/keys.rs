//! The operator's keys: which are published, and which one signs. Pure.
//!
//! Published is what is configured, and nothing else from the moment of a change on: a leaked key must be removable. The
//! primary signs when it has been published for the activation delay. Until then the outgoing key signs, which is the one
//! that signed last, known from memory and not from where it is configured, so that a rotation may be made in two changes
//! in either order: between them, with the new primary given and the old one not yet the alternate, every verifier at work
//! knows the old key, and none the new one.
//!
//! Whether a key that is gone was replaced or removed is told by what else changed. A change of the primary is a rotation,
//! perhaps the first half of one, and the outgoing key signs on. A change that leaves the primary and takes the outgoing
//! key away says that it shall go: it signs no more. So does [`Keys::activate_now`], and so does having no primary.
//!
//! # Security
//! Signing on after a leak costs nothing that the leak has not cost already: what such a token is worth to a verifier is
//! what every older token of that key is worth. Publishing on would: verifiers that ask now would trust the key for ever.
//!
//! Source: spec: microbus-wire 11.3, 13.11, 13.12; design: keys, "Bearer".

use microbus_service::{KeySlot, KeyState};
use microbus_token::{Jwk, JwkSet, KeyId, SigningKey};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// What the operator wants.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// The key that is to sign.
    pub primary: Option<Arc<SigningKey>>,
    /// A key that is published besides.
    pub alternate: Option<Arc<SigningKey>>,
}

/// A key that verifiers can get from us.
#[derive(Debug)]
pub(crate) struct PublishedKey {
    key: Arc<SigningKey>,
    since: Instant,
    signs_from: Instant,
    /// Greatest `exp` signed by this process, in seconds since 1970; 0 before the first.
    last_end: AtomicU64,
}

/// What happened to the keys.
#[derive(Debug)]
pub(crate) enum Change {
    /// Verifiers can get this key from now on.
    Published(KeyId),
    /// New tokens are signed by this key from now on.
    Signs(KeyId),
    /// No key signs from now on.
    NoneSigns,
    /// Verifiers cannot get this key any more: its tokens are refused by those that have not kept it.
    Withdrawn {
        key: Arc<PublishedKey>,
        /// For how long it signs nevertheless, until its successor does.
        signs_on: Duration,
    },
    /// The operator configured one key as both.
    SameTwice(KeyId),
}

/// The keys in force.
#[derive(Debug)]
pub(crate) struct Keys {
    activation_delay: Duration,
    primary: Option<Arc<PublishedKey>>,
    alternate: Option<Arc<PublishedKey>>,
    signer: Option<Arc<PublishedKey>>,
    /// What signed last, unless the operator took it away: it signs while the primary waits.
    outgoing: Option<Arc<PublishedKey>>,
    same_twice: bool,
    withdrawn: Vec<Memory>,
    held: Option<Held>,
}

/// A key that waits beyond its time, because sister replicas do not publish it.
#[derive(Debug)]
struct Held {
    id: KeyId,
    until: Instant,
}

/// What is remembered of a key that was withdrawn, for as long as the activation delay: brought back, it is not new.
#[derive(Debug)]
struct Memory {
    id: KeyId,
    since: Instant,
    signs_from: Instant,
    forgotten_from: Instant,
}

impl PublishedKey {
    /// Returns the key.
    #[must_use]
    pub(crate) fn key(&self) -> &Arc<SigningKey> {
        &self.key
    }

    /// Takes note of a token that this key signed, by its `exp` in seconds since 1970.
    pub(crate) fn note_end(&self, seconds: u64) {
        self.last_end.fetch_max(seconds, Ordering::Relaxed);
    }

    /// Returns when the last token that it signed in this process ends; `None` if it signed none.
    #[must_use]
    pub(crate) fn last_end(&self) -> Option<SystemTime> {
        let seconds = self.last_end.load(Ordering::Relaxed);
        if seconds == 0 {
            return None;
        }
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }
}

impl Keys {
    /// Returns no keys.
    #[must_use]
    pub(crate) fn new(activation_delay: Duration) -> Self {
        Self {
            activation_delay,
            primary: None,
            alternate: None,
            signer: None,
            outgoing: None,
            same_twice: false,
            withdrawn: Vec::new(),
            held: None,
        }
    }

    /// Sets for how long keys to come are published before they sign.
    pub(crate) fn set_activation_delay(&mut self, delay: Duration) {
        self.activation_delay = delay;
    }

    /// Puts what the operator wants in force, in one step, and returns what changed.
    pub(crate) fn replace(&mut self, desired: Desired, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        let Desired { primary, alternate } = desired;
        let repeated = primary
            .as_ref()
            .zip(alternate.as_ref())
            .filter(|(primary, alternate)| primary.id() == alternate.id())
            .map(|(primary, _)| primary.id().clone());
        let alternate = alternate.filter(|_| repeated.is_none());
        let same_twice = repeated.is_some();
        if !self.same_twice {
            changes.extend(repeated.map(Change::SameTwice));
        }
        self.same_twice = same_twice;

        self.withdrawn.retain(|memory| now < memory.forgotten_from);
        let before = [self.primary.take(), self.alternate.take()];
        let mut publish = |key: Option<Arc<SigningKey>>| {
            Some(self.publish(key?, before.iter().flatten(), now, &mut changes))
        };
        let (primary, alternate) = (publish(primary), publish(alternate));
        (self.primary, self.alternate) = (primary, alternate);
        self.judge_outgoing(&before);
        for gone in before.into_iter().flatten() {
            if !self.is_published(gone.key.id()) {
                self.withdrawn.push(Memory {
                    id: gone.key.id().clone(),
                    since: gone.since,
                    signs_from: gone.signs_from,
                    forgotten_from: now + self.activation_delay,
                });
                let signs_on = self.signs_on(gone.key.id(), now);
                changes.push(Change::Withdrawn {
                    key: gone,
                    signs_on,
                });
            }
        }
        changes.extend(self.advance(now));
        changes
    }

    /// Has the primary wait for [`Keys::release`] beyond its time, at the latest until `until`.
    pub(crate) fn hold(&mut self, until: Instant) {
        self.held = self.primary.as_ref().map(|primary| Held {
            id: primary.key.id().clone(),
            until,
        });
    }

    /// Lets the primary sign at its time.
    pub(crate) fn release(&mut self, now: Instant) -> Vec<Change> {
        self.held = None;
        self.advance(now)
    }

    /// Has the alternate sign as the outgoing key, in a process that has just started and signed nothing yet. Tells whether
    /// there is one.
    pub(crate) fn stand_back(&mut self, now: Instant) -> Option<Vec<Change>> {
        self.outgoing = Some(Arc::clone(self.alternate.as_ref()?));
        let primary = self.primary.take()?;
        self.primary = Some(Arc::new(PublishedKey {
            key: Arc::clone(&primary.key),
            since: now,
            signs_from: now + self.activation_delay,
            last_end: AtomicU64::new(0),
        }));
        Some(self.advance(now))
    }

    /// Returns the key that is to sign.
    #[must_use]
    pub(crate) fn primary(&self) -> Option<&KeyId> {
        self.primary.as_ref().map(|primary| primary.key.id())
    }

    /// Returns it with its private half.
    #[must_use]
    pub(crate) fn primary_key(&self) -> Option<Arc<SigningKey>> {
        let primary = self.primary.as_ref()?;
        Some(Arc::clone(&primary.key))
    }

    /// Returns the activation delay.
    #[must_use]
    pub(crate) fn activation_delay(&self) -> Duration {
        self.activation_delay
    }

    /// Lets the primary sign without waiting for its time, and returns what changed.
    pub(crate) fn activate_now(&mut self, now: Instant) -> Vec<Change> {
        self.outgoing = None;
        self.held = None;
        self.advance(now)
    }

    /// Lets the primary sign if its time has come, and returns what changed.
    pub(crate) fn advance(&mut self, now: Instant) -> Vec<Change> {
        let chosen = self.chosen(now).cloned();
        let id = |key: &Option<Arc<PublishedKey>>| key.as_ref().map(|key| key.key.id().clone());
        let (before, after) = (id(&self.signer), id(&chosen));
        if chosen.is_some() {
            self.outgoing.clone_from(&chosen);
        }
        self.signer = chosen;
        match after {
            after if after == before => Vec::new(),
            Some(after) => vec![Change::Signs(after)],
            None => vec![Change::NoneSigns],
        }
    }

    /// Returns the key that signs.
    #[must_use]
    pub(crate) fn signer(&self) -> Option<&Arc<PublishedKey>> {
        self.signer.as_ref()
    }

    /// Returns when another key is to sign, if one is.
    #[must_use]
    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        let (signer, primary) = (self.signer.as_ref()?, self.primary.as_ref()?);
        let held = self.held.as_ref();
        let held = held.filter(|held| held.id == *primary.key.id());
        let at = primary
            .signs_from
            .max(held.map_or(primary.signs_from, |held| held.until));
        (!Arc::ptr_eq(signer, primary)).then_some(at)
    }

    /// Returns the public halves: the primary's, then the alternate's.
    #[must_use]
    pub(crate) fn published(&self) -> JwkSet {
        let mut set = JwkSet::default();
        for published in [&self.primary, &self.alternate].into_iter().flatten() {
            // It refuses only a second key of one identifier, and there is none.
            let pushed = set.push(Jwk::of(&published.key));
            debug_assert!(pushed.is_ok(), "no identifier is published twice");
        }
        set
    }

    /// Returns what is to be seen of them.
    pub(crate) fn states(&self, now: Instant) -> Vec<KeyState> {
        let state = |published: &Arc<PublishedKey>| {
            let signs = |signer: &Arc<PublishedKey>| Arc::ptr_eq(signer, published);
            let waits = self
                .primary
                .as_ref()
                .is_some_and(|primary| Arc::ptr_eq(primary, published));
            KeyState {
                kid: published.key.id().as_str().to_owned(),
                state: match &self.signer {
                    Some(signer) if signs(signer) => KeySlot::Signs,
                    _ if waits => KeySlot::Waits,
                    _ => KeySlot::Verifies,
                },
                is_published: self.is_published(published.key.id()),
                age: Some(now.saturating_duration_since(published.since)),
                left: None,
            }
        };
        let signs_unpublished = self
            .signer
            .as_ref()
            .filter(|signer| !self.is_published(signer.key.id()));
        [&self.primary, &self.alternate]
            .into_iter()
            .flatten()
            .chain(signs_unpublished)
            .map(state)
            .collect()
    }

    fn chosen(&self, now: Instant) -> Option<&Arc<PublishedKey>> {
        let primary = self.primary.as_ref()?;
        let is_held = |held: &Held| held.id == *primary.key.id() && now < held.until;
        let waits = now < primary.signs_from || self.held.as_ref().is_some_and(is_held);
        Some(self.outgoing.as_ref().filter(|_| waits).unwrap_or(primary))
    }

    /// Forgets the outgoing key where the operator removed it rather than replaced it.
    fn judge_outgoing(&mut self, before: &[Option<Arc<PublishedKey>>; 2]) {
        let Some(outgoing) = &self.outgoing else {
            return;
        };
        let id = |key: &Arc<PublishedKey>| key.key.id().clone();
        let was_published = before.iter().flatten().any(|key| id(key) == id(outgoing));
        let [primary_before, _] = before;
        let replaces = primary_before.as_ref().map(id) != self.primary.as_ref().map(id);
        let signs_on = self.primary.is_some() && (replaces || !was_published);
        if !signs_on && !self.is_published(&id(outgoing)) {
            self.outgoing = None;
        }
    }

    /// Returns for how long a key that is not published any more signs nevertheless.
    fn signs_on(&self, id: &KeyId, now: Instant) -> Duration {
        let (Some(outgoing), Some(primary)) = (&self.outgoing, &self.primary) else {
            return Duration::ZERO;
        };
        if outgoing.key.id() != id {
            return Duration::ZERO;
        }
        primary.signs_from.saturating_duration_since(now)
    }

    fn publish<'a>(
        &self,
        key: Arc<SigningKey>,
        mut before: impl Iterator<Item = &'a Arc<PublishedKey>>,
        now: Instant,
        changes: &mut Vec<Change>,
    ) -> Arc<PublishedKey> {
        if let Some(known) = before.find(|known| known.key.id() == key.id()) {
            return Arc::clone(known);
        }
        changes.push(Change::Published(key.id().clone()));
        let outgoing = self.outgoing.as_ref();
        if let Some(known) = outgoing.filter(|known| known.key.id() == key.id()) {
            return Arc::clone(known);
        }
        let memory = self.withdrawn.iter().rfind(|memory| memory.id == *key.id());
        let (since, signs_from) = memory.map_or((now, now + self.activation_delay), |memory| {
            (memory.since, memory.signs_from)
        });
        Arc::new(PublishedKey {
            key,
            since,
            signs_from,
            last_end: AtomicU64::new(0),
        })
    }

    fn is_published(&self, id: &KeyId) -> bool {
        [&self.primary, &self.alternate]
            .into_iter()
            .flatten()
            .any(|published| published.key.id() == id)
    }
}

#[cfg(test)]
mod tests;
