//! Requests that wait to be handled. Callers take turns, so that the flood of one does not delay the others.
//!
//! This is stochastic fairness queueing (`McKenney`, INFOCOM 1990): callers are hashed onto a fixed number of lanes, which
//! are served one request each in turn. It needs no table of callers that somebody could fill, and the hash is seeded, so
//! that nobody can choose with whom to share a lane.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

pub(super) struct Queue<T> {
    lanes: Vec<Lane<T>>,
    /// The lanes that are not empty, in the order in which they are served.
    turns: VecDeque<usize>,
    hasher: RandomState,
}

struct Lane<T> {
    waiting: VecDeque<T>,
    /// How many of the oldest a visit is done with.
    visited: usize,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let lane = |_| Lane {
            waiting: VecDeque::new(),
            visited: 0,
        };
        Self {
            lanes: (0..LANES).map(lane).collect(),
            turns: VecDeque::with_capacity(LANES),
            hasher: RandomState::new(),
        }
    }

    /// Puts a request behind the others of its caller. Tells whether the queue was empty.
    pub(super) fn push(&mut self, caller: &str, item: T) -> bool {
        let was_empty = self.turns.is_empty();
        let number = self.lane_of(caller);
        if let Some(lane) = self.lanes.get_mut(number) {
            if lane.waiting.is_empty() {
                self.turns.push_back(number);
            }
            lane.waiting.push_back(item);
        }
        was_empty
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
        item
    }

    /// Takes the newest request of whoever has most waiting, to make room for one of `caller`, if that one has fewer and
    /// the request is one that `may_go`.
    pub(super) fn make_room(&mut self, caller: &str, may_go: impl Fn(&T) -> bool) -> Option<T> {
        let own = self.lane_of(caller);
        let own_length = self.lanes.get(own).map_or(0, |lane| lane.waiting.len());
        let (number, lane) = self
            .lanes
            .iter_mut()
            .enumerate()
            .max_by_key(|(_, lane)| lane.waiting.len())?;
        let longest = &mut lane.waiting;
        if longest.len() <= own_length.saturating_add(1) || !longest.back().is_some_and(may_go) {
            return None;
        }
        let item = longest.pop_back();
        lane.visited = lane.visited.min(longest.len());
        if longest.is_empty() {
            self.turns.retain(|turn| *turn != number);
        }
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

    fn lane_of(&self, caller: &str) -> usize {
        let hash = self.hasher.hash_one(caller);
        usize::try_from(hash % LANES as u64).unwrap_or(0)
    }
}

/// More than the callers of an issuer, mostly; a power of two.
const LANES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Two callers that do not share a lane.
    fn queue() -> (Queue<(u8, u32)>, String, String) {
        let queue = Queue::new();
        let flood = "flood".to_owned();
        let other = (0..)
            .map(|number| format!("other-{number}"))
            .find(|name| queue.lane_of(name) != queue.lane_of(&flood))
            .unwrap();
        (queue, flood, other)
    }

    #[test]
    fn one_caller_is_served_in_order() {
        let (mut queue, caller, _) = queue();
        assert!(queue.push(&caller, (0, 0)));
        assert!(!queue.push(&caller, (0, 1)));
        assert_eq!(
            [queue.pop(), queue.pop(), queue.pop()],
            [Some((0, 0)), Some((0, 1)), None]
        );
        assert!(queue.push(&caller, (0, 2)));
    }

    #[test]
    fn a_flood_delays_another_caller_by_one_request_at_most() {
        let (mut queue, flood, other) = queue();
        for number in 0..1000 {
            queue.push(&flood, (0, number));
        }
        queue.push(&other, (1, 0));
        let place = std::iter::from_fn(|| queue.pop()).position(|(caller, _)| caller == 1);
        assert!(place <= Some(1), "{place:?}");
    }

    #[test]
    fn room_is_made_at_the_cost_of_whoever_has_most_waiting() {
        let (mut queue, flood, other) = queue();
        for number in 0..3 {
            queue.push(&flood, (0, number));
        }
        assert_eq!(queue.make_room(&flood, |_| true), None);
        assert_eq!(queue.make_room(&other, |_| false), None);
        assert_eq!(queue.make_room(&other, |_| true), Some((0, 2)));
        queue.push(&other, (1, 0));
        assert_eq!(queue.make_room(&other, |_| true), None);
        let left: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(left.len(), 3);
    }

    #[test]
    fn a_visit_sees_each_caller_from_its_oldest_on_and_each_request_until_it_is_done_with_it() {
        let (mut queue, flood, other) = queue();
        for number in 0..3 {
            queue.push(&flood, (0, number));
        }
        queue.push(&other, (1, 0));
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
        assert_eq!(queue.make_room(&other, |_| true), Some((0, 2)));
        queue.push(&flood, (0, 3));
        assert_eq!(visit(&mut queue, 3), [(0, 3)]);
    }
}
