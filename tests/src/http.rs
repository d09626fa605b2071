//! One HTTP exchange with a door on loopback, by hand: what is sent is exactly what a test says.

use crate::PATIENCE;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a door answered.
#[derive(Debug)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl HttpAnswer {
    /// Returns the body as JSON; panics when it is not.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends a request to `address` with `Host` and these headers, and reads the answer to its end, or to that of the connection.
pub async fn exchange(
    address: &str,
    method_and_path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> HttpAnswer {
    let mut all = headers.to_vec();
    if !headers.iter().any(|(name, _)| *name == "Host") {
        all.push(("Host", address));
    }
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        exchange_over(stream, method_and_path, &all, body).await
    };
    let answer = tokio::time::timeout(PATIENCE, exchange)
        .await
        .expect("the door answers in time");
    answer.unwrap_or_else(|error| panic!("{address}: {error}"))
}

/// Sends a request with these headers through a connection, and reads the answer to its end, or to that of the connection.
///
/// # Errors
/// When the connection breaks, or what comes back is no answer.
pub async fn exchange_over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method_and_path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<HttpAnswer> {
    let mut text = format!("{method_and_path} HTTP/1.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(text.as_bytes()).await?;
    let mut answer = Vec::new();
    while !is_whole(&answer) && stream.read_buf(&mut answer).await? > 0 {}
    let is_none = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let answer = String::from_utf8(answer).map_err(|_| is_none("an answer is text"))?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| is_none("an answer has a head"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(HttpAnswer {
        status: status.ok_or_else(|| is_none("a status line has a status"))?,
        body: body.to_owned(),
    })
}

/// Tells whether an answer has all that its `Content-Length` announces; without one it never has.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let (head, rest) = answer.split_at(end);
    let head = String::from_utf8_lossy(head).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse::<usize>().ok());
    length.is_some_and(|length| rest.len() >= length + 4)
}
