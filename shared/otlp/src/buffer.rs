//! What waits to be exported: bounded, and never waited for by whoever puts something in.

use crate::outcome::Counts;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Things that wait; what there is no room for is dropped and counted.
#[derive(Debug)]
pub(crate) struct Buffer<T> {
    waiting: Mutex<Vec<T>>,
    most: usize,
    counts: Arc<Counts>,
    closed: AtomicBool,
    /// Told when something waits where nothing did, when half of the room is taken, and at the end.
    worth_a_look: Notify,
}

impl<T> Buffer<T> {
    pub(crate) fn new(most: usize, counts: &Arc<Counts>) -> Self {
        Self {
            waiting: Mutex::default(),
            most,
            counts: Arc::clone(counts),
            closed: AtomicBool::new(false),
            worth_a_look: Notify::new(),
        }
    }

    /// Puts something in, if there is room.
    pub(crate) fn push(&self, item: T) {
        let mut waiting = self.waiting();
        let count = waiting.len();
        if count >= self.most || self.is_closed() {
            drop(waiting);
            self.counts.dropped(1);
            return;
        }
        waiting.push(item);
        drop(waiting);
        if count == 0 || count.saturating_add(1) == self.most / 2 {
            self.worth_a_look.notify_one();
        }
    }

    /// Waits until something is in, or the buffer is closed.
    pub(crate) async fn filled(&self) {
        while self.waiting().is_empty() && !self.is_closed() {
            self.worth_a_look.notified().await;
        }
    }

    /// Waits until half of the room is taken, or the buffer is closed.
    pub(crate) async fn half_full(&self) {
        while self.waiting().len() < self.most / 2 && !self.is_closed() {
            self.worth_a_look.notified().await;
        }
    }

    /// Takes everything out.
    pub(crate) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.waiting())
    }

    /// Takes nothing in any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.worth_a_look.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_there_is_no_room_for_is_dropped_and_counted() {
        let counts = Arc::default();
        let buffer = Buffer::new(4, &counts);
        let dropped = || counts.outcome(crate::Signal::Logs).dropped;
        (0..6).for_each(|number| buffer.push(number));
        buffer.filled().await;
        buffer.half_full().await;
        assert_eq!((buffer.take(), dropped()), (vec![0, 1, 2, 3], 2));
        buffer.close();
        buffer.push(7);
        assert_eq!((buffer.take(), dropped()), (vec![], 3));
        buffer.filled().await;
        buffer.half_full().await;
    }

    #[tokio::test]
    async fn whoever_waits_for_half_of_the_room_is_told() {
        let buffer = Arc::new(Buffer::new(4, &Arc::default()));
        let waits = Arc::clone(&buffer);
        let waiting = tokio::spawn(async move { waits.half_full().await });
        for number in 0..2 {
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished());
            buffer.push(number);
        }
        waiting.await.unwrap();
    }
}
