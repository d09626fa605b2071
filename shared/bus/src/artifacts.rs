//! Files in the working directory that say how to connect: credentials, root CA, client certificate.
//!
//! Source: spec: microbus-wire 1.2.

use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Paths of the artifacts that exist; their content is read anew at each connection.
#[derive(Debug, Clone, Default)]
pub struct Artifacts {
    directory: PathBuf,
    /// Decorated user JWT and NKEY seed.
    pub credentials: Option<PathBuf>,
    /// Root CA; makes TLS mandatory.
    pub root_ca: Option<PathBuf>,
    /// Client certificate and its key, only when both exist; makes TLS mandatory.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Artifacts {
    /// Looks up the artifacts of `hostname` in `directory`: `<hostname>_<artifact>` first, then the bare name.
    #[must_use]
    pub fn resolve(directory: &Path, hostname: &str) -> Self {
        let find = |artifact: &str| {
            [format!("{hostname}_{artifact}"), artifact.to_owned()]
                .into_iter()
                .map(|name| directory.join(name))
                .find(|path| path.is_file())
        };
        Self {
            directory: directory.to_owned(),
            credentials: find("nats.creds"),
            root_ca: find("ca.pem"),
            certificate: find("cert.pem").zip(find("key.pem")),
        }
    }

    /// Returns any credentials file of the directory, whoever it belongs to.
    #[must_use]
    pub fn any_credentials(&self) -> Option<PathBuf> {
        let entries = std::fs::read_dir(&self.directory).ok()?;
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.as_os_str().as_encoded_bytes().ends_with(b"nats.creds"))
    }

    /// Tells whether TLS is mandatory.
    #[must_use]
    pub fn require_tls(&self) -> bool {
        self.root_ca.is_some() || self.certificate.is_some()
    }
}

/// User JWT and NKEY seed of a decorated credentials file.
pub(crate) struct Credentials {
    pub(crate) jwt: String,
    pub(crate) seed: Zeroizing<String>,
}

/// Why a credentials file is of no use; never quotes its content.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's word.
        source: std::io::Error,
    },
    /// The file lacks a block.
    #[error("{path} has no {missing} block; make it again with the credentials tool")]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// `USER JWT` or `USER NKEY SEED`.
        missing: &'static str,
    },
}

impl Credentials {
    pub(crate) fn read(path: &Path) -> Result<Self, CredentialsError> {
        let text = std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|source| CredentialsError::Unreadable {
                path: path.to_owned(),
                source,
            })?;
        let block = |title: &'static str| {
            block_after(&text, title).ok_or_else(|| CredentialsError::Incomplete {
                path: path.to_owned(),
                missing: title,
            })
        };
        let jwt = block("USER JWT")?.to_owned();
        let seed = Zeroizing::new(block("USER NKEY SEED")?.to_owned());
        Ok(Self { jwt, seed })
    }
}

/// Returns the first line with content after the dashed line that holds `title`.
fn block_after<'a>(text: &'a str, title: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.starts_with("---") && line.contains("BEGIN") && line.contains(title))?;
    lines
        .find(|line| !line.is_empty())
        .filter(|line| !line.starts_with("---"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_own_artifact_is_preferred_and_each_is_resolved_on_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(directory.path().join(name), "x").unwrap();
        for name in [
            "nats.creds",
            "access.token.core_nats.creds",
            "ca.pem",
            "cert.pem",
        ] {
            write(name);
        }
        let found = Artifacts::resolve(directory.path(), "access.token.core");
        assert!(
            found
                .credentials
                .unwrap()
                .ends_with("access.token.core_nats.creds")
        );
        assert!(found.root_ca.unwrap().ends_with("ca.pem"));
        assert_eq!(
            found.certificate, None,
            "a certificate without its key is not used"
        );
        write("access.token.core_key.pem");
        let found = Artifacts::resolve(directory.path(), "access.token.core");
        assert!(found.certificate.is_some() && found.require_tls());
    }

    #[test]
    fn a_decorated_file_yields_both_blocks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nats.creds");
        let decorated = "-----BEGIN NATS USER JWT-----\nthe.user.jwt\n------END NATS USER JWT------\n\n\
            *** text ***\n\n-----BEGIN USER NKEY SEED-----\nSUSEED\n------END USER NKEY SEED------\n";
        std::fs::write(&path, decorated).unwrap();
        let read = Credentials::read(&path).unwrap();
        assert_eq!(
            (read.jwt.as_str(), read.seed.as_str()),
            ("the.user.jwt", "SUSEED")
        );
    }

    #[test]
    fn an_incomplete_file_is_named_with_what_it_lacks_and_never_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nats.creds");
        std::fs::write(&path, "-----BEGIN USER NKEY SEED-----\nSUPLANTED\n").unwrap();
        let text = Credentials::read(&path).err().unwrap().to_string();
        assert!(
            text.contains("no USER JWT block") && !text.contains("PLANTED"),
            "{text}"
        );
        let absent = Credentials::read(&directory.path().join("absent"))
            .err()
            .unwrap();
        assert!(matches!(absent, CredentialsError::Unreadable { .. }));
    }
}
