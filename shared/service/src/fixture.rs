//! What the tests of several files need: two profiles, a connector on a bus of its own, a service that does nothing.

use crate::configuration::{Configuration, OwnFiles};
use crate::deployment::{Deployment, Surroundings};
use crate::environment::Environment;
use crate::health::Health;
use crate::log::CommonFields;
use crate::metrics::Metrics;
use crate::service::{Function, KeyReport, Profile, Service, Shape};
use crate::settings::{Settings, Texts};
use crate::telemetry::Watcher;
use crate::vitals::Vitals;
use bytes::Bytes;
use microbus_bus::{
    Clock as _, Connection, Connector, Failure, Failures, Identity, Outgoing, RequestError, Route,
    SystemClock, random_instance_id,
};
use microbus_otlp::Exporter;
use microbus_token::{Issuer, KeyId, VerifyingKey};
use microbus_wire::address::Address;
use microbus_wire::call::CallError;
use microbus_wire::frame::Response;
use microbus_wire::host::Hostname;
use microbus_wire::subject::{Method, Plane};
use microbus_wire::trace::TracedError;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::time::Instant;

const MINT: Function = Function {
    name: "Mint",
    port: 666,
    path: "/mint",
    summary: "Mint(claims interface {}) (token string)",
    description: "Signs.",
    input: Shape::Claims,
    output: Shape::Token,
};

const JWKS: Function = Function {
    name: "JWKS",
    port: 888,
    path: "/jwks",
    summary: "JWKS() (keys []JWK)",
    description: "Publishes.",
    input: Shape::Nothing,
    output: Shape::JwkSet,
};

const LOCAL_KEYS: Function = Function {
    name: "LocalKeys",
    path: "/local-keys",
    summary: "LocalKeys() (keys []JWK)",
    ..JWKS
};

pub(crate) static ACCESS: Profile = Profile {
    issuer: Issuer::Access,
    version: 4,
    description: "Issues.",
    properties: &[],
    functions: &[MINT, JWKS, LOCAL_KEYS],
    door_port: 0,
};

pub(crate) static BEARER: Profile = Profile {
    issuer: Issuer::Bearer,
    version: 3,
    functions: &[MINT, JWKS],
    ..ACCESS
};

/// Opens a connector named `hostname` on `connection`.
pub(crate) async fn connector(connection: &Connection, hostname: &str) -> Arc<Connector> {
    let identity = Identity {
        plane: Plane::default(),
        hostname: Hostname::parse(hostname).unwrap(),
        version: 4,
        instance: random_instance_id(),
        locality: None,
    };
    let clock = Arc::new(SystemClock);
    Connector::open(connection.clone(), identity, Failures::Redacted, clock)
        .await
        .unwrap()
}

pub(crate) fn outgoing(method: Method, url: &str) -> Outgoing {
    Outgoing::new(method, Address::parse(url).unwrap())
}

/// Returns the answer, or the error that was the answer.
pub(crate) fn answered(answer: Result<Response, RequestError>) -> Result<Response, TracedError> {
    match answer {
        Ok(response) => Ok(response),
        Err(RequestError::Call(CallError::Remote(error))) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

pub(crate) fn common() -> CommonFields {
    CommonFields {
        plane: "microbus".into(),
        service: "access.token.core".into(),
        version: 4,
        instance: "id-abcdefghij".into(),
        deployment: Deployment::Prod,
    }
}

pub(crate) fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(&common(), &ACCESS).unwrap())
}

/// Makes what watches a service, in PROD.
pub(crate) fn watcher(metrics: &Arc<Metrics>, exporter: Option<Arc<Exporter>>) -> Arc<Watcher> {
    let rng = StdRng::seed_from_u64(1);
    let clock = Arc::new(SystemClock);
    Arc::new(Watcher::new(
        Arc::clone(metrics),
        exporter,
        rng,
        false,
        clock,
    ))
}

/// Makes the vital signs of a service that does nothing.
pub(crate) fn vitals(metrics: &Arc<Metrics>, health: &Arc<Health>) -> Arc<Vitals> {
    let clock = Arc::new(SystemClock);
    let started = clock.now();
    let (metrics, health) = (Arc::clone(metrics), Arc::clone(health));
    let idle = Arc::new(Idle);
    Arc::new(Vitals::new(common(), metrics, health, idle, clock, started))
}

/// Makes a configuration without properties, that asks nobody.
pub(crate) fn configuration(metrics: &Arc<Metrics>) -> Arc<Configuration> {
    let directory = tempfile::tempdir().unwrap();
    let hostname = Hostname::parse(ACCESS.issuer.host()).unwrap();
    let surroundings =
        Surroundings::judge(&Environment::default(), directory.path(), &hostname).unwrap();
    Arc::new(Configuration::new(
        &ACCESS,
        &surroundings,
        Texts::new(),
        OwnFiles::default(),
        Arc::new(Idle),
        Arc::clone(metrics),
        Arc::new(SystemClock),
    ))
}

pub(crate) struct Idle;

impl Service for Idle {
    fn configure(&self, _: &Settings) -> Result<(), Failure> {
        Ok(())
    }

    fn start(&self, _: Instant) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }

    fn routes(self: Arc<Self>) -> Vec<Route> {
        Vec::new()
    }

    fn rotate(&self) {}

    fn advance(&self, _: Instant) -> Option<Instant> {
        None
    }

    fn jwk_set(&self) -> Bytes {
        Bytes::from_static(b"{}\n")
    }

    fn keys(&self, _: Instant) -> KeyReport {
        KeyReport::default()
    }

    fn verifying_key(&self, _: Issuer, _: &KeyId) -> Option<VerifyingKey> {
        None
    }
}
