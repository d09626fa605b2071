//! Errors as they travel between microservices.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::status::ErrorStatus;

/// An error with its status, as the body of a response with the op code `Err`.
///
/// ```text
/// {"err":{"error":"text","stack":[{"func":"pkg.Fn","file":"path","line":37}],"statusCode":500,"trace":"32 hex"}}
/// ```
/// spec: microbus-wire 3.4
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{error}")]
pub struct TracedError {
    /// What went wrong.
    pub error: String,
    /// The status of the response; the one in the status line does not count.
    pub status: ErrorStatus,
    /// The trace that the request belongs to, 32 hex digits.
    pub trace: Option<String>,
    /// Where it went wrong, in the code of a peer. Read, but never sent: it tells strangers what we are made of.
    pub stack: Vec<StackFrame>,
    /// Anything else that was attached to the error.
    pub properties: BTreeMap<String, Value>,
}

/// One place in the code of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct StackFrame {
    /// The function.
    pub func: String,
    /// The source file.
    pub file: String,
    /// The line.
    pub line: u64,
}

impl TracedError {
    /// Makes an error of a text and a status.
    pub fn new(status: ErrorStatus, error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            status,
            trace: None,
            stack: Vec::new(),
            properties: BTreeMap::new(),
        }
    }

    /// Returns the body of a response: sorted keys, one LF at the end, without the stack.
    ///
    /// The peer's callers crash on a body that is no such object, so that nothing else may be sent with the op code `Err`.
    pub fn encode(&self, layout: Layout) -> Vec<u8> {
        let mut fields = self.properties.clone();
        fields.insert("error".to_owned(), Value::from(self.error.as_str()));
        fields.insert("statusCode".to_owned(), Value::from(self.status.code()));
        if let Some(trace) = &self.trace {
            fields.insert("trace".to_owned(), Value::from(trace.as_str()));
        }
        let body = BTreeMap::from([("err", fields)]);
        let text = match layout {
            Layout::Compact => serde_json::to_string(&body),
            Layout::Indented => serde_json::to_string_pretty(&body),
        };
        // Maps with text for keys always serialise; should that ever change, the body is still one that callers can read.
        let text =
            text.unwrap_or_else(|_| r#"{"err":{"error":"error","statusCode":500}}"#.to_owned());
        let mut escaped = escape_html(&text);
        escaped.push('\n');
        escaped.into_bytes()
    }

    /// Reads the body of a response. Any bytes give an error: what cannot be read is a 500 that says so.
    pub fn decode(body: &[u8]) -> Self {
        let mut values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
        let Some(Ok(Value::Object(mut object))) = values.next() else {
            return Self::unreadable();
        };
        let Some(Value::Object(mut fields)) = object.remove("err") else {
            return Self::unreadable();
        };
        let status = fields
            .remove("statusCode")
            .and_then(|code| u16::try_from(code.as_u64()?).ok());
        let Some(Value::String(error)) = fields.remove("error") else {
            return Self::unreadable();
        };
        let trace = fields
            .remove("trace")
            .and_then(|trace| Some(trace.as_str()?.to_owned()));
        let stack = fields
            .remove("stack")
            .and_then(|stack| serde_json::from_value(stack).ok());
        Self {
            error,
            status: status
                .and_then(ErrorStatus::new)
                .unwrap_or(ErrorStatus::INTERNAL),
            trace,
            stack: stack.unwrap_or_default(),
            properties: fields.into_iter().collect(),
        }
    }

    fn unreadable() -> Self {
        Self::new(ErrorStatus::INTERNAL, "unparsable error response")
    }
}

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// On one line.
    Compact,
    /// Indented by two blanks, as the peer does in LOCAL.
    Indented,
}

/// Escapes what Go's JSON writer escapes beyond the standard. These characters occur only inside strings.
fn escape_html(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Returns the trace ID of a `Traceparent` header: 32 lower-case hex digits, not all zeros (W3C Trace Context, 3.2.2.3).
pub fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (id.len() == 32 && id.bytes().all(hex) && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_error_is_written_as_the_peer_writes_it() {
        let mut error = TracedError::new(ErrorStatus::REQUEST_TIMEOUT, "a<b>&\u{2028}\"");
        error.trace = Some("0af7651916cd43dd8448eb211c80319d".to_owned());
        error.properties.insert("alpha".to_owned(), Value::from(1));
        assert_eq!(
            String::from_utf8(error.encode(Layout::Compact)).unwrap(),
            "{\"err\":{\"alpha\":1,\"error\":\"a\\u003cb\\u003e\\u0026\\u2028\\\"\",\"statusCode\":408,\
             \"trace\":\"0af7651916cd43dd8448eb211c80319d\"}}\n"
        );
        let plain = TracedError::new(ErrorStatus::INTERNAL, "x");
        assert_eq!(
            String::from_utf8(plain.encode(Layout::Indented)).unwrap(),
            "{\n  \"err\": {\n    \"error\": \"x\",\n    \"statusCode\": 500\n  }\n}\n"
        );
    }

    #[test]
    fn a_property_cannot_pose_as_the_error() {
        let mut error = TracedError::new(ErrorStatus::FORBIDDEN, "no");
        error
            .properties
            .insert("statusCode".to_owned(), Value::from(200));
        assert_eq!(
            TracedError::decode(&error.encode(Layout::Compact)).status,
            ErrorStatus::FORBIDDEN
        );
    }

    #[test]
    fn a_body_that_is_no_error_is_an_error_all_the_same() {
        for body in [
            "",
            "null",
            "[]",
            "{}",
            "not json",
            r#"{"err":null}"#,
            r#"{"err":5}"#,
            r#"{"err":{}}"#,
            r#"{"err":{"error":5}}"#,
        ] {
            let error = TracedError::decode(body.as_bytes());
            assert_eq!(
                (error.status, error.error.as_str()),
                (ErrorStatus::INTERNAL, "unparsable error response"),
                "{body}"
            );
        }
    }

    #[test]
    fn a_missing_or_absurd_status_is_a_500() {
        for status in [
            "",
            r#","statusCode":0"#,
            r#","statusCode":200"#,
            r#","statusCode":99999"#,
            r#","statusCode":"404""#,
        ] {
            let body = format!(r#"{{"err":{{"error":"x"{status}}}}}"#);
            assert_eq!(
                TracedError::decode(body.as_bytes()).status,
                ErrorStatus::INTERNAL,
                "{status}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_text_survives_the_round_trip(text in "\\PC{0,40}", code in 400u16..600) {
            let error = TracedError::new(ErrorStatus::new(code).unwrap(), text);
            for layout in [Layout::Compact, Layout::Indented] {
                prop_assert_eq!(&TracedError::decode(&error.encode(layout)), &error);
            }
        }
    }
}
