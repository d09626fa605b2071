//! The requests of one kind that were heard and not answered yet: counted, so that a stop can wait for them, and bounded.

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

    /// Tells whether more requests are in flight than may be, the one in question included.
    pub(crate) fn are_many(&self) -> bool {
        self.count() > self.limits.requests
    }

    /// Tells whether what is in flight is larger than it may be, the request in question included.
    pub(crate) fn are_large(&self) -> bool {
        self.load.bytes.load(Ordering::Acquire) > self.limits.bytes
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

    /// Returns how many bytes the request keeps in memory.
    pub(crate) fn held(&self) -> usize {
        self.bytes
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
    fn either_bound_is_kept() {
        let in_flight = in_flight();
        let mut flights: Vec<_> = (0..2).map(|_| in_flight.begin()).collect();
        flights[0].hold(10);
        assert!(!in_flight.are_many() && !in_flight.are_large());
        flights.push(in_flight.begin());
        assert!(in_flight.are_many());
        flights.truncate(2);
        assert!(!in_flight.are_many());
        flights[1].hold(1);
        assert!(in_flight.are_large());
        flights[0].hold(9);
        assert_eq!([flights[0].held(), flights[1].held()], [9, 1]);
        assert!(!in_flight.are_large());
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
