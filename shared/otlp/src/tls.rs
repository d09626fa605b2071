//! TLS to a collector.

use crate::settings::TlsFiles;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or holds no PEM of what it should.
    #[error("{path} is not a PEM file of what OTEL_EXPORTER_OTLP_{variable} wants: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// The end of the variable's name.
        variable: &'static str,
        /// What is wrong with it.
        cause: pem::Error,
    },
    /// The certificates do not fit together.
    #[error("the certificates of OTEL_EXPORTER_OTLP_* cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Makes the configuration of a client that speaks `protocol`.
pub(crate) fn client(files: &TlsFiles, protocol: &[u8]) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    match &files.certificate {
        Some(path) => {
            for certificate in certificates(path, "CERTIFICATE")? {
                roots.add(certificate)?;
            }
        }
        // Certificates that cannot be read are not trusted; which, is the system's business.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match &files.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|cause| file_error(key, "CLIENT_KEY", cause))?;
            let chain = certificates(certificate, "CLIENT_CERTIFICATE")?;
            builder.with_client_auth_cert(chain, key)?
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

fn certificates(
    path: &Path,
    variable: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |cause| file_error(path, variable, cause);
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(error)?
        .collect::<Result<_, _>>()
        .map_err(error)?;
    if certificates.is_empty() {
        return Err(error(pem::Error::NoItemsFound));
    }
    Ok(certificates)
}

fn file_error(path: &Path, variable: &'static str, cause: pem::Error) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        variable,
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_certificate_is_named_with_its_variable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let files = TlsFiles {
            certificate: Some(path.clone()),
            client: None,
        };
        let missing = client(&files, b"h2").unwrap_err().to_string();
        std::fs::write(&path, "no PEM").unwrap();
        let empty = client(&files, b"h2").unwrap_err().to_string();
        for text in [missing, empty] {
            assert!(
                text.contains("ca.pem") && text.contains("OTLP_CERTIFICATE"),
                "{text}"
            );
        }
    }
}
