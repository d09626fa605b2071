//! What the verbs that ask services over the bus have in common.

use super::as_operator::read_credentials;
use crate::exit::Exit;
use crate::failure::Failure;
use clap::Args;
use microbus_bus::{Artifacts, Connector};
use microbus_deploy::Jwt;
use microbus_deploy::broker::service;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the bus is; the verb itself has `--creds`, as whom to ask there.
#[derive(Debug, Args)]
pub(crate) struct AtBus {
    /// URLs of the broker, several with commas between, to ask the issuers now
    #[arg(long, value_name = "URL", requires = "creds")]
    pub(crate) nats: Option<String>,
    /// Root CA of the other side, PEM; without it those of this machine
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

impl AtBus {
    /// Connects with the credentials file `creds`, if a broker is named.
    ///
    /// # Errors
    /// [`Failure`] when the broker is not there or refuses the credentials, or those cannot be read.
    pub(crate) async fn connect(
        &self,
        creds: Option<&Path>,
    ) -> Result<Option<Arc<Connector>>, Failure> {
        let (Some(servers), Some(creds)) = (&self.nats, creds) else {
            return Ok(None);
        };
        let jwt = user(creds)?;
        service::connect(servers, &self.artifacts(), creds, &jwt)
            .await
            .map(Some)
            .map_err(|error| Failure::new(Exit::Unreachable, error.to_string()))
    }

    /// Returns what is believed of servers.
    pub(crate) fn artifacts(&self) -> Artifacts {
        let mut artifacts = Artifacts::default();
        artifacts.root_ca.clone_from(&self.ca);
        artifacts
    }
}

/// Reads the JWT of a credentials file.
///
/// # Errors
/// [`Failure`] when the file cannot be read.
pub(crate) fn user(path: &Path) -> Result<Jwt, Failure> {
    let credentials = read_credentials(path)?;
    Jwt::read(credentials.jwt())
        .map_err(|error| Failure::caused(Exit::Configuration, path.display(), &error))
}
