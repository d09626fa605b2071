//! Metrics as a collector takes them: the same numbers as in Prometheus' text, under the names that the Go services give.

use microbus_otlp::{Attributes, Metric, MetricKind, Reading, Series, Value};
use prometheus::proto::{self, MetricFamily, MetricType};

/// Converts metrics; what describes the process itself is the resource's, and left out.
pub(crate) fn metrics_of(families: &[MetricFamily]) -> Vec<Metric> {
    families
        .iter()
        .filter(|family| family.name() != "target_info")
        .filter_map(metric_of)
        .collect()
}

fn metric_of(family: &MetricFamily) -> Option<Metric> {
    let kind = match family.get_field_type() {
        MetricType::COUNTER => MetricKind::Counter,
        MetricType::GAUGE => MetricKind::Gauge,
        MetricType::HISTOGRAM => MetricKind::Histogram,
        MetricType::SUMMARY | MetricType::UNTYPED => return None,
    };
    // Only the text of Prometheus has the suffix (spec: microbus-wire 10.1).
    let name = family.name();
    let name = match kind {
        MetricKind::Counter => name.strip_suffix("_total").unwrap_or(name),
        MetricKind::Gauge | MetricKind::Histogram => name,
    };
    let series = family.get_metric().iter().map(|metric| Series {
        attributes: attributes_of(metric),
        reading: reading_of(metric, kind),
    });
    Some(Metric {
        name: name.to_owned(),
        description: family.help().to_owned(),
        kind,
        series: series.collect(),
    })
}

fn attributes_of(metric: &proto::Metric) -> Attributes {
    let labels = metric.get_label().iter();
    labels
        .filter(|label| !label.name().starts_with("otel_scope_"))
        .map(|label| {
            let value = Value::Text(label.value().to_owned().into());
            (label.name().to_owned().into(), value)
        })
        .collect()
}

fn reading_of(metric: &proto::Metric, kind: MetricKind) -> Reading {
    match kind {
        MetricKind::Counter => Reading::Number(metric.get_counter().get_value()),
        MetricKind::Gauge => Reading::Number(metric.get_gauge().get_value()),
        MetricKind::Histogram => {
            let histogram = metric.get_histogram();
            let buckets = histogram.get_bucket().iter();
            Reading::Distribution {
                count: histogram.get_sample_count(),
                sum: histogram.get_sample_sum(),
                buckets: buckets
                    .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
                    .collect(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use std::time::Duration;

    #[test]
    fn numbers_and_names_are_those_of_the_go_services() {
        let metrics = fixture::metrics();
        metrics.minted.of("tester.client").inc();
        metrics.minted.lifetime.observe(20.0);
        metrics.callback(crate::metrics::Callback::Startup, Duration::ZERO, false);
        let exported = metrics_of(&metrics.families());
        let find = |name: &str| exported.iter().find(|metric| metric.name == name);
        let minted = find("microbus_token_minted").unwrap();
        assert_eq!(minted.kind, MetricKind::Counter);
        let series = &minted.series[0];
        assert_eq!(series.reading, Reading::Number(1.0));
        let text = |text: &'static str| Value::Text(text.into());
        for (name, value) in [
            ("caller", text("tester.client")),
            ("service", text("access.token.core")),
            ("deployment", text("PROD")),
        ] {
            assert!(series.attributes.contains(&(name.into(), value)), "{name}");
        }
        let lifetime = find("microbus_token_lifetime_seconds").unwrap();
        let Reading::Distribution {
            count,
            sum,
            buckets,
        } = &lifetime.series[0].reading
        else {
            panic!("{lifetime:?}");
        };
        assert_eq!((*count, *sum), (1, 20.0));
        assert!(buckets.contains(&(20.0, 1)) && buckets.contains(&(5.0, 0)));
        assert!(find("target_info").is_none());
        let labels = exported.iter().flat_map(|metric| &metric.series);
        let mut names = labels
            .flat_map(|series| &series.attributes)
            .map(|(name, _)| name);
        assert!(names.all(|name| !name.starts_with("otel_")));
    }
}
