//! Metrics in Prometheus text, with the peer's labels on every series.
//!
//! Source: spec: microbus-wire 7.3, 10.1. Every metric of the product is declared here.

use crate::log::CommonFields;
use prometheus::{Gauge, IntCounter, IntGauge, Opts, Registry, TextEncoder};
use std::collections::HashMap;
use std::time::Duration;

/// `Content-Type` of the text.
pub(crate) const CONTENT_TYPE: &str =
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// The counters and gauges of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    uptime: Gauge,
    /// Values from the configurator that were not valid and not used.
    pub invalid_configuration: IntCounter,
    /// Claims to mint whose name the platform's expression language takes for a literal.
    pub literal_claim_names: IntCounter,
    /// Key files that could not be used when they were last looked at.
    pub unusable_key_files: IntGauge,
    overload_refusals: IntGauge,
}

impl Metrics {
    /// Declares the metrics of a process.
    ///
    /// # Errors
    /// When two metrics share a name: a fault of ours.
    pub(crate) fn new(common: &CommonFields) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let declare = Declare {
            registry: &registry,
            labels: labels(common),
        };
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
        let uptime = declare.gauge(
            "microbus_uptime_duration_seconds",
            "Time since the start of the process [seconds]",
        )?;
        let invalid_configuration = declare.counter(
            "microbus_token_invalid_configuration_total",
            "Values from the configurator that were not valid and not used",
        )?;
        let literal_claim_names = declare.counter(
            "microbus_token_literal_claim_names_total",
            "Claims whose name the expression language takes for a literal",
        )?;
        let unusable_key_files = declare.int_gauge(
            "microbus_token_unusable_key_files",
            "Key files that could not be used when they were last looked at",
        )?;
        let overload_refusals = declare.int_gauge(
            "microbus_token_overload_refusals_total",
            "Requests answered 503 because too many were waiting",
        )?;
        Ok(Self {
            registry,
            uptime,
            invalid_configuration,
            literal_claim_names,
            unusable_key_files,
            overload_refusals,
        })
    }

    /// Returns all series as Prometheus text, given what others count.
    ///
    /// # Errors
    /// When a series cannot be encoded: a fault of ours.
    pub(crate) fn text(
        &self,
        uptime: Duration,
        overload_refusals: u64,
    ) -> Result<String, prometheus::Error> {
        self.overload_refusals
            .set(i64::try_from(overload_refusals).unwrap_or(i64::MAX));
        self.uptime.set(uptime.as_secs_f64());
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

struct Declare<'a> {
    registry: &'a Registry,
    labels: HashMap<String, String>,
}

impl Declare<'_> {
    fn options(&self, name: &str, help: &str) -> Opts {
        Opts::new(name, help).const_labels(self.labels.clone())
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let counter = IntCounter::with_opts(self.options(name, help))?;
        self.registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        let gauge = Gauge::with_opts(self.options(name, help))?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn int_gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let gauge = IntGauge::with_opts(self.options(name, help))?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn target_info(&self, common: &CommonFields) -> Result<(), prometheus::Error> {
        let labels = HashMap::from([
            (
                "deployment_environment_name".to_owned(),
                common.deployment.as_str().to_owned(),
            ),
            ("service_instance_id".to_owned(), common.instance.clone()),
            ("service_name".to_owned(), common.service.clone()),
            ("service_namespace".to_owned(), common.plane.clone()),
            ("service_version".to_owned(), common.version.to_string()),
        ]);
        let info =
            IntGauge::with_opts(Opts::new("target_info", "Target metadata").const_labels(labels))?;
        info.set(1);
        self.registry.register(Box::new(info))
    }
}

fn labels(common: &CommonFields) -> HashMap<String, String> {
    HashMap::from([
        ("plane".to_owned(), common.plane.clone()),
        ("service".to_owned(), common.service.clone()),
        ("ver".to_owned(), common.version.to_string()),
        ("id".to_owned(), common.instance.clone()),
        (
            "deployment".to_owned(),
            common.deployment.as_str().to_owned(),
        ),
        ("otel_scope_name".to_owned(), "microbus".to_owned()),
        ("otel_scope_schema_url".to_owned(), String::new()),
        ("otel_scope_version".to_owned(), String::new()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::Deployment;

    #[test]
    fn every_series_carries_the_peers_labels() {
        let common = CommonFields {
            plane: "microbus".into(),
            service: "access.token.core".into(),
            version: 4,
            instance: "id-abcdefghij".into(),
            deployment: Deployment::Prod,
        };
        let metrics = Metrics::new(&common).unwrap();
        metrics.invalid_configuration.inc();
        let text = metrics.text(Duration::from_secs(2), 3).unwrap();
        let labels = "{deployment=\"PROD\",id=\"id-abcdefghij\",otel_scope_name=\"microbus\",\
            otel_scope_schema_url=\"\",otel_scope_version=\"\",plane=\"microbus\",\
            service=\"access.token.core\",ver=\"4\"}";
        for line in [
            format!("microbus_uptime_duration_seconds{labels} 2"),
            format!("microbus_cache_elements{labels} 0"),
            format!("microbus_token_invalid_configuration_total{labels} 1"),
        ] {
            assert!(text.contains(&line), "{line} not in\n{text}");
        }
        assert!(
            text.contains("target_info{deployment_environment_name=\"PROD\""),
            "{text}"
        );
    }
}
