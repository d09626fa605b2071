//! Lines on their way to the thread that writes.
//!
//! They lie one after the other in one text, so that handing one over costs a copy of some hundred bytes: no allocation that
//! another thread frees, and no waking of that thread unless nothing was there.

use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bounded; whoever hands something over never waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    something: Condvar,
}

/// What was handed over and not taken yet.
#[derive(Debug, Default)]
struct Waiting {
    /// Each with LF.
    lines: String,
    flushes: Vec<SyncSender<()>>,
    closed: bool,
}

impl Queue {
    /// Hands over a line without LF; tells whether there was room.
    pub(super) fn push(&self, line: &str) -> bool {
        let mut waiting = self.waiting();
        if waiting.lines.len() >= MOST_BYTES {
            return false;
        }
        let was_empty = waiting.lines.is_empty();
        waiting.lines.push_str(line);
        waiting.lines.push('\n');
        drop(waiting);
        if was_empty {
            self.something.notify_one();
        }
        true
    }

    /// Asks to be told when everything handed over before is written.
    pub(super) fn flush(&self, written: SyncSender<()>) {
        self.waiting().flushes.push(written);
        self.something.notify_one();
    }

    /// Says that nothing will come any more.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.something.notify_one();
    }

    /// Waits for something; tells what it is, or `None` if nothing will come any more.
    pub(super) fn wait(&self) -> Option<Urgency> {
        let mut waiting = self.waiting();
        loop {
            if !waiting.flushes.is_empty() {
                return Some(Urgency::Awaited);
            }
            if !waiting.lines.is_empty() {
                return Some(Urgency::Usual);
            }
            if waiting.closed {
                return None;
            }
            let woken = self.something.wait(waiting);
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes all lines in exchange for `emptied`, and who waits for them to be written.
    pub(super) fn take(&self, emptied: String) -> (String, Vec<SyncSender<()>>) {
        let mut waiting = self.waiting();
        let lines = std::mem::replace(&mut waiting.lines, emptied);
        (lines, std::mem::take(&mut waiting.flushes))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether anybody waits for what is there to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    Usual,
    Awaited,
}

/// About a second at the highest rate.
const MOST_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    #[test]
    fn lines_are_taken_in_order_with_who_waits_for_them() {
        let queue = Queue::default();
        assert!(queue.push("a") && queue.push("b"));
        assert_eq!(queue.wait(), Some(Urgency::Usual));
        let (written, was_written) = sync_channel(1);
        queue.flush(written);
        queue.close();
        assert_eq!(queue.wait(), Some(Urgency::Awaited));
        let (lines, flushes) = queue.take(String::new());
        assert_eq!((lines.as_str(), flushes.len()), ("a\nb\n", 1));
        assert_eq!(queue.wait(), None);
        drop(flushes);
        assert!(was_written.recv().is_err());
    }

    #[test]
    fn what_there_is_no_room_for_is_refused_until_something_was_taken() {
        let queue = Queue::default();
        let line = "x".repeat(MOST_BYTES / 4 - 1);
        assert_eq!((0..9).filter(|_| queue.push(&line)).count(), 4);
        drop(queue.take(String::new()));
        assert!(queue.push(&line));
    }
}
