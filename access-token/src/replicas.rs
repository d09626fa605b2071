//! What a replica knows of the keys of the others. Pure: time is handed in.
//!
//! A token must verify as long as it lives, even when its signer is gone: every replica therefore remembers the public keys
//! of all others and serves them in its own JWK Set. Two kinds of knowledge are kept apart. The owner's *first-hand word*
//! says how long tokens of a key can still live, and only it can extend that. *Hearsay* is what one replica passes on of a
//! third: it introduces a key, and may pass on a later word of its owner than was heard, never more; or replicas would renew
//! each other's memories for ever. Words of an owner are numbered for that: each counts once, on whatever way it comes.

use crate::word::{About, Word};
use microbus_token::{ACCESS_CEILING, ACCESS_PADDING, Jwk, JwkSet, KeyId, KeyRing};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longest that a token of a key can live after its owner spoke of it.
pub(crate) const CEILING: Duration = ACCESS_CEILING
    .saturating_add(ACCESS_PADDING)
    .saturating_add(MARGIN);

/// The other replicas' keys, and the replicas themselves.
#[derive(Debug)]
pub(crate) struct Replicas {
    /// Our own instance, whose requests come back to us.
    own: String,
    foreign: BTreeMap<KeyId, Foreign>,
    /// Keys that were forgotten lately, so that words which were on their way for long do not bring them back.
    forgotten: BTreeMap<KeyId, Forgotten>,
    peers: BTreeMap<String, Peer>,
    /// Until when verifiers are busy with another replica's key.
    busy_until: Option<Instant>,
    /// How many words we have said.
    words: u64,
}

#[derive(Debug)]
struct Foreign {
    jwk: Jwk,
    /// The instance that said that this key is its own; none while it is hearsay only.
    owner: Option<String>,
    /// Number of the owner's latest word.
    number: u64,
    until: Instant,
}

#[derive(Debug)]
struct Forgotten {
    number: u64,
    until: Instant,
}

#[derive(Debug)]
struct Peer {
    heard: Instant,
    /// Whether it speaks as we do; a Go replica does not.
    is_ours: bool,
    /// The latest key of ours that it was seen to have while the key waited.
    confirmed: Option<KeyId>,
}

/// What hearing a word changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Keys that were not known before.
    News,
    /// Nothing but that the replica is alive.
    Nothing,
}

impl Replicas {
    /// Makes the memory of the replica `own`.
    pub(crate) fn new(own: String) -> Self {
        Self {
            own,
            foreign: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            peers: BTreeMap::new(),
            busy_until: None,
            words: 0,
        }
    }

    /// Takes in the word of `instance`, which must be a replica: the caller has checked who the broker says it is.
    pub(crate) fn hear(
        &mut self,
        instance: &str,
        word: &Word,
        ring: &KeyRing,
        now: Instant,
    ) -> Heard {
        if instance == self.own {
            return Heard::Nothing;
        }
        self.expire(now);
        self.meet(instance, word, ring, now);
        if !word.showing.is_zero() {
            let busy_until = now + word.showing.min(LONGEST_SHOWING);
            self.busy_until = self.busy_until.max(Some(busy_until));
        }
        let own = ring.published();
        let mut heard = Heard::Nothing;
        for jwk in word.keys.iter().filter(|jwk| own.get(jwk.id()).is_none()) {
            let said = if word.is_plain() {
                // It signs with its keys as long as it lists them.
                Some(About {
                    kid: jwk.id().as_str().to_owned(),
                    own: true,
                    life: CEILING.as_secs(),
                    number: 0,
                })
            } else {
                word.says_of(jwk.id()).cloned()
            };
            if let Some(said) = said
                && self.hear_of(instance, jwk, &said, now) == Heard::News
            {
                heard = Heard::News;
            }
        }
        heard
    }

    /// Notes that a replica is alive, and whether it has the key of ours that waits.
    fn meet(&mut self, instance: &str, word: &Word, ring: &KeyRing, now: Instant) {
        if word.leaving {
            self.peers.remove(instance);
            return;
        }
        if self.peers.len() >= MOST_PEERS && !self.peers.contains_key(instance) {
            return;
        }
        let peer = self.peers.entry(instance.to_owned()).or_insert(Peer {
            heard: now,
            is_ours: false,
            confirmed: None,
        });
        peer.heard = now;
        peer.is_ours = !word.is_plain();
        if let Some((next, _)) = ring.next()
            && (word.is_plain() || word.keys.get(next.id()).is_some())
        {
            peer.confirmed = Some(next.id().clone());
        }
    }

    /// Takes in what is said of one key.
    fn hear_of(&mut self, instance: &str, jwk: &Jwk, said: &About, now: Instant) -> Heard {
        let until = now + Duration::from_secs(said.life).min(CEILING);
        if until <= now {
            return Heard::Nothing;
        }
        let Some(foreign) = self.foreign.get_mut(jwk.id()) else {
            return self.learn(instance, jwk, said, until);
        };
        if foreign.jwk != *jwk {
            // A key ID means one key for as long as it is remembered.
            tracing::error!(kid = %jwk.id(), instance, "A replica gives a known key ID another key");
            return Heard::Nothing;
        }
        if said.own {
            match &foreign.owner {
                Some(owner) if owner != instance => return Heard::Nothing,
                _ => foreign.owner = Some(instance.to_owned()),
            }
            // An older word that comes late may say too little.
            if said.number >= foreign.number {
                foreign.number = said.number;
                foreign.until = until;
            }
        } else if said.number > foreign.number {
            foreign.number = said.number;
            foreign.until = foreign.until.max(until);
        }
        Heard::Nothing
    }

    /// Remembers a key that was not known, if there is room for it.
    fn learn(&mut self, instance: &str, jwk: &Jwk, said: &About, until: Instant) -> Heard {
        let stale = |forgotten: &Forgotten| !said.own && said.number <= forgotten.number;
        if self.forgotten.get(jwk.id()).is_some_and(stale) {
            return Heard::Nothing;
        }
        let is_of = |one: &&Foreign| one.owner.as_deref() == Some(instance);
        let of_instance = self.foreign.values().filter(is_of).count();
        let room = if said.own { MOST_FOREIGN } else { MOST_HEARSAY };
        if self.foreign.len() >= room || (said.own && of_instance >= MOST_OF_ONE) {
            tracing::warn!(kid = %jwk.id(), instance, "Too many keys of replicas, this one is not remembered");
            return Heard::Nothing;
        }
        let foreign = Foreign {
            jwk: jwk.clone(),
            owner: said.own.then(|| instance.to_owned()),
            number: said.number,
            until,
        };
        self.foreign.insert(jwk.id().clone(), foreign);
        Heard::News
    }

    /// Forgets keys whose tokens are dead, and replicas that fell silent. Tells whether a key was forgotten.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        self.forgotten.retain(|_, forgotten| now < forgotten.until);
        let before = self.foreign.len();
        for (id, foreign) in &self.foreign {
            if foreign.until <= now && self.forgotten.len() < MOST_FOREIGN {
                let forgotten = Forgotten {
                    number: foreign.number,
                    until: foreign.until + LONGEST_WAY,
                };
                self.forgotten.insert(id.clone(), forgotten);
            }
        }
        self.foreign.retain(|_, foreign| now < foreign.until);
        self.peers
            .retain(|_, peer| now.saturating_duration_since(peer.heard) < SILENCE);
        self.foreign.len() < before
    }

    /// Returns when [`Self::expire`] will forget a key.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.foreign.values().map(|foreign| foreign.until).min()
    }

    /// Returns the replicas that were heard lately.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &str> {
        self.peers.keys().map(String::as_str)
    }

    /// Returns those of them that speak as we do.
    pub(crate) fn peers_of_ours(&self) -> impl Iterator<Item = &str> {
        let ours = self.peers.iter().filter(|(_, peer)| peer.is_ours);
        ours.map(|(instance, _)| instance.as_str())
    }

    /// Returns the replicas that were heard lately and are not known to have a key of ours.
    pub(crate) fn without<'a>(&'a self, key: &'a KeyId) -> impl Iterator<Item = &'a str> {
        let without = self
            .peers
            .iter()
            .filter(move |(_, peer)| peer.confirmed.as_ref() != Some(key));
        without.map(|(instance, _)| instance.as_str())
    }

    /// Returns until when verifiers are busy with another replica's key.
    pub(crate) fn busy_until(&self) -> Option<Instant> {
        self.busy_until
    }

    /// Returns how many keys of others are remembered.
    pub(crate) fn foreign_keys(&self) -> usize {
        self.foreign.len()
    }

    /// Returns all keys that verify tokens of any replica, own keys first.
    pub(crate) fn union(&self, own: &KeyRing) -> JwkSet {
        let mut union = own.published();
        for foreign in self.foreign.values() {
            // An own key with the same ID was there first.
            if union.push(foreign.jwk.clone()).is_err() {
                tracing::error!(kid = %foreign.jwk.id(), "A replica's key has the ID of one of ours");
            }
        }
        union
    }

    /// Returns what to tell the others: own keys first-hand, the rest as hearsay with what is left of its life.
    pub(crate) fn word(&mut self, own: &KeyRing, now: Instant) -> Word {
        self.expire(now);
        self.words = self.words.saturating_add(1);
        let number = self.words;
        let about = |id: &KeyId, own, life: Duration, number| About {
            kid: id.as_str().to_owned(),
            own,
            life: life.as_secs(),
            number,
        };
        let lives = own.lives(now).into_iter();
        let own_about = lives.map(|(id, life)| about(&id, true, life, number));
        let hearsay = self.foreign.iter().map(|(id, foreign)| {
            let life = foreign.until.saturating_duration_since(now);
            about(id, false, life, foreign.number)
        });
        let about = own_about.chain(hearsay).collect();
        Word {
            keys: self.union(own),
            about,
            showing: Duration::ZERO,
            leaving: false,
        }
    }
}

/// For clocks that run at different speeds, and for words on their way.
const MARGIN: Duration = Duration::from_secs(60);
/// A replica that was not heard for this long counts as gone: three exchanges.
const SILENCE: Duration = Duration::from_secs(15);
/// Longer than any word is on its way.
const LONGEST_WAY: Duration = Duration::from_secs(60);
/// Nobody can make others wait for longer than this with a new key.
const LONGEST_SHOWING: Duration = Duration::from_secs(10);
/// With our own 16 keys a JWK Set stays below the 64 that a reader must take.
const MOST_FOREIGN: usize = 48;
/// Hearsay leaves room for the keys of those who are there.
const MOST_HEARSAY: usize = 32;
const MOST_OF_ONE: usize = 16;
const MOST_PEERS: usize = 64;

#[cfg(test)]
mod tests;
