//! One conversation with a broker, line by line: what it says before a client logs in, and what it refuses afterwards.
//!
//! A client library hides just that: it logs in before it tells what the broker announced, and reports refusals apart
//! from the answers that they belong between. Source: spec: deploy 5.4, 8.

use super::server::Server;
use super::tls;
use crate::credentials::Credentials;
use crate::nkey::NkeyError;
use microbus_bus::Artifacts;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection on which nothing is said but what the caller asks for.
pub struct Session {
    stream: BufReader<Box<dyn Stream>>,
    info: Info,
    certificate: Option<Vec<u8>>,
}

/// What a broker announces to everybody.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Info {
    /// Its public key.
    #[serde(default)]
    pub server_id: String,
    /// Its name.
    #[serde(default)]
    pub server_name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// What a client signs to log in; a broker that is not in operator mode announces none.
    #[serde(default)]
    pub nonce: String,
    /// Whether a client has to log in.
    #[serde(default)]
    pub auth_required: bool,
    /// Whether a client has to encrypt.
    #[serde(default)]
    pub tls_required: bool,
    /// The largest message, in bytes.
    #[serde(default)]
    pub max_payload: u64,
}

/// How a broker took a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// The client is in.
    Accepted,
    /// The client is out, for the reason that the broker gave.
    Refused(String),
}

impl Session {
    /// Connects to `server`, reads what it announces, and encrypts where it is asked to, believing the root CA of
    /// `artifacts` or else those of this machine.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn open(server: &Server, artifacts: &Artifacts) -> Result<Self, SessionError> {
        let connecting = TcpStream::connect((server.host.as_str(), server.port));
        let plain = within(connecting).await?.map_err(SessionError::Connect)?;
        let mut plain = BufReader::new(plain);
        let announced = within(read_line(&mut plain)).await??;
        let info = announced.strip_prefix("INFO ");
        let info = info.ok_or(SessionError::NotABroker)?;
        let info: Info = serde_json::from_str(info).map_err(|_| SessionError::NotABroker)?;
        if !info.tls_required && !server.tls {
            let stream: Box<dyn Stream> = Box::new(plain.into_inner());
            return Ok(Self {
                stream: BufReader::new(stream),
                info,
                certificate: None,
            });
        }
        let shaking = tls::handshake(plain.into_inner(), &server.host, artifacts);
        let encrypted = within(shaking).await??;
        let certificate = tls::certificate(&encrypted);
        let stream: Box<dyn Stream> = Box::new(encrypted);
        Ok(Self {
            stream: BufReader::new(stream),
            info,
            certificate,
        })
    }

    /// Returns what the broker announced.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Returns the broker's certificate, in DER; `None` where nothing is encrypted.
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// Logs in with `credentials`, or as nobody.
    ///
    /// # Errors
    /// [`SessionError`] when the broker says neither yes nor no.
    pub async fn log_in(
        &mut self,
        credentials: Option<&Credentials>,
    ) -> Result<Login, SessionError> {
        let signature = credentials.map(|credentials| credentials.sign_nonce(&self.info.nonce));
        self.connect(credentials, signature.transpose()?).await
    }

    /// Tries to log in as somebody would who has seen the JWT and has not the seed.
    ///
    /// # Errors
    /// [`SessionError`] when the broker says neither yes nor no.
    pub async fn log_in_with_wrong_seed(
        &mut self,
        credentials: &Credentials,
    ) -> Result<Login, SessionError> {
        let of_another_nonce = credentials.sign_nonce(&format!("{}-", self.info.nonce))?;
        self.connect(Some(credentials), Some(of_another_nonce))
            .await
    }

    async fn connect(
        &mut self,
        credentials: Option<&Credentials>,
        signature: Option<String>,
    ) -> Result<Login, SessionError> {
        let mut connect = json!({
            "verbose": false, "pedantic": false, "lang": "rust", "version": env!("CARGO_PKG_VERSION"),
            "protocol": 1, "headers": false, "no_responders": false, "echo": true,
            "tls_required": self.certificate.is_some(),
        });
        if let (Some(credentials), Some(fields)) = (credentials, connect.as_object_mut()) {
            fields.insert("jwt".to_owned(), credentials.jwt().into());
            fields.insert("sig".to_owned(), signature.into());
        }
        match self.refusals(&format!("CONNECT {connect}\r\n")).await {
            Ok(refusals) => Ok(refusals
                .into_iter()
                .next()
                .map_or(Login::Accepted, Login::Refused)),
            Err(SessionError::Ended { reason }) => {
                Ok(Login::Refused(reason.unwrap_or_else(|| {
                    "connection closed without a word".to_owned()
                })))
            }
            Err(other) => Err(other),
        }
    }

    /// Says `commands` (whole protocol lines) and returns what the broker refused of them, in its words.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn refusals(&mut self, commands: &str) -> Result<Vec<String>, SessionError> {
        // A broker that hung up meanwhile has said why: reading tells, so a failure to write is not looked at.
        // It works through one connection in order: its PONG comes after every refusal.
        drop(self.write(&format!("{commands}PING\r\n")).await);
        let mut refusals = Vec::new();
        loop {
            match within(self.next_line()).await? {
                Ok(Line::Pong) => return Ok(refusals),
                Ok(Line::Refusal(text)) => refusals.push(text),
                Ok(Line::Other) => {}
                Err(SessionError::Ended { .. }) => {
                    return Err(SessionError::Ended {
                        reason: refusals.pop(),
                    });
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Waits for the broker to close the connection and returns the reason that it gave, which may be none; `None` when
    /// the connection stays open for `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Option<Option<String>> {
        let mut reason = None;
        let listening = async {
            loop {
                match self.next_line().await {
                    Ok(Line::Refusal(text)) => reason = Some(text),
                    Ok(Line::Pong | Line::Other) => {}
                    // However it fails, nothing more can be said on it.
                    Err(_) => return,
                }
            }
        };
        timeout(limit, listening).await.ok()?;
        Some(reason)
    }

    async fn next_line(&mut self) -> Result<Line, SessionError> {
        let line = read_line(&mut self.stream).await?;
        let mut words = line.split(' ');
        match words.next() {
            Some("PONG") => Ok(Line::Pong),
            Some("-ERR") => {
                let text = line.trim_start_matches("-ERR").trim();
                Ok(Line::Refusal(text.trim_matches('\'').to_owned()))
            }
            Some("PING") => {
                self.write("PONG\r\n").await?;
                Ok(Line::Other)
            }
            Some("MSG") => {
                let size = words.next_back().and_then(|size| size.parse().ok());
                let size: u64 = size.ok_or(SessionError::NotABroker)?;
                let mut message = (&mut self.stream).take(size.saturating_add(2));
                tokio::io::copy(&mut message, &mut tokio::io::sink())
                    .await
                    .map_err(SessionError::Io)?;
                Ok(Line::Other)
            }
            _ => Ok(Line::Other),
        }
    }

    async fn write(&mut self, text: &str) -> Result<(), SessionError> {
        let writing = async {
            self.stream.write_all(text.as_bytes()).await?;
            self.stream.flush().await
        };
        within(writing).await?.map_err(SessionError::Io)
    }
}

/// Why a conversation ended before it said what was asked.
#[derive(Debug, Error)]
pub enum SessionError {
    /// Nobody listens there, or the name is unknown.
    #[error("nobody listens there")]
    Connect(#[source] std::io::Error),
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[source] std::io::Error),
    /// Somebody listens, but not a broker.
    #[error("whoever listens there is no NATS server")]
    NotABroker,
    /// Nothing was said for some seconds.
    #[error("no word within {} s", PATIENCE.as_secs())]
    Silent,
    /// The connection cannot be encrypted.
    #[error("TLS cannot be set up")]
    Tls(#[from] tls::TlsError),
    /// The broker closed the connection.
    #[error("the broker closed the connection{}", reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Ended {
        /// What it said before.
        reason: Option<String>,
    },
    /// The seed of the credentials does not sign.
    #[error("the seed of the credentials cannot sign")]
    Seed(#[from] NkeyError),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

enum Line {
    Pong,
    Refusal(String),
    Other,
}

async fn read_line(
    stream: &mut (impl tokio::io::AsyncBufRead + Unpin),
) -> Result<String, SessionError> {
    let mut line = Vec::new();
    let mut bounded = stream.take(LONGEST_LINE);
    let read = bounded.read_until(b'\n', &mut line).await;
    if read.map_err(SessionError::Io)? == 0 {
        return Err(SessionError::Ended { reason: None });
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

async fn within<T>(doing: impl Future<Output = T>) -> Result<T, SessionError> {
    timeout(PATIENCE, doing)
        .await
        .map_err(|_| SessionError::Silent)
}

/// A broker that is there answers within milliseconds; across continents and under load within this.
const PATIENCE: Duration = Duration::from_secs(5);
/// INFO of a cluster names all its servers.
const LONGEST_LINE: u64 = 1 << 16;
