//! Messages: the text of one HTTP/1.1 request or response.
//!
//! Reading follows the peer's parser, and refuses wherever two readers might disagree. Writing follows the peer's writer
//! byte for byte. spec: microbus-wire 3, 4 ("HTTP syntax"), 15.6

mod parse;
mod response;
mod write;

use std::borrow::Cow;

use bytes::Bytes;
use thiserror::Error;

pub use response::Response;
pub use write::{Letterhead, ResponseHead, Sender};

use crate::address::Address;
use crate::header::Headers;
use crate::percent;
use crate::subject::Method;
use crate::text::Text;

/// A request, or one fragment of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    target: Text,
    host: Option<Text>,
    /// The headers, without those that frame the message.
    pub headers: Headers,
    /// The body, as far as it arrived: it may be shorter than announced.
    pub body: Bytes,
}

impl Request {
    /// Makes a request for an address, without headers but `Host`.
    pub fn to(address: &Address, method: Method, body: Bytes) -> Self {
        Self {
            method,
            target: address.target().into(),
            host: Some(address.host_and_port().into()),
            headers: Headers::new(),
            body,
        }
    }

    /// Reads a request. The body is a slice of the payload unless it was chunked.
    ///
    /// Accepted: LF line ends, names in any case, folded headers, any HTTP version, a missing or odd `Host`, a body that is
    /// shorter or longer than announced, a chunked body without an end.
    ///
    /// # Errors
    /// [`FrameError`]; the peer answers nothing to most of these messages, not even an ack.
    pub fn parse(payload: &Bytes) -> Result<Self, FrameError> {
        parse::request(payload)
    }

    /// Returns the request as the peer writes it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len().saturating_add(512));
        self.encode_into(&mut out);
        out
    }

    /// Appends the request as the peer writes it.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        write::request(self, out);
    }

    /// Returns the same request without a share in the memory of the message that it was read from.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            body: Bytes::copy_from_slice(&self.body),
            ..self.head()
        }
    }

    /// Returns the same request without its body and without a share in the memory of the message.
    #[must_use]
    pub fn head(&self) -> Self {
        let mut headers = Headers::new();
        headers.copy_from(&self.headers, |_| true);
        Self {
            method: self.method,
            target: self.target.detached(),
            host: self.host.as_ref().map(Text::detached),
            headers,
            body: Bytes::new(),
        }
    }

    /// Returns the target of the request line: mostly the whole URL.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the value of the `Host` header.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Returns the decoded path of the target.
    pub fn path(&self) -> Cow<'_, str> {
        let raw = parse::target_path(&self.target);
        percent::decode::<false>(raw).unwrap_or(Cow::Borrowed(raw))
    }

    /// Returns the query of the target as it was written, without the question mark; empty if there is none.
    pub fn query(&self) -> &str {
        parse::target_query(&self.target)
    }
}

/// Why a message cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The message ends before the empty line that ends its headers.
    #[error("the message ends within its headers; end them with an empty line")]
    Unterminated,
    /// The first line has not three parts separated by single blanks.
    #[error("the first line of the message is malformed")]
    StartLine,
    /// Not one of the methods of [`Method`].
    #[error("the method of the request is not one that the bus carries")]
    Method,
    /// Not `HTTP/` and two digits.
    #[error("the version of the message is malformed; write HTTP/1.1")]
    Version,
    /// The status is not three digits.
    #[error("the status of the response is not three digits")]
    Status,
    /// The target is neither a URL nor a path, or has a malformed escape.
    #[error("the target of the request is neither a URL nor a path")]
    Target,
    /// A header line without a colon or a name, or with a character that headers do not have.
    #[error("a header line of the message is malformed")]
    Header,
    /// More than [`MOST_FIELDS`] header fields.
    #[error("the message has more than {MOST_FIELDS} header fields; send fewer")]
    Fields,
    /// More than one `Host`.
    #[error("the message has several Host headers; send one")]
    Host,
    /// `Content-Length` is no number, or several differ.
    #[error("the Content-Length of the message is malformed or contradicts itself")]
    ContentLength,
    /// Any transfer encoding but `chunked`, in an old version, or beside a `Content-Length`.
    #[error(
        "the Transfer-Encoding of the message is not chunked, or stands beside a Content-Length"
    )]
    TransferEncoding,
    /// The framing of a chunk is malformed.
    #[error("a chunk of the body is malformed")]
    Chunk,
}

/// The most header fields of a message: each takes more memory than a short one takes of the message.
pub const MOST_FIELDS: usize = 256;

#[cfg(test)]
mod tests;
