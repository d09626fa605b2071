//! A service of the bus for a moment: to ask the issuers what any service asks them.

use super::place::Own;
use crate::jwt::Jwt;
use microbus_bus::{
    Artifacts, Connection, Connector, Failures, Identity, NatsSettings, SystemClock,
    random_instance_id,
};
use microbus_wire::{Hostname, Plane};
use std::path::Path;
use std::sync::Arc;

/// Connects with the credentials file at `path`, whose JWT is `jwt`, on the plane that it is for.
pub(crate) async fn connect(
    servers: &str,
    artifacts: &Artifacts,
    path: &Path,
    jwt: &Jwt,
) -> Result<Arc<Connector>, String> {
    let own = Own::of(jwt).ok_or("the credentials do not let their service speak as itself")?;
    let mut artifacts = artifacts.clone();
    artifacts.credentials = Some(path.to_owned());
    let settings = NatsSettings {
        servers: servers.to_owned(),
        artifacts,
        deprecated: None,
    };
    let connection = Connection::to_broker(&settings)
        .await
        .map_err(|error| error.to_string())?;
    let identity = Identity {
        plane: Plane::parse(&own.plane).map_err(|error| error.to_string())?,
        hostname: Hostname::parse(&own.host()).map_err(|error| error.to_string())?,
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
    .map_err(|error| error.to_string())
}
