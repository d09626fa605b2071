//! Requests that wait to be handled. Callers take turns, so that the flood of one does not delay the others.
//!
//! This is stochastic fairness queueing (`McKenney`, INFOCOM 1990): callers are hashed onto a fixed number of lanes, which
//! are served one request each in turn. It needs no table of callers that somebody could fill, and the hash is seeded, so
//! that nobody can choose with whom to share a lane.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

pub(super) struct Queue<T> {
    lanes: Vec<VecDeque<T>>,
    /// The lanes that are not empty, in the order in which they are served.
    turns: VecDeque<usize>,
    hasher: RandomState,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            lanes: (0..LANES).map(|_| VecDeque::new()).collect(),
            turns: VecDeque::with_capacity(LANES),
            hasher: RandomState::new(),
        }
    }

    /// Puts a request behind the others of its caller. Tells whether the queue was empty.
    pub(super) fn push(&mut self, caller: &str, item: T) -> bool {
        let was_empty = self.turns.is_empty();
        let number = self.lane_of(caller);
        if let Some(lane) = self.lanes.get_mut(number) {
            if lane.is_empty() {
                self.turns.push_back(number);
            }
            lane.push_back(item);
        }
        was_empty
    }

    /// Takes the oldest request of the caller whose turn it is.
    pub(super) fn pop(&mut self) -> Option<T> {
        let number = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(number)?;
        let item = lane.pop_front();
        if !lane.is_empty() {
            self.turns.push_back(number);
        }
        item
    }

    /// Takes the newest request of whoever has most waiting, to make room for one of `caller`, if that one has fewer and
    /// the request is one that `may_go`.
    pub(super) fn make_room(&mut self, caller: &str, may_go: impl Fn(&T) -> bool) -> Option<T> {
        let own = self.lane_of(caller);
        let own_length = self.lanes.get(own).map_or(0, VecDeque::len);
        let (number, longest) = self
            .lanes
            .iter_mut()
            .enumerate()
            .max_by_key(|(_, lane)| lane.len())?;
        if longest.len() <= own_length.saturating_add(1) || !longest.back().is_some_and(may_go) {
            return None;
        }
        let item = longest.pop_back();
        if longest.is_empty() {
            self.turns.retain(|turn| *turn != number);
        }
        item
    }

    /// Shows the waiting requests, those of each caller oldest first, until `visit` returns false for a caller's.
    pub(super) fn visit(&mut self, mut visit: impl FnMut(&mut T) -> bool) {
        for number in &self.turns {
            for item in self.lanes.get_mut(*number).into_iter().flatten() {
                if !visit(item) {
                    break;
                }
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
    fn a_visit_sees_each_caller_from_its_oldest_on() {
        let (mut queue, flood, other) = queue();
        for number in 0..3 {
            queue.push(&flood, (0, number));
        }
        queue.push(&other, (1, 0));
        let mut seen = Vec::new();
        queue.visit(|item| {
            seen.push(*item);
            item.1 == 0
        });
        assert_eq!(seen, [(0, 0), (0, 1), (1, 0)]);
    }
}
