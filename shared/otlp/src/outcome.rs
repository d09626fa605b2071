//! What becomes of what is to be exported.

use crate::settings::Signal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What became of a signal so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Which signal.
    pub signal: Signal,
    /// How many spans, lines or metrics a collector took.
    pub exported: u64,
    /// How many are lost, because there was no room or because a collector did not take them.
    pub dropped: u64,
    /// Whether the latest attempt failed.
    pub failing: bool,
}

/// Counts what becomes of a signal.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
    failing: AtomicBool,
}

impl Counts {
    pub(crate) fn exported(&self, count: usize) {
        add(&self.exported, count);
    }

    pub(crate) fn dropped(&self, count: usize) {
        add(&self.dropped, count);
    }

    /// Notes whether the latest attempt failed; tells whether that is news.
    pub(crate) fn note_failing(&self, failing: bool) -> bool {
        self.failing.swap(failing, Ordering::Relaxed) != failing
    }

    pub(crate) fn outcome(&self, signal: Signal) -> Outcome {
        Outcome {
            signal,
            exported: self.exported.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            failing: self.failing.load(Ordering::Relaxed),
        }
    }
}

fn add(counter: &AtomicU64, count: usize) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    counter.fetch_add(count, Ordering::Relaxed);
}
