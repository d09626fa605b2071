//! How the functions of an issuer read their arguments from a request.
//!
//! Source: spec: microbus-wire 4.1, 15.2. On purpose unlike the peer: JSON of any JSON content type is read, a body of
//! another type is refused instead of minting an empty identity, and bad input is the caller's fault (400).

use microbus_bus::{Failure, Incoming};
use microbus_token::{ArgumentsError, Claims, decode_claims, expect_object};
use microbus_wire::header::CONTENT_TYPE;
use microbus_wire::query;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Method;

/// What a body is, by its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyKind {
    Json,
    Form,
    /// No body, or one that the method does not carry.
    None,
    Foreign,
}

/// Reads the claims that a Mint request asks for.
///
/// # Errors
/// 400 for malformed input, 413 beyond 1 MiB, 415 for a body of another type than JSON or a form.
pub fn claims(request: &Incoming) -> Result<Claims, Failure> {
    if request.body().len() > MOST_BYTES {
        let public = "the claims are too large";
        return Err(
            Failure::new(ErrorStatus::PAYLOAD_TOO_LARGE, public).with_detail(format!(
                "a token travels in a header: send at most {MOST_BYTES} bytes"
            )),
        );
    }
    let kind = kind_of(request);
    let body = (kind == BodyKind::Json).then(|| request.body().as_ref());
    let form = (kind == BodyKind::Form).then(|| form_of(request));
    let form = form.transpose()?.into_iter().flatten();
    if kind == BodyKind::Foreign {
        return Err(foreign(request));
    }
    decode_claims(body, form, query::pairs(request.query())).map_err(|error| malformed(&error))
}

/// Checks the body of a function without arguments.
///
/// # Errors
/// 400 for JSON that is no object; other bodies do not matter to such a function.
pub fn expect_none(request: &Incoming) -> Result<(), Failure> {
    match kind_of(request) {
        BodyKind::Json => expect_object(request.body()).map_err(|error| malformed(&error)),
        BodyKind::Form | BodyKind::None | BodyKind::Foreign => Ok(()),
    }
}

fn kind_of(request: &Incoming) -> BodyKind {
    let content_type = request.header(CONTENT_TYPE).unwrap_or_default();
    if content_type == "application/json" {
        return BodyKind::Json;
    }
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_json =
        media_type.eq_ignore_ascii_case("application/json") || is_json_variant(media_type);
    if is_json {
        return BodyKind::Json;
    }
    if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let carried = matches!(request.method(), Method::Post | Method::Put | Method::Patch);
        return if carried {
            BodyKind::Form
        } else {
            BodyKind::None
        };
    }
    if request.body().is_empty() {
        BodyKind::None
    } else {
        BodyKind::Foreign
    }
}

/// Tells whether a media type is one like `application/claims+json` (RFC 6839 section 3.1).
fn is_json_variant(media_type: &str) -> bool {
    let media_type = media_type.to_ascii_lowercase();
    media_type.starts_with("application/") && media_type.ends_with("+json")
}

fn form_of(request: &Incoming) -> Result<impl Iterator<Item = query::Pair<'_>>, Failure> {
    let form = std::str::from_utf8(request.body())
        .map_err(|error| bad_request("malformed form", &error))?;
    query::form_pairs(form).map_err(|error| bad_request("malformed form", &error))
}

fn foreign(request: &Incoming) -> Failure {
    let found = request.header(CONTENT_TYPE).unwrap_or("none");
    Failure::new(
        ErrorStatus::UNSUPPORTED_MEDIA_TYPE,
        "unsupported content type",
    )
    .with_detail(format!(
        "the content type is {found}; send the claims as application/json"
    ))
}

fn malformed(error: &ArgumentsError) -> Failure {
    bad_request("malformed arguments", error)
}

fn bad_request(public: &'static str, detail: &dyn std::fmt::Display) -> Failure {
    Failure::new(ErrorStatus::BAD_REQUEST, public).with_detail(detail)
}

/// The largest body with claims, 1 MiB: what a header of the bus could carry at most, and milliseconds of signing.
const MOST_BYTES: usize = 1 << 20;
