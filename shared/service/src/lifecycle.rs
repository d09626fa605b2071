//! The life of a process: judge its surroundings, start, serve, stop.
//!
//! Source: spec: microbus-wire 9. Start-up is tried again each second within its budget; what no retry can mend ends it at
//! once, with every problem listed.

use crate::admin;
use crate::audit::{self, Audit};
use crate::clock_watch::ClockWatch;
use crate::configuration::{self, Configuration, ConfigurationError};
use crate::control::Control;
use crate::deployment::{BusChoice, ConfigurationSource, Deployment, Surroundings};
use crate::door::Door;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::files::{self, FileValues};
use crate::further::{Further, FurtherError};
use crate::guard::guarded;
use crate::health::{Health, Phase};
use crate::log::{self, CommonFields};
use crate::metrics::{Callback, Metrics};
use crate::minting::Minting;
use crate::own_file;
use crate::process;
use crate::service::{Parts, Profile, Service, Station};
use crate::settings::{self, Texts};
use crate::signal::{Rotate, Stop};
use crate::vitals::Vitals;
use microbus_bus::{
    Clock, ConnectError, Connection, Connector, Delivery, Failures, Identity, OpenError, Outgoing,
    SubscribeError, SystemClock, random_instance_id,
};
use microbus_token::DEFAULT_SIZE_LIMIT;
use microbus_verify::{BusKeySource, Settings, Verifier};
use microbus_wire::address::Address;
use microbus_wire::host::Hostname;
use microbus_wire::subject::Method;
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// What an operator may say on the command line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Loopback address of the HTTP door that opens where there is no broker.
    pub door: Option<SocketAddr>,
}

/// Runs the service of `profile` until it is told to stop; `build` makes it once its surroundings are known.
pub fn run(
    profile: &'static Profile,
    options: Options,
    build: impl FnOnce(Parts<'_>) -> Arc<dyn Service>,
) -> ExitCode {
    match Process::prepare(profile, options, build).and_then(Process::live) {
        Ok(()) => Exit::Ok.into(),
        Err(ending) => {
            for problem in &ending.problems {
                report(profile, problem);
            }
            ending.exit.into()
        }
    }
}

/// Why a process ended otherwise than asked.
#[derive(Debug)]
struct Ending {
    exit: Exit,
    problems: Vec<String>,
}

impl Ending {
    fn new(exit: Exit, problem: &dyn std::fmt::Display) -> Self {
        Self {
            exit,
            problems: vec![problem.to_string()],
        }
    }
}

/// A process that is ready to start.
struct Process {
    profile: &'static Profile,
    surroundings: Surroundings,
    door: SocketAddr,
    identity: Identity,
    environment: Texts,
    files: Texts,
    service: Arc<dyn Service>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    vitals: Arc<Vitals>,
    audit: Arc<Audit>,
    minting: Arc<Minting>,
    clock: Arc<dyn Clock>,
    started: Instant,
}

/// A process that serves.
struct Serving {
    connector: Arc<Connector>,
    further: Vec<Further>,
    configuration: Arc<Configuration>,
}

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
    /// Judges everything that can be judged without a bus.
    fn prepare(
        profile: &'static Profile,
        options: Options,
        build: impl FnOnce(Parts<'_>) -> Arc<dyn Service>,
    ) -> Result<Self, Ending> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let started = clock.now();
        let internal = |error: &dyn std::fmt::Display| Ending::new(Exit::Internal, error);
        process::forbid_dumps().map_err(|error| internal(&error))?;
        let directory = std::env::current_dir().map_err(|error| internal(&error))?;
        let environment = Environment::of_process(&directory);
        let hostname = Hostname::parse(profile.issuer.host()).map_err(|error| internal(&error))?;

        let (surroundings, mut problems) =
            match Surroundings::judge(&environment, &directory, &hostname) {
                Ok(surroundings) => (Some(surroundings), Vec::new()),
                Err(problems) => (None, problems),
            };
        let defaults_alone = surroundings
            .as_ref()
            .is_some_and(|found| found.configuration == ConfigurationSource::Defaults);
        let found = if defaults_alone {
            FileValues::default()
        } else {
            files::read(&directory, hostname.as_str(), profile.properties)
        };
        problems.extend(found.problems);
        let by_environment = own_file::paths(profile.properties, &environment);
        let files = settings::layered(&by_environment, found.values);
        if let Err(invalid) = settings::check_files(profile.properties, &files) {
            problems.extend(invalid.iter().map(ToString::to_string));
        }
        let door = options
            .door
            .unwrap_or_else(|| (Ipv4Addr::LOCALHOST, profile.door_port).into());
        if !door.ip().is_loopback() {
            problems.push(format!(
                "--door is {door}; it must be a loopback address such as 127.0.0.1"
            ));
        }
        let refused = |problems| Ending {
            exit: Exit::Configuration,
            problems,
        };
        let Some(surroundings) = surroundings else {
            return Err(refused(problems));
        };

        let identity = Identity {
            plane: surroundings.plane.clone(),
            hostname,
            version: profile.version,
            instance: random_instance_id(),
            locality: surroundings.locality.clone(),
        };
        let common = CommonFields {
            plane: identity.plane.as_str().to_owned(),
            service: identity.hostname.as_str().to_owned(),
            version: identity.version,
            instance: identity.instance.as_str().to_owned(),
            deployment: surroundings.deployment,
        };
        let metrics = Arc::new(Metrics::new(&common, profile).map_err(|error| internal(&error))?);
        let rng = StdRng::try_from_rng(&mut SysRng).map_err(|error| internal(&error))?;
        let own = settings::resolve(profile.properties, &files, &Texts::new(), None)
            .map_err(|error| internal(&error))?;
        let audit = match Audit::open(&own.settings, &metrics) {
            Ok(audit) => Arc::new(audit),
            Err(error) => {
                let path = own.settings.text(audit::LOG);
                problems.push(format!(
                    "AuditLog is {path}, which cannot be opened: {error}"
                ));
                return Err(refused(problems));
            }
        };
        let minting = Arc::new(Minting::new(
            Arc::clone(&metrics),
            Arc::clone(&audit),
            Arc::clone(&clock),
            profile.issuer.host(),
            identity.instance.as_str().to_owned(),
        ));
        let service = build(Parts {
            deployment: surroundings.deployment,
            clock: Arc::clone(&clock),
            rng,
            identity: &identity,
            metrics: &metrics,
            minting: Arc::clone(&minting),
        });
        problems.extend(service.judge(&own.settings).err().unwrap_or_default());
        if !problems.is_empty() {
            return Err(refused(problems));
        }
        log::start(common, surroundings.debug, metrics.messages.clone())
            .map_err(|error| internal(&error))?;
        log_panics();
        configuration::log_skipped(&found.skipped);
        let health = Arc::new(Health::default());
        let vitals = Arc::new(Vitals::new(
            Arc::clone(&metrics),
            Arc::clone(&health),
            Arc::clone(&service),
            Arc::clone(&clock),
            started,
        ));
        Ok(Self {
            profile,
            surroundings,
            door,
            identity,
            environment: by_environment,
            files,
            service,
            metrics,
            health,
            vitals,
            audit,
            minting,
            clock,
            started,
        })
    }

    /// Starts, serves and stops, all on one thread.
    fn live(self) -> Result<(), Ending> {
        let internal = |error: std::io::Error| Ending::new(Exit::Internal, &error);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(internal)?;
        runtime.block_on(async {
            let mut stop = Stop::listen().map_err(internal)?;
            let mut rotate = Rotate::listen().map_err(internal)?;
            tracing::info!(configuration = self.configuration_source(), "Startup");
            self.open_admin()?;
            tokio::spawn(self.pulse());
            let serving = tokio::select! {
                serving = self.start_within_budget() => serving?,
                () = stop.asked() => return Ok(()),
            };
            tokio::select! {
                () = self.keep_time(&serving, &mut rotate) => {}
                () = stop.asked() => {}
            }
            tokio::select! {
                () = self.stop(&serving) => {}
                () = stop.asked() => tracing::warn!("Stopping at once"),
            }
            Ok(())
        })
    }

    /// Says so where callers are to be told apart and the broker cannot do that.
    fn warn_of_shared_credentials(&self) {
        if self.minting.tells_callers_apart() && !self.surroundings.has_own_credentials() {
            tracing::warn!(
                "Minters, MintPolicy and MintRatePerCaller mean little: callers may share their credentials"
            );
        }
    }

    /// Opens the admin listener where there is to be one.
    fn open_admin(&self) -> Result<(), Ending> {
        let Some(address) = self.surroundings.admin else {
            return Ok(());
        };
        match admin::open(address, Arc::clone(&self.vitals)) {
            Ok(address) => {
                tracing::info!(%address, "Admin listener open");
                Ok(())
            }
            Err(error) => {
                let problem = format!(
                    "the admin listener cannot open at {address}: {error}; choose another address with MICROBUS_ADMIN"
                );
                Err(Ending::new(Exit::Configuration, &problem))
            }
        }
    }

    /// Shows that the thread works, and looks whether the wall clock was set, for as long as the process lives.
    fn pulse(&self) -> impl Future<Output = ()> + use<> {
        let (vitals, metrics) = (Arc::clone(&self.vitals), Arc::clone(&self.metrics));
        let clock = Arc::clone(&self.clock);
        async move {
            let mut watch = ClockWatch::new(clock.now(), clock.wall());
            loop {
                vitals.beat();
                if let Some(milliseconds) = watch.look(clock.now(), clock.wall()) {
                    tracing::warn!(milliseconds, "The wall clock was set");
                    metrics.clock_steps.inc();
                }
                tokio::time::sleep(PULSE).await;
            }
        }
    }

    /// Says which sources of configuration are in force.
    fn configuration_source(&self) -> &'static str {
        match (&self.surroundings.bus, self.surroundings.configuration) {
            (_, ConfigurationSource::Defaults) => "defaults alone",
            (BusChoice::Embedded, _) | (_, ConfigurationSource::Files) => "own files alone",
            (BusChoice::Nats(_), ConfigurationSource::Configurator) => {
                "own files, then configurator"
            }
        }
    }

    /// Tries to start each second until it works or the budget is spent.
    async fn start_within_budget(&self) -> Result<Serving, Ending> {
        let deadline = self.clock.now() + self.surroundings.startup_budget;
        loop {
            let left = deadline.saturating_duration_since(self.clock.now());
            let error = match self.start(left).await {
                Ok(serving) => return Ok(serving),
                Err(error) => error,
            };
            if matches!(error, StartError::Connect(_)) {
                self.metrics.failed_to_connect();
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
    async fn start(&self, budget: Duration) -> Result<Serving, StartError> {
        let connection = match &self.surroundings.bus {
            BusChoice::Nats(settings) => Connection::to_broker(settings).await?,
            BusChoice::Embedded => Connection::in_process(),
        };
        let attempt = self.start_on(connection.clone(), budget).await;
        if attempt.is_err() {
            connection.close().await;
        }
        attempt
    }

    async fn start_on(
        &self,
        connection: Connection,
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
        let connector =
            Connector::open(connection, identity, failures, Arc::clone(&self.clock)).await?;
        self.vitals.attach(&connector);
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
        configuration.start(&connector, budget).await?;
        self.warn_of_shared_credentials();
        let control = Arc::new(Control {
            profile: self.profile,
            connector: Arc::clone(&connector),
            configuration: Arc::clone(&configuration),
            service: Arc::clone(&self.service),
            vitals: Arc::clone(&self.vitals),
            metrics: Arc::clone(&self.metrics),
            clock: Arc::clone(&self.clock),
            refreshes: Mutex::default(),
            prometheus: self.surroundings.prometheus,
            local,
        });
        let verifier = self.verifier(&connector);
        for route in control.cache_routes() {
            connector
                .subscribe(guarded(route, &verifier, &self.metrics))
                .await?;
        }
        self.service
            .start(self.clock.now())
            .map_err(StartError::Service)?;
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
            connector
                .subscribe(guarded(route, &verifier, &self.metrics))
                .await?;
        }
        self.reach(Station::Heard, &connector).await;
        for route in shared {
            connector
                .subscribe(guarded(route, &verifier, &self.metrics))
                .await?;
        }
        connector.settle().await;
        self.reach(Station::Published, &connector).await;
        for route in dangerous {
            connector
                .subscribe(guarded(route, &verifier, &self.metrics))
                .await?;
        }
        connector.settle().await;
        let further = self.open_further(&connector).await?;
        let beside = further.iter().map(|one| Arc::clone(one.connector()));
        self.vitals.attach_further(beside);
        announce(&connector);

        if embedded {
            self.open_door(&connector).await?;
        }
        self.health.enter(Phase::Serving);
        let took = self.clock.now().saturating_duration_since(self.started);
        self.metrics.callback(Callback::Startup, took, false);
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
            let verifier = self.verifier(further.connector());
            let routes = Arc::clone(&self.service).routes().into_iter();
            let shared = routes.filter(|route| route.delivery == Delivery::One);
            let guarded = shared.map(|route| guarded(route, &verifier, &self.metrics));
            further.subscribe(guarded.collect()).await?;
            tracing::info!(
                id = further.connector().identity().instance.as_str(),
                "Further connection"
            );
            opened.push(further);
        }
        Ok(opened)
    }

    async fn reach(&self, station: Station, connector: &Arc<Connector>) {
        Arc::clone(&self.service).reach(station, connector).await;
    }

    fn verifier(&self, connector: &Arc<Connector>) -> Verifier {
        let service = Arc::clone(&self.service);
        // What a Go service would take for a token must not be too large for us.
        let settings = Settings {
            size_limit: DEFAULT_SIZE_LIMIT,
            ..Settings::default()
        };
        Verifier::with_known_keys(
            BusKeySource::new(Arc::downgrade(connector)),
            move |issuer, id| service.verifying_key(issuer, id),
            Arc::clone(&self.clock),
            settings,
        )
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

    /// Calls the service whenever its time has come, or an operator asks for a new key by SIGUSR1; never returns.
    async fn keep_time(&self, serving: &Serving, rotate: &mut Rotate) {
        if self.surroundings.deployment == Deployment::Testing {
            std::future::pending::<()>().await;
        }
        loop {
            let now = self.clock.now();
            let wakeup = self.service.advance(now);
            if self.profile.issuer == microbus_token::Issuer::Access {
                let took = self.clock.now().saturating_duration_since(now);
                self.metrics.callback(Callback::RotateKey, took, false);
            }
            let until = wakeup.unwrap_or_else(|| self.clock.now() + LONGEST_SLEEP);
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                () = serving.configuration.changed.notified() => {}
                () = rotate.asked() => {
                    tracing::warn!("Rotating keys on command");
                    self.service.rotate();
                }
            }
        }
    }

    /// Stops without losing a request that was delivered (spec: microbus-wire 9.2, 13.23).
    async fn stop(&self, serving: &Serving) {
        let Serving {
            connector, further, ..
        } = serving;
        self.health.enter(Phase::Stopping);
        let budget = self
            .surroundings
            .shutdown_budget
            .saturating_sub(FLUSH_RESERVE)
            .max(FLUSH_RESERVE);
        let drain = async {
            connector.leave(|route| route.port == DANGEROUS_PORT).await;
            for one in further {
                one.leave(|_| true).await;
            }
            connector.drained().await;
            self.reach(Station::Leaving, connector).await;
            connector
                .leave(|route| !route.path.starts_with("/dcache/"))
                .await;
            connector.drained().await;
            connector.leave(|_| true).await;
            connector.drained().await;
        };
        let began = self.clock.now();
        let drained = tokio::time::timeout(budget, drain).await;
        if drained.is_err() {
            tracing::error!(
                pending = connector.in_flight(),
                "Unable to drain pending operations"
            );
        }
        for one in further {
            one.close().await;
        }
        connector.connection().close().await;
        let took = self.clock.now().saturating_duration_since(began);
        self.metrics
            .callback(Callback::Shutdown, took, drained.is_err());
        tracing::info!("Shutdown");
        self.audit.flush();
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

/// Writes a problem where the operator looks, whether or not logging has begun.
fn report(profile: &Profile, problem: &str) {
    // Without a standard error there is nobody to tell; the exit code says the rest.
    drop(writeln!(
        std::io::stderr(),
        "{}: {problem}",
        profile.issuer.host()
    ));
}

/// Panics are caught per request; their place goes to the log instead of bare text on standard error.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(place, "Panic");
    }));
}

/// Where tokens are minted (spec: microbus-wire 2.1).
const DANGEROUS_PORT: u16 = 666;
const START_INTERVAL: Duration = Duration::from_secs(1);
/// Kept from the shutdown budget for writing what is buffered.
const FLUSH_RESERVE: Duration = Duration::from_secs(2);
/// How often the thread shows that it works.
const PULSE: Duration = Duration::from_secs(1);
const LONGEST_SLEEP: Duration = Duration::from_secs(60 * 60);
