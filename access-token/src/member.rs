//! One replica's part in what keeps every verifier from missing a key. Pure: time is handed in, messages are words.
//!
//! It has keys of its own ([`KeyRing`]), remembers those of the others ([`Replicas`]) and introduces each new key before
//! that signs: to all replicas that are alive, then to the verifiers. Whoever drives it asks for the next [`Step`] and tells
//! what came of it. Source: design: keys.

use crate::replicas::{Heard, Replicas};
use crate::word::Word;
use microbus_service::Verifier;
use microbus_token::{Change, JwkSet, KeyId, KeyRing, RingError, RotationPolicy, SigningKey};
use std::time::{Duration, Instant};

/// A replica as the others meet it.
#[derive(Debug)]
pub(crate) struct Member {
    ring: KeyRing,
    replicas: Replicas,
    introduction: Option<Introduction>,
    /// Whether new keys are shown to verifiers; else they sign after the activation delay.
    shows: bool,
    /// Until when verifiers are busy with the key that we show them.
    showing_until: Option<Instant>,
    leaving: bool,
}

/// What is to be done for the key that is being introduced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Tell all replicas our word and hear theirs, then call [`Member::told`].
    Tell,
    /// Ask again at this time.
    Wait(Instant),
    /// Show the key to every verifier, then call [`Member::shown`].
    ShowAll,
    /// Show the key to those who did not know it, then call [`Member::shown`].
    ShowAgain(Vec<Verifier>),
    /// Nothing; the key signs now or at its time.
    Done,
}

/// A key on its way to replicas and verifiers.
#[derive(Debug)]
struct Introduction {
    kid: KeyId,
    stage: Stage,
    /// When the stage goes on.
    at: Instant,
    /// Whether every verifier that heard of the key answered.
    complete: bool,
}

#[derive(Debug)]
enum Stage {
    /// The replicas were told so many times.
    Telling(u32),
    Showing,
    /// So many more tries for those who do not know the key.
    ShowingAgain(Vec<Verifier>, u32),
    /// Everybody who could be shown the key was, and whether all of them know it.
    Shown {
        all_know: bool,
    },
}

/// What hearing a word brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whether the JWK Set changed.
    pub(crate) news: bool,
    /// What happened to our own keys.
    pub(crate) changes: Vec<Change>,
}

impl Member {
    /// Makes the replica `own`, without a key.
    pub(crate) fn new(own: String, policy: RotationPolicy, shows: bool) -> Self {
        Self {
            ring: KeyRing::new(policy),
            replicas: Replicas::new(own),
            introduction: None,
            shows,
            showing_until: None,
            leaving: false,
        }
    }

    /// Puts a policy in force, for keys to come and those that wait.
    pub(crate) fn configure(&mut self, policy: RotationPolicy, shows: bool) {
        self.ring.set_policy(policy);
        self.shows = shows;
    }

    /// Returns our own keys.
    pub(crate) fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Returns what we know of the others.
    pub(crate) fn replicas(&self) -> &Replicas {
        &self.replicas
    }

    /// Publishes a key that is to sign next, and begins to introduce it.
    ///
    /// # Errors
    /// [`RingError`].
    pub(crate) fn prepare(&mut self, key: SigningKey, now: Instant) -> Result<(), RingError> {
        let kid = key.id().clone();
        self.ring.prepare(key, now)?;
        self.introduction = Some(Introduction {
            kid,
            stage: Stage::Telling(0),
            at: now,
            complete: false,
        });
        Ok(())
    }

    /// Lets the first key sign at once, where no other replica is: nobody is to be told, and verifiers are shown it.
    pub(crate) fn activate_first(&mut self, now: Instant) -> Vec<Change> {
        if let Some(introduction) = &mut self.introduction
            && self.shows
        {
            introduction.stage = Stage::Showing;
        }
        self.ring.activate_now(now)
    }

    /// Asks for another key regardless of the age of the one that signs.
    pub(crate) fn request_rotation(&mut self, now: Instant) {
        self.ring.request_rotation(now);
    }

    /// Tells whether a key should be made and given to [`Member::prepare`].
    pub(crate) fn rotation_due(&self, now: Instant) -> bool {
        self.ring.rotation_due(now)
    }

    /// Takes in the word of another replica.
    pub(crate) fn hear(&mut self, instance: &str, word: &Word, now: Instant) -> Outcome {
        let heard = self.replicas.hear(instance, word, &self.ring, now);
        Outcome {
            news: heard == Heard::News,
            changes: self.confirm(now),
        }
    }

    /// Returns what to tell the other replicas.
    pub(crate) fn word(&mut self, now: Instant) -> Word {
        let word = self.replicas.word(&self.ring, now);
        let showing = self.showing_until.map(|until| until - now.min(until));
        Word {
            showing: showing.unwrap_or_default(),
            leaving: self.leaving,
            ..word
        }
    }

    /// Has all further words say that we go.
    pub(crate) fn leave(&mut self) {
        self.leaving = true;
    }

    /// Returns the key that is being introduced.
    pub(crate) fn introducing(&self) -> Option<&KeyId> {
        self.introduction.as_ref().map(|one| &one.kid)
    }

    /// Returns what is to be done for the key that is being introduced.
    pub(crate) fn next_step(&self, now: Instant) -> Step {
        let Some(introduction) = &self.introduction else {
            return Step::Done;
        };
        let at = match introduction.stage {
            // Verifiers ask once a second, and get one set of keys: they are shown ours after they have had time for another.
            Stage::Showing => introduction
                .at
                .max(self.replicas.busy_until().unwrap_or(now)),
            Stage::Telling(_) | Stage::ShowingAgain(..) | Stage::Shown { .. } => introduction.at,
        };
        if now < at {
            return Step::Wait(at);
        }
        match &introduction.stage {
            Stage::Telling(_) => Step::Tell,
            Stage::Showing => Step::ShowAll,
            Stage::ShowingAgain(cold, _) => Step::ShowAgain(cold.clone()),
            Stage::Shown { .. } => Step::Done,
        }
    }

    /// Says that the replicas were told of a key, and those that answered were heard. That is nothing to a key which was made
    /// meanwhile.
    pub(crate) fn told(&mut self, kid: &KeyId, now: Instant) -> Vec<Change> {
        if let Some(introduction) = introduction_of(&mut self.introduction, kid)
            && let Stage::Telling(times) = introduction.stage
        {
            let missing = self.replicas.without(&introduction.kid).next().is_some();
            if missing && times < TELLING_RETRIES {
                introduction.stage = Stage::Telling(times + 1);
                introduction.at = now + TELLING_PAUSE;
            } else if self.shows {
                introduction.stage = Stage::Showing;
                introduction.at = now;
            } else {
                introduction.stage = Stage::Shown { all_know: false };
            }
        }
        self.confirm(now)
    }

    /// Says that the key is being shown, to verifiers who will be busy with it for so long beyond the time of one fetch.
    pub(crate) fn showing(&mut self, beyond: Duration, now: Instant) {
        self.showing_until = Some(now + SPACING + beyond);
    }

    /// Says what came of showing a key: who does not know it, and whether everybody answered. That is nothing to a key which
    /// was made meanwhile.
    pub(crate) fn shown(
        &mut self,
        kid: &KeyId,
        cold: Vec<Verifier>,
        complete: bool,
        now: Instant,
    ) -> Vec<Change> {
        if let Some(introduction) = introduction_of(&mut self.introduction, kid) {
            let retries = match introduction.stage {
                Stage::Showing => {
                    introduction.complete = complete;
                    SHOWING_RETRIES
                }
                Stage::ShowingAgain(_, left) => {
                    introduction.complete &= complete;
                    left
                }
                Stage::Telling(_) | Stage::Shown { .. } => 0,
            };
            if cold.is_empty() || retries == 0 {
                let all_know = cold.is_empty() && introduction.complete;
                introduction.stage = Stage::Shown { all_know };
            } else {
                // Their debounce was running, or their clock is ahead.
                introduction.stage = Stage::ShowingAgain(cold, retries - 1);
                introduction.at = now + DEBOUNCE;
            }
        }
        self.confirm(now)
    }

    /// Does what the time demands of keys, ours and others'.
    pub(crate) fn advance(&mut self, now: Instant) -> Outcome {
        let changes = self.ring.advance(now);
        Outcome {
            news: self.replicas.expire(now),
            changes,
        }
    }

    /// Returns when [`Member::advance`] or [`Member::rotation_due`] will have something new to say.
    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        let expiry = self.replicas.next_expiry();
        self.ring.next_wakeup().into_iter().chain(expiry).min()
    }

    /// Returns the replicas that are alive and not known to have the key that is being introduced.
    pub(crate) fn missing(&self) -> Vec<String> {
        let kid = self.introducing();
        let missing = kid.into_iter().flat_map(|kid| self.replicas.without(kid));
        missing.map(str::to_owned).collect()
    }

    /// Returns all keys that verify tokens of any replica, own keys first.
    pub(crate) fn union(&self) -> JwkSet {
        self.replicas.union(&self.ring)
    }

    /// Lets the key that waits sign, if all replicas that are alive have it and all verifiers know it.
    fn confirm(&mut self, now: Instant) -> Vec<Change> {
        let Some(introduction) = &self.introduction else {
            return Vec::new();
        };
        let known = matches!(introduction.stage, Stage::Shown { all_know: true });
        if known && self.replicas.without(&introduction.kid).next().is_none() {
            self.ring.confirm(&introduction.kid, now)
        } else {
            Vec::new()
        }
    }
}

/// Returns the introduction that goes on if it is that of `kid`.
fn introduction_of<'a>(
    current: &'a mut Option<Introduction>,
    kid: &KeyId,
) -> Option<&'a mut Introduction> {
    current.as_mut().filter(|one| one.kid == *kid)
}

/// A verifier fetches keys at most once a second.
const DEBOUNCE: Duration = Duration::from_millis(1100);
/// Two replicas show their keys at least this long after each other.
const SPACING: Duration = Duration::from_millis(1200);
const SHOWING_RETRIES: u32 = 2;
const TELLING_RETRIES: u32 = 2;
/// Between two attempts to tell a replica that did not confirm.
const TELLING_PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests;
