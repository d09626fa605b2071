//! `mint`: a token, asked for over the bus as a service would.

use super::at_broker::{artifacts, block_on};
use super::at_bus::connect;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files::read_user;
use clap::{Args, ValueEnum};
use microbus_deploy::Grant;
use microbus_deploy::broker::service;
use microbus_token::Issuer;
use microbus_wire::host::escape_host;
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;

/// Mint a token over the bus, as a service that may, to try a deployment
///
/// The token is printed and nothing else: whoever reads it can act as its claims say until it expires.
///
/// Exit codes: 0 minted, 1 refused or not answered, 2 usage, 69 no broker, 78 a file is missing or wrong.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Mint {
    /// Credentials of a service that may mint
    #[arg(long, value_name = "FILE")]
    creds: PathBuf,
    /// URLs of the broker, several with commas between
    #[arg(long, value_name = "URL")]
    nats: String,
    /// Root CA of the broker, PEM; without it those of this machine
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Who signs
    #[arg(long, value_enum, default_value_t = Signer::Access)]
    issuer: Signer,
    /// What the token says, a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    claims: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Signer {
    /// access.token.core
    Access,
    /// bearer.token.core
    Bearer,
}

impl Mint {
    /// # Errors
    /// [`Failure`] when the credentials may not, or nobody answers.
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let claims: Value = serde_json::from_str(&self.claims)
            .map_err(|error| Failure::caused(Exit::Usage, "--claims", &error))?;
        if !claims.is_object() {
            return Err(Failure::new(Exit::Usage, "--claims must be a JSON object"));
        }
        let token = block_on(self.mint(&claims))??;
        std::io::stdout()
            .write_all(format!("{token}\n").as_bytes())
            .map_err(|error| Failure::caused(Exit::Internal, "writing the token", &error))?;
        Ok(Exit::Ok)
    }

    async fn mint(&self, claims: &Value) -> Result<String, Failure> {
        let issuer = match self.issuer {
            Signer::Access => Issuer::Access,
            Signer::Bearer => Issuer::Bearer,
        };
        let host = issuer.host();
        // The broker would drop the call without a word to us.
        let grants = Grant::all_of(&read_user(&self.creds)?);
        if !grants.iter().any(|grant| grant.mints(&escape_host(host))) {
            return Err(Failure::new(
                Exit::Finding,
                format!(
                    "{} may not call Mint of {host}; add it to the calls of the service and make its credentials anew, \
                     with microbus-deploy creds --calls",
                    self.creds.display()
                ),
            ));
        }
        let artifacts = artifacts(self.ca.as_deref())?;
        let connector = connect(&self.nats, &artifacts, &self.creds).await?;
        service::mint(&connector, issuer, claims)
            .await
            .map_err(|error| {
                Failure::new(
                    Exit::Finding,
                    format!("{host}: {error}; microbus-deploy doctor --only issuers-up says whether it runs on this plane"),
                )
            })
    }
}

const EXAMPLE: &str = "\
Example:
  microbus-deploy mint --creds creds/login.example_nats.creds --nats nats://127.0.0.1:4222 \\
    --claims '{\"sub\":\"harry\",\"roles\":[\"reader\"]}'
";
