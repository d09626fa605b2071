//! What the verbs that talk to a broker have in common.

use crate::exit::Exit;
use crate::failure::Failure;
use clap::Args;
use microbus_bus::{Artifacts, ConnectError};
use microbus_deploy::broker::{Server, System};
use std::path::PathBuf;

/// Where the broker is, and who asks it.
#[derive(Debug, Args)]
pub(crate) struct AtBroker {
    /// URLs of the broker, several with commas between
    #[arg(long, value_name = "URL")]
    pub(crate) nats: String,
    /// Credentials of a user of the system account
    #[arg(long, value_name = "FILE")]
    pub(crate) system_creds: PathBuf,
    /// Root CA of the broker, PEM; without it those of this machine
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

impl AtBroker {
    /// Connects as the system account.
    ///
    /// # Errors
    /// [`Failure`] when the broker is not there or refuses the credentials.
    pub(crate) async fn connect(&self) -> Result<System, Failure> {
        let mut artifacts = self.artifacts();
        artifacts.credentials = Some(self.system_creds.clone());
        System::connect(&self.nats, artifacts)
            .await
            .map_err(|error| {
                let exit = match &error {
                    ConnectError::BadUrl { .. } => Exit::Usage,
                    ConnectError::Refused { .. } => Exit::Finding,
                    ConnectError::Unreachable { .. } => Exit::Unreachable,
                };
                Failure::caused(exit, "connecting to the broker", &error)
            })
    }

    /// Returns the first server of the list, for conversations of its own.
    ///
    /// # Errors
    /// [`Failure`] when the list is none.
    pub(crate) fn server(&self) -> Result<Server, Failure> {
        let servers = Server::parse_list(&self.nats);
        let servers = servers.map_err(|error| Failure::caused(Exit::Usage, "--nats", &error))?;
        let first = servers.into_iter().next();
        first.ok_or_else(|| Failure::new(Exit::Usage, "--nats names no server"))
    }

    /// Returns what a client believes.
    pub(crate) fn artifacts(&self) -> Artifacts {
        let mut artifacts = Artifacts::default();
        artifacts.root_ca.clone_from(&self.ca);
        artifacts
    }
}

/// Runs what waits for others, on this thread.
///
/// # Errors
/// [`Failure`] when the operating system gives us no runtime.
pub(crate) fn block_on<T>(doing: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map(|runtime| runtime.block_on(doing))
        .map_err(|error| Failure::caused(Exit::Internal, "starting the runtime", &error))
}
