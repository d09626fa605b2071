//! The issuer as a service of the bus, and the process that runs it.

use crate::config::{Config, PROPERTIES};
use crate::endpoints;
use crate::issuer::Issuer;
use crate::transform::ClaimsTransformer;
use clap::Parser;
use microbus_bus::{Failure, Route};
use microbus_service::{Function, Metrics, Options, Profile, Service, Settings, Shape};
use microbus_token::{KeyId, VerifyingKey};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What access.token.core is.
pub const PROFILE: Profile = Profile {
    issuer: microbus_token::Issuer::Access,
    version: 4,
    description: "Issues the short-lived tokens that name the actor of a request inside the bus.",
    properties: PROPERTIES,
    functions: &[
        Function {
            name: "Mint",
            port: 666,
            path: "/mint",
            summary: "Mint(claims interface {}) (token string)",
            description: "Signs a token with the given claims. It lives for the time budget of the request, or for \
                DefaultTokenLifetime if there is none, and never longer than MaxTokenLifetime.",
            input: Shape::Claims,
            output: Shape::Token,
        },
        Function {
            name: "JWKS",
            port: 888,
            path: "/jwks",
            summary: "JWKS() (keys []JWK)",
            description: "Returns the public keys of all replicas as a JWK Set. It may be cached for a second.",
            input: Shape::Nothing,
            output: Shape::JwkSet,
        },
        Function {
            name: "LocalKeys",
            port: 888,
            path: "/local-keys",
            summary: "LocalKeys() (keys []JWK)",
            description: "Returns the public keys of this replica as a JWK Set.",
            input: Shape::Nothing,
            output: Shape::JwkSet,
        },
    ],
    door_port: 8666,
};

/// Issues short-lived actor tokens on a Microbus bus, as access.token.core.
///
/// Configured by `MICROBUS_*` variables, `env.yaml` and `config.yaml` files and the bus's configurator: see the README.
/// Without `MICROBUS_NATS`, in deployment LOCAL, it serves HTTP on loopback instead: `POST /mint`, `GET /jwks`.
///
/// Exit codes: 0 stopped as asked, 69 broker unreachable, 70 internal fault, 78 configuration.
#[derive(Debug, Parser)]
#[command(name = "access-token", version)]
struct Arguments {
    /// Loopback address of the HTTP door that opens where there is no broker
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8666")]
    door: SocketAddr,
}

/// Runs an issuer with these claims transformers, in their order, until it is told to stop.
#[must_use]
pub fn main(transformers: Vec<Box<dyn ClaimsTransformer>>) -> ExitCode {
    let arguments = Arguments::parse();
    microbus_service::run(
        &PROFILE,
        Options {
            door: Some(arguments.door),
        },
        |parts| {
            let config = Config::default();
            let issuer = Issuer::new(config, transformers, parts.rng, parts.clock);
            Arc::new(AccessToken {
                issuer: Arc::new(issuer),
                metrics: Arc::clone(parts.metrics),
            })
        },
    )
}

struct AccessToken {
    issuer: Arc<Issuer>,
    metrics: Arc<Metrics>,
}

impl Service for AccessToken {
    fn configure(&self, settings: &Settings) -> Result<(), Failure> {
        self.issuer.configure(Config::of(settings));
        Ok(())
    }

    fn start(&self, now: Instant) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.issuer.start(now)?)
    }

    fn routes(self: Arc<Self>) -> Vec<Route> {
        endpoints::routes(&self.issuer, &self.metrics)
    }

    fn rotate(&self) {
        self.issuer.rotate();
    }

    fn advance(&self, now: Instant) -> Option<Instant> {
        match self.issuer.advance(now) {
            Ok(wakeup) => wakeup,
            Err(error) => {
                tracing::error!(error = %error, "Rotating keys, the old key goes on signing");
                Some(now + ROTATION_RETRY)
            }
        }
    }

    fn verifying_key(&self, issuer: microbus_token::Issuer, id: &KeyId) -> Option<VerifyingKey> {
        if issuer != PROFILE.issuer {
            return None;
        }
        self.issuer.verifying_key(id)
    }
}

const ROTATION_RETRY: Duration = Duration::from_secs(10);
