//! Browsers that log in: where they are sent, and the cookies that tie them to their login and keep them logged in. Pure.
//!
//! The provider posts the ID token back through the browser (`response_mode=form_post`). That it is the browser's own
//! login, and not one that a stranger has slipped in, is proven by the nonce: the cookie has it and the token has it.

use crate::bridge::Bridge;
use http::HeaderValue;
use microbus_client::MintedToken;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

/// A login that begins: send the browser to `location` with `cookie`.
pub struct Login {
    /// The provider's page, as the value of `Location`.
    pub location: String,
    /// The value of `Set-Cookie` that keeps the nonce for ten minutes.
    pub cookie: HeaderValue,
}

impl Bridge {
    /// Begins a login at a provider. `nonce` is fresh from a cryptographic generator: at least 22 letters, digits, `-` and `_`, which
    /// are 128 bits; the provider sends the browser back to `redirect_uri` with a form that has the ID token as `id_token`.
    ///
    /// None if there is no such provider, or it has not told where browsers log in, because it is down or has no such page;
    /// and for another nonce.
    #[must_use]
    pub fn begin_login(
        &self,
        issuer: &str,
        client_id: &str,
        redirect_uri: &str,
        nonce: &str,
    ) -> Option<Login> {
        let page = self.provider(issuer)?.login_page()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if nonce.len() < SHORTEST_NONCE || !nonce.bytes().all(plain) {
            return None;
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("response_type", "id_token")
            .append_pair("response_mode", "form_post")
            .append_pair("scope", "openid")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("nonce", nonce)
            .finish();
        let separator = if page.contains('?') { '&' } else { '?' };
        // The provider's form is posted from another site, hence `None`.
        let cookie =
            format!("{NONCE_COOKIE}={nonce}; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=None");
        Some(Login {
            location: format!("{page}{separator}{query}"),
            cookie: sensitive(&cookie)?,
        })
    }

    /// Returns the value of `Set-Cookie` that keeps a browser logged in with a bearer token, as long as that lives. The ingress
    /// reads the token from there.
    ///
    /// `HttpOnly`: no script reads it. `Secure`: it never goes out in clear. `SameSite=Lax`: requests that other sites
    /// make a browser send come without it, but for links to us.
    ///
    /// None if the token has no expiry, or is too large for what browsers keep (RFC 6265 section 6.1).
    #[must_use]
    pub fn session_cookie(&self, bearer: &MintedToken) -> Option<HeaderValue> {
        let now = self.clock().wall().duration_since(UNIX_EPOCH).ok()?;
        let expires = bearer.read_claims()?.get("exp")?.as_u64()?;
        let left = Duration::from_secs(expires).saturating_sub(now).as_secs();
        if SESSION_COOKIE.len() + bearer.as_str().len() > LARGEST_COOKIE {
            return None;
        }
        sensitive(&format!(
            "{SESSION_COOKIE}={}; Path=/; Max-Age={left}; HttpOnly; Secure; SameSite=Lax",
            bearer.as_str()
        ))
    }
}

/// Returns the value of `Set-Cookie` that ends a login, whether it came to anything or not: a nonce counts once.
#[must_use]
pub fn forget_nonce() -> HeaderValue {
    HeaderValue::from_static(
        "__Host-login-nonce=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None",
    )
}

/// Returns the nonce that a browser's `Cookie` header has, if it has exactly one.
#[must_use]
pub fn nonce_of(cookies: &str) -> Option<&str> {
    let mut nonces = cookies.split(';').filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == NONCE_COOKIE && !value.is_empty()).then_some(value)
    });
    let nonce = nonces.next()?;
    nonces.next().is_none().then_some(nonce)
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Login").finish_non_exhaustive()
    }
}

/// Where the ingress looks for a bearer token. Source: spec: verify 5.
const SESSION_COOKIE: &str = "Authorization";
/// `__Host-`: no other host of the same domain can set it (RFC 6265bis section 4.1.3.2).
const NONCE_COOKIE: &str = "__Host-login-nonce";
const SHORTEST_NONCE: usize = 22;
/// Bytes of name and value that every browser keeps.
const LARGEST_COOKIE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_read_only_if_there_is_one() {
        for (cookies, nonce) in [
            ("__Host-login-nonce=n", Some("n")),
            ("a=b; __Host-login-nonce=n; c=d", Some("n")),
            ("__Host-login-nonce=n; __Host-login-nonce=m", None),
            ("__Host-login-nonce=", None),
            ("login-nonce=n", None),
            ("__host-login-nonce=n", None),
            ("", None),
        ] {
            assert_eq!(nonce_of(cookies), nonce, "{cookies}");
        }
    }

    #[test]
    fn forgetting_names_the_same_cookie() {
        let forget = forget_nonce();
        assert!(forget.to_str().unwrap().starts_with(NONCE_COOKIE));
    }
}
