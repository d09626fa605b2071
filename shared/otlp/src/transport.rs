//! One connection to a collector, opened when there is something to send and opened anew when it broke.
//!
//! HTTP/1.1 with protobuf bodies, or gRPC: the same bodies with a prefix over HTTP/2. Nothing is tried twice (spec:
//! microbus-wire 10.2): what a collector did not take is lost, and counted.

use crate::message::Exported;
use crate::settings::{Collector, Protocol, Signal};
use crate::tls::{self, TlsError};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, TE};
use http::uri::{Scheme, Uri};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Sends to one collector.
pub(crate) struct Transport {
    collector: Collector,
    signal: Signal,
    tls: Option<TlsConnector>,
    connection: Option<Connection>,
}

enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// Why something was not exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("no connection: {0}")]
    Connect(#[from] io::Error),
    #[error("the collector did not answer within {0} ms")]
    Timeout(u128),
    #[error("the collector's host name is not one that a certificate can carry")]
    ServerName,
    #[error("the exchange broke: {0}")]
    Exchange(#[from] hyper::Error),
    #[error("the request cannot be put: {0}")]
    Request(#[from] http::Error),
    #[error("the answer is unreadable or too long")]
    Answer,
    #[error("the collector answered {0}")]
    Status(u16),
    #[error("the collector answered gRPC status {code}: {message}")]
    Grpc { code: String, message: String },
    #[error("the collector rejected {count}: {message}")]
    Rejected { count: i64, message: String },
}

impl Transport {
    /// # Errors
    /// When certificates cannot be read.
    pub(crate) fn new(collector: Collector, signal: Signal) -> Result<Self, TlsError> {
        let tls = collector.tls.as_ref().map(|files| {
            let protocol: &[u8] = match collector.protocol {
                Protocol::Grpc => b"h2",
                Protocol::HttpProtobuf => b"http/1.1",
            };
            tls::client(files, protocol).map(|config| TlsConnector::from(Arc::new(config)))
        });
        Ok(Self {
            tls: tls.transpose()?,
            collector,
            signal,
            connection: None,
        })
    }

    /// Sends a request to export, and waits for the collector to take it.
    pub(crate) async fn send(&mut self, message: Vec<u8>) -> Result<(), SendError> {
        let timeout = self.collector.timeout;
        let sent = tokio::time::timeout(timeout, self.exchange(message)).await;
        let outcome = sent.unwrap_or(Err(SendError::Timeout(timeout.as_millis())));
        if !matches!(outcome, Ok(()) | Err(SendError::Rejected { .. })) {
            self.connection = None;
        }
        outcome
    }

    async fn exchange(&mut self, message: Vec<u8>) -> Result<(), SendError> {
        let request = self.request(message)?;
        let answer = match self.connection().await? {
            Connection::Http1(connection) => connection.send_request(request).await?,
            Connection::Http2(connection) => connection.send_request(request).await?,
        };
        match self.collector.protocol {
            Protocol::Grpc => judge_grpc(answer).await,
            Protocol::HttpProtobuf => judge_http(answer).await,
        }
    }

    fn request(&self, message: Vec<u8>) -> Result<Request<Full<Bytes>>, SendError> {
        let Collector { uri, protocol, .. } = &self.collector;
        let (uri, content_type, body) = match protocol {
            Protocol::Grpc => (self.method_uri()?, "application/grpc", prefixed(&message)),
            Protocol::HttpProtobuf => {
                let path = uri.path_and_query().map_or("/", |path| path.as_str());
                (
                    path.parse().map_err(http::Error::from)?,
                    "application/x-protobuf",
                    message,
                )
            }
        };
        let mut request = Request::post(uri).body(Full::new(Bytes::from(body)))?;
        let headers = request.headers_mut();
        headers.extend(self.collector.headers.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if *protocol == Protocol::Grpc {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        } else if let Some(authority) = self.collector.uri.authority() {
            let host = HeaderValue::from_str(authority.as_str()).map_err(http::Error::from)?;
            headers.insert(HOST, host);
        }
        Ok(request)
    }

    /// Returns the URI of the gRPC method, with scheme and authority, which HTTP/2 sends.
    fn method_uri(&self) -> Result<Uri, http::Error> {
        let service = match self.signal {
            Signal::Traces => "trace.v1.TraceService",
            Signal::Metrics => "metrics.v1.MetricsService",
            Signal::Logs => "logs.v1.LogsService",
        };
        let mut parts = self.collector.uri.clone().into_parts();
        let path = format!("/opentelemetry.proto.collector.{service}/Export");
        parts.path_and_query = Some(path.parse().map_err(http::Error::from)?);
        Uri::from_parts(parts).map_err(http::Error::from)
    }

    async fn connection(&mut self) -> Result<&mut Connection, SendError> {
        let usable = match self.connection.take() {
            Some(Connection::Http1(mut connection)) => connection
                .ready()
                .await
                .is_ok()
                .then_some(Connection::Http1(connection)),
            Some(Connection::Http2(mut connection)) => connection
                .ready()
                .await
                .is_ok()
                .then_some(Connection::Http2(connection)),
            None => None,
        };
        let connection = match usable {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn connect(&self) -> Result<Connection, SendError> {
        let uri = &self.collector.uri;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let usual = if uri.scheme() == Some(&Scheme::HTTPS) {
            443
        } else {
            80
        };
        let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(usual))).await?;
        match &self.tls {
            None => self.shake_hands(stream).await,
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned());
                let name = name.map_err(|_| SendError::ServerName)?;
                self.shake_hands(tls.connect(name, stream).await?).await
            }
        }
    }

    /// Begins to speak HTTP; a task of its own keeps the connection going until it is dropped or breaks.
    async fn shake_hands(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Connection, SendError> {
        let stream = TokioIo::new(stream);
        Ok(match self.collector.protocol {
            Protocol::Grpc => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                // How it ended shows at the next request.
                tokio::spawn(async move { drop(connection.await) });
                Connection::Http2(sender)
            }
            Protocol::HttpProtobuf => {
                let (sender, connection) = http1::handshake(stream).await?;
                tokio::spawn(async move { drop(connection.await) });
                Connection::Http1(sender)
            }
        })
    }
}

async fn judge_http(answer: Response<Incoming>) -> Result<(), SendError> {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST_ANSWER)
        .collect()
        .await;
    if !status.is_success() {
        return Err(SendError::Status(status.as_u16()));
    }
    judge_body(&body.map_err(|_| SendError::Answer)?.to_bytes())
}

async fn judge_grpc(answer: Response<Incoming>) -> Result<(), SendError> {
    let (head, body) = answer.into_parts();
    if !head.status.is_success() {
        return Err(SendError::Status(head.status.as_u16()));
    }
    // A call that failed at once has its status among the headers.
    if head.headers.contains_key(GRPC_STATUS) {
        return judge_grpc_status(&head.headers);
    }
    let body = Limited::new(body, LONGEST_ANSWER).collect().await;
    let body = body.map_err(|_| SendError::Answer)?;
    judge_grpc_status(body.trailers().ok_or(SendError::Answer)?)?;
    let body = body.to_bytes();
    judge_body(body.get(PREFIX..).unwrap_or_default())
}

fn judge_grpc_status(headers: &HeaderMap) -> Result<(), SendError> {
    let text = |name| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value
            .unwrap_or_default()
            .chars()
            .take(LONGEST_MESSAGE)
            .collect()
    };
    let code: String = text(GRPC_STATUS);
    if code == "0" {
        return Ok(());
    }
    Err(SendError::Grpc {
        code,
        message: text("grpc-message"),
    })
}

/// A body that is no message of the protocol says nothing: proxies answer in words of their own.
fn judge_body(body: &[u8]) -> Result<(), SendError> {
    let partial = Exported::decode(body)
        .ok()
        .and_then(|exported| exported.partial_success)
        .filter(|partial| partial.rejected > 0);
    match partial {
        None => Ok(()),
        Some(partial) => Err(SendError::Rejected {
            count: partial.rejected,
            message: partial.error.chars().take(LONGEST_MESSAGE).collect(),
        }),
    }
}

/// Puts gRPC's prefix before a message: not compressed, and its length.
fn prefixed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(message.len().saturating_add(PREFIX));
    bytes.push(0);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

const GRPC_STATUS: &str = "grpc-status";
const PREFIX: usize = 5;
const LONGEST_ANSWER: usize = 64 << 10;
const LONGEST_MESSAGE: usize = 200;
