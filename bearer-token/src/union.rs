//! What sister replicas publish, and the union of it with our own keys. Pure: time is handed in.
//!
//! Nothing is remembered of a sister that is not there: a key that no live replica is configured with leaves the union with
//! the next look at them, and one that was removed here leaves our answer at once, whoever has it still. A leaked key must
//! be removable. Source: design: keys, "Bearer".

use crate::word::Word;
use microbus_token::{JwkSet, KeyId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The other replicas of this issuer, as they were seen last.
#[derive(Debug, Default)]
pub(crate) struct Sisters {
    known: BTreeMap<String, Sister>,
    /// Our own keys, as they were noted last.
    own: BTreeSet<KeyId>,
    /// Keys that were ours and are not any more.
    removed: BTreeSet<KeyId>,
}

#[derive(Debug)]
struct Sister {
    word: Word,
    /// All that it answers to verifiers.
    published: Option<JwkSet>,
    seen: Instant,
}

/// What one sister said when it was asked.
#[derive(Debug)]
pub(crate) struct Report {
    /// Its instance ID.
    pub(crate) instance: String,
    /// What it says of itself; none if it did not answer.
    pub(crate) word: Option<Word>,
    /// All that it answers to verifiers, if that was asked.
    pub(crate) published: Option<JwkSet>,
}

impl Sisters {
    /// Takes in what all sisters that are there said; whoever is not among them is gone.
    pub(crate) fn hear(&mut self, reports: Vec<Report>, now: Instant) {
        let mut before = std::mem::take(&mut self.known);
        for report in reports.into_iter().take(MOST_SISTERS) {
            let old = before.remove(&report.instance);
            let sister = match (report.word, old) {
                (Some(word), _) => Sister {
                    word,
                    published: report.published,
                    seen: now,
                },
                // It is there, and was too slow this time.
                (None, Some(old)) if now < old.seen + LONGEST_SILENCE => old,
                (None, _) => continue,
            };
            self.known.insert(report.instance, sister);
        }
    }

    /// Notes which keys are ours now.
    pub(crate) fn note_own(&mut self, own: &JwkSet) {
        let now_own: BTreeSet<_> = own.iter().map(|jwk| jwk.id().clone()).collect();
        let gone = self.own.difference(&now_own).cloned();
        self.removed.extend(gone);
        self.removed.retain(|id| !now_own.contains(id));
        while self.removed.len() > MOST_REMOVED {
            self.removed.pop_first();
        }
        self.own = now_own;
    }

    /// Returns our own keys, and those of the sisters that were not removed here.
    pub(crate) fn union(&self, own: &JwkSet) -> JwkSet {
        let mut union = own.clone();
        let keys = self
            .known
            .values()
            .flat_map(|sister| sister.word.keys.iter());
        for jwk in keys.filter(|jwk| !self.removed.contains(jwk.id())) {
            if union.len() < MOST_KEYS {
                // Of two keys with one ID the first counts.
                drop(union.push(jwk.clone()));
            }
        }
        union
    }

    /// Returns their instances.
    pub(crate) fn instances(&self) -> Vec<String> {
        self.known.keys().cloned().collect()
    }

    /// Returns how many there are.
    pub(crate) fn count(&self) -> usize {
        self.known.len()
    }

    /// Tells whether some sister does not give a key to verifiers, or did not say.
    pub(crate) fn lack(&self, id: &KeyId) -> bool {
        self.known.values().any(|sister| {
            let published = sister.published.as_ref();
            sister.word.keys.get(id).is_none() && published.is_none_or(|set| set.get(id).is_none())
        })
    }

    /// Tells whether sisters sign, as far as they say, and none of them with this key: verifiers may not know it yet.
    pub(crate) fn sign_with_others(&self, id: &KeyId) -> bool {
        let signers = self
            .known
            .values()
            .filter_map(|sister| sister.word.signs.as_ref());
        let (with_it, with_others): (Vec<_>, Vec<_>) = signers.partition(|signs| *signs == id);
        with_it.is_empty() && !with_others.is_empty()
    }
}

/// How long a sister counts that answers pings and nothing else.
const LONGEST_SILENCE: Duration = Duration::from_secs(6);
const MOST_SISTERS: usize = 64;
const MOST_REMOVED: usize = 64;
/// What every reader of a JWK Set takes.
const MOST_KEYS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_token::{Jwk, Secret, SigningKey};

    fn set(seeds: &[u8]) -> JwkSet {
        let mut set = JwkSet::default();
        for seed in seeds {
            let key = SigningKey::from_seed(&Secret::new(vec![*seed; 32])).unwrap();
            set.push(Jwk::of(&key)).unwrap();
        }
        set
    }

    fn id(seed: u8) -> KeyId {
        set(&[seed]).iter().next().unwrap().id().clone()
    }

    fn report(instance: &str, own: &[u8], published: Option<&[u8]>) -> Report {
        Report {
            instance: instance.to_owned(),
            word: Some(Word {
                keys: set(own),
                signs: None,
            }),
            published: published.map(set),
        }
    }

    fn silent(instance: &str) -> Report {
        Report {
            word: None,
            ..report(instance, &[], None)
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can only be got by reading one"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn the_union_has_our_keys_first_and_each_key_once() {
        let mut sisters = Sisters::default();
        let reports = vec![report("id-b", &[1, 2], None), report("id-c", &[2, 3], None)];
        sisters.hear(reports, start());
        let union = sisters.union(&set(&[4, 1]));
        let ids: Vec<_> = union.iter().map(|jwk| jwk.id().clone()).collect();
        assert_eq!(ids, [4, 1, 2, 3].map(id));
    }

    #[test]
    fn a_key_leaves_with_the_last_sister_that_is_configured_with_it() {
        let (mut sisters, now) = (Sisters::default(), start());
        sisters.hear(vec![report("id-b", &[2], None)], now);
        sisters.hear(vec![report("id-b", &[3], None)], now);
        assert_eq!(sisters.union(&set(&[1])), set(&[1, 3]));
        sisters.hear(vec![], now);
        assert_eq!(sisters.union(&set(&[1])), set(&[1]));
    }

    #[test]
    fn a_sister_that_is_slow_once_keeps_its_keys_and_one_that_hangs_does_not() {
        let (mut sisters, now) = (Sisters::default(), start());
        sisters.hear(vec![report("id-b", &[2], None)], now);
        sisters.hear(vec![silent("id-b")], now + Duration::from_secs(5));
        assert_eq!(sisters.union(&set(&[1])), set(&[1, 2]));
        sisters.hear(vec![silent("id-b")], now + LONGEST_SILENCE);
        assert_eq!(sisters.union(&set(&[1])), set(&[1]));
    }

    #[test]
    fn what_was_removed_here_is_gone_whoever_has_it_still() {
        let (mut sisters, now) = (Sisters::default(), start());
        sisters.note_own(&set(&[1, 2]));
        sisters.hear(vec![report("id-b", &[1, 2], None)], now);
        sisters.note_own(&set(&[1]));
        assert_eq!(sisters.union(&set(&[1])), set(&[1]));
        sisters.note_own(&set(&[1, 2]));
        assert_eq!(sisters.union(&set(&[1, 2])), set(&[1, 2]));
    }

    #[test]
    fn a_key_is_lacking_until_each_sister_gives_it_to_verifiers() {
        let (mut sisters, now) = (Sisters::default(), start());
        assert!(!sisters.lack(&id(9)), "nobody is there");
        sisters.hear(vec![report("id-b", &[1], None)], now);
        assert!(sisters.lack(&id(9)));
        let passes_on = report("id-b", &[1], Some(&[1, 9]));
        sisters.hear(vec![passes_on, report("id-c", &[1], None)], now);
        assert!(sisters.lack(&id(9)), "the other one does not");
        let reports = vec![
            report("id-b", &[1], Some(&[1, 9])),
            report("id-c", &[9], None),
        ];
        sisters.hear(reports, now);
        assert!(!sisters.lack(&id(9)));
    }
    #[test]
    fn a_key_that_no_sister_signs_with_is_new_unless_none_says_what_it_signs_with() {
        let signing = |instance: &str, seed: Option<u8>| Report {
            word: Some(Word {
                keys: set(&[1, 2]),
                signs: seed.map(id),
            }),
            ..report(instance, &[], None)
        };
        let (mut sisters, now) = (Sisters::default(), start());
        assert!(!sisters.sign_with_others(&id(2)), "nobody is there");
        sisters.hear(vec![signing("id-b", None)], now);
        assert!(!sisters.sign_with_others(&id(2)), "as a Go replica");
        sisters.hear(vec![signing("id-b", Some(1)), signing("id-c", None)], now);
        assert!(sisters.sign_with_others(&id(2)) && !sisters.sign_with_others(&id(1)));
        sisters.hear(
            vec![signing("id-b", Some(1)), signing("id-c", Some(2))],
            now,
        );
        assert!(!sisters.sign_with_others(&id(2)), "one does");
    }
}
