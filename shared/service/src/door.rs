//! The HTTP door of a process that runs without a broker: for a developer's machine, on loopback only.
//!
//! A request to mint becomes one on the in-process bus, so that what is tried here is what runs there. A browser must not
//! be made to mint for a page but the door's own: foreign `Host`, foreign `Origin` and anything but JSON are refused.

use crate::listener::HttpListener;
use crate::pages::{self, Guard, Origins, error_response, json, refusal, status};
use crate::vitals::Vitals;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use axum::routing::post;
use microbus_bus::{Connector, Outgoing, RequestError};
use microbus_wire::address::Address;
use microbus_wire::budget::TimeBudget;
use microbus_wire::call::CallError;
use microbus_wire::header::TIME_BUDGET;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Method;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What the door opens to.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) connector: Arc<Connector>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) address: SocketAddr,
}

impl Door {
    /// Serves `listener` until the process ends.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let (address, vitals) = (self.address, Arc::clone(&self.vitals));
        let router = Router::new()
            .route("/mint", post(mint))
            .with_state(self)
            .merge(pages::router(vitals));
        let origins = Origins::Own;
        let router = pages::guarded(router, Guard { address, origins });
        let listener = HttpListener::new(listener, None);
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

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        let media_type = value.split(';').next().unwrap_or_default().trim();
        media_type.eq_ignore_ascii_case("application/json")
    })
}

#[cfg(test)]
mod tests;
