//! Gauges of an issuer's keys: times as seconds since 1970, so that a query does the ageing.

use super::declare::Declare;
use crate::service::KeyReport;
use prometheus::{Error, Gauge, GaugeVec, IntGauge, IntGaugeVec};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Debug)]
pub(super) struct Keys {
    since: GaugeVec,
    until: GaugeVec,
    next_rotation: Gauge,
    published: IntGaugeVec,
    replicas: IntGauge,
}

impl Keys {
    pub(super) fn declare(declare: &Declare<'_>) -> Result<Self, Error> {
        Ok(Self {
            since: declare.gauges(
                "microbus_token_key_since_timestamp_seconds",
                "Since when a key of this replica waits or signs [seconds since 1970]",
                &["kid", "state"],
            )?,
            until: declare.gauges(
                "microbus_token_key_retire_after_timestamp_seconds",
                "Until when a key of this replica that signs no more is published [seconds since 1970]",
                &["kid"],
            )?,
            next_rotation: declare.gauge(
                "microbus_token_next_rotation_timestamp_seconds",
                "When another key is due, 0 while one waits and where that is the operator's business [seconds since 1970]",
            )?,
            published: declare.int_gauges(
                "microbus_token_jwks_keys",
                "Keys in the JWK Set, own ones and those of other replicas",
                &["state"],
            )?,
            replicas: declare.int_gauge(
                "microbus_token_replicas",
                "Other replicas that were heard lately",
            )?,
        })
    }

    /// Shows `report`, made at `wall`.
    pub(super) fn show(&self, report: &KeyReport, wall: SystemTime) {
        let wall = wall.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.since.reset();
        self.until.reset();
        for key in &report.own {
            let kid = key.kid.as_str();
            if let Some(age) = key.age {
                let since = wall.saturating_sub(age).as_secs_f64();
                self.since
                    .with_label_values(&[kid, key.state.as_str()])
                    .set(since);
            }
            if let Some(left) = key.left {
                let until = wall.saturating_add(left).as_secs_f64();
                self.until.with_label_values(&[kid]).set(until);
            }
        }
        let next = report.next_rotation.map_or(0.0, |left| {
            let due = wall.saturating_add(left).saturating_sub(report.overdue);
            due.as_secs_f64()
        });
        self.next_rotation.set(next);
        let published = report.own.iter().filter(|key| key.is_published);
        self.published
            .with_label_values(&["own"])
            .set(whole(published.count()));
        self.published
            .with_label_values(&["foreign"])
            .set(whole(report.foreign));
        self.replicas.set(whole(report.replicas));
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
