//! The stop, which loses no request that was delivered.

use super::{DANGEROUS_PORT, Process, Serving};
use crate::health::{ANSWERS, Phase, STAYS};
use crate::metrics::Callback;
use crate::service::Station;
use std::time::Duration;

impl Process {
    /// Stops without losing a request that was delivered (spec: microbus-wire 9.2, 13.23).
    pub(super) async fn stop(&self, serving: &Serving) {
        let Serving {
            connector, further, ..
        } = serving;
        self.health.enter(Phase::Stopping(ANSWERS));
        let budget = self
            .surroundings
            .shutdown_budget
            .saturating_sub(FLUSH_RESERVE)
            .max(FLUSH_RESERVE);
        let began = self.clock.now();
        let until = began + budget.saturating_sub(DRAIN_RESERVE);
        let drain = async {
            connector.leave(|route| route.port == DANGEROUS_PORT).await;
            for one in further {
                one.leave(|_| true).await;
            }
            connector.drained().await;
            self.health.enter(Phase::Stopping(STAYS));
            self.reach(Station::Leaving { until }, connector).await;
            connector
                .leave(|route| !route.path.starts_with("/dcache/"))
                .await;
            connector.drained().await;
            connector.leave(|_| true).await;
            connector.drained().await;
        };
        let drained = tokio::time::timeout(budget, drain).await;
        if drained.is_err() {
            tracing::error!(
                pending = connector.in_flight(),
                "Unable to drain pending operations"
            );
        }
        for one in further {
            one.close().await;
        }
        connector.connection().close().await;
        let took = self.clock.now().saturating_duration_since(began);
        self.watcher
            .callback(Callback::Shutdown, took, drained.is_err());
        tracing::info!("Shutdown");
        self.audit.flush();
        if let Some(exporter) = &self.exporter {
            exporter.finish(LAST_EXPORT);
        }
    }
}

/// Kept from the shutdown budget for answering what came in the end.
const DRAIN_RESERVE: Duration = Duration::from_secs(1);
/// Kept from the shutdown budget for writing what is buffered.
const FLUSH_RESERVE: Duration = Duration::from_secs(2);
/// How long a stop waits for a collector.
const LAST_EXPORT: Duration = Duration::from_secs(1);
