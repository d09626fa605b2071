//! Which headers may come from outside, and where a client puts its token. Pure.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

/// Removes what only the platform may say: `Microbus-*`, `Traceparent`, `Tracestate`.
pub(crate) fn remove_platform_headers(headers: &mut HeaderMap) {
    let ours = |name: &&HeaderName| {
        name.as_str().starts_with("microbus-")
            || ["traceparent", "tracestate"].contains(&name.as_str())
    };
    let found: Vec<_> = headers.keys().filter(ours).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Takes the bearer token out of a request: of the header `Authorization: Bearer …`, else of the cookie `Authorization`.
/// Neither is left behind for services that have no business with it.
pub(crate) fn take_bearer(headers: &mut HeaderMap) -> Option<Zeroizing<String>> {
    let cookie = take_cookie(headers);
    let header = headers.get(AUTHORIZATION).and_then(|value| {
        let token = value.to_str().ok()?.strip_prefix("Bearer ")?;
        Some(Zeroizing::new(token.to_owned()))
    });
    headers.remove(AUTHORIZATION);
    header.or(cookie)
}

/// Takes the first cookie `Authorization`, and removes all of that name.
fn take_cookie(headers: &mut HeaderMap) -> Option<Zeroizing<String>> {
    let mut token = None;
    let mut others: Vec<HeaderValue> = Vec::new();
    for value in headers.get_all(COOKIE) {
        // What is no text cannot be judged, so it does not go on.
        let Ok(text) = value.to_str() else { continue };
        let kept: Vec<&str> = text
            .split(';')
            .map(str::trim)
            .filter(|pair| match pair.split_once('=') {
                Some(("Authorization", value)) => {
                    let value = value
                        .strip_prefix('"')
                        .and_then(|value| value.strip_suffix('"'))
                        .unwrap_or(value);
                    token.get_or_insert_with(|| Zeroizing::new(value.to_owned()));
                    false
                }
                _ => !pair.is_empty(),
            })
            .collect();
        others.extend(
            HeaderValue::from_str(&kept.join("; "))
                .ok()
                .filter(|value| !value.is_empty()),
        );
    }
    headers.remove(COOKIE);
    for other in others {
        headers.append(COOKIE, other);
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn platform_headers_are_removed_and_others_stay() {
        let mut headers = map(&[
            ("microbus-actor", "a"),
            ("microbus-baggage-x", "b"),
            ("microbus-actor", "c"),
            ("traceparent", "d"),
            ("tracestate", "e"),
            ("x-microbus-actor", "f"),
        ]);
        remove_platform_headers(&mut headers);
        assert_eq!(headers, map(&[("x-microbus-actor", "f")]));
    }

    #[test]
    fn the_header_goes_before_the_cookie_and_neither_is_left() {
        for (given, token, left) in [
            (vec![], None, vec![]),
            (vec![("authorization", "Bearer h")], Some("h"), vec![]),
            (
                vec![("authorization", "Bearer h"), ("cookie", "Authorization=c")],
                Some("h"),
                vec![],
            ),
            (
                vec![("authorization", "bearer h"), ("cookie", "Authorization=c")],
                Some("c"),
                vec![],
            ),
            (vec![("authorization", "Basic eDp5")], None, vec![]),
            (vec![("authorization", "Bearer  h")], Some(" h"), vec![]),
            (
                vec![("cookie", "a=b; Authorization=c; d=e")],
                Some("c"),
                vec![("cookie", "a=b; d=e")],
            ),
            (
                vec![("cookie", "a=b"), ("cookie", "Authorization=\"c\"")],
                Some("c"),
                vec![("cookie", "a=b")],
            ),
            (
                vec![("cookie", "Authorization=c; Authorization=d")],
                Some("c"),
                vec![],
            ),
            (
                vec![("cookie", "authorization=c;xAuthorization=d")],
                None,
                vec![("cookie", "authorization=c; xAuthorization=d")],
            ),
        ] {
            let mut headers = map(&given);
            let found = take_bearer(&mut headers);
            assert_eq!(
                found.as_ref().map(|token| token.as_str()),
                token,
                "{given:?}"
            );
            assert_eq!(headers, map(&left), "{given:?}");
        }
    }
}
