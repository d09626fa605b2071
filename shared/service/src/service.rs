//! What a process runs: the part that differs between the issuers.

use crate::deployment::Deployment;
use crate::metrics::Metrics;
use crate::minting::Minting;
use crate::property::Property;
use crate::settings::Settings;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use microbus_bus::{Claim, Clock, Connector, Failure, Identity, Others, Route};
use microbus_token::{Issuer, KeyId, VerifyingKey};
use rand::rngs::StdRng;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a service is, known before it runs.
#[derive(Debug)]
pub struct Profile {
    /// Whose tokens it issues; its host name follows.
    pub issuer: Issuer,
    /// Version of its interface on the wire.
    pub version: u32,
    /// What it does, one sentence, for its OpenAPI document.
    pub description: &'static str,
    /// Everything that can be configured.
    pub properties: &'static [Property],
    /// Its functions, for the OpenAPI document.
    pub functions: &'static [Function],
    /// Port of its HTTP door where there is no broker.
    pub door_port: u16,
}

/// A function of a service as its OpenAPI document shows it.
#[derive(Debug)]
pub struct Function {
    /// Name, such as `Mint`.
    pub name: &'static str,
    /// Port.
    pub port: u16,
    /// Path.
    pub path: &'static str,
    /// Signature in the notation of the platform.
    pub summary: &'static str,
    /// What it does.
    pub description: &'static str,
    /// What goes in.
    pub input: Shape,
    /// What comes out.
    pub output: Shape,
}

/// Shape of a function's input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An object without members.
    Nothing,
    /// `{"claims":{…}}`
    Claims,
    /// `{"token":"…"}`
    Token,
    /// `{"keys":[…]}`
    JwkSet,
}

/// What a service is given when it is built.
pub struct Parts<'a> {
    /// Deployment in force.
    pub deployment: Deployment,
    /// Both times.
    pub clock: Arc<dyn Clock>,
    /// A cryptographic generator, seeded by the operating system; not for keys, since its state tells all that it gave.
    pub rng: StdRng,
    /// Who the process is on the bus.
    pub identity: &'a Identity,
    /// Where to count.
    pub metrics: &'a Arc<Metrics>,
    /// What answers requests to mint.
    pub minting: Arc<Minting>,
}

/// What is to be seen of an issuer's keys.
#[derive(Debug, Clone, Default)]
pub struct KeyReport {
    /// Keys of this replica, newest first.
    pub own: Vec<KeyState>,
    /// How many keys of other replicas are published besides.
    pub foreign: usize,
    /// How many other replicas were heard lately.
    pub replicas: usize,
    /// How long until another key is due; `None` where that is the operator's business.
    pub next_rotation: Option<Duration>,
    /// For how long another key has been due and is not made.
    pub overdue: Duration,
}

/// What is to be seen of one key.
#[derive(Debug, Clone)]
pub struct KeyState {
    /// Key ID.
    pub kid: String,
    /// What the key is good for now.
    pub state: KeySlot,
    /// Whether it is in the JWK Set.
    pub is_published: bool,
    /// How long it has been so, where that is known.
    pub age: Option<Duration>,
    /// How long it is published still, where that is known.
    pub left: Option<Duration>,
}

/// What a key is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySlot {
    /// It does not sign yet.
    Waits,
    /// It signs.
    Signs,
    /// It signs no more or never will.
    Verifies,
}

impl KeySlot {
    /// Returns the name as a label: `waits`, `signs` or `verifies`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waits => "waits",
            Self::Signs => "signs",
            Self::Verifies => "verifies",
        }
    }
}

/// Where a process stands between its subscriptions (design: an issuer publishes before it signs).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Station {
    /// Everything that every replica answers is subscribed; nothing that replicas share.
    Heard {
        /// What [`Service::greet`] found before that.
        others: Others,
    },
    /// Everything but the dangerous port is subscribed: keys are published, and nothing is signed.
    Published,
    /// The dangerous port is left, and all else still answered, at the latest until this time.
    Leaving {
        /// When everything must be over.
        until: Instant,
    },
}

/// A service: the process around it calls these in the order of their declaration, then the last ones at any time.
pub trait Service: Send + Sync + 'static {
    /// Judges what this process's own files say, before a bus is looked for; nothing is put in force.
    ///
    /// # Errors
    /// Every problem found, one sentence each with its remedy: the process ends with the exit code for configuration.
    fn judge(&self, _own: &Settings) -> Result<(), Vec<String>> {
        Ok(())
    }

    /// Puts settings in force, all or none of them. Called at start and after each change.
    ///
    /// # Errors
    /// A [`Failure`] leaves everything as it was and is the answer to whoever asked for the refresh.
    fn configure(&self, settings: &Settings) -> Result<(), Failure>;

    /// Makes it ready to serve.
    ///
    /// # Errors
    /// When it cannot serve; start-up is tried again a second later.
    fn start(&self, now: Instant) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

    /// Asks whether other replicas are there by what each of them hears ([`Connector::greet`]), before it is subscribed.
    fn greet<'a>(
        &'a self,
        _claim: &'a mut Claim,
        _connector: &'a Arc<Connector>,
    ) -> BoxFuture<'a, Others> {
        Box::pin(std::future::ready(Others::Unknown))
    }

    /// Returns its endpoints; control endpoints are not among them.
    fn routes(self: Arc<Self>) -> Vec<Route>;

    /// Told at each station on the way to serving and from it; what it returns is waited for.
    ///
    /// An issuer whose replicas share keys meets them here, before anything depends on its own.
    fn reach(
        self: Arc<Self>,
        _station: Station,
        _connector: &Arc<Connector>,
    ) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Told of an instance that has announced itself on the bus.
    fn meet(&self, _host: &str, _instance: &str) {}

    /// Replaces the signing key at the next [`Service::advance`], because an operator fears a leak.
    fn rotate(&self);

    /// Does what the time demands and returns when to be called again.
    fn advance(&self, now: Instant) -> Option<Instant>;

    /// Returns the body of an answer with the JWK Set: `{}` and LF without a key.
    fn jwk_set(&self) -> Bytes;

    /// Returns what is to be seen of the keys.
    fn keys(&self, now: Instant) -> KeyReport;

    /// Returns a key from its own memory, so that its own tokens are verified without asking anybody.
    fn verifying_key(&self, issuer: Issuer, id: &KeyId) -> Option<VerifyingKey>;
}
