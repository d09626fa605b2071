//! The issuer as a service of the bus, and the process that runs it.

use crate::config::{Config, PROPERTIES};
use crate::endpoints;
use crate::exchange::Exchange;
use crate::issuer::Issuer;
use crate::transform::ClaimsTransformer;
use bytes::Bytes;
use clap::Parser;
use futures_util::future::BoxFuture;
use microbus_bus::{Claim, Clock, Connector, Failure, Others, Route};
use microbus_service::{
    Deployment, Function, KeyReport, Metrics, Minting, Options, Profile, Service, Settings, Shape,
    Station, Verifier,
};
use microbus_token::{KeyId, VerifyingKey};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

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
            let instance = parts.identity.instance.as_str().to_owned();
            let config = Config::default();
            let clock = Arc::clone(&parts.clock);
            let issuer = Issuer::new(instance, config, transformers, parts.rng, parts.clock);
            Arc::new(AccessToken {
                issuer: Arc::new(issuer),
                metrics: Arc::clone(parts.metrics),
                minting: parts.minting,
                clock,
                contact: Mutex::default(),
                lingers: matches!(parts.deployment, Deployment::Prod | Deployment::Lab),
            })
        },
    )
}

struct AccessToken {
    issuer: Arc<Issuer>,
    metrics: Arc<Metrics>,
    minting: Arc<Minting>,
    clock: Arc<dyn Clock>,
    contact: Mutex<Option<Contact>>,
    /// Whether the last replica stays until its tokens are dead: nobody waits for that on a developer's machine.
    lingers: bool,
}

/// The exchange with other replicas over the connection of the latest attempt to start.
struct Contact {
    exchange: Arc<Exchange>,
    alone: bool,
    regular: JoinHandle<()>,
    /// The key that is being introduced to replicas and verifiers.
    introducing: Option<KeyId>,
}

impl Drop for Contact {
    fn drop(&mut self) {
        self.regular.abort();
    }
}

impl AccessToken {
    /// Meets the other replicas.
    async fn make_contact(&self, connector: &Arc<Connector>, others: Others) {
        let exchange = self.exchange_over(connector);
        let alone = !exchange.meet_replicas(others).await;
        let regular = tokio::spawn(Arc::clone(&exchange).keep_in_touch());
        let contact = Contact {
            exchange,
            alone,
            regular,
            introducing: None,
        };
        *self.contact() = Some(contact);
    }

    fn exchange_over(&self, connector: &Arc<Connector>) -> Arc<Exchange> {
        Exchange::new(
            Arc::clone(&self.issuer),
            Arc::clone(connector),
            Arc::clone(&self.clock),
            Arc::clone(&self.metrics),
            Arc::clone(&self.minting),
        )
    }

    /// Has the first key sign: at once where nobody else is, else when everybody has it.
    async fn begin_to_sign(&self) {
        let heard_nobody = self.contact().as_ref().is_none_or(|contact| contact.alone);
        // Meanwhile a late answer may have come.
        if heard_nobody && !self.issuer.has_peers() {
            self.issuer.activate_first(self.clock.now());
            self.introduce_new_key();
            // What shows the key to verifiers is on its way before anybody can ask for a token.
            tokio::task::yield_now().await;
            return;
        }
        tracing::info!(
            "Other replicas are there: the key is shown to them and to verifiers before it signs"
        );
        let mut changes = self.issuer.changes();
        self.introduce_new_key();
        while !self.issuer.signs() {
            let wakeup = self.advance(self.clock.now());
            let until = wakeup.unwrap_or_else(|| self.clock.now() + ROTATION_RETRY);
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                // The issuer lives as long as we do.
                _ = changes.changed() => {}
            }
        }
    }

    /// Introduces a key that was made since the last call.
    fn introduce_new_key(&self) {
        let Some(kid) = self.issuer.introducing() else {
            return;
        };
        let mut contact = self.contact();
        let Some(contact) = contact.as_mut() else {
            return;
        };
        if contact.introducing.as_ref() == Some(&kid) {
            return;
        }
        contact.introducing = Some(kid.clone());
        let exchange = Arc::clone(&contact.exchange);
        tokio::spawn(async move { exchange.introduce(&kid).await });
    }

    fn contact(&self) -> MutexGuard<'_, Option<Contact>> {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for AccessToken {
    fn configure(&self, settings: &Settings) -> Result<(), Failure> {
        self.minting.configure(settings);
        self.issuer.configure(Config::of(settings));
        Ok(())
    }

    fn start(&self, now: Instant) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.issuer.start(now)?)
    }

    fn greet<'a>(
        &'a self,
        claim: &'a mut Claim,
        connector: &'a Arc<Connector>,
    ) -> BoxFuture<'a, Others> {
        Box::pin(async move { self.exchange_over(connector).greet(claim).await })
    }

    fn routes(self: Arc<Self>) -> Vec<Route> {
        endpoints::routes(&self.issuer, &self.metrics, &self.minting, &self.clock)
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
                Station::Published => self.begin_to_sign().await,
                Station::Leaving { until } => {
                    let contact = self.contact().take();
                    if let Some(contact) = contact {
                        self.issuer.leave();
                        let until = if self.lingers {
                            until
                        } else {
                            self.clock.now()
                        };
                        contact.exchange.linger(until).await;
                    }
                }
            }
        })
    }

    fn meet(&self, host: &str, instance: &str) {
        let contact = self.contact();
        let Some(contact) = contact.as_ref() else {
            return;
        };
        if host == PROFILE.issuer.host() {
            contact.exchange.hear_out(instance);
        }
        if self.issuer.config().warm_verifiers {
            let exchange = Arc::clone(&contact.exchange);
            let newcomer = Verifier {
                host: host.to_owned(),
                instance: instance.to_owned(),
            };
            tokio::spawn(async move { exchange.meet_verifier(newcomer).await });
        }
    }

    fn rotate(&self) {
        self.issuer.rotate();
    }

    fn advance(&self, now: Instant) -> Option<Instant> {
        let advanced = self.issuer.advance(now);
        self.introduce_new_key();
        match advanced {
            Ok(wakeup) => wakeup,
            Err(error) => {
                tracing::error!(error = %error, "Rotating keys, the old key goes on signing");
                Some(now + ROTATION_RETRY)
            }
        }
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

const ROTATION_RETRY: Duration = Duration::from_secs(10);
