//! The requests that were heard and not answered yet: counted, so that a stop can wait for them, and bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// A shared count.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    load: Arc<Load>,
    limits: Limits,
}

/// How much may be in flight before requests are refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) requests: usize,
    /// Of the messages that wait to be answered.
    pub(crate) bytes: usize,
}

/// One request in flight; counted until dropped.
#[derive(Debug)]
pub(crate) struct Flight {
    load: Arc<Load>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Load {
    requests: AtomicUsize,
    bytes: AtomicUsize,
    /// Told when nothing is in flight any more.
    none: Notify,
}

impl Limits {
    /// Beyond this a caller had better ask another replica, even in a burst: half a second of signatures, and memory for
    /// large requests.
    pub(crate) const DEFAULT: Self = Self {
        requests: 32_768,
        bytes: 64 << 20,
    };
}

impl InFlight {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            load: Arc::default(),
            limits,
        }
    }

    /// Counts a request, which holds no bytes yet.
    pub(crate) fn begin(&self) -> Flight {
        self.load.requests.fetch_add(1, Ordering::AcqRel);
        Flight {
            load: Arc::clone(&self.load),
            bytes: 0,
        }
    }

    /// Tells whether what is in flight, the request in question included, is more than may be. What is exempt may take
    /// as much again: it is refused only where the alternative is to run out of memory.
    pub(crate) fn is_overloaded(&self, exempt: bool) -> bool {
        let requests = self.load.requests.load(Ordering::Acquire);
        let bytes = self.load.bytes.load(Ordering::Acquire);
        let times = if exempt { 2 } else { 1 };
        requests > self.limits.requests.saturating_mul(times)
            || bytes > self.limits.bytes.saturating_mul(times)
    }

    pub(crate) fn count(&self) -> usize {
        self.load.requests.load(Ordering::Acquire)
    }

    /// Waits until nothing is in flight.
    pub(crate) async fn none(&self) {
        loop {
            let mut told = std::pin::pin!(self.load.none.notified());
            // From here on nothing that is told is missed.
            told.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            told.await;
        }
    }
}

impl Flight {
    /// Notes how many bytes the request keeps in memory.
    pub(crate) fn hold(&mut self, bytes: usize) {
        self.load.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.load.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.bytes = bytes;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.load.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        if self.load.requests.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.load.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn in_flight() -> InFlight {
        InFlight::new(Limits {
            requests: 2,
            bytes: 10,
        })
    }

    #[test]
    fn either_bound_is_kept_and_what_is_exempt_has_as_much_again() {
        let by_number = in_flight();
        let mut flights: Vec<_> = (0..2).map(|_| by_number.begin()).collect();
        assert!(!by_number.is_overloaded(false));
        flights.extend((0..2).map(|_| by_number.begin()));
        assert!(by_number.is_overloaded(false) && !by_number.is_overloaded(true));
        flights.push(by_number.begin());
        assert!(by_number.is_overloaded(true));
        flights.truncate(2);
        assert!(!by_number.is_overloaded(false));

        let by_bytes = in_flight();
        let mut flight = by_bytes.begin();
        flight.hold(11);
        assert!(by_bytes.is_overloaded(false) && !by_bytes.is_overloaded(true));
        flight.hold(10);
        assert!(!by_bytes.is_overloaded(false));
    }

    #[test]
    fn none_waits_for_the_last_one() {
        let in_flight = in_flight();
        let flight = in_flight.begin();
        let mut none = Box::pin(in_flight.none());
        assert!(none.as_mut().now_or_never().is_none());
        drop(flight);
        assert!(none.as_mut().now_or_never().is_some());
    }
}
