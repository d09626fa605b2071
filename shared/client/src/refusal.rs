//! HTTP answers that say no, in the platform's form.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use microbus_bus::Failures;
use microbus_wire::status::ErrorStatus;
use microbus_wire::trace::{Layout, TracedError};

/// Makes the answer of a failure. Where failures are redacted, a fault of ours says no more than that it is one.
///
/// Source: spec: verify 5, "Error printing".
pub fn error_response<B: From<String>>(
    status: ErrorStatus,
    text: &str,
    failures: Failures,
) -> Response<B> {
    let redacted = failures == Failures::Redacted && status.code() >= 500;
    let text = if redacted {
        "internal server error"
    } else {
        text
    };
    let layout = match failures {
        Failures::Revealed => Layout::Indented,
        Failures::Redacted => Layout::Compact,
    };
    let body = TracedError::new(status, text).encode(layout);
    let mut response = Response::new(B::from(String::from_utf8_lossy(&body).into_owned()));
    *response.status_mut() =
        StatusCode::from_u16(status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, max-age=0"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_ours_are_redacted_and_refusals_are_not() {
        let body = |code, failures| -> String {
            error_response(ErrorStatus::new(code).unwrap(), "no <key>", failures).into_body()
        };
        assert_eq!(
            body(503, Failures::Redacted),
            "{\"err\":{\"error\":\"internal server error\",\"statusCode\":503}}\n"
        );
        assert!(body(503, Failures::Revealed).contains("no \\u003ckey\\u003e"));
        assert!(body(404, Failures::Redacted).contains("no \\u003ckey\\u003e"));
        let response =
            error_response::<String>(ErrorStatus::FORBIDDEN, "forbidden", Failures::Redacted);
        assert_eq!(response.status(), 403);
        assert_eq!(
            response.headers()["cache-control"],
            "no-cache, no-store, max-age=0"
        );
    }
}
