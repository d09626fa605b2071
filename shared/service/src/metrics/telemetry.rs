//! What became of what is exported to a collector.

use super::declare::Declare;
use super::raise;
use microbus_otlp::Outcome;
use prometheus::{Error, IntCounterVec, IntGaugeVec};

#[derive(Debug)]
pub(super) struct Telemetry {
    exported: IntCounterVec,
    dropped: IntCounterVec,
    failing: IntGaugeVec,
}

impl Telemetry {
    pub(super) fn declare(declare: &Declare<'_>) -> Result<Self, Error> {
        Ok(Self {
            exported: declare.counters(
                "microbus_token_telemetry_exported_total",
                "Spans, log lines and metrics that a collector took",
                &["signal"],
            )?,
            dropped: declare.counters(
                "microbus_token_telemetry_dropped_total",
                "Spans, log lines and metrics that were lost on the way to a collector",
                &["signal"],
            )?,
            failing: declare.int_gauges(
                "microbus_token_telemetry_failing",
                "Whether the latest attempt to export to a collector failed",
                &["signal"],
            )?,
        })
    }

    pub(super) fn show(&self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let signal = [outcome.signal.as_str()];
            raise(&self.exported.with_label_values(&signal), outcome.exported);
            raise(&self.dropped.with_label_values(&signal), outcome.dropped);
            let failing = self.failing.with_label_values(&signal);
            failing.set(i64::from(outcome.failing));
        }
    }
}
