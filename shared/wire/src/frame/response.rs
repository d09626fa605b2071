//! Acks, answers and errors.

use bytes::Bytes;

use super::{FrameError, parse, write};
use crate::header::{self, Headers, OpCode};

/// A response, an ack, or one fragment of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status, below 1000.
    pub status: u16,
    /// The headers, without those that frame the message.
    pub headers: Headers,
    /// The body, as far as it arrived: it may be shorter than announced.
    pub body: Bytes,
}

impl Response {
    /// Makes a response without headers.
    pub fn new(status: u16, body: Bytes) -> Self {
        Self {
            status,
            headers: Headers::new(),
            body,
        }
    }

    /// Reads a response as if it answered a GET, which is how callers read all of them.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn parse(payload: &Bytes) -> Result<Self, FrameError> {
        parse::response(payload)
    }

    /// Returns the response as the peer writes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len().saturating_add(512));
        self.encode_into(&mut out);
        out
    }

    /// Appends the response as the peer writes it.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        write::response(self, out);
    }

    /// Returns what the message is, `None` if the header is absent or unknown.
    pub fn op_code(&self) -> Option<OpCode> {
        self.headers.get(header::OP_CODE).and_then(OpCode::parse)
    }
}
