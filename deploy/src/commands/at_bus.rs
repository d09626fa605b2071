//! What the verbs that ask services over the bus have in common.

use super::at_broker::{artifacts, not_connected};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files::read_user;
use clap::Args;
use microbus_bus::{Artifacts, Connector};
use microbus_deploy::broker::service::{self, ServiceError};
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
    /// [`Failure`] when the broker is not there or refuses the credentials, or a file cannot be read.
    pub(crate) async fn connect(
        &self,
        creds: Option<&Path>,
    ) -> Result<Option<Arc<Connector>>, Failure> {
        let (Some(servers), Some(creds)) = (&self.nats, creds) else {
            return Ok(None);
        };
        connect(servers, &self.artifacts()?, creds).await.map(Some)
    }

    /// Returns what is believed of servers.
    ///
    /// # Errors
    /// [`Failure`] when the root CA cannot be read.
    pub(crate) fn artifacts(&self) -> Result<Artifacts, Failure> {
        artifacts(self.ca.as_deref())
    }
}

/// Connects to one of `servers` as the service that the credentials file `creds` is for.
///
/// # Errors
/// [`Failure`] when the broker is not there or refuses the credentials, or those cannot be read.
pub(crate) async fn connect(
    servers: &str,
    artifacts: &Artifacts,
    creds: &Path,
) -> Result<Arc<Connector>, Failure> {
    let jwt = read_user(creds)?;
    service::connect(servers, artifacts, creds, &jwt)
        .await
        .map_err(|error| match &error {
            ServiceError::Connect(error) => not_connected(error),
            ServiceError::Mute => Failure::caused(Exit::Configuration, creds.display(), &error),
            ServiceError::NoToken | ServiceError::Said(_) => {
                Failure::caused(Exit::Unreachable, "speaking on the bus", &error)
            }
        })
}
