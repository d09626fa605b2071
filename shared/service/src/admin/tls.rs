//! TLS before HTTP: a listener whose connections have shaken hands.

use super::certificate::Certificate;
use axum::serve::Listener;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Accepts connections and shakes hands with many at once, so that a client that dawdles delays nobody.
pub(crate) struct TlsListener {
    tcp: TcpListener,
    certificate: Certificate,
    handshakes: JoinSet<Option<Connection>>,
}

type Connection = (TlsStream<TcpStream>, SocketAddr);

impl TlsListener {
    pub(crate) fn new(tcp: TcpListener, certificate: Certificate) -> Self {
        Self {
            tcp,
            certificate,
            handshakes: JoinSet::new(),
        }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
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
                    let acceptor = TlsAcceptor::from(self.certificate.current());
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
        Ok(stream) => Some((stream, peer)),
        Err(error) => {
            tracing::debug!(%peer, error = %error, "A client of the admin listener does not speak TLS as we do");
            None
        }
    }
}

/// Scrapers and probes are few.
const MOST_HANDSHAKES: usize = 64;
const LONGEST_HANDSHAKE: Duration = Duration::from_secs(10);
