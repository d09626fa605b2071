//! What is kept of each caller, found by one look-up. Bounded: beyond a number, callers share one entry.

use crate::metrics::Minted;
use crate::rate::{Allowance, Limit};
use prometheus::IntCounter;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The callers that were met since the process was started.
#[derive(Debug, Default)]
pub(super) struct Callers {
    met: HashMap<String, Arc<Caller>>,
}

/// What is kept of one caller.
#[derive(Debug)]
pub(super) struct Caller {
    /// Its host in metrics, or `other`.
    pub(super) label: String,
    /// Counts its tokens.
    pub(super) minted: IntCounter,
    /// What is left of its rate.
    allowance: Mutex<Allowance>,
}

impl Caller {
    /// Tells whether it may mint once more at `now`.
    pub(super) fn may(&self, rate: Limit, now: Instant) -> bool {
        let mut allowance = self
            .allowance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        allowance.take(rate, now)
    }
}

impl Callers {
    /// Returns what is kept of the caller `host`, and whether it is new.
    pub(super) fn meet(&mut self, host: &str, minted: &Minted) -> (Arc<Caller>, bool) {
        let known = |host: &str| self.met.get(host).map(Arc::clone);
        if let Some(caller) = known(host) {
            return (caller, false);
        }
        let label = if self.met.len() < MOST_CALLERS {
            host
        } else {
            OTHER
        };
        if let Some(other) = known(label) {
            return (other, false);
        }
        let caller = Arc::new(Caller {
            label: label.to_owned(),
            minted: minted.of(label),
            allowance: Mutex::default(),
        });
        self.met.insert(label.to_owned(), Arc::clone(&caller));
        (caller, true)
    }
}

/// Far more than a deployment gives the permission to mint to.
const MOST_CALLERS: usize = 256;
/// All callers beyond; no host on the bus is named so, for want of a dot.
const OTHER: &str = "other";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn each_caller_is_new_once_and_those_beyond_the_limit_share_an_entry() {
        let metrics = fixture::metrics();
        let mut callers = Callers::default();
        let mut meet = |host: &str| {
            let (caller, is_new) = callers.meet(host, &metrics.minted);
            caller.minted.inc();
            (caller.label.clone(), is_new)
        };
        for number in 0..MOST_CALLERS {
            let host = format!("host{number}.example");
            assert_eq!(meet(&host), (host.clone(), true));
            assert_eq!(meet(&host), (host, false));
        }
        assert_eq!(meet("one.more"), (OTHER.to_owned(), true));
        assert_eq!(meet("two.more"), (OTHER.to_owned(), false));
        assert_eq!(metrics.minted.of(OTHER).get(), 2);
    }
}
