//! What the HTTP door and the admin listener both serve: nothing here changes anything.

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
        .with_state(vitals)
}

/// Refuses what a browser sends on behalf of a page, by whatever name that page reaches the listener at `address`.
pub(crate) fn not_for_browsers(router: Router, address: SocketAddr) -> Router {
    router.layer(from_fn_with_state(address, only_from_here))
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
    State(address): State<SocketAddr>,
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
    if headers.contains_key(header::ORIGIN) {
        return refusal(
            ErrorStatus::FORBIDDEN,
            "this address is not for pages in a browser",
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
