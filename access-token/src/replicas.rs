//! What a replica knows of the keys of the others, and what it tells them. Pure: time is handed in.
//!
//! A token must verify as long as it lives, even when its signer is gone: every replica therefore remembers the public keys
//! of all others and serves them in its own JWK Set. Two kinds of knowledge are kept apart. The owner's *first-hand word*
//! says how long tokens of a key can still live, and only it can extend that. *Hearsay* is what one replica passes on of a
//! third: it may introduce a key, and never lengthens a life, or replicas would renew each other's memories for ever.
//!
//! Words travel in requests and answers of `LocalKeys`. A Go replica ignores the member `about` and reads `keys`; of its own
//! answers, which lack `about`, every key is its own.

use microbus_token::{ACCESS_CEILING, ACCESS_PADDING, Jwk, JwkSet, KeyId, KeyRing};
use serde::{Deserialize, Serialize};
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
    peers: BTreeMap<String, Instant>,
}

#[derive(Debug)]
struct Foreign {
    jwk: Jwk,
    /// The instance that said that this key is its own; none while it is hearsay only.
    owner: Option<String>,
    until: Instant,
}

/// What a replica says of keys: the body of a `LocalKeys` request or answer.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) keys: JwkSet,
    about: Vec<About>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct About {
    kid: String,
    /// Whether the key is the speaker's own.
    own: bool,
    /// Seconds for which a token of this key can still live.
    life: u64,
}

/// What hearing a word changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Keys that were not known before, or live longer than known.
    News,
    /// Nothing but that the replica is alive.
    Nothing,
}

impl Word {
    /// Reads a body; `None` for one that says nothing of keys, as the Go services' requests do, or that is malformed.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Second {
            #[serde(default)]
            about: Vec<About>,
        }
        let keys = JwkSet::from_json(body)
            .ok()
            .filter(|keys| !keys.is_empty())?;
        let about = serde_json::from_slice::<Second>(body).ok()?.about;
        Some(Self { keys, about })
    }

    /// Writes the body: `{"keys":[…],"about":[…]}` and LF; `{}` without a key.
    pub(crate) fn to_json(&self) -> String {
        let keys = self.keys.to_json();
        let about = serde_json::to_string(&self.about).unwrap_or_else(|_| "[]".to_owned());
        match keys.strip_suffix('}').filter(|_| !self.keys.is_empty()) {
            Some(open) => format!("{open},\"about\":{about}}}\n"),
            None => format!("{keys}\n"),
        }
    }

    /// Returns whether the speaker says that a key is its own, and how long tokens of it can live.
    fn says_of(&self, id: &KeyId) -> (bool, Duration) {
        if self.about.is_empty() {
            return (true, CEILING);
        }
        let about = self.about.iter().find(|about| about.kid == id.as_str());
        about.map_or((false, Duration::ZERO), |about| {
            (about.own, Duration::from_secs(about.life).min(CEILING))
        })
    }
}

impl Replicas {
    /// Makes the memory of the replica `own`.
    pub(crate) fn new(own: String) -> Self {
        Self {
            own,
            foreign: BTreeMap::new(),
            peers: BTreeMap::new(),
        }
    }

    /// Takes in the word of `instance`, which must be a replica: the caller has checked who the broker says it is.
    pub(crate) fn hear(
        &mut self,
        instance: &str,
        word: &Word,
        own: &KeyRing,
        now: Instant,
    ) -> Heard {
        if instance == self.own {
            return Heard::Nothing;
        }
        self.expire(now);
        if self.peers.len() < MOST_PEERS || self.peers.contains_key(instance) {
            self.peers.insert(instance.to_owned(), now);
        }
        let own = own.published();
        let mut heard = Heard::Nothing;
        for jwk in word.keys.iter().filter(|jwk| own.get(jwk.id()).is_none()) {
            let (first_hand, life) = word.says_of(jwk.id());
            if self.hear_of(instance, jwk, first_hand, now + life, now) == Heard::News {
                heard = Heard::News;
            }
        }
        heard
    }

    /// Takes in what is said of one key.
    fn hear_of(
        &mut self,
        instance: &str,
        jwk: &Jwk,
        first_hand: bool,
        until: Instant,
        now: Instant,
    ) -> Heard {
        if until <= now {
            return Heard::Nothing;
        }
        let owned = self
            .foreign
            .values()
            .filter(|one| one.owner.as_deref() == Some(instance))
            .count();
        let known = self.foreign.len();
        match self.foreign.get_mut(jwk.id()) {
            // A key ID means one key for as long as it is remembered.
            Some(foreign) if foreign.jwk != *jwk => {
                tracing::error!(kid = %jwk.id(), instance, "A replica gives a known key ID another key");
                Heard::Nothing
            }
            Some(foreign) if first_hand => {
                match &foreign.owner {
                    Some(owner) if owner != instance => return Heard::Nothing,
                    _ => foreign.owner = Some(instance.to_owned()),
                }
                foreign.until = until;
                Heard::Nothing
            }
            Some(_) => Heard::Nothing,
            None if known >= MOST_FOREIGN || (first_hand && owned >= MOST_OF_ONE) => {
                tracing::warn!(kid = %jwk.id(), instance, "Too many keys of replicas, this one is not remembered");
                Heard::Nothing
            }
            None => {
                let owner = first_hand.then(|| instance.to_owned());
                self.foreign.insert(
                    jwk.id().clone(),
                    Foreign {
                        jwk: jwk.clone(),
                        owner,
                        until,
                    },
                );
                Heard::News
            }
        }
    }

    /// Forgets keys whose tokens are dead, and replicas that fell silent. Tells whether a key was forgotten.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let before = self.foreign.len();
        self.foreign.retain(|_, foreign| now < foreign.until);
        self.peers
            .retain(|_, heard| now.saturating_duration_since(*heard) < SILENCE);
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
    pub(crate) fn word(&self, own: &KeyRing, now: Instant) -> Word {
        let seconds = |life: Duration| life.as_secs();
        let own_about = own.lives(now).into_iter().map(|(id, life)| About {
            kid: id.as_str().to_owned(),
            own: true,
            life: seconds(life),
        });
        let hearsay = self.foreign.iter().map(|(id, foreign)| About {
            kid: id.as_str().to_owned(),
            own: false,
            life: seconds(foreign.until.saturating_duration_since(now)),
        });
        Word {
            keys: self.union(own),
            about: own_about.chain(hearsay).collect(),
        }
    }
}

/// For clocks that run at different speeds, and for words on their way.
const MARGIN: Duration = Duration::from_secs(60);
/// A replica that was not heard for this long counts as gone: three exchanges.
const SILENCE: Duration = Duration::from_secs(15);
/// With our own 16 keys a JWK Set stays below the 64 that a reader must take.
const MOST_FOREIGN: usize = 48;
const MOST_OF_ONE: usize = 16;
const MOST_PEERS: usize = 64;

#[cfg(test)]
mod tests;
