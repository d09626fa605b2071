//! TLS as the services of the bus set it up: from the root CA beside them, or those of the machine.

use microbus_bus::Artifacts;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Encrypts a connection to `host`.
pub(crate) async fn handshake(
    plain: TcpStream,
    host: &str,
    artifacts: &Artifacts,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name)?;
    let connector = TlsConnector::from(Arc::new(config(artifacts)?));
    connector
        .connect(name, plain)
        .await
        .map_err(TlsError::Handshake)
}

/// Returns the certificate that the other side showed, in DER.
pub(crate) fn certificate(stream: &TlsStream<TcpStream>) -> Option<Vec<u8>> {
    let (_, connection) = stream.get_ref();
    let chain = connection.peer_certificates()?;
    chain.first().map(|certificate| certificate.to_vec())
}

fn config(artifacts: &Artifacts) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    match &artifacts.root_ca {
        Some(path) => roots.add_parsable_certificates(certificates(path)?),
        None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setting)?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &artifacts.certificate else {
        return Ok(config.with_no_client_auth());
    };
    let unreadable = |_| TlsError::Unreadable { path: key.clone() };
    let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable)?;
    config
        .with_client_auth_cert(certificates(certificate)?, key)
        .map_err(TlsError::Setting)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |_| TlsError::Unreadable {
        path: path.to_owned(),
    };
    CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)
}

/// Why a connection cannot be encrypted.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file that holds no PEM.
    #[error("{} holds no PEM that can be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// A host that no certificate can be for.
    #[error("no certificate can be for this host name")]
    Name,
    /// Certificate and key that do not go together.
    #[error("certificate and key cannot be used")]
    Setting(#[source] rustls::Error),
    /// The other side was not believed, or refused us.
    #[error("{0}")]
    Handshake(std::io::Error),
}
