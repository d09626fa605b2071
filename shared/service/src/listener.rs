//! What axum serves: connections in clear, or those that have shaken hands.
//!
//! Both are of one type, so that the server is compiled once: it is the largest part of what an issuer does besides tokens.

use crate::admin::Certificate;
use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Accepts connections, and shakes hands with many at once, so that a client that dawdles delays nobody.
pub(crate) struct HttpListener {
    tcp: TcpListener,
    certificate: Option<Certificate>,
    handshakes: JoinSet<Option<Connection>>,
}

type Connection = (Box<dyn Stream>, SocketAddr);

/// A connection, whatever is below HTTP.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl HttpListener {
    /// Serves in clear where there is no certificate.
    pub(crate) fn new(tcp: TcpListener, certificate: Option<Certificate>) -> Self {
        Self {
            tcp,
            certificate,
            handshakes: JoinSet::new(),
        }
    }
}

impl Listener for HttpListener {
    type Io = Box<dyn Stream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        loop {
            tokio::select! {
                done = self.handshakes.join_next(), if !self.handshakes.is_empty() => {
                    if let Some(Ok(Some(connection))) = done {
                        return connection;
                    }
                }
                (stream, peer) = Listener::accept(&mut self.tcp), if self.handshakes.len() < MOST_HANDSHAKES => {
                    let Some(certificate) = &mut self.certificate else {
                        return (Box::new(stream), peer);
                    };
                    let acceptor = TlsAcceptor::from(certificate.current());
                    self.handshakes.spawn(shake_hands(acceptor, stream, peer));
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Returns the connection if the client speaks TLS, agrees on how, and comes to the point.
async fn shake_hands(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    peer: SocketAddr,
) -> Option<Connection> {
    let done = timeout(LONGEST_HANDSHAKE, acceptor.accept(stream)).await;
    match done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => Some((Box::new(stream), peer)),
        Err(error) => {
            tracing::debug!(%peer, error = %error, "A client does not speak TLS as we do");
            None
        }
    }
}

/// Scrapers and probes are few.
const MOST_HANDSHAKES: usize = 64;
const LONGEST_HANDSHAKE: Duration = Duration::from_secs(10);
