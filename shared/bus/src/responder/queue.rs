//! Requests that wait to be handled. Callers take turns, so that the flood of one does not delay the others.
//!
//! This is stochastic fairness queueing (`McKenney`, INFOCOM 1990): callers are hashed onto a fixed number of lanes, which
//! are served one request each in turn. It needs no table of callers that somebody could fill, and the hash is seeded, so
//! that nobody can choose with whom to share a lane.
//!
//! A burst may be long, since it is soon worked off. A queue that stays long is another matter: all that waits in it comes
//! late, and no more gets done for it. From then on it is kept short (`CoDel`, RFC 8289, has the same aim). What tells one
//! from the other is how many requests came while it was long, not how long that took, which depends on the machine.
//!
//! What is exempt from that has lanes of its own, so that neither kind is refused for the other.

use crate::handler::Urgency;
use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

pub(super) struct Queue<T> {
    lanes: Vec<Lane<T>>,
    /// The lanes that are not empty, in the order in which they are served.
    turns: VecDeque<usize>,
    length: usize,
    /// How many of those that wait may be shed.
    sheddable: usize,
    /// How many requests found it long, but for gaps, and when the last of them did.
    long: Option<(usize, Instant)>,
    /// How many may find it long.
    burst: usize,
    hasher: RandomState,
}

struct Lane<T> {
    waiting: VecDeque<T>,
    /// How many of the oldest a visit is done with.
    visited: usize,
}

impl<T> Queue<T> {
    /// Makes an empty one, which a burst of so many requests may make long.
    pub(super) fn new(burst: usize) -> Self {
        let lane = |_| Lane {
            waiting: VecDeque::new(),
            visited: 0,
        };
        Self {
            lanes: (0..2 * LANES).map(lane).collect(),
            turns: VecDeque::with_capacity(2 * LANES),
            length: 0,
            sheddable: 0,
            long: None,
            burst,
            hasher: RandomState::new(),
        }
    }

    /// Puts a request behind the others of its caller. Returns how many wait now.
    pub(super) fn push(&mut self, caller: &str, urgency: Urgency, item: T) -> usize {
        let number = self.lane_of(caller, urgency);
        if let Some(lane) = self.lanes.get_mut(number) {
            if lane.waiting.is_empty() {
                self.turns.push_back(number);
            }
            lane.waiting.push_back(item);
            self.count(number, usize::saturating_add);
        }
        self.length
    }

    /// Takes the oldest request of the caller whose turn it is.
    pub(super) fn pop(&mut self) -> Option<T> {
        let number = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(number)?;
        let item = lane.waiting.pop_front();
        lane.visited = lane.visited.saturating_sub(1);
        if !lane.waiting.is_empty() {
            self.turns.push_back(number);
        }
        self.count(number, usize::saturating_sub);
        item
    }

    /// Tells whether a request that may be shed and comes `now` finds it long enough, since no burst explains it any more.
    pub(super) fn is_standing(&mut self, now: Instant) -> bool {
        if self.sheddable < SHORT {
            return false;
        }
        let found = match self.long {
            Some((found, last)) if now.saturating_duration_since(last) < GAP => found,
            _ => 0,
        };
        self.long = Some((found.saturating_add(1), now));
        found >= self.burst
    }

    /// Takes one like [`Queue::pop`] if more than `few` wait.
    pub(super) fn pop_beyond(&mut self, few: usize) -> Option<T> {
        if self.length > few { self.pop() } else { None }
    }

    /// Takes the newest request of whoever has most of that urgency waiting, to make room for one of `caller`, if that one
    /// has fewer and the request is one that `may_go`.
    pub(super) fn make_room(
        &mut self,
        caller: &str,
        urgency: Urgency,
        may_go: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let own = self.lane_of(caller, urgency);
        let own_length = self.lanes.get(own).map_or(0, |lane| lane.waiting.len());
        let length_of = |number: &usize| self.lanes.get(*number).map(|lane| lane.waiting.len());
        let alike = |number: &usize| is_sheddable(*number) == is_sheddable(own);
        let number = self
            .turns
            .iter()
            .copied()
            .filter(alike)
            .max_by_key(length_of)?;
        let lane = self.lanes.get_mut(number)?;
        let longest = &mut lane.waiting;
        if longest.len() <= own_length.saturating_add(1) || !longest.back().is_some_and(may_go) {
            return None;
        }
        let item = longest.pop_back();
        lane.visited = lane.visited.min(longest.len());
        if longest.is_empty() {
            self.turns.retain(|turn| *turn != number);
        }
        self.count(number, usize::saturating_sub);
        item
    }

    /// Shows the waiting requests that no visit is done with, those of each caller oldest first. `visit` tells whether it is
    /// done with one; if not, that one and those behind it are shown again next time.
    pub(super) fn visit(&mut self, mut visit: impl FnMut(&mut T) -> bool) {
        for number in &self.turns {
            let Some(lane) = self.lanes.get_mut(*number) else {
                continue;
            };
            for item in lane.waiting.iter_mut().skip(lane.visited) {
                if !visit(item) {
                    break;
                }
                lane.visited = lane.visited.saturating_add(1);
            }
        }
    }

    /// Returns the number of a caller's lane for requests of that urgency.
    pub(super) fn lane_of(&self, caller: &str, urgency: Urgency) -> usize {
        let hash = self.hasher.hash_one(caller);
        let number = usize::try_from(hash % LANES as u64).unwrap_or(0);
        match urgency {
            Urgency::Sheddable => number,
            Urgency::Exempt => number.saturating_add(LANES),
        }
    }

    /// Changes the counts by one request in the lane of that number.
    fn count(&mut self, lane: usize, change: fn(usize, usize) -> usize) {
        self.length = change(self.length, 1);
        if is_sheddable(lane) {
            self.sheddable = change(self.sheddable, 1);
        }
    }
}

/// Tells whether the requests in the lane of that number may be shed.
fn is_sheddable(lane: usize) -> bool {
    lane < LANES
}

/// So many more than an issuer has callers that few share one: who shares the lane of a flood is refused with it.
const LANES: usize = 1024;
/// More than callers who wait for their answers have in flight, and mostly worked off before any is late.
const SHORT: usize = 1_024;
/// How long it must not have been long to be a queue as any other: what is asked for comes in lumps.
const GAP: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    const BURST: usize = 10;

    /// Two callers that do not share a lane.
    fn queue() -> (Queue<(u8, u32)>, String, String) {
        let queue = Queue::new(BURST);
        let flood = "flood".to_owned();
        let other = (0..)
            .map(|number| format!("other-{number}"))
            .find(|name| {
                queue.lane_of(name, Urgency::Sheddable) != queue.lane_of(&flood, Urgency::Sheddable)
            })
            .unwrap();
        (queue, flood, other)
    }

    #[test]
    fn one_caller_is_served_in_order() {
        let (mut queue, caller, _) = queue();
        assert_eq!(
            [0, 1].map(|number| queue.push(&caller, Urgency::Sheddable, (0, number))),
            [1, 2]
        );
        assert_eq!(
            [queue.pop(), queue.pop(), queue.pop()],
            [Some((0, 0)), Some((0, 1)), None]
        );
        assert_eq!(queue.push(&caller, Urgency::Sheddable, (0, 2)), 1);
    }

    #[test]
    fn who_helps_leaves_a_few() {
        let (mut queue, caller, other) = queue();
        queue.push(&caller, Urgency::Sheddable, (0, 0));
        queue.push(&other, Urgency::Sheddable, (1, 0));
        queue.push(&caller, Urgency::Sheddable, (0, 1));
        assert!(queue.pop_beyond(2).is_some());
        assert_eq!(queue.pop_beyond(2), None);
        assert!(
            queue
                .make_room(&other, Urgency::Sheddable, |_| true)
                .is_none()
        );
        assert!(queue.pop().is_some());
        assert_eq!(queue.pop_beyond(1), None);
        assert!(queue.pop_beyond(0).is_some());
        assert_eq!(queue.pop_beyond(0), None);
    }

    #[test]
    fn a_flood_delays_another_caller_by_one_request_at_most() {
        let (mut queue, flood, other) = queue();
        for number in 0..1000 {
            queue.push(&flood, Urgency::Sheddable, (0, number));
        }
        queue.push(&other, Urgency::Sheddable, (1, 0));
        let place = std::iter::from_fn(|| queue.pop()).position(|(caller, _)| caller == 1);
        assert!(place <= Some(1), "{place:?}");
    }

    #[test]
    fn room_is_made_at_the_cost_of_whoever_has_most_waiting() {
        let (mut queue, flood, other) = queue();
        for number in 0..3 {
            queue.push(&flood, Urgency::Sheddable, (0, number));
        }
        assert_eq!(queue.make_room(&flood, Urgency::Sheddable, |_| true), None);
        assert_eq!(queue.make_room(&other, Urgency::Sheddable, |_| false), None);
        assert_eq!(
            queue.make_room(&other, Urgency::Sheddable, |_| true),
            Some((0, 2))
        );
        queue.push(&other, Urgency::Sheddable, (1, 0));
        assert_eq!(queue.make_room(&other, Urgency::Sheddable, |_| true), None);
        let left: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(left.len(), 3);
    }

    #[test]
    fn no_room_is_made_for_one_kind_at_the_cost_of_the_other_nor_does_that_make_it_long() {
        let (mut queue, flood, other) = queue();
        for _ in 0..2 * SHORT {
            queue.push(&flood, Urgency::Exempt, (0, 0));
        }
        let now = SystemClock.now();
        assert!((0..2 * BURST).all(|_| !queue.is_standing(now)));
        assert_eq!(queue.make_room(&other, Urgency::Sheddable, |_| true), None);
        assert!(queue.make_room(&other, Urgency::Exempt, |_| true).is_some());
        queue.push(&flood, Urgency::Sheddable, (1, 0));
        queue.push(&flood, Urgency::Sheddable, (1, 1));
        assert_eq!(
            queue.make_room(&other, Urgency::Sheddable, |_| true),
            Some((1, 1))
        );
        let first = [queue.pop(), queue.pop()].map(|item| item.unwrap().0);
        assert_eq!(first, [0, 1], "they take turns");
    }

    #[test]
    fn a_queue_that_more_than_a_burst_found_long_is_kept_short_until_it_was_short_for_a_while() {
        let (mut queue, caller, _) = queue();
        let begin = SystemClock.now();
        let mut standing_at = |length, milliseconds| {
            while queue.pop_beyond(length).is_some() {}
            while queue.length < length {
                queue.push(&caller, Urgency::Sheddable, (0, 0));
            }
            queue.is_standing(begin + Duration::from_millis(milliseconds))
        };
        let mut now = 0;
        for _ in 0..BURST {
            now += 99;
            assert!(!standing_at(3 * SHORT, now));
            assert!(!standing_at(0, now + 98), "gaps do not end it");
        }
        assert!(standing_at(SHORT, now));
        assert!(!standing_at(SHORT - 1, now + 1), "it may be filled up");
        assert!(standing_at(SHORT, now + 99));
        assert!(!standing_at(SHORT, now + 199), "a new burst");
    }

    #[test]
    fn a_visit_sees_each_caller_from_its_oldest_on_and_each_request_until_it_is_done_with_it() {
        let (mut queue, flood, other) = queue();
        for number in 0..3 {
            queue.push(&flood, Urgency::Sheddable, (0, number));
        }
        queue.push(&other, Urgency::Sheddable, (1, 0));
        let visit = |queue: &mut Queue<(u8, u32)>, done_with| {
            let mut seen = Vec::new();
            queue.visit(|item| {
                seen.push(*item);
                item.1 <= done_with
            });
            seen
        };
        assert_eq!(visit(&mut queue, 0), [(0, 0), (0, 1), (1, 0)]);
        assert_eq!(visit(&mut queue, 0), [(0, 1)]);
        // What is served or displaced is not counted as visited any more.
        assert_eq!([queue.pop(), queue.pop()], [Some((0, 0)), Some((1, 0))]);
        assert_eq!(visit(&mut queue, 2), [(0, 1), (0, 2)]);
        assert_eq!(
            queue.make_room(&other, Urgency::Sheddable, |_| true),
            Some((0, 2))
        );
        queue.push(&flood, Urgency::Sheddable, (0, 3));
        assert_eq!(visit(&mut queue, 3), [(0, 3)]);
    }
}
