//! What a replica tells a sister that asks for its own keys: these, and which key signs. A Go replica says no more than
//! what it publishes.

use microbus_token::{JwkSet, KeyId};
use serde::{Deserialize, Serialize};

/// The word of one replica at one time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Word {
    /// The keys that it is configured with.
    pub(crate) keys: JwkSet,
    /// The key that signs there; none if it does not say, or none does.
    pub(crate) signs: Option<KeyId>,
}

/// The member of a word beside `keys`.
#[derive(Serialize, Deserialize)]
struct Second {
    #[serde(default)]
    signs: String,
}

impl Word {
    /// Reads an answer; `None` for one that is no JWK Set.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let keys = JwkSet::from_json(body).ok()?;
        let second: Option<Second> = serde_json::from_slice(body).ok();
        Some(Self {
            keys,
            signs: second.and_then(|second| KeyId::parse(&second.signs).ok()),
        })
    }

    /// Writes an answer: `{"keys":[…],"signs":"…"}` and LF, without what there is not.
    pub(crate) fn to_json(&self) -> String {
        let keys = self.keys.to_json();
        let second = self.signs.as_ref().and_then(|id| {
            let signs = id.as_str().to_owned();
            serde_json::to_string(&Second { signs }).ok()
        });
        let open = keys.strip_suffix('}').filter(|_| !self.keys.is_empty());
        let rest = second.as_ref().and_then(|second| second.strip_prefix('{'));
        match open.zip(rest) {
            Some((open, rest)) => format!("{open},{rest}\n"),
            None => format!("{keys}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_token::{Jwk, Secret, SigningKey};

    fn word() -> Word {
        let key = SigningKey::from_seed(&Secret::new(vec![1; 32])).unwrap();
        let mut keys = JwkSet::default();
        keys.push(Jwk::of(&key)).unwrap();
        Word {
            keys,
            signs: Some(KeyId::parse("ajgD1fBZkCo").unwrap()),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let silent = Word {
            signs: None,
            ..word()
        };
        for word in [word(), silent, Word::default()] {
            let text = word.to_json();
            assert!(text.ends_with("}\n"), "{text}");
            assert_eq!(Word::parse(text.as_bytes()), Some(word));
        }
        assert_eq!(Word::default().to_json(), "{}\n");
    }

    #[test]
    fn a_word_is_a_jwk_set_for_whoever_wants_no_more() {
        let set = JwkSet::from_json(word().to_json().as_bytes()).unwrap();
        assert_eq!(set, word().keys);
    }

    #[test]
    fn what_a_go_replica_answers_says_nothing_of_who_signs() {
        let text = word().keys.to_json();
        let read = Word::parse(text.as_bytes()).unwrap();
        assert_eq!((read.keys, read.signs), (word().keys, None));
        let odd = text.replacen('{', r#"{"signs":5,"#, 1);
        assert_eq!(Word::parse(odd.as_bytes()).unwrap().signs, None);
        assert_eq!(Word::parse(b"[]"), None);
    }
}
