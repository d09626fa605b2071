//! What the verbs that talk to a broker have in common.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::files::{self, read_credentials};
use clap::Args;
use microbus_bus::{Artifacts, ConnectError};
use microbus_deploy::broker::{Server, System};
use std::path::{Path, PathBuf};

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
    /// [`Failure`] when a file cannot be read, the broker is not there or refuses the credentials.
    pub(crate) async fn connect(&self) -> Result<System, Failure> {
        let mut artifacts = self.artifacts()?;
        read_credentials(&self.system_creds)?;
        artifacts.credentials = Some(self.system_creds.clone());
        System::connect(&self.nats, artifacts)
            .await
            .map_err(|error| not_connected(&error))
    }

    /// Returns the servers of the list, for conversations of their own.
    ///
    /// # Errors
    /// [`Failure`] when the list is none.
    pub(crate) fn servers(&self) -> Result<Vec<Server>, Failure> {
        Server::parse_list(&self.nats)
            .map_err(|error| Failure::caused(Exit::Usage, "--nats", &error))
    }

    /// Returns what a client believes.
    ///
    /// # Errors
    /// [`Failure`] when the root CA cannot be read.
    pub(crate) fn artifacts(&self) -> Result<Artifacts, Failure> {
        artifacts(self.ca.as_deref())
    }
}

/// Returns what a client believes that was given the root CA in the file `ca`, which is looked at now: a wrong path is then
/// no broker that cannot be reached.
///
/// # Errors
/// [`Failure`] when it cannot be read.
pub(crate) fn artifacts(ca: Option<&Path>) -> Result<Artifacts, Failure> {
    let mut artifacts = Artifacts::default();
    if let Some(path) = ca {
        files::read_text(path)?;
        artifacts.root_ca = Some(path.to_owned());
    }
    Ok(artifacts)
}

/// Says why there is no connection, in the words of the command line.
pub(crate) fn not_connected(error: &ConnectError) -> Failure {
    match error {
        ConnectError::BadUrl { url } => Failure::new(
            Exit::Usage,
            format!("--nats: {url:?} is no NATS URL; write nats://host:port or tls://host:port"),
        ),
        ConnectError::Refused { .. } => {
            Failure::caused(Exit::Finding, "connecting to the broker", error)
        }
        ConnectError::Unreachable { servers, cause } => Failure::new(
            Exit::Unreachable,
            format!("no broker at {servers} ({cause}); check --nats and the network"),
        ),
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
