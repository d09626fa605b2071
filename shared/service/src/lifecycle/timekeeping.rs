//! What a process does because time passes, whoever asks or does not ask.

use super::{Process, Serving};
use crate::clock_watch::ClockWatch;
use crate::deployment::Deployment;
use crate::metrics::Callback;
use crate::signal::Rotate;
use microbus_token::Issuer;
use std::sync::Arc;
use std::time::Duration;

impl Process {
    /// Shows that the thread works, and looks whether the wall clock was set, for as long as the process lives.
    pub(super) fn pulse(&self) -> impl Future<Output = ()> + use<> {
        let (vitals, metrics) = (Arc::clone(&self.vitals), Arc::clone(&self.metrics));
        let clock = Arc::clone(&self.clock);
        async move {
            let mut watch = ClockWatch::new(clock.now(), clock.wall());
            loop {
                vitals.beat();
                if let Some(milliseconds) = watch.look(clock.now(), clock.wall()) {
                    tracing::warn!(milliseconds, "The wall clock was set");
                    metrics.clock_steps.inc();
                }
                tokio::time::sleep(PULSE).await;
            }
        }
    }

    /// Calls the service whenever its time has come, or an operator asks for a new key by SIGUSR1; never returns.
    pub(super) async fn keep_time(&self, serving: &Serving, rotate: &mut Rotate) {
        if self.surroundings.deployment == Deployment::Testing {
            std::future::pending::<()>().await;
        }
        loop {
            let now = self.clock.now();
            let wakeup = self.service.advance(now);
            if self.profile.issuer == Issuer::Access {
                let took = self.clock.now().saturating_duration_since(now);
                self.watcher.callback(Callback::RotateKey, took, false);
            }
            let until = wakeup.unwrap_or_else(|| self.clock.now() + LONGEST_SLEEP);
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = serving.configuration.changed.notified() => {}
                () = rotate.asked() => {
                    tracing::warn!("Rotating keys on command");
                    self.service.rotate();
                }
            }
        }
    }
}

/// How often the thread shows that it works.
const PULSE: Duration = Duration::from_secs(1);
const LONGEST_SLEEP: Duration = Duration::from_secs(60 * 60);
