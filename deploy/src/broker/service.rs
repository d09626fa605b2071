//! A service of the bus for a moment: to ask the issuers what any service asks them.

use crate::jwt::Jwt;
use microbus_bus::{
    Artifacts, ConnectError, Connection, Connector, Failures, Identity, NatsSettings, Outgoing,
    SystemClock, random_instance_id,
};
use microbus_token::Issuer;
use microbus_wire::{Address, Hostname, Method, Plane};
use serde_json::Value;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// As whom a credential lets its holder speak, and on which plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// The plane.
    pub plane: String,
    /// The host name, as it stands in subjects.
    pub segment: String,
}

impl Own {
    /// Reads both from what every service may publish, `P.safe.888.SELF.>`; `None` where that is not granted.
    #[must_use]
    pub fn of(jwt: &Jwt) -> Option<Self> {
        let publish = jwt.strings(&["pub", "allow"]);
        publish.iter().find_map(|pattern| {
            let parts: Vec<_> = pattern.split('.').collect();
            match parts.as_slice() {
                [plane, "safe", "888", own, ">"] if *own != "*" && *plane != "*" => Some(Self {
                    plane: (*plane).to_owned(),
                    segment: (*own).to_owned(),
                }),
                _ => None,
            }
        })
    }

    /// Returns the host name.
    #[must_use]
    pub fn host(&self) -> String {
        microbus_wire::host::unescape_host(&self.segment).into_owned()
    }
}

/// Connects with the credentials file at `path`, whose JWT is `jwt`, on the plane that it is for.
///
/// # Errors
/// [`ServiceError`].
pub async fn connect(
    servers: &str,
    artifacts: &Artifacts,
    path: &Path,
    jwt: &Jwt,
) -> Result<Arc<Connector>, ServiceError> {
    let own = Own::of(jwt).ok_or(ServiceError::Mute)?;
    let mut artifacts = artifacts.clone();
    artifacts.credentials = Some(path.to_owned());
    let settings = NatsSettings {
        servers: servers.to_owned(),
        artifacts,
        deprecated: None,
    };
    let connection = Connection::to_broker(&settings).await?;
    let identity = Identity {
        plane: Plane::parse(&own.plane).map_err(said)?,
        hostname: Hostname::parse(&own.host()).map_err(said)?,
        version: 0,
        instance: random_instance_id(),
        locality: None,
    };
    Connector::open(
        connection,
        identity,
        Failures::Redacted,
        Arc::new(SystemClock),
    )
    .await
    .map_err(said)
}

/// Has `issuer` mint a token with `claims`, a JSON object, which the credentials must allow.
///
/// # Errors
/// [`ServiceError::Said`] with what the issuer answered, or that it did not.
pub async fn mint(
    connector: &Connector,
    issuer: Issuer,
    claims: &Value,
) -> Result<String, ServiceError> {
    let url = format!("https://{}:666/mint", issuer.host());
    let address = Address::parse(&url).map_err(said)?;
    let body = serde_json::json!({ "claims": claims }).to_string();
    let outgoing = Outgoing::new(Method::Post, address)
        .json(body)
        .within(BUDGET);
    let response = connector.request(outgoing).await.map_err(said)?;
    let answer: Value = serde_json::from_slice(&response.body).map_err(said)?;
    let token = answer.get("token").and_then(Value::as_str);
    token.map(str::to_owned).ok_or(ServiceError::NoToken)
}

/// Why a service cannot ask.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// Credentials of something else than a service.
    #[error(
        "the credentials do not let their service speak as itself; issue them with microbus-deploy creds"
    )]
    Mute,
    /// The broker is not there, or refuses the credentials.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// An answer without a token.
    #[error("the issuer answered without a token")]
    NoToken,
    /// The bus, or whoever was asked, said no.
    #[error("{0}")]
    Said(String),
}

fn said(error: impl Display) -> ServiceError {
    ServiceError::Said(error.to_string())
}

const BUDGET: Duration = Duration::from_secs(5);
