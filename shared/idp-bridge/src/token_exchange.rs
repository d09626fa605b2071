//! Token exchange over HTTP (RFC 8693), without a server: text in, answer out.

use crate::bridge::{Bridge, BridgeError, ForeignToken};
use crate::token::TokenKind;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use microbus_client::MintedToken;
use microbus_token::Issuer;
use microbus_wire::status::ErrorStatus;
use serde_json::json;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};
use zeroize::Zeroizing;

/// What a client asks for (RFC 8693 section 2.1).
pub struct TokenRequest {
    subject_token: Zeroizing<String>,
    kind: TokenKind,
    wanted: Issuer,
}

/// A refusal in the form of RFC 6749 section 5.2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {description}")]
pub struct OAuthError {
    status: StatusCode,
    code: &'static str,
    description: String,
}

/// The type of ID tokens as subject (RFC 8693 section 3).
pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
/// The type of access tokens: as subject those of the provider, when wanted those of access.token.core.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The type of tokens of bearer.token.core, when wanted.
pub const BEARER_TOKEN: &str = "urn:microbus:token-type:bearer";
/// The one grant type.
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// Bytes of the largest request that makes sense: a server need not read more.
pub const LARGEST_REQUEST: usize = 32 * 1024;

/// Answers a request of a client with a token or a refusal. `longest` is how long an access token may live.
pub async fn answer(
    bridge: &Bridge,
    method: &Method,
    headers: &HeaderMap,
    body: &[u8],
    longest: Duration,
) -> Response<String> {
    let exchange = async {
        let request = TokenRequest::read(method, headers, body)?;
        let token = ForeignToken {
            text: &request.subject_token,
            kind: request.kind,
            nonce: None,
        };
        let minted = match request.wanted {
            Issuer::Access => bridge.access_token(token, longest).await,
            Issuer::Bearer => bridge.bearer_token(token).await,
        };
        let minted = minted.map_err(|error| {
            tracing::warn!(error = %error, reason = error.reason(), "No token for a foreign one");
            OAuthError::of(&error)
        })?;
        Ok(success(bridge, &minted, request.wanted))
    };
    exchange
        .await
        .unwrap_or_else(|error: OAuthError| error.to_response())
}

impl TokenRequest {
    /// Reads a form.
    ///
    /// # Errors
    /// [`OAuthError`] says what is missing, given twice, or not supported.
    pub fn read(method: &Method, headers: &HeaderMap, body: &[u8]) -> Result<Self, OAuthError> {
        if method != Method::POST {
            let status = StatusCode::METHOD_NOT_ALLOWED;
            return Err(OAuthError::new(
                status,
                "invalid_request",
                "only POST is allowed",
            ));
        }
        if body.len() > LARGEST_REQUEST {
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(OAuthError::new(
                status,
                "invalid_request",
                "the request is too large",
            ));
        }
        let media_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok()?.split(';').next());
        if !media_type.is_some_and(|media_type| {
            media_type
                .trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        }) {
            return Err(invalid(
                "the request must be a form: application/x-www-form-urlencoded",
            ));
        }
        let form = Form::read(body)?;
        match form.get("grant_type") {
            Some(TOKEN_EXCHANGE) => {}
            Some(_) => {
                let text = "the only grant type is urn:ietf:params:oauth:grant-type:token-exchange";
                let status = StatusCode::BAD_REQUEST;
                return Err(OAuthError::new(status, "unsupported_grant_type", text));
            }
            None => return Err(invalid("grant_type is missing")),
        }
        form.refuse_what_is_not_supported()?;
        let kind = match form.get("subject_token_type") {
            Some(ID_TOKEN) => TokenKind::IdToken,
            Some(ACCESS_TOKEN) => TokenKind::AccessToken,
            Some(_) => {
                return Err(invalid(
                    "subject_token_type is neither urn:ietf:params:oauth:token-type:id_token nor …:access_token",
                ));
            }
            None => return Err(invalid("subject_token_type is missing")),
        };
        let wanted = match form.get("requested_token_type") {
            None | Some(ACCESS_TOKEN) => Issuer::Access,
            Some(BEARER_TOKEN) => Issuer::Bearer,
            Some(_) => {
                return Err(invalid(
                    "requested_token_type is neither urn:ietf:params:oauth:token-type:access_token nor urn:microbus:token-type:bearer",
                ));
            }
        };
        let subject_token = form.get("subject_token");
        let subject_token = subject_token.ok_or_else(|| invalid("subject_token is missing"))?;
        Ok(Self {
            subject_token: Zeroizing::new(subject_token.to_owned()),
            kind,
            wanted,
        })
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TokenRequest")
            .field("kind", &self.kind)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

/// Parameters of a request, each at most once (RFC 6749 section 3.2).
struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    fn read(body: &[u8]) -> Result<Self, OAuthError> {
        let mut pairs: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            // Without a value a parameter counts as absent (RFC 6749 section 3.2).
            if value.is_empty() {
                continue;
            }
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(invalid("a parameter is there twice"));
            }
            pairs.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// What would promise something else than what the token then says.
    fn refuse_what_is_not_supported(&self) -> Result<(), OAuthError> {
        let bad = StatusCode::BAD_REQUEST;
        for (name, code, text) in [
            (
                "resource",
                "invalid_target",
                "a target cannot be chosen: tokens are for the whole bus",
            ),
            (
                "audience",
                "invalid_target",
                "a target cannot be chosen: tokens are for the whole bus",
            ),
            (
                "scope",
                "invalid_scope",
                "a scope cannot be chosen: rights come from the mapping of claims",
            ),
            (
                "actor_token",
                "invalid_request",
                "delegation is not supported: leave actor_token out",
            ),
            (
                "actor_token_type",
                "invalid_request",
                "delegation is not supported: leave actor_token_type out",
            ),
        ] {
            if self.get(name).is_some() {
                return Err(OAuthError::new(bad, code, text));
            }
        }
        Ok(())
    }
}

impl OAuthError {
    fn new(status: StatusCode, code: &'static str, description: &str) -> Self {
        Self {
            status,
            code,
            description: description.to_owned(),
        }
    }

    /// What a client is told. A bad subject token is an `invalid_request` (RFC 8693 section 2.2.2).
    fn of(error: &BridgeError) -> Self {
        match error {
            BridgeError::Token(error) => invalid(&format!("subject_token: {error}")),
            BridgeError::Claims(error) => invalid(&format!("subject_token: {error}")),
            BridgeError::Provider(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "the identity provider's keys cannot be had at the moment",
            ),
            BridgeError::Mint(error) if error.status() == ErrorStatus::FORBIDDEN => Self::new(
                StatusCode::FORBIDDEN,
                "access_denied",
                "the issuer does not mint a token with these claims",
            ),
            BridgeError::Mint(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                "the issuer cannot be had at the moment",
            ),
        }
    }

    /// Returns the code, such as `invalid_request`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    fn to_response(&self) -> Response<String> {
        let body = json!({ "error": self.code, "error_description": ascii(&self.description) });
        let mut response = respond(self.status, &body);
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("POST"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

fn invalid(description: &str) -> OAuthError {
    OAuthError::new(StatusCode::BAD_REQUEST, "invalid_request", description)
}

/// RFC 8693 section 2.2.1.
fn success(bridge: &Bridge, minted: &MintedToken, wanted: Issuer) -> Response<String> {
    // A token for the inside of the bus is none that a client presents to somebody, so its use has no name.
    let (issued, token_type) = match wanted {
        Issuer::Access => (ACCESS_TOKEN, "N_A"),
        Issuer::Bearer => (BEARER_TOKEN, "Bearer"),
    };
    let mut body = json!({
        "access_token": minted.as_str(),
        "issued_token_type": issued,
        "token_type": token_type,
    });
    let now = bridge.clock().wall().duration_since(UNIX_EPOCH);
    let expires = minted
        .read_claims()
        .and_then(|claims| claims.get("exp")?.as_u64());
    if let (Some(members), Some(expires), Ok(now)) = (body.as_object_mut(), expires, now) {
        let left = expires.saturating_sub(now.as_secs());
        members.insert("expires_in".to_owned(), left.into());
    }
    respond(StatusCode::OK, &body)
}

fn respond(status: StatusCode, body: &serde_json::Value) -> Response<String> {
    let mut response = Response::new(body.to_string());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// Keeps to the characters that a description may have (RFC 6749 section 5.2).
fn ascii(text: &str) -> String {
    let allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
    text.chars()
        .map(|c| if allowed(c) { c } else { '\'' })
        .collect()
}

#[cfg(test)]
mod tests;
