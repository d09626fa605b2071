//! One GET of a web server, of which only the status is read: what a check of an ingress needs, and nothing more.

use crate::broker::tls;
use microbus_bus::Artifacts;
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// The certificate that it showed, in DER; empty without TLS.
    pub(crate) certificate: Vec<u8>,
}

/// Asks for `path`, with its query, at the server of `url`, and waits for `patience` at most.
///
/// `headers` are lines that end in CR LF. The root CA in `artifacts` is believed, or else those of the machine.
pub(crate) async fn get(
    url: &Url,
    path: &str,
    headers: &str,
    artifacts: &Artifacts,
    patience: Duration,
) -> Result<Answer, String> {
    let host = url.host_str().ok_or("no host")?;
    let port = url.port_or_known_default().ok_or("no port")?;
    let authority = url
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n{headers}Connection: close\r\n\r\n");
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let asking = async {
        let plain = TcpStream::connect((host, port))
            .await
            .map_err(|error| error.to_string())?;
        if url.scheme() != "https" {
            return Ok(Answer {
                status: status_of(plain, &request).await?,
                certificate: Vec::new(),
            });
        }
        let encrypted = tls::handshake(plain, host, artifacts)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Answer {
            certificate: tls::certificate(&encrypted).unwrap_or_default(),
            status: status_of(encrypted, &request).await?,
        })
    };
    timeout(patience, asking)
        .await
        .map_err(|_| format!("no answer within {} s", patience.as_secs()))?
}

async fn status_of(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> Result<u16, String> {
    let mut line = Vec::new();
    let exchange = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        // Not to the end: how a server closes, and whether it does, is its own affair.
        BufReader::new(stream.take(LONGEST_STATUS_LINE))
            .read_until(b'\n', &mut line)
            .await
    };
    exchange.await.map_err(|error| error.to_string())?;
    let line = String::from_utf8_lossy(&line);
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    status.ok_or_else(|| "whoever listens there speaks no HTTP".to_owned())
}

const LONGEST_STATUS_LINE: u64 = 1024;
