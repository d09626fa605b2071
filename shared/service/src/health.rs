//! Where a process stands in its life, for `/readyz`, the log and the stop.

use tokio::sync::watch;

/// Stations of a process's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// On its way to serving, at this step.
    Starting(&'static str),
    /// Serving.
    Serving,
    /// On its way to the end, at this step.
    Stopping(&'static str),
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
            phase: watch::Sender::new(Phase::Starting(CONNECTS)),
        }
    }
}

impl Health {
    /// Enters `phase`, and says so in the log where it is a step on the way.
    pub(crate) fn enter(&self, phase: Phase) {
        match phase {
            Phase::Starting(step) => tracing::debug!(step, "Starting"),
            Phase::Stopping(step) => tracing::info!(step, "Stopping"),
            Phase::Serving => {}
        }
        self.phase.send_replace(phase);
    }

    /// Judges readiness, given whether the bus is connected.
    ///
    /// Losing the broker makes a replica not ready, never not alive: a restart would throw its keys away.
    #[must_use]
    pub(crate) fn readiness(&self, connected: bool) -> Readiness {
        match *self.phase.borrow() {
            Phase::Starting(step) | Phase::Stopping(step) => Readiness::NotReady(step),
            Phase::Serving if !connected => Readiness::NotReady("the broker is not connected"),
            Phase::Serving => Readiness::Ready,
        }
    }
}

/// Steps of a start and a stop, as `/readyz` says them.
pub(crate) const CONNECTS: &str = "starting: connects to the broker";
pub(crate) const CONFIGURES: &str = "starting: fetches its configuration";
pub(crate) const LOOKS: &str = "starting: looks for other replicas";
pub(crate) const WAITS: &str = "starting: waits for replicas and verifiers to know its key";
pub(crate) const SUBSCRIBES: &str = "starting: subscribes";
pub(crate) const ANSWERS: &str = "stopping: answers what was delivered";
pub(crate) const STAYS: &str = "stopping: serves keys of tokens that are alive";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_only_while_it_serves_and_is_connected() {
        let health = Health::default();
        assert_eq!(health.readiness(true), Readiness::NotReady(CONNECTS));
        health.enter(Phase::Starting(WAITS));
        assert_eq!(health.readiness(true), Readiness::NotReady(WAITS));
        health.enter(Phase::Serving);
        assert_eq!(health.readiness(true), Readiness::Ready);
        assert_eq!(
            health.readiness(false),
            Readiness::NotReady("the broker is not connected")
        );
        health.enter(Phase::Stopping(ANSWERS));
        assert_eq!(health.readiness(true), Readiness::NotReady(ANSWERS));
    }
}
