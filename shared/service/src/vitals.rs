//! What may be seen of a running process, whichever way it is asked: over the bus, at the door, at the admin listener.

use crate::health::{Health, Readiness};
use crate::log::CommonFields;
use crate::metrics::{Callback, Metrics, Reading};
use crate::service::Service;
use crate::status::{Signs, Status};
use crate::telemetry;
use arc_swap::ArcSwap;
use bytes::Bytes;
use microbus_bus::{Clock, Connector, Link};
use microbus_otlp::{Exporter, Outcome, Readings};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The vital signs of one process; any thread may read them.
pub(crate) struct Vitals {
    about: CommonFields,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    service: Arc<dyn Service>,
    clock: Arc<dyn Clock>,
    started: Instant,
    /// Of the latest attempt to start: the first connector, and those beside it.
    connectors: ArcSwap<Vec<Arc<Connector>>>,
    /// When the process's one thread was last seen working, in milliseconds since it was started.
    heartbeat: AtomicU64,
    exporter: OnceLock<Arc<Exporter>>,
}

impl Vitals {
    pub(crate) fn new(
        about: CommonFields,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
        service: Arc<dyn Service>,
        clock: Arc<dyn Clock>,
        started: Instant,
    ) -> Self {
        Self {
            about,
            metrics,
            health,
            service,
            clock,
            started,
            connectors: ArcSwap::default(),
            heartbeat: AtomicU64::new(0),
            exporter: OnceLock::new(),
        }
    }

    /// Takes over what exports; the first one stays.
    pub(crate) fn export_through(&self, exporter: &Arc<Exporter>) {
        drop(self.exporter.set(Arc::clone(exporter)));
    }

    /// Takes over the connector of the latest attempt to start.
    pub(crate) fn attach(&self, connector: &Arc<Connector>) {
        self.connectors.store(Arc::new(vec![Arc::clone(connector)]));
    }

    /// Takes over connectors beside the first one, which share its observer.
    pub(crate) fn attach_further(&self, further: impl IntoIterator<Item = Arc<Connector>>) {
        let mut connectors = Vec::clone(&self.connectors.load());
        connectors.extend(further);
        self.connectors.store(Arc::new(connectors));
    }

    /// Notes that the process's thread works.
    pub(crate) fn beat(&self) {
        self.heartbeat.store(self.age(), Ordering::Relaxed);
    }

    /// Tells whether the process's thread has worked lately.
    pub(crate) fn is_alive(&self) -> bool {
        let silent = self
            .age()
            .saturating_sub(self.heartbeat.load(Ordering::Relaxed));
        Duration::from_millis(silent) < LONGEST_SILENCE
    }

    pub(crate) fn readiness(&self) -> Readiness {
        self.health.readiness(self.link().connected)
    }

    /// Returns the body of an answer with the JWK Set.
    pub(crate) fn jwk_set(&self) -> Bytes {
        self.service.jwk_set()
    }

    /// Returns what the page shows.
    pub(crate) fn status(&self) -> Status {
        let connectors = self.connectors.load();
        let outcomes = self.exporter.get().map(|exporter| exporter.outcomes());
        let failing = |outcomes: Vec<Outcome>| {
            let failing = outcomes.into_iter().filter(|outcome| outcome.failing);
            failing.map(|outcome| outcome.signal.as_str()).collect()
        };
        let signs = Signs {
            uptime: Duration::from_millis(self.age()),
            alive: self.is_alive(),
            not_ready: match self.readiness() {
                Readiness::Ready => None,
                Readiness::NotReady(reason) => Some(reason),
            },
            embedded: connectors
                .iter()
                .any(|connector| connector.connection().is_in_process()),
            connected: self.link().connected,
            audit_failing: self.metrics.audit_failing.get() > 0,
            reload_failed: self.metrics.last_refresh_successful.get() == 0,
            unusable_key_files: self.metrics.unusable_key_files.get(),
            telemetry_failing: outcomes.map(failing),
            verifiers: self.metrics.latest_verifiers(),
            callers: self.metrics.minted.by_caller(),
        };
        Status::of(&self.about, signs, self.service.keys(self.clock.now()))
    }

    /// Returns all metrics as Prometheus text.
    ///
    /// # Errors
    /// When a series cannot be encoded: a fault of ours.
    pub(crate) fn metrics_text(&self) -> Result<String, prometheus::Error> {
        self.read_metrics();
        self.metrics.text()
    }

    /// Returns all metrics for a collector.
    pub(crate) fn readings(&self) -> Readings {
        self.read_metrics();
        let (at, age) = (self.clock.wall(), Duration::from_millis(self.age()));
        Readings {
            since: at.checked_sub(age).unwrap_or(at),
            at,
            metrics: telemetry::metrics_of(&self.metrics.families()),
        }
    }

    fn read_metrics(&self) {
        let now = self.clock.now();
        let keys = self.service.keys(now);
        let took = self.clock.now().saturating_duration_since(now);
        self.metrics.callback(Callback::ObserveMetrics, took, false);
        let connectors = self.connectors.load();
        self.metrics.read(&Reading {
            uptime: now.saturating_duration_since(self.started),
            wall: self.clock.wall(),
            ready: self.readiness() == Readiness::Ready,
            link: self.link(),
            overload_refusals: connectors
                .iter()
                .map(|connector| connector.overload_refusals())
                .sum(),
            keys: &keys,
            telemetry: self
                .exporter
                .get()
                .map(|exporter| exporter.outcomes())
                .unwrap_or_default(),
        });
    }

    fn link(&self) -> Link {
        let connectors = self.connectors.load();
        let links = connectors
            .iter()
            .map(|connector| connector.connection().link());
        links.reduce(Link::with).unwrap_or_default()
    }

    /// Returns the milliseconds since the process was started.
    fn age(&self) -> u64 {
        let age = self.clock.now().saturating_duration_since(self.started);
        u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A thread that signs and answers is back within milliseconds; half a minute is a hang.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
