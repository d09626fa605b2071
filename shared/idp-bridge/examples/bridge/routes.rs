//! The bridge's way in over HTTP: token exchange, and logins of browsers.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::{any, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use microbus_bus::Failures;
use microbus_client::error_response;
use microbus_idp_bridge::{
    Bridge, BridgeError, ForeignToken, TokenKind, forget_nonce, nonce_of, token_exchange,
};
use microbus_wire::status::ErrorStatus;
use std::sync::Arc;
use std::time::Duration;

/// Where browsers log in, and as which client.
#[derive(Clone)]
pub(crate) struct BrowserLogin {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// `https://…/login/callback`, as the provider knows it.
    pub(crate) redirect_uri: String,
}

/// Returns `/token`.
pub(crate) fn token_exchange_route(bridge: Arc<Bridge>) -> Router {
    let exchange = move |method, headers, body| exchange(bridge, method, headers, body);
    Router::new()
        .route("/token", any(exchange))
        .layer(DefaultBodyLimit::max(token_exchange::LARGEST_REQUEST))
}

/// Returns `/login` for browsers, and its callback.
pub(crate) fn login_routes(bridge: Arc<Bridge>, login: BrowserLogin) -> Router {
    let beginning = Arc::clone(&bridge);
    let begin = move || async move { begin(&beginning, &login) };
    let finish = move |headers, body| finish(bridge, headers, body);
    Router::new()
        .route("/login", get(begin))
        .route("/login/callback", post(finish))
        .layer(DefaultBodyLimit::max(token_exchange::LARGEST_REQUEST))
}

async fn exchange(
    bridge: Arc<Bridge>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = token_exchange::answer(&bridge, &method, &headers, &body, LONGEST_LIFE).await;
    answer.map(Body::from)
}

fn begin(bridge: &Bridge, login: &BrowserLogin) -> Response {
    let mut nonce = [0; 32];
    let begun = getrandom::fill(&mut nonce).ok().and_then(|()| {
        let nonce = URL_SAFE_NO_PAD.encode(nonce);
        bridge.begin_login(&login.issuer, &login.client_id, &login.redirect_uri, &nonce)
    });
    match begun {
        Some(begun) => redirect(&begun.location, &[begun.cookie]),
        None => refusal(
            ErrorStatus::UNAVAILABLE,
            "the identity provider cannot be reached at the moment; try again later",
        ),
    }
}

async fn finish(bridge: Arc<Bridge>, headers: HeaderMap, body: Bytes) -> Response {
    let cookies = headers.get(COOKIE).and_then(|value| value.to_str().ok());
    let token = form_urlencoded::parse(&body)
        .find(|(name, _)| name == "id_token")
        .map(|(_, value)| value);
    let (Some(nonce), Some(text)) = (cookies.and_then(nonce_of), token) else {
        let text = "there is no login of this browser on its way";
        return refusal(ErrorStatus::BAD_REQUEST, text);
    };
    let token = ForeignToken {
        text: &text,
        kind: TokenKind::IdToken,
        nonce: Some(nonce),
    };
    let minted = match bridge.bearer_token(token).await {
        Ok(minted) => minted,
        Err(error) => return failed(&error),
    };
    match bridge.session_cookie(&minted) {
        Some(cookie) => redirect("/hello.example/me", &[cookie, forget_nonce()]),
        None => refusal(
            ErrorStatus::BAD_GATEWAY,
            "the issuer's token fits into no cookie",
        ),
    }
}

fn failed(error: &BridgeError) -> Response {
    tracing::warn!(error = %error, reason = error.reason(), "A login failed");
    let (status, text) = match error {
        BridgeError::Token(_) | BridgeError::Claims(_) => {
            (ErrorStatus::UNAUTHORIZED, "the login is not believed")
        }
        BridgeError::Provider(_) | BridgeError::Mint(_) => {
            (ErrorStatus::UNAVAILABLE, "logins are not possible now")
        }
    };
    refusal(status, text)
}

fn refusal(status: ErrorStatus, text: &str) -> Response {
    error_response(status, text, Failures::Revealed)
}

fn redirect(location: &str, cookies: &[HeaderValue]) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(location) {
        headers.insert(LOCATION, location);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie.clone());
    }
    response
}

/// How long exchanged access tokens live, unless the foreign ones end before.
const LONGEST_LIFE: Duration = Duration::from_secs(60);
