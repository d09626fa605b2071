//! Metrics in Prometheus text, with the peer's labels on every series.
//!
//! Source: spec: microbus-wire 7.3, 10.1. Every metric of the product is declared here and in the files beside.

mod bounds;
mod declare;
mod keys;
mod messages;
mod minting;
mod telemetry;
mod traffic;

pub(crate) use messages::Messages;
pub use minting::Reason;
pub(crate) use minting::{CallerCount, Minted};

use crate::guard::REASONS;
use crate::log::CommonFields;
use crate::service::{KeyReport, Profile};
use crate::status::Verifiers;
use declare::Declare;
use keys::Keys;
use microbus_bus::Link;
use microbus_otlp::Outcome;
use prometheus::proto::MetricFamily;
use prometheus::{
    Gauge, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use telemetry::Telemetry;
use traffic::Traffic;

/// `Content-Type` of the text.
pub(crate) const CONTENT_TYPE: &str =
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// The counters, gauges and histograms of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    uptime: Gauge,
    callbacks: HistogramVec,
    keys: Keys,
    broker: Broker,
    telemetry: Telemetry,
    ready: IntGauge,
    overload_refusals: IntCounter,
    /// Requests answered and requests made.
    pub(crate) traffic: Arc<Traffic>,
    /// Log lines.
    pub(crate) messages: Messages,
    /// Requests to mint.
    pub(crate) minted: Minted,
    /// Decisions to mint that the audit trail lacks.
    pub(crate) audit_dropped: IntCounter,
    /// Whether the audit trail cannot be written now.
    pub(crate) audit_failing: IntGauge,
    /// Actors refused, by reason.
    pub(crate) verify_failures: IntCounterVec,
    /// Times that the wall clock was set.
    pub(crate) clock_steps: IntCounter,
    /// Whether the latest refresh of the configuration was put in force.
    pub(crate) last_refresh_successful: IntGauge,
    /// Requests to refresh the configuration that came too soon.
    pub(crate) refreshes_refused: IntCounter,
    /// Values from the configurator that were not valid and not used.
    pub invalid_configuration: IntCounter,
    /// Claims to mint whose name the platform's expression language takes for a literal.
    pub literal_claim_names: IntCounter,
    /// Key files that could not be used when they were last looked at.
    pub unusable_key_files: IntGauge,
    /// Exchanges of keys with other replicas, by `result`.
    exchanges: IntCounterVec,
    /// What the latest round of warming found of verifiers, by `state`: `warm`, `cold` or `unknown`.
    pub verifiers: IntGaugeVec,
}

/// What the link to the broker went through.
#[derive(Debug)]
struct Broker {
    connected: IntGauge,
    losses: IntCounter,
    permission_violations: IntCounter,
    dropped_messages: IntCounter,
    failed_connects: IntCounter,
}

/// What is asked of others when the metrics are read.
pub(crate) struct Reading<'a> {
    pub(crate) uptime: Duration,
    pub(crate) wall: SystemTime,
    pub(crate) ready: bool,
    pub(crate) link: Link,
    pub(crate) overload_refusals: u64,
    pub(crate) keys: &'a KeyReport,
    pub(crate) telemetry: Vec<Outcome>,
}

impl Metrics {
    /// Declares the metrics of a process.
    ///
    /// # Errors
    /// When two metrics share a name: a fault of ours.
    pub(crate) fn new(
        common: &CommonFields,
        profile: &'static Profile,
    ) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let declare = Declare::new(&registry, common);
        declare.target_info(common)?;
        // The peer's dashboards select on these two; an issuer never stores anything in the distributed cache.
        declare.int_gauge(
            "microbus_cache_elements",
            "Elements in the local shard of the distributed cache",
        )?;
        declare.int_gauge(
            "microbus_cache_memory_bytes",
            "Size of the elements in the local shard of the distributed cache [bytes]",
        )?;
        declare
            .int_gauges(
                "microbus_token_build_info",
                "Always 1; the label is the version of this program",
                &["version"],
            )?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        let functions = profile.functions.iter().map(|function| function.name);
        let last_refresh_successful = declare.int_gauge(
            "microbus_token_config_last_reload_successful",
            "Whether the latest refresh of the configuration was put in force",
        )?;
        last_refresh_successful.set(1);
        let verify_failures = declare.counters(
            "microbus_token_verify_failures_total",
            "Actors of requests that were refused",
            &["reason"],
        )?;
        for reason in REASONS {
            verify_failures.with_label_values(&[reason]);
        }
        Ok(Self {
            uptime: declare.gauge(
                "microbus_uptime_duration_seconds",
                "Time since the start of the process [seconds]",
            )?,
            callbacks: declare.histograms(
                "microbus_callback_duration_seconds",
                "Time spent in stations of the process's life and in tickers [seconds]",
                &["name", "type", "error"],
                traffic::SECONDS,
            )?,
            keys: Keys::declare(&declare)?,
            broker: Broker::declare(&declare)?,
            telemetry: Telemetry::declare(&declare)?,
            ready: declare.int_gauge(
                "microbus_token_ready",
                "Whether requests may be sent here, as /readyz says",
            )?,
            overload_refusals: declare.counter(
                "microbus_token_overload_refusals_total",
                "Requests answered 503 because too many were waiting",
            )?,
            traffic: Arc::new(Traffic::declare(
                &declare,
                profile.issuer.host(),
                functions.collect(),
            )?),
            messages: Messages::declare(&declare)?,
            minted: Minted::declare(&declare)?,
            audit_dropped: declare.counter(
                "microbus_token_audit_dropped_total",
                "Decisions to mint that the audit trail lacks",
            )?,
            audit_failing: declare.int_gauge(
                "microbus_token_audit_failing",
                "Whether the audit trail cannot be written now",
            )?,
            verify_failures,
            clock_steps: declare.counter(
                "microbus_token_clock_steps_total",
                "Times that the wall clock was set",
            )?,
            last_refresh_successful,
            refreshes_refused: declare.counter(
                "microbus_token_config_refreshes_refused_total",
                "Requests to refresh the configuration that came too soon",
            )?,
            invalid_configuration: declare.counter(
                "microbus_token_invalid_configuration_total",
                "Values from the configurator that were not valid and not used",
            )?,
            literal_claim_names: declare.counter(
                "microbus_token_literal_claim_names_total",
                "Claims whose name the expression language takes for a literal",
            )?,
            unusable_key_files: declare.int_gauge(
                "microbus_token_unusable_key_files",
                "Key files that could not be used when they were last looked at",
            )?,
            exchanges: declare.counters(
                "microbus_token_exchanges_total",
                "Exchanges of keys with other replicas",
                &["result"],
            )?,
            verifiers: declare.int_gauges(
                "microbus_token_verifiers",
                "Verifiers on the bus, as the latest round of warming found them",
                &["state"],
            )?,
            registry,
        })
    }

    /// Notes how long a station of the process's life, or a ticker, took.
    pub(crate) fn callback(&self, callback: Callback, took: Duration, failed: bool) {
        let (name, kind) = callback.labels();
        let error = if failed { "ERROR" } else { "OK" };
        self.callbacks
            .with_label_values(&[name, kind, error])
            .observe(took.as_secs_f64());
    }

    /// Takes in what others know.
    pub(crate) fn read(&self, reading: &Reading<'_>) {
        self.uptime.set(reading.uptime.as_secs_f64());
        self.ready.set(i64::from(reading.ready));
        raise(&self.overload_refusals, reading.overload_refusals);
        self.broker.show(&reading.link);
        self.keys.show(reading.keys, reading.wall);
        self.telemetry.show(&reading.telemetry);
    }

    /// Returns all series.
    pub(crate) fn families(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// Returns all series as Prometheus text.
    ///
    /// # Errors
    /// When a series cannot be encoded: a fault of ours.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        let text = TextEncoder::new().encode_to_string(&self.families())?;
        Ok(bounds::as_in_go(&text))
    }

    /// Returns what the latest round of warming found.
    pub(crate) fn latest_verifiers(&self) -> Verifiers {
        let count = |state| self.verifiers.with_label_values(&[state]).get();
        Verifiers {
            warm: count("warm"),
            cold: count("cold"),
            unknown: count("unknown"),
        }
    }

    /// Counts an exchange of keys that so many answered, ourselves too; none if it could not be made. It is `ok` if another
    /// replica was among them, else `alone`. Whoever does not even hear itself has `failed`: the broker took nothing.
    pub fn exchanged(&self, answers: Option<usize>, heard_another: bool) {
        let result = match answers {
            None | Some(0) => "failed",
            Some(_) if heard_another => "ok",
            Some(_) => "alone",
        };
        self.exchanges.with_label_values(&[result]).inc();
    }

    /// Counts an attempt to connect that failed before there was a link.
    pub(crate) fn failed_to_connect(&self) {
        self.broker.failed_connects.inc();
    }
}

/// What the peer measures besides requests (spec: microbus-wire 10.1).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Callback {
    Startup,
    Shutdown,
    ConfigChanged,
    ObserveMetrics,
    RotateKey,
}

impl Callback {
    /// Returns the name of its span, for those that are one.
    pub(crate) fn span_name(self) -> Option<&'static str> {
        match self {
            Self::Startup => Some("startup"),
            Self::Shutdown => Some("shutdown"),
            Self::RotateKey => Some("rotate-key"),
            Self::ConfigChanged | Self::ObserveMetrics => None,
        }
    }

    fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Startup => ("OnStartup", "lifecycle"),
            Self::Shutdown => ("OnShutdown", "lifecycle"),
            Self::ConfigChanged => ("OnConfigChanged", "config"),
            Self::ObserveMetrics => ("OnObserveMetrics", "metric"),
            Self::RotateKey => ("RotateKey", "ticker"),
        }
    }
}

impl Broker {
    fn declare(declare: &Declare<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            connected: declare.int_gauge(
                "microbus_token_broker_connected",
                "Whether the bus is connected now",
            )?,
            losses: declare.counter(
                "microbus_token_broker_losses_total",
                "Times that the connection to the broker was lost",
            )?,
            permission_violations: declare.counter(
                "microbus_token_permission_violations_total",
                "Publications and subscriptions of ours that the broker refused for lack of permission",
            )?,
            dropped_messages: declare.counter(
                "microbus_token_dropped_messages_total",
                "Messages dropped because a subscription's buffer was full",
            )?,
            failed_connects: declare.counter(
                "microbus_token_connect_failures_total",
                "Attempts to connect to the broker that failed",
            )?,
        })
    }

    fn show(&self, link: &Link) {
        self.connected.set(i64::from(link.connected));
        raise(&self.losses, link.losses);
        raise(&self.permission_violations, link.permission_violations);
        raise(&self.dropped_messages, link.dropped_messages);
        raise(&self.failed_connects, link.failed_connects);
    }
}

/// Raises a counter to what another counter says.
fn raise(counter: &IntCounter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests;
