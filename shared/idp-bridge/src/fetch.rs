//! Small documents over HTTPS: bounded in size and time, without redirects, cookies, proxies or a memory of connections.

use crate::url::Url;
use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

/// Fetches from one provider.
#[derive(Clone)]
pub(crate) struct Fetcher {
    tls: TlsConnector,
}

/// Why the authorities that are trusted cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The file of further authorities cannot be read as PEM.
    #[error("the authorities in {} cannot be read: {cause}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The TLS library refuses.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// Why a document could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchFailure {
    #[error("cannot connect to {host}: {cause}")]
    Connect { host: String, cause: io::Error },
    #[error("{0} is no address of this machine, so it is not asked without TLS")]
    NotLoopback(String),
    #[error("no TLS with {host}: {cause}")]
    Tls { host: String, cause: io::Error },
    #[error("no HTTP with {host}: {cause}")]
    Http { host: String, cause: String },
    #[error("{url} answered {status}; redirects are not followed")]
    Redirect { url: Url, status: StatusCode },
    #[error("{url} answered {status}")]
    Status { url: Url, status: StatusCode },
    #[error("{0} answered more than 512 KiB, or broke off")]
    Body(Url),
    #[error("{0} did not answer in time")]
    Timeout(Url),
}

impl Fetcher {
    /// Trusts the authorities of the operating system, and those of a file.
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Self, AuthoritiesError> {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        // Where there are none, each connection fails with the reason.
        let (_, ignored) = roots.add_parsable_certificates(system.certs);
        if ignored > 0 {
            tracing::debug!(ignored, "Authorities of the operating system");
        }
        if let Some(path) = ca_file {
            let failed = |cause: String| AuthoritiesError::File {
                path: path.to_owned(),
                cause,
            };
            let certificates =
                CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
            let mut count = 0_usize;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|error| failed(error.to_string()))?;
                count += 1;
            }
            if count == 0 {
                return Err(failed("it holds no certificate in PEM".to_owned()));
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(AuthoritiesError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Fetches a document of at most 512 KiB within five seconds.
    pub(crate) async fn get(&self, url: &Url) -> Result<Bytes, FetchFailure> {
        let fetch = tokio::time::timeout(LONGEST_FETCH, self.get_in_time(url)).await;
        fetch.unwrap_or_else(|_| Err(FetchFailure::Timeout(url.clone())))
    }

    async fn get_in_time(&self, url: &Url) -> Result<Bytes, FetchFailure> {
        let host = url.host().to_owned();
        let unreachable = |cause| FetchFailure::Connect {
            host: host.clone(),
            cause,
        };
        let addresses: Vec<_> = lookup_host((&*host, url.port()))
            .await
            .map_err(unreachable)?
            .collect();
        if !url.is_secure() && !addresses.iter().all(|address| address.ip().is_loopback()) {
            return Err(FetchFailure::NotLoopback(host));
        }
        let stream = TcpStream::connect(&*addresses).await.map_err(unreachable)?;
        if !url.is_secure() {
            return exchange(url, stream).await;
        }
        let no_tls = |cause| FetchFailure::Tls {
            host: host.clone(),
            cause,
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|error| no_tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let stream = self.tls.connect(name, stream).await.map_err(no_tls)?;
        exchange(url, stream).await
    }
}

async fn exchange<S>(url: &Url, stream: S) -> Result<Bytes, FetchFailure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let failed = |cause: String| FetchFailure::Http {
        host: url.host().to_owned(),
        cause,
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(error.to_string()))?;
    let request = Request::get(url.path())
        .header(HOST, url.authority())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "microbus-idp-bridge")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(error.to_string()))?;
    let asking = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let (url, status) = (url.clone(), response.status());
        if status.is_redirection() {
            return Err(FetchFailure::Redirect { url, status });
        }
        if status != StatusCode::OK {
            return Err(FetchFailure::Status { url, status });
        }
        let body = Limited::new(response.into_body(), LARGEST_DOCUMENT);
        let body = body.collect().await.map_err(|_| FetchFailure::Body(url))?;
        Ok(body.to_bytes())
    };
    // The connection is driven here, not spawned: it ends with the fetch, whatever becomes of that.
    let mut asking = std::pin::pin!(asking);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        answer = &mut asking => answer,
        // It has ended, so the answer is there or never comes.
        _ = &mut connection => asking.await,
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Fetcher").finish_non_exhaustive()
    }
}

const LONGEST_FETCH: Duration = Duration::from_secs(5);
/// Sets with certificate chains in them are large.
const LARGEST_DOCUMENT: usize = 512 * 1024;

#[cfg(test)]
mod tests;
