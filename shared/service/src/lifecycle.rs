//! The life of a process: judge its surroundings, start, serve, stop.
//!
//! Source: spec: microbus-wire 9. Start-up is tried again each second within its budget; what no retry can mend ends it at
//! once, with every problem listed.

use crate::audit::Audit;
use crate::configuration::{Configuration, OwnFiles};
use crate::deployment::{BusChoice, ConfigurationSource, Surroundings};
use crate::exit::Exit;
use crate::further::Further;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::minting::Minting;
use crate::service::{Parts, Profile, Service};
use crate::settings::Texts;
use crate::signal::{Rotate, Stop};
use crate::telemetry::Watcher;
use crate::vitals::Vitals;
use microbus_bus::{Clock, Connector, Identity};
use microbus_otlp::Exporter;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

mod claim;
mod preparation;
mod shutdown;
mod startup;
mod timekeeping;

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
    files: OwnFiles,
    service: Arc<dyn Service>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    vitals: Arc<Vitals>,
    watcher: Arc<Watcher>,
    exporter: Option<Arc<Exporter>>,
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

impl Process {
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
                () = stop.asked() => {
                    tracing::warn!("Stopping at once");
                    // Decisions that were answered are recorded all the same, which takes milliseconds.
                    self.audit.flush();
                }
            }
            Ok(())
        })
    }

    /// Opens the admin listener where there is to be one.
    fn open_admin(&self) -> Result<(), Ending> {
        let Some(admin) = &self.surroundings.admin else {
            return Ok(());
        };
        match admin.clone().open(Arc::clone(&self.vitals)) {
            Ok(address) => {
                tracing::info!(%address, tls = admin.has_tls(), "Admin listener open");
                Ok(())
            }
            Err(error) => {
                let problem = format!(
                    "the admin listener cannot open at {}: {error}; choose another address with MICROBUS_ADMIN",
                    admin.address
                );
                Err(Ending::new(Exit::Configuration, &problem))
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

/// Where tokens are minted (spec: microbus-wire 2.1).
const DANGEROUS_PORT: u16 = 666;
