//! The operator's keys: which are published, and which one signs. Pure.
//!
//! Published is what is configured, at once: a leaked key must be removable. The primary signs when it has been published
//! for the activation delay; until then the alternate signs, if verifiers have had more time to see it. So the outgoing
//! key signs on while it is configured as the alternate, and an alternate that is itself on its way in does not.
//! Source: spec: microbus-wire 11.3, 13.11, 13.12.

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
    Withdrawn(Arc<PublishedKey>),
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
    same_twice: bool,
    withdrawn: Vec<Memory>,
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
            same_twice: false,
            withdrawn: Vec::new(),
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
        for gone in before.into_iter().flatten() {
            if !self.is_published(gone.key.id()) {
                self.withdrawn.push(Memory {
                    id: gone.key.id().clone(),
                    since: gone.since,
                    signs_from: gone.signs_from,
                    forgotten_from: now + self.activation_delay,
                });
                changes.push(Change::Withdrawn(gone));
            }
        }
        changes.extend(self.advance(now));
        changes
    }

    /// Lets the primary sign if its time has come, and returns what changed.
    pub(crate) fn advance(&mut self, now: Instant) -> Vec<Change> {
        let chosen = self.chosen(now).cloned();
        let id = |key: &Option<Arc<PublishedKey>>| key.as_ref().map(|key| key.key.id().clone());
        let (before, after) = (id(&self.signer), id(&chosen));
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
        (!Arc::ptr_eq(signer, primary)).then_some(primary.signs_from)
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
                age: Some(now.saturating_duration_since(published.since)),
                left: None,
            }
        };
        let both = [&self.primary, &self.alternate];
        both.into_iter().flatten().map(state).collect()
    }

    fn chosen(&self, now: Instant) -> Option<&Arc<PublishedKey>> {
        let primary = self.primary.as_ref()?;
        if now >= primary.signs_from {
            return Some(primary);
        }
        let better_known = self.alternate.as_ref().filter(|alternate| {
            let is_outgoing = self
                .signer
                .as_ref()
                .is_some_and(|signer| Arc::ptr_eq(signer, alternate));
            is_outgoing || alternate.since < primary.since
        });
        Some(better_known.unwrap_or(primary))
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
