//! Where a process stands in its life, for `/readyz`, the log and the stop.

use tokio::sync::watch;

/// Stations of a process's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Connecting, fetching its configuration, or subscribing.
    Starting,
    /// Serving.
    Serving,
    /// Answering what it had received, and no more.
    Stopping,
}

/// The current [`Phase`], shared by whoever asks.
#[derive(Debug)]
pub(crate) struct Health {
    phase: watch::Sender<Phase>,
}

/// Whether requests may be sent here now, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// They may.
    Ready,
    /// They may not, for this reason.
    NotReady(&'static str),
}

impl Default for Health {
    fn default() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Starting),
        }
    }
}

impl Health {
    /// Enters `phase`.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Judges readiness, given whether the bus is connected.
    ///
    /// Losing the broker makes a replica not ready, never not alive: a restart would throw its keys away.
    #[must_use]
    pub(crate) fn readiness(&self, connected: bool) -> Readiness {
        match *self.phase.borrow() {
            Phase::Starting => Readiness::NotReady("starting"),
            Phase::Stopping => Readiness::NotReady("stopping"),
            Phase::Serving if !connected => Readiness::NotReady("the broker is not connected"),
            Phase::Serving => Readiness::Ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_only_while_it_serves_and_is_connected() {
        let health = Health::default();
        assert_eq!(health.readiness(true), Readiness::NotReady("starting"));
        health.enter(Phase::Serving);
        assert_eq!(health.readiness(true), Readiness::Ready);
        assert_eq!(
            health.readiness(false),
            Readiness::NotReady("the broker is not connected")
        );
        health.enter(Phase::Stopping);
        assert_eq!(health.readiness(true), Readiness::NotReady("stopping"));
    }
}
