//! The issuer as a service of the bus, and the process that runs it.

use crate::config::{Config, PROPERTIES};
use crate::endpoints;
use crate::issuer::Issuer;
use crate::key_file::Secrecy;
use crate::sources::Sources;
use bytes::Bytes;
use clap::Parser;
use microbus_bus::{Clock, Failure, Route};
use microbus_service::{
    Deployment, Function, KeyReport, Metrics, Minting, Options, Profile, Service, Settings, Shape,
};
use microbus_token::{KeyId, VerifyingKey};
use microbus_wire::status::ErrorStatus;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What bearer.token.core is.
pub const PROFILE: Profile = Profile {
    issuer: microbus_token::Issuer::Bearer,
    version: 3,
    description: "Issues the long-lived tokens that clients from outside show to an application.",
    properties: PROPERTIES,
    functions: &[
        Function {
            name: "Mint",
            port: 666,
            path: "/mint",
            summary: "Mint(claims interface {}) (token string)",
            description: "Signs a token with the given claims. It lives for AuthTokenTTL.",
            input: Shape::Claims,
            output: Shape::Token,
        },
        Function {
            name: "JWKS",
            port: 888,
            path: "/jwks",
            summary: "JWKS() (keys []JWK)",
            description: "Returns the public keys as a JWK Set, the primary first. It may be cached for a second.",
            input: Shape::Nothing,
            output: Shape::JwkSet,
        },
    ],
    door_port: 8667,
};

/// Issues long-lived bearer tokens on a Microbus bus, as bearer.token.core.
///
/// Configured by `MICROBUS_*` variables, `env.yaml` and `config.yaml` files and the bus's configurator: see the README.
/// Its keys are the operator's: properties `PrivateKey` and `AltPrivateKey`, or files named by `PrivateKeyFile` and
/// `AltPrivateKeyFile`. Without `MICROBUS_NATS`, in deployment LOCAL, it serves HTTP on loopback instead: `POST /mint`,
/// `GET /jwks`.
///
/// Exit codes: 0 stopped as asked, 69 broker unreachable, 70 internal fault, 78 configuration.
#[derive(Debug, Parser)]
#[command(name = "bearer-token", version)]
struct Arguments {
    /// Loopback address of the HTTP door that opens where there is no broker
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8667")]
    door: SocketAddr,
}

/// Runs the issuer until it is told to stop.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        door: Some(arguments.door),
    };
    microbus_service::run(&PROFILE, options, |parts| {
        let issuer = Issuer::new(Config::default(), parts.rng, Arc::clone(&parts.clock));
        Arc::new(BearerToken {
            issuer: Arc::new(issuer),
            sources: Mutex::new(Sources::default()),
            deployment: parts.deployment,
            clock: parts.clock,
            metrics: Arc::clone(parts.metrics),
            minting: parts.minting,
        })
    })
}

struct BearerToken {
    issuer: Arc<Issuer>,
    sources: Mutex<Sources>,
    deployment: Deployment,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    minting: Arc<Minting>,
}

impl BearerToken {
    fn secrecy(&self) -> Secrecy {
        match self.deployment {
            Deployment::Prod => Secrecy::NotOthers,
            Deployment::Lab | Deployment::Local | Deployment::Testing => Secrecy::Anybody,
        }
    }

    /// A panic elsewhere must not end rotation: the sources are whole at any time.
    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_unusable(&self, sources: &Sources) {
        let count = i64::from(sources.unusable());
        self.metrics.unusable_key_files.set(count);
    }
}

impl Service for BearerToken {
    fn judge(&self, own: &Settings) -> Result<(), Vec<String>> {
        match Sources::default().renewed(own, self.secrecy()) {
            Ok(_) => Ok(()),
            Err(faults) => Err(faults.iter().map(ToString::to_string).collect()),
        }
    }

    fn configure(&self, settings: &Settings) -> Result<(), Failure> {
        let mut sources = self.sources();
        let renewed = sources
            .renewed(settings, self.secrecy())
            .map_err(|faults| {
                let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
                tracing::error!(error = faults.join("; "), "Key file cannot be used");
                self.metrics.invalid_configuration.inc();
                Failure::new(ErrorStatus::INTERNAL, "invalid configuration value")
                    .with_detail(faults.join("; "))
            })?;
        for (text, file) in renewed.overruled() {
            tracing::warn!("Both {text} and {file} give a key: the file counts");
        }
        self.minting.configure(settings);
        let config = Config::of(settings);
        self.issuer
            .configure(config, renewed.desired(), self.clock.now());
        self.count_unusable(&renewed);
        *sources = renewed;
        Ok(())
    }

    fn start(&self, now: Instant) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        match self.deployment {
            Deployment::Local | Deployment::Testing => {
                Ok(self.issuer.start_with_ephemeral_key(now)?)
            }
            Deployment::Prod | Deployment::Lab => {
                if self.sources().desired().primary.is_none() {
                    tracing::warn!("No PrivateKey: Mint answers 503 until it is given");
                }
                Ok(())
            }
        }
    }

    fn routes(self: Arc<Self>) -> Vec<Route> {
        endpoints::routes(&self.issuer, &self.minting)
    }

    fn rotate(&self) {
        if !self.issuer.activate_now(self.clock.now()) {
            tracing::warn!(
                "Nothing to rotate: the keys are the operator's, give another PrivateKey"
            );
        }
    }

    fn advance(&self, now: Instant) -> Option<Instant> {
        let mut sources = self.sources();
        if sources.look() {
            self.issuer.replace(sources.desired(), now);
        }
        self.count_unusable(&sources);
        let next_look = sources.has_files().then(|| now + LOOK_INTERVAL);
        let activation = self.issuer.advance(now);
        [next_look, activation].into_iter().flatten().min()
    }

    fn jwk_set(&self) -> Bytes {
        self.issuer.jwk_set()
    }

    fn keys(&self, now: Instant) -> KeyReport {
        self.issuer.keys(now)
    }

    fn verifying_key(&self, issuer: microbus_token::Issuer, id: &KeyId) -> Option<VerifyingKey> {
        if issuer != PROFILE.issuer {
            return None;
        }
        self.issuer.verifying_key(id)
    }
}

/// How often key files are looked at; two looks make a change.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
