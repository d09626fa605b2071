//! The HTTP door of a process that runs without a broker: for a developer's machine, on loopback only.
//!
//! Every request becomes one on the in-process bus, so that what is tried here is what runs there. A browser must not be
//! made to mint for a page: foreign `Host`, any `Origin` and anything but JSON are refused.

use crate::health::{Health, Readiness};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use microbus_bus::{Connector, Outgoing, RequestError};
use microbus_wire::address::Address;
use microbus_wire::budget::TimeBudget;
use microbus_wire::call::CallError;
use microbus_wire::header::TIME_BUDGET;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Method;
use microbus_wire::trace::{Layout, TracedError};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What the door opens to.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) connector: Arc<Connector>,
    pub(crate) health: Arc<Health>,
    pub(crate) address: SocketAddr,
}

impl Door {
    /// Serves `listener` until the process ends.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let router = Router::new()
            .route("/mint", post(mint))
            .route("/jwks", get(jwks))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .layer(axum::middleware::from_fn_with_state(
                self.clone(),
                only_from_here,
            ))
            .with_state(self);
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(error = %error, "The HTTP door closed");
        }
    }

    async fn pass(
        &self,
        method: Method,
        port_and_path: &str,
        body: Option<Bytes>,
        headers: &HeaderMap,
    ) -> Response {
        let host = self.connector.identity().hostname.as_str();
        let Ok(address) = Address::parse(&format!("https://{host}{port_and_path}")) else {
            return refusal(ErrorStatus::INTERNAL, "malformed address");
        };
        let mut request = Outgoing::new(method, address);
        if let Some(body) = body {
            request = request.json(body);
        }
        let budget = headers
            .get(TIME_BUDGET)
            .and_then(|budget| budget.to_str().ok());
        request = match TimeBudget::from_header(budget) {
            Some(budget) => request.within(budget.as_duration()),
            None => request.without_budget(),
        };
        match self.connector.request(request).await {
            Ok(response) => json(status(response.status), response.body),
            Err(RequestError::Call(CallError::Remote(error))) => error_response(&error),
            Err(error) => refusal(error.status(), &error.to_string()),
        }
    }
}

async fn mint(State(door): State<Door>, headers: HeaderMap, body: Bytes) -> Response {
    if !body.is_empty() && !is_json(&headers) {
        let text = "send the claims as JSON, with Content-Type: application/json";
        return refusal(ErrorStatus::UNSUPPORTED_MEDIA_TYPE, text);
    }
    let body = if body.is_empty() {
        Bytes::from_static(b"{}")
    } else {
        body
    };
    door.pass(Method::Post, ":666/mint", Some(body), &headers)
        .await
}

async fn jwks(State(door): State<Door>, headers: HeaderMap) -> Response {
    door.pass(Method::Get, ":888/jwks", None, &headers).await
}

async fn healthz() -> Response {
    json(StatusCode::OK, "{\"alive\":true}\n")
}

async fn readyz(State(door): State<Door>) -> Response {
    match door
        .health
        .readiness(door.connector.connection().link().connected)
    {
        Readiness::Ready => json(StatusCode::OK, "{\"ready\":true}\n"),
        Readiness::NotReady(reason) => {
            let text = serde_json::json!({ "ready": false, "reason": reason });
            json(StatusCode::SERVICE_UNAVAILABLE, format!("{text}\n"))
        }
    }
}

/// Refuses what a browser sends on behalf of a page, by whatever name that page reaches us.
async fn only_from_here(
    State(door): State<Door>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let headers = request.headers();
    let port = door.address.port();
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let known = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        &door.address.ip().to_string(),
    ]
    .iter()
    .any(|name| *host == format!("{name}:{port}"));
    if !known {
        return refusal(
            ErrorStatus::FORBIDDEN,
            "call this door by its loopback address",
        );
    }
    if headers.contains_key(header::ORIGIN) {
        return refusal(
            ErrorStatus::FORBIDDEN,
            "this door is not for pages in a browser",
        );
    }
    next.run(request).await
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        let media_type = value.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/json")
    })
}

fn json(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let content_type = HeaderValue::from_static("application/json");
    let no_store = HeaderValue::from_static("no-store");
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, no_store),
    ];
    (status, headers, body.into()).into_response()
}

fn refusal(code: ErrorStatus, text: &str) -> Response {
    error_response(&TracedError::new(code, text))
}

fn error_response(error: &TracedError) -> Response {
    json(status(error.status.code()), error.encode(Layout::Indented))
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests;
