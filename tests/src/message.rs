//! Messages as the harness reads them: split by hand, so that a fault in our own parser cannot hide itself.

use bytes::Bytes;
use serde_json::Value;

/// One message that came from the bus: HTTP text in a NATS payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The subject that it was published to.
    pub subject: String,
    /// The payload, as it came.
    pub payload: Bytes,
}

impl Message {
    /// Returns the first line: of a request or of a response.
    #[must_use]
    pub fn first_line(&self) -> &str {
        self.head().split("\r\n").next().unwrap_or_default()
    }

    /// Returns the status of a response; panics when this is none.
    #[must_use]
    pub fn status(&self) -> u16 {
        let line = self.first_line();
        let status = line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        let Some(status) = status.and_then(|text| text.parse().ok()) else {
            panic!("no response: {line}");
        };
        status
    }

    /// Returns the first value of a header, whatever the letter case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Returns all headers in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head()
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(": "))
    }

    /// Returns `Req`, `Ack`, `Res` or `Err`; empty when the message does not say.
    #[must_use]
    pub fn op_code(&self) -> &str {
        self.header("Microbus-Op-Code").unwrap_or_default()
    }

    /// Returns the id by which an answer is matched to its request.
    #[must_use]
    pub fn message_id(&self) -> &str {
        self.header("Microbus-Msg-Id").unwrap_or_default()
    }

    /// Returns the place of this message among the fragments of its body, from 1, and their number.
    #[must_use]
    pub fn fragment(&self) -> (usize, usize) {
        let parse = |text: &str| {
            let (index, count) = text.split_once('/')?;
            Some((index.parse().ok()?, count.parse().ok()?))
        };
        self.header("Microbus-Fragment")
            .and_then(parse)
            .unwrap_or((1, 1))
    }

    /// Returns the bytes after the empty line.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.split()
            .map_or_else(Bytes::new, |at| self.payload.slice(at.saturating_add(4)..))
    }

    /// Returns the body as JSON; panics when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        let body = self.body();
        serde_json::from_slice(&body).unwrap_or_else(|error| {
            panic!(
                "{error} in the body of {}\n{}",
                self.first_line(),
                String::from_utf8_lossy(&body)
            )
        })
    }

    fn head(&self) -> &str {
        let head = self
            .payload
            .get(..self.split().unwrap_or(self.payload.len()));
        head.and_then(|head| std::str::from_utf8(head).ok())
            .unwrap_or_default()
    }

    fn split(&self) -> Option<usize> {
        self.payload
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &'static str) -> Message {
        Message {
            subject: String::new(),
            payload: Bytes::from_static(payload.as_bytes()),
        }
    }

    #[test]
    fn a_response_is_split_into_status_headers_and_body() {
        let message = message(
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nMicrobus-Op-Code: Res\r\n\
             Microbus-Msg-Id: m1\r\nMicrobus-Fragment: 2/3\r\n\r\n{\"a\":\r\n1}",
        );
        assert_eq!(message.status(), 200);
        assert_eq!((message.op_code(), message.message_id()), ("Res", "m1"));
        assert_eq!(message.fragment(), (2, 3));
        assert_eq!(message.header("content-length"), Some("9"));
        assert_eq!(message.body(), "{\"a\":\r\n1}");
        assert_eq!(message.json()["a"], 1);
    }

    #[test]
    fn a_message_without_body_or_headers_is_read_as_empty() {
        let message = message("POST / HTTP/1.1");
        assert_eq!(message.first_line(), "POST / HTTP/1.1");
        assert_eq!((message.op_code(), message.fragment()), ("", (1, 1)));
        assert!(message.body().is_empty());
    }
}
