//! Whether a change of the bearer issuer's keys can be made without a token being refused.
//!
//! Pure: the keys that are planned, the JWK Set that is served, and what is known of times. What a rotation does is
//! described in the README, "Properties of bearer.token.core"; what a Go issuer does with the same keys is worse, and the plan must
//! hold there too (spec: microbus-wire 11.3, 13.12).

use crate::date;
use crate::explain::Replica;
use microbus_token::{BEARER_PADDING, Jwk, JwkSet, KeyId};
use serde::{Serialize, Serializer};
use std::fmt;

/// What the operator is about to configure.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The key in `PrivateKey`; `None` for an empty file.
    pub primary: Option<&'a Jwk>,
    /// The key in `AltPrivateKey`.
    pub alternate: Option<&'a Jwk>,
}

/// What is known of the running issuer.
#[derive(Debug)]
pub struct Running<'a> {
    /// Its JWK Set: the key that signs or is to sign, then the alternate.
    pub keys: &'a JwkSet,
    /// `AuthTokenTTL`, in seconds.
    pub token_lifetime: i64,
    /// When the alternate signed last, in Unix seconds, where the operator knows.
    pub alternate_signed_until: Option<i64>,
}

/// Where a key stands in the running JWK Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody can get it yet.
    New,
    /// It signs, or is about to.
    Primary,
    /// It is published for the sake of tokens that it signed, or is to sign next.
    Alternate,
}

/// Something that would go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hazard {
    /// There is no key to sign with.
    NoKey,
    /// Both files hold one key.
    SameKey(KeyId),
    /// The alternate is a key to come, where the one that goes belongs.
    AlternateIncoming(KeyId),
    /// Others than its owner and group may use a file, so the bearer issuer refuses it in PROD.
    OpenToOthers {
        /// The file.
        file: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The replicas do not publish the same keys yet.
    ReplicasDiffer(Vec<String>),
    /// A key leaves the JWK Set while its tokens can live.
    Vanishes {
        /// The key.
        kid: KeyId,
        /// When its last token ends at the latest, in Unix seconds.
        until: i64,
        /// Whether that is counted from now because nobody said when it stopped signing.
        at_the_latest: bool,
    },
}

impl State {
    /// Returns where `kid` stands in `keys`.
    #[must_use]
    pub fn of(kid: &KeyId, keys: &JwkSet) -> Self {
        match keys.iter().position(|jwk| jwk.id() == kid) {
            None => Self::New,
            Some(0) => Self::Primary,
            Some(_) => Self::Alternate,
        }
    }

    /// Returns the words for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new: not in the running JWK Set",
            Self::Primary => "primary: first in the running JWK Set, it signs or is about to",
            Self::Alternate => "alternate: in the running JWK Set, but not first",
        }
    }
}

/// Returns the hazard that some `replicas` publish other keys than the first: a configuration is still on its way.
#[must_use]
pub fn disagreement(replicas: &[Replica]) -> Option<Hazard> {
    let kids = |replica: &Replica| -> Vec<KeyId> {
        replica.keys.iter().map(|(kid, _)| kid.clone()).collect()
    };
    let first = kids(replicas.first()?);
    let others = replicas.iter().filter(|replica| kids(replica) != first);
    let others: Vec<_> = others.map(|replica| replica.id.clone()).collect();
    (!others.is_empty()).then_some(Hazard::ReplicasDiffer(others))
}

impl Plan<'_> {
    /// Returns what would go wrong whatever is running.
    #[must_use]
    pub fn hazards(&self) -> Vec<Hazard> {
        let Some(primary) = self.primary else {
            return vec![Hazard::NoKey];
        };
        let same = self
            .alternate
            .filter(|alternate| alternate.id() == primary.id());
        same.map(|key| Hazard::SameKey(key.id().clone()))
            .into_iter()
            .collect()
    }

    /// Returns what would go wrong if the issuer that is `running` were given these keys at the Unix time `now`.
    #[must_use]
    pub fn hazards_against(&self, running: &Running<'_>, now: i64) -> Vec<Hazard> {
        let mut hazards = self.hazards();
        let is_new = |key: &&Jwk| State::of(key.id(), running.keys) == State::New;
        if let Some(alternate) = self.alternate.filter(is_new)
            && hazards.is_empty()
            && !running.keys.is_empty()
        {
            hazards.push(Hazard::AlternateIncoming(alternate.id().clone()));
        }
        let planned = [self.primary, self.alternate];
        let is_planned = |kid: &KeyId| planned.iter().flatten().any(|key| key.id() == kid);
        let gone = running.keys.iter().enumerate();
        for (position, jwk) in gone.filter(|(_, jwk)| !is_planned(jwk.id())) {
            let known_end = running.alternate_signed_until.filter(|_| position > 0);
            let until = running.last_end(known_end.unwrap_or(now));
            if until > now {
                hazards.push(Hazard::Vanishes {
                    kid: jwk.id().clone(),
                    until,
                    at_the_latest: position > 0 && known_end.is_none(),
                });
            }
        }
        hazards
    }

    /// Returns what the change comes to if nothing speaks against it.
    #[must_use]
    pub fn outcome(&self, keys: &JwkSet) -> &'static str {
        match self.primary.map(|primary| State::of(primary.id(), keys)) {
            None => "there would be no key to sign with",
            Some(_) if keys.is_empty() => "the first key: it is published and signs at once",
            Some(State::New) => {
                "a rotation: the new key is published at once, the old one signs until ActivationDelay is over"
            }
            Some(State::Alternate) => {
                "the alternate becomes the primary: verifiers know it already"
            }
            Some(State::Primary) => "no rotation: the key that signs goes on signing",
        }
    }
}

impl Running<'_> {
    /// Returns when the last token ends that was signed at `signed`.
    fn last_end(&self, signed: i64) -> i64 {
        let padding = i64::try_from(BEARER_PADDING.as_secs()).unwrap_or_default();
        signed
            .saturating_add(self.token_lifetime)
            .saturating_add(padding)
    }
}

impl Hazard {
    /// Returns a code that scripts may rely on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::SameKey(_) => "same_key",
            Self::AlternateIncoming(_) => "alternate_incoming",
            Self::OpenToOthers { .. } => "open_to_others",
            Self::ReplicasDiffer(_) => "replicas_differ",
            Self::Vanishes { .. } => "vanishes",
        }
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => formatter.write_str(
                "the file is empty, which is no key: without another source Mint answers 503",
            ),
            Self::SameKey(kid) => write!(
                formatter,
                "both files hold {kid}: the alternate must be the key that goes, so that its tokens verify"
            ),
            Self::AlternateIncoming(kid) => write!(
                formatter,
                "{kid} is given as the alternate but is not published yet: a key that comes belongs into PrivateKey, and the one that goes \
                 into AltPrivateKey; as the alternate it never signs here, and a Go issuer may sign with it before verifiers know it"
            ),
            Self::OpenToOthers { file, mode } => write!(
                formatter,
                "{file}: its mode is {mode:04o}, so that others may use it; wanted is 0440 or stricter (chmod o= on it)"
            ),
            Self::ReplicasDiffer(ids) => write!(
                formatter,
                "replicas do not publish the same keys ({} differ from the first): wait until the last change has reached all of them",
                ids.join(" ")
            ),
            Self::Vanishes {
                kid,
                until,
                at_the_latest,
            } => {
                let until = date::text(*until);
                if *at_the_latest {
                    return write!(
                        formatter,
                        "{kid} would vanish, and its tokens may live until {until}, counted as if it signed until now; if it stopped \
                         before, say when with --signed-until (its successor's line `Key signs`)"
                    );
                }
                write!(
                    formatter,
                    "{kid} would vanish while its tokens live, until {until}: keep it as the alternate until then"
                )
            }
        }
    }
}

impl Serialize for Hazard {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([("code", self.code().to_owned()), ("text", self.to_string())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_token::{Secret, SigningKey};

    const NOW: i64 = 1_800_000_000;
    const LIFETIME: i64 = 3_600;

    fn key(seed: u8) -> Jwk {
        Jwk::of(&SigningKey::from_seed(&Secret::new(vec![seed; 32])).unwrap())
    }

    fn set(seeds: &[u8]) -> JwkSet {
        let mut set = JwkSet::default();
        seeds.iter().for_each(|seed| set.push(key(*seed)).unwrap());
        set
    }

    /// Plans `primary` and `alternate` where `running` is served; the codes of the hazards, and the kids that vanish.
    fn planned(
        primary: u8,
        alternate: Option<u8>,
        running: &[u8],
        signed_until: Option<i64>,
    ) -> Vec<&'static str> {
        let (primary, alternate, keys) = (key(primary), alternate.map(key), set(running));
        let plan = Plan {
            primary: Some(&primary),
            alternate: alternate.as_ref(),
        };
        let running = Running {
            keys: &keys,
            token_lifetime: LIFETIME,
            alternate_signed_until: signed_until,
        };
        let hazards = plan.hazards_against(&running, NOW);
        hazards.iter().map(Hazard::code).collect()
    }

    #[test]
    fn a_rotation_by_the_book_is_safe_at_each_step() {
        assert!(planned(1, None, &[], None).is_empty(), "the first key");
        assert!(planned(1, None, &[1], None).is_empty(), "nothing changes");
        assert!(
            planned(2, Some(1), &[1], None).is_empty(),
            "new first, old as the alternate"
        );
        assert!(
            planned(2, Some(1), &[2, 1], None).is_empty(),
            "and once more"
        );
        assert!(planned(1, Some(2), &[2, 1], None).is_empty(), "and back");
        let dead = NOW - LIFETIME - 300;
        assert!(
            planned(2, None, &[2, 1], Some(dead)).is_empty(),
            "the old key's tokens are dead"
        );
    }

    #[test]
    fn files_that_were_exchanged_are_noticed() {
        assert_eq!(planned(1, Some(2), &[1], None), ["alternate_incoming"]);
        assert_eq!(
            planned(2, Some(3), &[1], None),
            ["alternate_incoming", "vanishes"]
        );
    }

    #[test]
    fn a_key_that_would_vanish_while_its_tokens_live_is_named() {
        assert_eq!(planned(2, None, &[1], None), ["vanishes"]);
        assert_eq!(planned(2, Some(2), &[1], None), ["same_key", "vanishes"]);
        assert_eq!(planned(2, None, &[2, 1], None), ["vanishes"]);
        assert_eq!(planned(3, Some(2), &[2, 1], None), ["vanishes"]);
        let a_second_too_early = NOW - LIFETIME - 299;
        assert_eq!(
            planned(2, None, &[2, 1], Some(a_second_too_early)),
            ["vanishes"]
        );
        // What the operator says of the alternate is not taken for the key that signs.
        assert_eq!(planned(2, None, &[1], Some(0)), ["vanishes"]);
    }

    #[test]
    fn the_date_counts_the_lifetime_and_the_padding_of_the_last_token() {
        let (primary, keys) = (key(2), set(&[1]));
        let plan = Plan {
            primary: Some(&primary),
            alternate: None,
        };
        let running = Running {
            keys: &keys,
            token_lifetime: LIFETIME,
            alternate_signed_until: None,
        };
        let hazards = plan.hazards_against(&running, NOW);
        let text = hazards[0].to_string();
        assert!(
            text.contains(
                "NHUPmL1Z_Pw would vanish while its tokens live, until 2027-01-15T09:05:00Z"
            ),
            "{text}"
        );
    }

    #[test]
    fn replicas_that_publish_other_keys_are_named() {
        let replica = |id: &str, seeds: &[u8]| Replica {
            id: id.to_owned(),
            keys: set(seeds)
                .iter()
                .map(|jwk| (jwk.id().clone(), None))
                .collect(),
        };
        let agreeing = [replica("id-a", &[2, 1]), replica("id-b", &[2, 1])];
        assert_eq!(disagreement(&agreeing), None);
        assert_eq!(disagreement(&[]), None);
        let differing = [replica("id-a", &[2, 1]), replica("id-b", &[1])];
        let ids = vec!["id-b".to_owned()];
        assert_eq!(disagreement(&differing), Some(Hazard::ReplicasDiffer(ids)));
    }

    #[test]
    fn an_empty_file_is_no_key() {
        let plan = Plan {
            primary: None,
            alternate: None,
        };
        assert_eq!(plan.hazards(), [Hazard::NoKey]);
    }
}
