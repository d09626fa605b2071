//! Which exchanged tokens may be used again. Pure: time is handed in.

use crate::actor::Actor;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Whose token for how long: the bearer token itself is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    bearer: [u8; 32],
    budget: Duration,
}

impl Key {
    pub(crate) fn new(bearer: &str, budget: Duration) -> Self {
        Self {
            bearer: Sha256::digest(bearer).into(),
            budget,
        }
    }

    pub(crate) fn budget(&self) -> Duration {
        self.budget
    }
}

/// A bounded number of actors; the oldest makes room.
#[derive(Debug, Default)]
pub(crate) struct Reusable {
    actors: HashMap<Key, (Actor, Instant)>,
    /// Oldest first; may name some that are gone already.
    order: VecDeque<Key>,
}

impl Reusable {
    pub(crate) fn find(&self, key: &Key, now: Instant) -> Option<Actor> {
        let (actor, until) = self.actors.get(key)?;
        (now < *until).then(|| actor.clone())
    }

    pub(crate) fn keep(&mut self, key: Key, actor: Actor, now: Instant, until: Instant) {
        self.actors.insert(key, (actor, until));
        self.order.push_back(key);
        while let Some(oldest) = self.order.front() {
            let over = self
                .actors
                .get(oldest)
                .is_none_or(|(_, until)| *until <= now);
            if !over && self.order.len() <= MOST_ACTORS {
                return;
            }
            self.actors.remove(oldest);
            self.order.pop_front();
        }
    }
}

/// How long an access token may be used again by requests of `budget`: never beyond `longest`, and only while it lives on
/// for the budget and the padding for clocks that differ. Source: spec: verify 5.
pub(crate) fn reuse_time(left: Duration, budget: Duration, longest: Duration) -> Duration {
    left.saturating_sub(budget)
        .saturating_sub(PADDING)
        .min(longest)
}

/// What an issuer adds to a lifetime, so that verifiers' clocks may differ.
const PADDING: Duration = microbus_token::ACCESS_PADDING;

const MOST_ACTORS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::MintedToken;
    use serde_json::Map;
    use zeroize::Zeroizing;

    const SECOND: Duration = Duration::from_secs(1);

    fn actor() -> Actor {
        Actor::new(MintedToken::new(Zeroizing::new("t".into())), Map::new())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can only be got by reading one"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn an_actor_is_found_until_its_time_is_over_and_only_for_its_budget() {
        let (now, mut reusable) = (start(), Reusable::default());
        let key = Key::new("bearer", SECOND);
        reusable.keep(key, actor(), now, now + SECOND);
        assert!(reusable.find(&key, now).is_some());
        assert!(reusable.find(&key, now + SECOND).is_none());
        assert!(
            reusable
                .find(&Key::new("bearer", 2 * SECOND), now)
                .is_none()
        );
        assert!(reusable.find(&Key::new("another", SECOND), now).is_none());
    }

    #[test]
    fn the_memory_is_bounded_and_what_is_over_goes_first() {
        let (now, mut reusable) = (start(), Reusable::default());
        for number in 0..MOST_ACTORS + 5 {
            let key = Key::new(&number.to_string(), SECOND);
            reusable.keep(key, actor(), now, now + SECOND);
        }
        assert_eq!(
            (reusable.actors.len(), reusable.order.len()),
            (MOST_ACTORS, MOST_ACTORS)
        );
        let later = now + SECOND;
        reusable.keep(Key::new("last", SECOND), actor(), later, later + SECOND);
        assert_eq!((reusable.actors.len(), reusable.order.len()), (1, 1));
    }

    #[test]
    fn a_token_is_used_again_only_while_it_outlives_the_budget() {
        for (left, budget, longest, seconds) in [
            (25, 20, 5, 0),
            (30, 20, 5, 5),
            (28, 20, 5, 3),
            (60, 20, 5, 5),
            (30, 20, 2, 2),
            (10, 20, 5, 0),
            (905, 900, 5, 0),
        ] {
            let time = reuse_time(left * SECOND, budget * SECOND, longest * SECOND);
            assert_eq!(time, seconds * SECOND, "{left} {budget} {longest}");
        }
    }
}
