use super::*;

const FORM: &str = "application/x-www-form-urlencoded";
const GOOD: &str = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=a.b.c\
                    &subject_token_type=urn:ietf:params:oauth:token-type:id_token";

fn read(content_type: &'static str, body: &str) -> Result<TokenRequest, OAuthError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    TokenRequest::read(&Method::POST, &headers, body.as_bytes())
}

#[test]
fn a_request_says_what_it_brings_and_what_it_wants() {
    let plus = |more: &str| format!("{GOOD}&{more}");
    for (body, kind, wanted) in [
        (GOOD.to_owned(), TokenKind::IdToken, Issuer::Access),
        (
            plus("requested_token_type=urn:ietf:params:oauth:token-type:access_token"),
            TokenKind::IdToken,
            Issuer::Access,
        ),
        (
            plus("requested_token_type=urn%3Amicrobus%3Atoken-type%3Abearer"),
            TokenKind::IdToken,
            Issuer::Bearer,
        ),
        (
            GOOD.replace("id_token", "access_token"),
            TokenKind::AccessToken,
            Issuer::Access,
        ),
        // Empty ones are as if they were not there; unknown ones are ignored.
        (
            plus("scope=&audience=&x=y"),
            TokenKind::IdToken,
            Issuer::Access,
        ),
    ] {
        for content_type in [FORM, "Application/X-WWW-Form-Urlencoded; charset=UTF-8"] {
            let request = read(content_type, &body).unwrap();
            assert_eq!((request.kind, request.wanted), (kind, wanted), "{body}");
            assert_eq!(request.subject_token.as_str(), "a.b.c");
            assert!(!format!("{request:?}").contains("a.b.c"));
        }
    }
}

#[test]
fn a_wrong_request_is_refused_with_the_code_of_the_standard() {
    let plus = |more: &str| format!("{GOOD}&{more}");
    for (body, code, text) in [
        (String::new(), "invalid_request", "grant_type is missing"),
        (
            GOOD.replace("token-exchange", "jwt-bearer"),
            "unsupported_grant_type",
            "the only grant type",
        ),
        (
            "grant_type=authorization_code".to_owned(),
            "unsupported_grant_type",
            "the only grant type",
        ),
        (
            GOOD.replace("&subject_token=a.b.c", ""),
            "invalid_request",
            "subject_token is missing",
        ),
        (
            GOOD.replace("a.b.c", ""),
            "invalid_request",
            "subject_token is missing",
        ),
        (
            GOOD.replace("subject_token_type", "subject_type"),
            "invalid_request",
            "subject_token_type is missing",
        ),
        (
            GOOD.replace("id_token", "saml2"),
            "invalid_request",
            "subject_token_type is neither",
        ),
        (
            plus("requested_token_type=urn:ietf:params:oauth:token-type:refresh_token"),
            "invalid_request",
            "requested_token_type is neither",
        ),
        (plus("subject_token=d.e.f"), "invalid_request", "twice"),
        (plus("x=y&x=y"), "invalid_request", "twice"),
        (plus("resource=https://x"), "invalid_target", "target"),
        (plus("audience=x"), "invalid_target", "target"),
        (plus("scope=openid"), "invalid_scope", "mapping"),
        (plus("actor_token=x"), "invalid_request", "delegation"),
        (plus("actor_token_type=x"), "invalid_request", "delegation"),
    ] {
        let error = read(FORM, &body).unwrap_err();
        assert_eq!(
            (error.code(), error.status),
            (code, StatusCode::BAD_REQUEST),
            "{body}"
        );
        assert!(error.description.contains(text), "{body}: {error}");
    }
    for content_type in ["application/json", "text/plain", "multipart/form-data"] {
        let error = read(content_type, GOOD).unwrap_err();
        assert!(error.description.contains("must be a form"), "{error}");
    }
    let headers = HeaderMap::new();
    let error = TokenRequest::read(&Method::GET, &headers, b"").unwrap_err();
    assert_eq!(error.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(error.to_response().headers()[ALLOW], "POST");
    let error = TokenRequest::read(&Method::POST, &headers, &[b'x'; LARGEST_REQUEST + 1]);
    assert_eq!(error.unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn a_refusal_is_json_that_nobody_stores() {
    let response = invalid("a \"quoted\" \\ text, ünicode").to_response();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        response.body(),
        r#"{"error":"invalid_request","error_description":"a 'quoted' ' text, 'nicode"}"#
    );
    let headers = response.headers();
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    assert_eq!(
        (&headers[CACHE_CONTROL], &headers[PRAGMA]),
        (&"no-store".parse().unwrap(), &"no-cache".parse().unwrap())
    );
    assert!(!headers.contains_key(RETRY_AFTER));
}

#[test]
fn what_can_be_tried_again_says_so() {
    let provider = microbus_verify::FetchError {
        host: "https://login.example".into(),
        cause: "secret of the inside".to_owned(),
        absent: false,
    };
    let response = OAuthError::of(&provider.into()).to_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[RETRY_AFTER], "5");
    assert!(response.body().contains("temporarily_unavailable"));
    assert!(!response.body().contains("secret"));
}
