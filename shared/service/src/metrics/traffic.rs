//! What passes over the bus, in the peer's metrics and under its names.
//!
//! Source: spec: microbus-wire 10.1. The handles of a series are bound when it is first needed: a request costs a short
//! scan and a few atomic additions, without allocation and without hashing of labels.

use super::declare::Declare;
use microbus_bus::{Answered, Observer, Route, Scope};
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Method;
use prometheus::{Error, Histogram, HistogramVec, IntCounter, IntCounterVec};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The metrics of requests answered and of requests made.
#[derive(Debug)]
pub(crate) struct Traffic {
    host: String,
    /// Names of the routes that are functions of the service and not control endpoints.
    functions: Vec<&'static str>,
    durations: HistogramVec,
    sizes: HistogramVec,
    bound: Mutex<Vec<Bound>>,
    jwk_sets: IntCounter,
    budgets: IntCounter,
    acks: HistogramVec,
    /// Hosts that were asked, for as many as are told apart.
    asked: Mutex<BTreeSet<String>>,
    given_up: IntCounterVec,
}

/// The handles of one series of answers.
#[derive(Debug)]
struct Bound {
    route: &'static str,
    method: Method,
    status: u16,
    failed: bool,
    duration: Histogram,
    size: Histogram,
}

impl Traffic {
    pub(super) fn declare(
        declare: &Declare<'_>,
        host: &str,
        functions: Vec<&'static str>,
    ) -> Result<Self, Error> {
        Ok(Self {
            host: host.to_owned(),
            functions,
            durations: declare.histograms(
                "microbus_server_request_duration_seconds",
                "Time from hearing a request to answering it [seconds]",
                ANSWER_LABELS,
                SECONDS,
            )?,
            sizes: declare.histograms(
                "microbus_server_response_body_bytes",
                "Length of the body of an answer [bytes]",
                ANSWER_LABELS,
                BYTES,
            )?,
            bound: Mutex::default(),
            jwk_sets: declare.counter(
                "microbus_token_jwks_served_total",
                "JWK Sets given to whoever asked",
            )?,
            budgets: declare.counter(
                "microbus_token_budget_exhausted_total",
                "Requests answered 408 because their time budget was spent",
            )?,
            acks: declare.histograms(
                "microbus_client_ack_roundtrip_latency_seconds",
                "Time from sending a request to its ack [seconds]",
                &["host", "port"],
                ACK_SECONDS,
            )?,
            asked: Mutex::default(),
            given_up: declare.counters(
                "microbus_client_timeout_requests_total",
                "Requests of ours that nobody acked (404) or answered in time (408)",
                &["code"],
            )?,
        })
    }

    fn bind(&self, answered: &Answered<'_>) -> Bound {
        let route = answered.route;
        let port = route.port.to_string();
        let code = answered.status.to_string();
        let canonical = canonical(&self.host, route);
        let kind = if self.functions.contains(&route.name) {
            "function"
        } else {
            "web"
        };
        let error = if answered.failed { "ERROR" } else { "OK" };
        let method = answered.method.as_str();
        let labels = [
            route.name, route.path, &canonical, &port, method, &code, kind, error,
        ];
        Bound {
            route: route.name,
            method: answered.method,
            status: answered.status,
            failed: answered.failed,
            duration: self.durations.with_label_values(&labels),
            size: self.sizes.with_label_values(&labels),
        }
    }
}

impl Observer for Traffic {
    fn answered(&self, answered: &Answered<'_>) {
        match answered.status {
            408 => self.budgets.inc(),
            200 if answered.route.name == "JWKS" => self.jwk_sets.inc(),
            _ => {}
        }
        let is_it = |bound: &Bound| {
            bound.status == answered.status
                && bound.method == answered.method
                && bound.failed == answered.failed
                && bound.route == answered.route.name
        };
        let observe = |bound: &Bound| {
            bound.duration.observe(answered.took.as_secs_f64());
            #[expect(
                clippy::cast_precision_loss,
                reason = "a body has far fewer than 2^52 bytes"
            )]
            bound.size.observe(answered.body_length as f64);
        };
        let mut all = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bound) = all.iter().find(|bound| is_it(bound)) {
            observe(bound);
        } else {
            let bound = self.bind(answered);
            observe(&bound);
            all.push(bound);
        }
    }

    fn acked(&self, host: &str, port: &str, after: Duration) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let host = if asked.contains(host) {
            host
        } else if asked.len() < MOST_HOSTS {
            asked.insert(host.to_owned());
            host
        } else {
            "other"
        };
        self.acks
            .with_label_values(&[host, port])
            .observe(after.as_secs_f64());
    }

    fn gave_up(&self, status: ErrorStatus) {
        self.given_up
            .with_label_values(&[status.code().to_string()])
            .inc();
    }
}

/// Returns a route's address without its scheme, such as `access.token.core:666/mint`.
fn canonical(own: &str, route: &Route) -> String {
    let host = match route.scope {
        Scope::Own => own,
        Scope::All => "all",
    };
    format!("{host}:{}{}", route.port, route.path)
}

/// Beyond this the hosts that are asked are counted as `other`.
const MOST_HOSTS: usize = 64;
const ANSWER_LABELS: &[&str] = &[
    "name",
    "route",
    "canonical",
    "port",
    "method",
    "code",
    "type",
    "error",
];
/// Bounds of the peer for requests and callbacks.
pub(super) const SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const BYTES: &[f64] = &[
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];
const ACK_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5,
];
