//! Where the JWK Sets come from.

use futures_util::future::BoxFuture;
use microbus_bus::{Connector, Outgoing};
use microbus_token::{Issuer, JwkSet};
use microbus_wire::address::Address;
use microbus_wire::frame::Response;
use microbus_wire::header::FROM_HOST;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Method;
use std::borrow::Cow;
use std::sync::Weak;

/// Fetches the JWK Set of an issuer.
pub trait KeySource: Send + Sync + 'static {
    /// Fetches the set that `issuer` publishes now.
    fn fetch(&self, issuer: Issuer) -> BoxFuture<'static, Result<JwkSet, FetchError>>;
}

/// Why a JWK Set could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no JWK Set from {host}: {cause}")]
pub struct FetchError {
    /// Who was asked: the issuer's host.
    pub host: Cow<'static, str>,
    /// What went wrong.
    pub cause: String,
    /// Nobody answers for the host: the issuer is not there.
    pub absent: bool,
}

/// Fetches over the bus: `GET https://<issuer>:888/jwks`.
#[derive(Debug)]
pub struct BusKeySource {
    connector: Weak<Connector>,
}

impl BusKeySource {
    /// Fetches through `connector` as long as it lives.
    #[must_use]
    pub fn new(connector: Weak<Connector>) -> Self {
        Self { connector }
    }
}

impl KeySource for BusKeySource {
    fn fetch(&self, issuer: Issuer) -> BoxFuture<'static, Result<JwkSet, FetchError>> {
        let connector = self.connector.upgrade();
        Box::pin(async move {
            let host = issuer.host();
            let failed = |cause: String| FetchError {
                host: host.into(),
                cause,
                absent: false,
            };
            let connector =
                connector.ok_or_else(|| failed("the connection is closed".to_owned()))?;
            let address = Address::parse(&format!("https://{host}:888/jwks"))
                .map_err(|error| failed(error.to_string()))?;
            let response = connector
                .request(Outgoing::new(Method::Get, address))
                .await
                .map_err(|error| FetchError {
                    host: host.into(),
                    absent: error.status() == ErrorStatus::NOT_FOUND,
                    cause: error.to_string(),
                })?;
            keys_in(&response, host).map_err(failed)
        })
    }
}

/// Reads a JWK Set that `host` itself answered with: the header is set from the subject, which the broker vouches for.
fn keys_in(response: &Response, host: &str) -> Result<JwkSet, String> {
    if response.headers.get(FROM_HOST) != Some(host) {
        return Err("another host answered".to_owned());
    }
    JwkSet::from_json(&response.body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use microbus_bus::{
        Acknowledge, Connection, Delivery, Failures, Handling, Identity, Incoming, Reply, Route,
        Scope, SystemClock, Urgency, random_instance_id,
    };
    use microbus_token::{Jwk, SigningKey};
    use microbus_wire::host::Hostname;
    use microbus_wire::subject::Plane;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use std::sync::Arc;

    fn published() -> JwkSet {
        let key = SigningKey::generate(&mut StdRng::seed_from_u64(1)).unwrap();
        let mut set = JwkSet::default();
        set.push(Jwk::of(&key)).unwrap();
        set
    }

    async fn connector(connection: &Connection, hostname: &str) -> Arc<Connector> {
        let identity = Identity {
            plane: Plane::default(),
            hostname: Hostname::parse(hostname).unwrap(),
            version: 1,
            instance: random_instance_id(),
            locality: None,
        };
        let clock = Arc::new(SystemClock);
        Connector::open(connection.clone(), identity, Failures::Redacted, clock)
            .await
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_fetched_from_the_issuers_host_and_from_no_other() {
        let connection = Connection::in_process();
        let issuer = connector(&connection, "bearer.token.core").await;
        let body = published().to_json();
        let publish = move |_: Incoming| Handling::Done(Ok(Reply::json(body.clone())));
        let route = Route {
            name: "JWKS",
            scope: Scope::Own,
            port: 888,
            method: None,
            path: "/jwks",
            delivery: Delivery::One,
            urgency: Urgency::Exempt,
            acknowledge: Acknowledge::AtOnce,
            handler: Arc::new(publish),
        };
        issuer.subscribe(route).await.unwrap();
        let own = connector(&connection, "echo.example").await;
        let source = BusKeySource::new(Arc::downgrade(&own));
        let fetched = source.fetch(Issuer::Bearer).await.unwrap();
        assert_eq!(fetched.to_json(), published().to_json());
        let error = source.fetch(Issuer::Access).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no JWK Set from access.token.core: ack timeout: https://access.token.core:888/jwks"
        );
        assert!(error.absent);
        drop(own);
        let error = source.fetch(Issuer::Bearer).await.unwrap_err();
        assert_eq!(error.cause, "the connection is closed");
        assert!(!error.absent);
    }

    #[test]
    fn keys_that_another_host_answered_with_are_refused() {
        let mut response = Response::new(200, published().to_json().into());
        response.headers.set(FROM_HOST, "evil.example");
        assert!(keys_in(&response, "access.token.core").is_err());
        response.headers.set(FROM_HOST, "access.token.core");
        assert!(keys_in(&response, "access.token.core").is_ok());
    }
}
