//! The start, in the order that the bus expects, tried again until it works or its budget is spent.
//!
//! Source: spec: microbus-wire 9.1.

use super::claim::Arrival;
use super::{DANGEROUS_PORT, Ending, Process, Serving};
use crate::configuration::{Configuration, ConfigurationError};
use crate::control::Control;
use crate::deployment::{BusChoice, Deployment};
use crate::door::Door;
use crate::exit::Exit;
use crate::further::{Further, FurtherError};
use crate::guard::{Guard, Unsigned};
use crate::health::{CONFIGURES, CONNECTS, LOOKS, Phase, SUBSCRIBES, WAITS};
use crate::metrics::Callback;
use crate::service::Station;
use microbus_bus::{
    ConnectError, Connection, Connector, Delivery, Failures, OpenError, Outgoing, SubscribeError,
};
use microbus_token::DEFAULT_SIZE_LIMIT;
use microbus_verify::{BusKeySource, Settings, Verifier};
use microbus_wire::address::Address;
use microbus_wire::subject::Method;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// Why one attempt to start failed.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error(transparent)]
    Further(#[from] FurtherError),
    #[error("the service cannot start: {0}")]
    Service(Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "the door cannot open at {address}: {cause}; choose another loopback address with --door"
    )]
    Door {
        address: SocketAddr,
        cause: std::io::Error,
    },
}

impl StartError {
    /// Tells whether trying again is of no use.
    fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Connect(ConnectError::BadUrl { .. }) | Self::Door { .. }
        )
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Connect(ConnectError::BadUrl { .. })
            | Self::Configuration(_)
            | Self::Door { .. }
            | Self::Open(OpenError::FragmentSize(_)) => Exit::Configuration,
            Self::Connect(ConnectError::Refused { .. } | ConnectError::Unreachable { .. })
            | Self::Further(_)
            | Self::Subscribe(_)
            | Self::Open(OpenError::Subscribe(_)) => Exit::BrokerUnreachable,
            Self::Service(_) => Exit::Internal,
        }
    }
}

impl Process {
    /// Tries to start each second until it works or the budget is spent.
    pub(super) async fn start_within_budget(&self) -> Result<Serving, Ending> {
        let deadline = self.clock.now() + self.surroundings.startup_budget;
        let mut arrival = Arrival::Found;
        loop {
            let left = deadline.saturating_duration_since(self.clock.now());
            let error = match self.start(arrival, left).await {
                Ok(serving) => return Ok(serving),
                Err(error) => error,
            };
            if matches!(error, StartError::Connect(_)) {
                self.metrics.failed_to_connect();
                arrival = Arrival::Awaited;
            }
            let out_of_time = self.clock.now() + START_INTERVAL >= deadline;
            if error.is_final() || out_of_time {
                return Err(Ending::new(error.exit(), &error));
            }
            tracing::error!(error = %error, "Starting up");
            tokio::time::sleep(START_INTERVAL).await;
        }
    }

    /// One attempt to start, in the order that the bus expects (spec: microbus-wire 9.1).
    async fn start(&self, arrival: Arrival, budget: Duration) -> Result<Serving, StartError> {
        self.health.enter(Phase::Starting(CONNECTS));
        let connection = match &self.surroundings.bus {
            BusChoice::Nats(settings) => Connection::to_broker(settings).await?,
            BusChoice::Embedded => Connection::in_process(),
        };
        let attempt = self.start_on(connection.clone(), arrival, budget).await;
        if attempt.is_err() {
            connection.close().await;
        }
        attempt
    }

    async fn start_on(
        &self,
        connection: Connection,
        arrival: Arrival,
        budget: Duration,
    ) -> Result<Serving, StartError> {
        let embedded = connection.is_in_process();
        let local = self.surroundings.deployment.is_local();
        let failures = if local {
            Failures::Revealed
        } else {
            Failures::Redacted
        };
        let identity = self.identity.clone();
        // Ready by the time that we are configured.
        let claim = self.prepare_claim(connection.clone(), arrival);
        let connector =
            Connector::open(connection, identity, failures, Arc::clone(&self.clock)).await?;
        self.vitals.attach(&connector);
        self.watcher.attach(&connector);
        let latency = u64::try_from(connector.round_trip().as_nanos()).unwrap_or(u64::MAX);
        tracing::info!(latency, "Transport latency");

        let configuration = Arc::new(Configuration::new(
            self.profile,
            &self.surroundings,
            self.environment.clone(),
            self.files.clone(),
            Arc::clone(&self.service),
            Arc::clone(&self.metrics),
            Arc::clone(&self.clock),
        ));
        self.health.enter(Phase::Starting(CONFIGURES));
        configuration.start(&connector, budget).await?;
        self.health.enter(Phase::Starting(SUBSCRIBES));
        self.warn_of_shared_credentials();
        let control = Arc::new(Control {
            profile: self.profile,
            connector: Arc::clone(&connector),
            configuration: Arc::clone(&configuration),
            service: Arc::clone(&self.service),
            vitals: Arc::clone(&self.vitals),
            watcher: Arc::clone(&self.watcher),
            metrics: Arc::clone(&self.metrics),
            clock: Arc::clone(&self.clock),
            refreshes: Mutex::default(),
            prometheus: self.surroundings.prometheus,
            local,
        });
        let guard = self.guard(&connector);
        for route in control.cache_routes() {
            connector.subscribe(guard.before(route)).await?;
        }
        self.service
            .start(self.clock.now())
            .map_err(StartError::Service)?;
        let (claim, others) = self.stake(claim, &connector).await;
        let routes = control
            .routes()
            .into_iter()
            .chain(Arc::clone(&self.service).routes());
        let (dangerous, safe): (Vec<_>, Vec<_>) =
            routes.partition(|route| route.port == DANGEROUS_PORT);
        let (every, shared): (Vec<_>, Vec<_>) = safe
            .into_iter()
            .partition(|route| route.delivery == Delivery::Every);
        for route in every {
            connector.subscribe(guard.before(route)).await?;
        }
        self.health.enter(Phase::Starting(LOOKS));
        self.reach(Station::Heard { others }, &connector).await;
        for route in shared {
            connector.subscribe(guard.before(route)).await?;
        }
        connector.settle().await;
        let released = claim.map(|claim| {
            let connector = Arc::clone(&connector);
            tokio::spawn(async move { connector.release(claim).await })
        });
        self.health.enter(Phase::Starting(WAITS));
        self.reach(Station::Published, &connector).await;
        self.health.enter(Phase::Starting(SUBSCRIBES));
        for route in dangerous {
            connector.subscribe(guard.before(route)).await?;
        }
        connector.settle().await;
        let further = self.open_further(&connector).await?;
        let beside = further.iter().map(|one| Arc::clone(one.connector()));
        self.vitals.attach_further(beside);
        announce(&connector);
        if let Some(released) = released {
            // Giving up a claim does not fail.
            drop(released.await);
        }

        if embedded {
            self.open_door(&connector).await?;
        }
        self.health.enter(Phase::Serving);
        let took = self.clock.now().saturating_duration_since(self.started);
        self.watcher.callback(Callback::Startup, took, false);
        tracing::info!(
            milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "Serving"
        );
        Ok(Serving {
            connector,
            further,
            configuration,
        })
    }

    /// Opens the connections beside the first one, which serve what one replica answers for all.
    async fn open_further(&self, first: &Arc<Connector>) -> Result<Vec<Further>, FurtherError> {
        let mut opened = Vec::new();
        let BusChoice::Nats(settings) = &self.surroundings.bus else {
            return Ok(opened);
        };
        for _ in 1..self.surroundings.connections {
            let further = Further::open(settings.clone(), first).await?;
            let guard = self.guard(further.connector());
            let routes = Arc::clone(&self.service).routes().into_iter();
            let shared = routes.filter(|route| route.delivery == Delivery::One);
            let guarded = shared.map(|route| guard.before(route));
            further.subscribe(guarded.collect()).await?;
            tracing::info!(
                id = further.connector().identity().instance.as_str(),
                "Further connection"
            );
            opened.push(further);
        }
        Ok(opened)
    }

    pub(super) async fn reach(&self, station: Station, connector: &Arc<Connector>) {
        Arc::clone(&self.service).reach(station, connector).await;
    }

    fn guard(&self, connector: &Arc<Connector>) -> Guard {
        let service = Arc::clone(&self.service);
        // What a Go service would take for a token must not be too large for us.
        let settings = Settings {
            size_limit: DEFAULT_SIZE_LIMIT,
            ..Settings::default()
        };
        let verifier = Verifier::with_known_keys(
            BusKeySource::new(Arc::downgrade(connector)),
            move |issuer, id| service.verifying_key(issuer, id),
            Arc::clone(&self.clock),
            settings,
        );
        Guard {
            verifier,
            metrics: Arc::clone(&self.metrics),
            unsigned: match self.surroundings.deployment {
                Deployment::Testing => Unsigned::Ignored,
                Deployment::Prod | Deployment::Lab | Deployment::Local => Unsigned::Refused,
            },
        }
    }

    async fn open_door(&self, connector: &Arc<Connector>) -> Result<(), StartError> {
        let listener = TcpListener::bind(self.door)
            .await
            .and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = listener.map_err(|cause| StartError::Door {
            address: self.door,
            cause,
        })?;
        let door = Door {
            connector: Arc::clone(connector),
            vitals: Arc::clone(&self.vitals),
            address,
        };
        tokio::spawn(door.serve(listener));
        tracing::warn!("No broker: MICROBUS_NATS is not set, serving HTTP on loopback only");
        tracing::info!(
            "Mint a token: curl -s http://{address}/mint -H 'Content-Type: application/json' \
             -d '{{\"claims\":{{\"sub\":\"harry\",\"roles\":[\"admin\"]}}}}'"
        );
        Ok(())
    }

    /// Says so where callers are to be told apart and the broker cannot do that.
    fn warn_of_shared_credentials(&self) {
        if self.minting.tells_callers_apart() && !self.surroundings.has_own_credentials() {
            tracing::warn!(
                "Minters, MintPolicy and MintRatePerCaller mean little: callers may share their credentials"
            );
        }
    }
}

/// Tells everybody that we are here, without waiting for their answers.
fn announce(connector: &Arc<Connector>) {
    let connector = Arc::clone(connector);
    let own = connector.identity().hostname.as_str();
    let body = serde_json::json!({ "hosts": [own, "all"] }).to_string();
    tokio::spawn(async move {
        let Ok(address) = Address::parse("https://all:888/on-new-subs") else {
            return;
        };
        let request = Outgoing::new(Method::Post, address).json(body);
        if let Err(error) = connector.multicast(&request).await {
            tracing::warn!(error = %error, "Announcing new subscriptions");
        }
    });
}

const START_INTERVAL: Duration = Duration::from_secs(1);
