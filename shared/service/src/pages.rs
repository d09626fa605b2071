//! What the HTTP door and the admin listener both serve, the page among it: nothing here changes anything.

use crate::health::Readiness;
use crate::metrics;
use crate::vitals::Vitals;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use microbus_wire::status::ErrorStatus;
use microbus_wire::trace::{Layout, TracedError};
use std::net::SocketAddr;
use std::sync::Arc;

/// Returns the pages that show `vitals`.
pub(crate) fn router(vitals: Arc<Vitals>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/jwks", get(jwks))
        .route("/status.json", get(status_json))
        .with_state(vitals)
        .route("/", get(async || asset("text/html; charset=utf-8", PAGE)))
        .route(
            "/page.css",
            get(async || asset("text/css; charset=utf-8", STYLE)),
        )
        .route(
            "/page.js",
            get(async || asset("text/javascript; charset=utf-8", SCRIPT)),
        )
}

/// A listener, and which pages in a browser it serves besides opening its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guard {
    pub(crate) address: SocketAddr,
    pub(crate) origins: Origins,
}

/// Whose requests a listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origins {
    /// Those of no page: a page's own GETs name no origin.
    None,
    /// Those of its own page, which may so mint.
    Own,
}

/// Refuses what a browser sends on behalf of another's page, by whatever name that page reaches the listener.
pub(crate) fn guarded(router: Router, guard: Guard) -> Router {
    router.layer(from_fn_with_state(guard, only_from_here))
}

async fn status_json(State(vitals): State<Arc<Vitals>>) -> Response {
    // Texts and numbers can always be written.
    json(
        StatusCode::OK,
        serde_json::to_vec(&vitals.status()).unwrap_or_default(),
    )
}

/// Answers with a part of the page, which may load nothing from elsewhere and run nothing but its own script.
fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}

async fn metrics(State(vitals): State<Arc<Vitals>>) -> Response {
    match vitals.metrics_text() {
        Ok(text) => {
            let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
            ([(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        Err(error) => {
            tracing::error!(error = %error, "Metrics cannot be shown");
            refusal(ErrorStatus::INTERNAL, "internal error")
        }
    }
}

/// Not alive is a process whose thread hangs; one that has lost its broker is alive, or its keys would be thrown away.
async fn healthz(State(vitals): State<Arc<Vitals>>) -> Response {
    if vitals.is_alive() {
        json(StatusCode::OK, "{\"alive\":true}\n")
    } else {
        json(StatusCode::SERVICE_UNAVAILABLE, "{\"alive\":false}\n")
    }
}

async fn readyz(State(vitals): State<Arc<Vitals>>) -> Response {
    match vitals.readiness() {
        Readiness::Ready => json(StatusCode::OK, "{\"ready\":true}\n"),
        Readiness::NotReady(reason) => {
            let text = serde_json::json!({ "ready": false, "reason": reason });
            json(StatusCode::SERVICE_UNAVAILABLE, format!("{text}\n"))
        }
    }
}

async fn jwks(State(vitals): State<Arc<Vitals>>) -> Response {
    json(StatusCode::OK, vitals.jwk_set())
}

async fn only_from_here(
    State(Guard { address, origins }): State<Guard>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let port = address.port();
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let known = ["127.0.0.1", "localhost", "[::1]", &address.ip().to_string()]
        .iter()
        .any(|name| *host == format!("{name}:{port}"));
    // Others have reason to call an address beyond loopback by names of their own.
    if address.ip().is_loopback() && !known {
        return refusal(
            ErrorStatus::FORBIDDEN,
            "call this address by its loopback name",
        );
    }
    let own = format!("http://{host}");
    let is_foreign = |origin: &HeaderValue| origins == Origins::None || *origin != *own;
    if headers.get_all(header::ORIGIN).iter().any(is_foreign) {
        return refusal(
            ErrorStatus::FORBIDDEN,
            "this address is not for other pages in a browser",
        );
    }
    next.run(request).await
}

pub(crate) fn json(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let content_type = HeaderValue::from_static("application/json");
    let no_store = HeaderValue::from_static("no-store");
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, no_store),
    ];
    (status, headers, body.into()).into_response()
}

pub(crate) fn refusal(code: ErrorStatus, text: &str) -> Response {
    error_response(&TracedError::new(code, text))
}

pub(crate) fn error_response(error: &TracedError) -> Response {
    json(status(error.status.code()), error.encode(Layout::Indented))
}

pub(crate) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
