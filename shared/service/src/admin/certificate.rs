//! The certificate of the admin listener: read at start, and again when its files change.
//!
//! Whoever renews it replaces the files; the next connection is served with what they hold then. What cannot be used is logged
//! once, and the certificate before it stays. No error quotes content.

use crate::deployment::Deployment;
use crate::environment::Environment;
use crate::property::is_path;
use crate::regular_file::{mode_for_others, open_regular, read_text, text_of};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::fmt;
use std::fs::metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which files the listener's side of TLS is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    key_is_for_us_alone: bool,
}

impl CertificateFiles {
    /// Reads where the files are; none if the listener has no certificate.
    pub(crate) fn named(
        environment: &Environment,
        deployment: Deployment,
        problems: &mut Vec<String>,
    ) -> Option<Self> {
        let mut path = |variable| {
            let text = environment.get(variable)?;
            // A key that was pasted where its file's name belongs must not reach the log.
            if !is_path(text) {
                problems.push(format!(
                    "{variable} is no path of a file; write one that is absolute or begins with ./"
                ));
            }
            Some(PathBuf::from(text))
        };
        let (certificate, key) = (path(CERTIFICATE), path(KEY));
        let client_ca = path(CLIENT_CA);
        let (Some(certificate), Some(key)) = (&certificate, &key) else {
            if certificate.is_some() || key.is_some() || client_ca.is_some() {
                problems.push(format!(
                    "{CERTIFICATE} and {KEY} belong together, and {CLIENT_CA} needs both; set both, or none of the three"
                ));
            }
            return None;
        };
        Some(Self {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca,
            key_is_for_us_alone: deployment == Deployment::Prod,
        })
    }

    fn read(&self) -> Result<ServerConfig, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates(CERTIFICATE, &self.certificate)?;
        let key = self.read_key()?;
        let unusable = |error: &dyn fmt::Display| CertificateError::Unusable {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            cause: error.to_string(),
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(CLIENT_CA, path)? {
                    let added = roots.add(authority);
                    added.map_err(|_| FileFault::NoCertificate.of(CLIENT_CA, path))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder
                    .with_client_cert_verifier(verifier.build().map_err(|error| unusable(&error))?)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn read_key(&self) -> Result<PrivateKeyDer<'static>, CertificateError> {
        let fault = |fault: FileFault| fault.of(KEY, &self.key);
        let unreadable = |error| fault(FileFault::Unreadable(error));
        let opened = open_regular(&self.key).map_err(|error| unreadable(error.to_string()))?;
        let file = opened.ok_or_else(|| unreadable("it is not a file".to_owned()))?;
        let mode = mode_for_others(&file).map_err(|error| unreadable(error.to_string()))?;
        if let Some(found) = mode.filter(|_| self.key_is_for_us_alone) {
            return Err(fault(FileFault::OpenToOthers { found }));
        }
        let text = text_of(file).map_err(|error| unreadable(error.to_string()))?;
        PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| fault(FileFault::NoKey))
    }

    /// Returns what tells one content of the files from another without reading them.
    fn stamps(&self) -> Stamps {
        let paths = [
            Some(&self.certificate),
            Some(&self.key),
            self.client_ca.as_ref(),
        ];
        paths.map(|path| {
            let found = metadata(path?).ok()?;
            Some([
                found.dev().cast_signed(),
                found.ino().cast_signed(),
                found.mtime(),
                found.mtime_nsec(),
                found.size().cast_signed(),
            ])
        })
    }
}

/// Device, inode, time of the last change and size of each file, or nothing where there is none.
type Stamps = [Option<[i64; 5]>; 3];

/// The listener's certificate with its key, and what its files were when they were last read.
#[derive(Clone)]
pub(crate) struct Certificate {
    files: CertificateFiles,
    seen: Stamps,
    config: Arc<ServerConfig>,
}

impl Certificate {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// [`CertificateError`], which names the variable that names the file.
    pub(crate) fn open(files: CertificateFiles) -> Result<Self, CertificateError> {
        // Before they are read: a change in between is then seen as one.
        let seen = files.stamps();
        let config = Arc::new(files.read()?);
        Ok(Self {
            files,
            seen,
            config,
        })
    }

    /// Returns what the next connection is to be served with.
    pub(crate) fn current(&mut self) -> Arc<ServerConfig> {
        let stamps = self.files.stamps();
        if stamps != self.seen {
            self.seen = stamps;
            match self.files.read() {
                Ok(config) => {
                    self.config = Arc::new(config);
                    tracing::info!("The admin listener's certificate was read again");
                }
                Err(error) => {
                    tracing::error!(error = %error, "The admin listener's certificate cannot be used, the one before stays");
                }
            }
        }
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Why the files make no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error("{variable} is {path}: {fault}")]
    File {
        variable: &'static str,
        path: PathBuf,
        fault: FileFault,
    },
    #[error("the certificate in {certificate} cannot be used with the key in {key}: {cause}")]
    Unusable {
        certificate: PathBuf,
        key: PathBuf,
        cause: String,
    },
}

/// What is wrong with one of the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FileFault {
    #[error("it cannot be read ({0}); name a file that this process may read")]
    Unreadable(String),
    #[error(
        "its mode is {found:04o}, so that others may use it; wanted is 0440 or stricter (chmod o= on it)"
    )]
    OpenToOthers { found: u32 },
    #[error("it holds no certificate in PEM, or a damaged one")]
    NoCertificate,
    #[error("it holds no private key in PEM, or a damaged or encrypted one")]
    NoKey,
}

impl FileFault {
    fn of(self, variable: &'static str, path: &Path) -> CertificateError {
        CertificateError::File {
            variable,
            path: path.to_owned(),
            fault: self,
        }
    }
}

fn certificates(
    variable: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = read_text(path)
        .map_err(|error| FileFault::Unreadable(error.to_string()).of(variable, path))?;
    let found = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| FileFault::NoCertificate.of(variable, path))
}

/// PEM file with the listener's certificate and those that it leads to.
pub(crate) const CERTIFICATE: &str = "MICROBUS_ADMIN_CERTIFICATE_FILE";
/// PEM file with its private key.
pub(crate) const KEY: &str = "MICROBUS_ADMIN_PRIVATE_KEY_FILE";
/// PEM file with the authorities that clients must have a certificate of.
pub(crate) const CLIENT_CA: &str = "MICROBUS_ADMIN_CLIENT_CA_FILE";

#[cfg(test)]
mod tests;
