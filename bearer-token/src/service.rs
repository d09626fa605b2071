//! The issuer as a service of the bus, and the process that runs it.

use crate::config::{Config, PROPERTIES};
use crate::endpoints;
use crate::issuer::Issuer;
use crate::key_file::Secrecy;
use crate::sisters::Company;
use crate::sources::Sources;
use bytes::Bytes;
use clap::Parser;
use futures_util::future::BoxFuture;
use microbus_bus::{Claim, Clock, Connector, Failure, Others, Route};
use microbus_service::{
    Deployment, Function, KeyReport, Metrics, Minting, Options, Profile, Service, Settings, Shape,
    Station, Verifier,
};
use microbus_token::{KeyId, VerifyingKey};
use microbus_wire::status::ErrorStatus;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

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
            contact: Mutex::default(),
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
    contact: Mutex<Option<Contact>>,
}

/// The connection to sister replicas of the latest attempt to start.
struct Contact {
    company: Arc<Company>,
    keeping: JoinHandle<()>,
}

impl Drop for Contact {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

impl BearerToken {
    /// Looks for sister replicas, from now on for ever.
    async fn make_contact(&self, connector: &Arc<Connector>, others: Others) {
        let company = self.company_over(connector);
        company.meet_sisters(others).await;
        let keeping = tokio::spawn(Arc::clone(&company).keep());
        *self.contact() = Some(Contact { company, keeping });
    }

    fn company_over(&self, connector: &Arc<Connector>) -> Arc<Company> {
        Company::new(
            Arc::clone(&self.issuer),
            Arc::clone(connector),
            Arc::clone(&self.clock),
            Arc::clone(&self.metrics),
            Arc::clone(&self.minting),
        )
    }

    fn company(&self) -> Option<Arc<Company>> {
        let contact = self.contact();
        contact.as_ref().map(|contact| Arc::clone(&contact.company))
    }

    fn contact(&self) -> MutexGuard<'_, Option<Contact>> {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner)
    }

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

    fn greet<'a>(
        &'a self,
        claim: &'a mut Claim,
        connector: &'a Arc<Connector>,
    ) -> BoxFuture<'a, Others> {
        Box::pin(async move { self.company_over(connector).greet(claim).await })
    }

    fn routes(self: Arc<Self>) -> Vec<Route> {
        endpoints::routes(&self.issuer, &self.minting)
    }

    fn reach(
        self: Arc<Self>,
        station: Station,
        connector: &Arc<Connector>,
    ) -> BoxFuture<'static, ()> {
        let connector = Arc::clone(connector);
        Box::pin(async move {
            match station {
                Station::Heard { others } => self.make_contact(&connector, others).await,
                Station::Published => {
                    if let Some(company) = self.company() {
                        company.begin_to_sign().await;
                    }
                }
                Station::Leaving { .. } => drop(self.contact().take()),
            }
        })
    }

    fn meet(&self, host: &str, instance: &str) {
        if let Some(company) = self.company() {
            let newcomer = Verifier {
                host: host.to_owned(),
                instance: instance.to_owned(),
            };
            tokio::spawn(async move { company.meet_verifier(newcomer).await });
        }
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
        // Sisters may let a key sign before it would by itself.
        let next_glance = self.issuer.waits().then(|| now + LOOK_INTERVAL);
        let wakeups = [next_look, activation, next_glance];
        wakeups.into_iter().flatten().min()
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
