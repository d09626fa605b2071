//! The control endpoints that every connector of the bus has, on its own host and on `all`.
//!
//! Source: spec: microbus-wire 2.6, 7.

use crate::configuration::Configuration;
use crate::metrics::{self, Metrics};
use crate::openapi;
use crate::rate::{Allowance, Limit};
use crate::service::{Profile, Service};
use crate::telemetry::Watcher;
use crate::vitals::Vitals;
use bytes::Bytes;
use microbus_bus::{
    Acknowledge, Answer, Clock, Connector, Delivery, Failure, Handling, Incoming, Reply, Route,
    Scope, Urgency,
};
use microbus_wire::header::FROM_ID;
use microbus_wire::query;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Method;
use serde::Deserialize;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the control endpoints speak of.
pub(crate) struct Control {
    pub(crate) profile: &'static Profile,
    pub(crate) connector: Arc<Connector>,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) service: Arc<dyn Service>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) watcher: Arc<Watcher>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What is left of [`REFRESHES`].
    pub(crate) refreshes: Mutex<Allowance>,
    /// Whether `/metrics` answers, and whether JSON is indented and bodies are never compressed.
    pub(crate) prometheus: bool,
    pub(crate) local: bool,
}

type Endpoint = fn(&Arc<Control>, &Incoming) -> Handling;

impl Control {
    /// Returns the endpoints of the distributed cache, which are subscribed before everything else.
    pub(crate) fn cache_routes(self: &Arc<Self>) -> Vec<Route> {
        vec![
            self.route(
                "DcacheAll",
                Scope::Own,
                "/dcache/all",
                Delivery::Every,
                cache_all,
            ),
            self.route(
                "DcacheRescue",
                Scope::Own,
                "/dcache/rescue",
                Delivery::One,
                cache_rescue,
            ),
        ]
    }

    /// Returns all others, on the own host and on `all`.
    pub(crate) fn routes(self: &Arc<Self>) -> Vec<Route> {
        let endpoints: [(&str, &str, &str, Endpoint); 5] = [
            ("Ctrl888Ping", "Ctrl888PingAll", "/ping", ping),
            (
                "Ctrl888ConfigRefresh",
                "Ctrl888ConfigRefreshAll",
                "/config-refresh",
                config_refresh,
            ),
            ("Ctrl888Metrics", "Ctrl888MetricsAll", "/metrics", metrics),
            ("Ctrl888Trace", "Ctrl888TraceAll", "/trace", trace),
            (
                "Ctrl888OnNewSubs",
                "Ctrl888OnNewSubsAll",
                "/on-new-subs",
                on_new_subs,
            ),
        ];
        let mut routes = Vec::new();
        for (own, all, path, endpoint) in endpoints {
            routes.push(self.route(own, Scope::Own, path, Delivery::Every, endpoint));
            routes.push(self.route(all, Scope::All, path, Delivery::Every, endpoint));
        }
        for (name, scope) in [
            ("Ctrl888OpenAPI", Scope::Own),
            ("Ctrl888OpenAPIAll", Scope::All),
        ] {
            let route = self.route(
                name,
                scope,
                "/openapi.json",
                Delivery::One,
                openapi_document,
            );
            routes.push(Route {
                method: Some(Method::Get),
                ..route
            });
        }
        routes
    }

    fn route(
        self: &Arc<Self>,
        name: &'static str,
        scope: Scope,
        path: &'static str,
        delivery: Delivery,
        endpoint: Endpoint,
    ) -> Route {
        let control = Arc::clone(self);
        Route {
            name,
            scope,
            port: 888,
            method: None,
            path,
            delivery,
            urgency: Urgency::Exempt,
            acknowledge: Acknowledge::AtOnce,
            handler: Arc::new(move |request: Incoming| endpoint(&control, &request)),
        }
    }
}

fn ping(_: &Arc<Control>, _: &Incoming) -> Handling {
    done(Reply::json(&br#"{"pong":0}"#[..]))
}

fn config_refresh(control: &Arc<Control>, request: &Incoming) -> Handling {
    let now = control.clock.now();
    let mut allowance = control
        .refreshes
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let allowed = allowance.take(REFRESHES, now);
    drop(allowance);
    if !allowed {
        control.metrics.refreshes_refused.inc();
        return Handling::Done(Err(Failure::new(
            ErrorStatus::TOO_MANY_REQUESTS,
            "the configuration was refreshed just now",
        )));
    }
    let (control, request) = (Arc::clone(control), request.clone());
    Handling::Later(Box::pin(async move {
        control
            .configuration
            .refresh(&control.connector, Some(&request))
            .await?;
        Ok(Reply::json("{}"))
    }))
}

fn metrics(control: &Arc<Control>, request: &Incoming) -> Handling {
    if !control.prometheus {
        return done(Reply::empty(501));
    }
    let text = match control.vitals.metrics_text() {
        Ok(text) => text,
        Err(error) => return failed(ErrorStatus::INTERNAL, "internal error", error),
    };
    let accepts_gzip = request
        .header("Accept-Encoding")
        .is_some_and(|codings| codings.contains("gzip"));
    let compressed = (accepts_gzip && !control.local)
        .then(|| gzipped(&text))
        .flatten();
    let (headers, body) = match compressed {
        Some(body) => (vec![("Content-Encoding", "gzip")], body),
        None => (Vec::new(), Bytes::from(text)),
    };
    done(Reply {
        status: 200,
        content_type: Some(metrics::CONTENT_TYPE),
        headers,
        body,
    })
}

fn gzipped(text: &str) -> Option<Bytes> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// Selects a trace for export: something went wrong in it elsewhere.
fn trace(control: &Arc<Control>, request: &Incoming) -> Handling {
    for (name, value) in query::pairs(request.query()) {
        if name == "id" {
            control.watcher.select(&value);
        }
    }
    done(Reply::json("{}"))
}

#[derive(Deserialize)]
struct OnNewSubs {
    #[serde(default)]
    hosts: Vec<String>,
}

fn on_new_subs(control: &Arc<Control>, request: &Incoming) -> Handling {
    let mut values = serde_json::Deserializer::from_slice(request.body()).into_iter();
    match values.next() {
        Some(Ok(OnNewSubs { hosts })) => {
            control.connector.forget_responders(&hosts);
            let instance = request.header(FROM_ID).unwrap_or_default();
            control.service.meet(request.from_host(), instance);
            done(Reply::json("{}"))
        }
        Some(Err(error)) => failed(ErrorStatus::BAD_REQUEST, "malformed body", error),
        None => failed(ErrorStatus::BAD_REQUEST, "malformed body", "EOF"),
    }
}

fn openapi_document(control: &Arc<Control>, request: &Incoming) -> Handling {
    let forwarded = openapi::Forwarded {
        proto: request.header("X-Forwarded-Proto"),
        host: request.header("X-Forwarded-Host"),
        prefix: request.header("X-Forwarded-Prefix"),
        path: request.header("X-Forwarded-Path"),
    };
    let document = openapi::document(control.profile, &forwarded);
    let text = if control.local {
        format!("{document:#}")
    } else {
        document.to_string()
    };
    let headers = vec![("Cache-Control", "private, no-store")];
    done(Reply {
        headers,
        ..Reply::json(text)
    })
}

/// Answers for a cache that is always empty (spec: microbus-wire 7.6).
fn cache_all(control: &Arc<Control>, request: &Incoming) -> Handling {
    if request.from_host() != control.profile.issuer.host() {
        let text = format!("foreign host '{}'", request.from_host());
        return failed(ErrorStatus::BAD_REQUEST, "foreign host", text);
    }
    let argument = |name: &str| {
        query::pairs(request.query())
            .filter(|(key, _)| key == name)
            .last()
            .map(|(_, value)| value)
    };
    let has_key = argument("key").is_some_and(|key| !key.is_empty());
    match argument("do").as_deref().unwrap_or_default() {
        "len" | "weight" => done(Reply {
            content_type: None,
            ..Reply::json("0")
        }),
        "load" | "delete" if !has_key => {
            failed(ErrorStatus::BAD_REQUEST, "missing key", "missing key")
        }
        "load" | "store" | "checksum" => done(Reply::empty(404)),
        "delete" | "clear" => done(Reply::empty(200)),
        other => failed(
            ErrorStatus::BAD_REQUEST,
            "invalid action",
            format!("invalid action '{other}'"),
        ),
    }
}

fn cache_rescue(_: &Arc<Control>, request: &Incoming) -> Handling {
    if query::pairs(request.query()).any(|(name, value)| name == "key" && !value.is_empty()) {
        return done(Reply::empty(200));
    }
    failed(ErrorStatus::BAD_REQUEST, "missing key", "missing key")
}

fn done(reply: Reply) -> Handling {
    Handling::Done(Ok(reply))
}

fn failed(status: ErrorStatus, public: &'static str, detail: impl std::fmt::Display) -> Handling {
    Handling::Done(Answer::Err(
        Failure::new(status, public).with_detail(detail),
    ))
}

/// The configurator asks once in twenty minutes and when it starts; a flood would be passed on to it.
const REFRESHES: Limit = Limit {
    interval: Duration::from_secs(1),
    burst: 10,
};

#[cfg(test)]
mod tests;
