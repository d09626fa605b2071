//! What replicas tell each other of keys: the body of a `LocalKeys` request or answer.
//!
//! A Go replica reads `keys` and ignores the rest; of its own answers, which have nothing else, every key is its own.

use microbus_token::{JwkSet, KeyId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The word of one replica at one time.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    /// Its own keys and those that it remembers of others.
    pub(crate) keys: JwkSet,
    /// What it says of each; empty in the word of a Go replica.
    pub(crate) about: Vec<About>,
    /// For how long verifiers are busy with a key that it shows them, so that others wait with theirs.
    pub(crate) showing: Duration,
    /// Whether it is about to go, and is not to be waited for any more.
    pub(crate) leaving: bool,
}

/// What a replica says of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// Which key.
    pub(crate) kid: String,
    /// Whether the key is the speaker's own: its first-hand word.
    pub(crate) own: bool,
    /// Seconds for which a token of this key can still live.
    pub(crate) life: u64,
    /// The number of the owner's word that this is, or goes back to: it grows with each that the owner says.
    #[serde(default)]
    pub(crate) number: u64,
}

/// The members of a word beside `keys`.
#[derive(Serialize, Deserialize)]
struct Second {
    #[serde(default)]
    about: Vec<About>,
    /// Milliseconds.
    #[serde(default, skip_serializing_if = "is_default")]
    showing: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    leaving: bool,
}

impl Word {
    /// Reads a body; `None` for one that says nothing of keys, as the Go services' requests do, or that is malformed.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let keys = JwkSet::from_json(body)
            .ok()
            .filter(|keys| !keys.is_empty())?;
        let second: Second = serde_json::from_slice(body).ok()?;
        Some(Self {
            keys,
            about: second.about,
            showing: Duration::from_millis(second.showing),
            leaving: second.leaving,
        })
    }

    /// Writes the body: `{"keys":[…],"about":[…]}` and LF; `{}` without a key.
    pub(crate) fn to_json(&self) -> String {
        let keys = self.keys.to_json();
        let second = Second {
            about: self.about.clone(),
            showing: u64::try_from(self.showing.as_millis()).unwrap_or(u64::MAX),
            leaving: self.leaving,
        };
        // Without the second member whoever reads takes us for a Go replica; what there is to say is plain data.
        let second = serde_json::to_string(&second).unwrap_or_else(|_| "{}".to_owned());
        let open = keys.strip_suffix('}').filter(|_| !self.keys.is_empty());
        match open.zip(second.strip_prefix('{')) {
            Some((open, rest)) => format!("{open},{rest}\n"),
            None => format!("{keys}\n"),
        }
    }

    /// Tells whether it is that of a Go replica, which gathers the keys of all when it is asked and remembers none.
    pub(crate) fn is_plain(&self) -> bool {
        self.about.is_empty()
    }

    /// Returns what the speaker says of a key; nothing of one that it only lists.
    pub(crate) fn says_of(&self, id: &KeyId) -> Option<&About> {
        self.about.iter().find(|about| about.kid == id.as_str())
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_token::{Jwk, Secret, SigningKey};

    fn jwk(seed: u8) -> Jwk {
        Jwk::of(&SigningKey::from_seed(&Secret::new(vec![seed; 32])).unwrap())
    }

    fn word() -> Word {
        let mut keys = JwkSet::default();
        let about = [(1, true, 965), (2, false, 100)].map(|(seed, own, life)| {
            keys.push(jwk(seed)).unwrap();
            About {
                kid: jwk(seed).id().as_str().to_owned(),
                own,
                life,
                number: 7,
            }
        });
        Word {
            keys,
            about: about.to_vec(),
            showing: Duration::from_millis(1200),
            leaving: true,
        }
    }

    #[test]
    fn a_word_survives_the_wire_and_go_replicas_can_read_it() {
        let json = word().to_json();
        let read = Word::parse(json.as_bytes()).unwrap();
        assert_eq!(read.about, word().about);
        assert_eq!((read.showing, read.leaving), (word().showing, true));
        assert!(!read.is_plain());
        let plain = JwkSet::from_json(json.as_bytes()).unwrap();
        assert_eq!(plain.len(), 2, "whoever reads only `keys` serves them all");
        assert!(json.starts_with("{\"keys\":[{\"kty\"") && json.ends_with("}\n"));
    }

    #[test]
    fn what_a_go_replica_answers_is_plain() {
        let mut keys = JwkSet::default();
        keys.push(jwk(2)).unwrap();
        let word = Word::parse(format!("{}\n", keys.to_json()).as_bytes()).unwrap();
        assert!(word.is_plain() && !word.leaving && word.showing.is_zero());
    }

    #[test]
    fn what_says_nothing_of_keys_or_is_malformed_is_no_word() {
        for body in [
            "",
            "{}",
            "null",
            "[]",
            "{\"keys\":[]}",
            "{\"keys\":[{\"kty\":\"RSA\"}]}",
            "{\"keys\":7}",
        ] {
            assert!(Word::parse(body.as_bytes()).is_none(), "{body}");
        }
    }
}
