//! Declares metrics with the labels that every series of a process carries.

use crate::log::CommonFields;
use prometheus::core::Collector;
use prometheus::{
    Error, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry,
};
use std::collections::HashMap;

/// A registry, and the labels of everything in it.
pub(super) struct Declare<'a> {
    registry: &'a Registry,
    labels: HashMap<String, String>,
}

impl<'a> Declare<'a> {
    pub(super) fn new(registry: &'a Registry, common: &CommonFields) -> Self {
        Self {
            registry,
            labels: labels(common),
        }
    }

    fn options(&self, name: &str, help: &str) -> Opts {
        Opts::new(name, help).const_labels(self.labels.clone())
    }

    fn buckets(&self, name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
        HistogramOpts::from(self.options(name, help)).buckets(buckets.to_vec())
    }

    fn register<C: Collector + Clone + 'static>(&self, collector: C) -> Result<C, Error> {
        self.registry.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.register(IntCounter::with_opts(self.options(name, help))?)
    }

    pub(super) fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, Error> {
        self.register(IntCounterVec::new(self.options(name, help), labels)?)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<Gauge, Error> {
        self.register(Gauge::with_opts(self.options(name, help))?)
    }

    pub(super) fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, Error> {
        self.register(GaugeVec::new(self.options(name, help), labels)?)
    }

    pub(super) fn int_gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        self.register(IntGauge::with_opts(self.options(name, help))?)
    }

    pub(super) fn int_gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, Error> {
        self.register(IntGaugeVec::new(self.options(name, help), labels)?)
    }

    pub(super) fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, Error> {
        self.register(Histogram::with_opts(self.buckets(name, help, buckets))?)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, Error> {
        self.register(HistogramVec::new(
            self.buckets(name, help, buckets),
            labels,
        )?)
    }

    /// Declares the one series that describes the process instead of carrying its labels.
    pub(super) fn target_info(&self, common: &CommonFields) -> Result<(), Error> {
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
        let options = Opts::new("target_info", "Target metadata").const_labels(labels);
        self.register(IntGauge::with_opts(options)?)?.set(1);
        Ok(())
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
