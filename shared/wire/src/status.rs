//! HTTP status codes.

use std::fmt;

/// The status of an error: 400 to 599.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorStatus(u16);

impl ErrorStatus {
    /// The request is malformed.
    pub const BAD_REQUEST: Self = Self(400);
    /// The actor does not verify.
    pub const UNAUTHORIZED: Self = Self(401);
    /// The actor lacks a claim.
    pub const FORBIDDEN: Self = Self(403);
    /// Nobody, or nothing, is there.
    pub const NOT_FOUND: Self = Self(404);
    /// The caller's time is up.
    pub const REQUEST_TIMEOUT: Self = Self(408);
    /// The body is too large.
    pub const PAYLOAD_TOO_LARGE: Self = Self(413);
    /// The body is of a type that we do not read.
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self(415);
    /// The caller asks too often.
    pub const TOO_MANY_REQUESTS: Self = Self(429);
    /// Our fault.
    pub const INTERNAL: Self = Self(500);
    /// Not offered by this instance.
    pub const NOT_IMPLEMENTED: Self = Self(501);
    /// A peer answered what we cannot read.
    pub const BAD_GATEWAY: Self = Self(502);
    /// Not now; asking again may help.
    pub const UNAVAILABLE: Self = Self(503);
    /// Calls are nested too deep.
    pub const LOOP_DETECTED: Self = Self(508);

    /// Returns the status, `None` unless it is one of an error.
    pub fn new(code: u16) -> Option<Self> {
        matches!(code, 400..=599).then_some(Self(code))
    }

    /// Returns the number.
    pub fn code(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ErrorStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Returns the standard text of a status, as the peer writes it; empty if there is none.
pub fn reason(code: u16) -> &'static str {
    match code {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Entity",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        510 => "Not Extended",
        511 => "Network Authentication Required",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_are_error_statuses() {
        for code in [0, 100, 200, 399, 600, u16::MAX] {
            assert_eq!(ErrorStatus::new(code), None, "{code}");
        }
        assert_eq!(ErrorStatus::new(400), Some(ErrorStatus::BAD_REQUEST));
        assert_eq!(ErrorStatus::new(599).map(ErrorStatus::code), Some(599));
    }

    #[test]
    fn the_texts_are_those_of_the_peer() {
        assert_eq!(reason(413), "Request Entity Too Large");
        assert_eq!(reason(508), "Loop Detected");
        assert_eq!(reason(599), "");
    }
}
