//! Where and how a process runs, judged once at start from its environment and working directory.
//!
//! Source: spec: microbus-wire 1.1, 1.2, 1.5, 8.6, 9.1. All problems are collected, so that an operator
//! mends them in one go.

use crate::admin::Admin;
use crate::cloud::Cloud;
use crate::environment::Environment;
use microbus_bus::{Artifacts, DeprecatedLogin, NatsSettings};
use microbus_wire::duration;
use microbus_wire::host::Hostname;
use microbus_wire::locality::{Locality, LocalityError};
use microbus_wire::subject::Plane;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How strict a process is and what it may take for granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// The real thing.
    Prod,
    /// Like [`Self::Prod`], with debug logging available.
    Lab,
    /// A developer's machine.
    Local,
    /// Inside a test: no files, no configurator, no tickers.
    Testing,
}

impl Deployment {
    /// Returns the name on the wire: `PROD`, `LAB`, `LOCAL` or `TESTING`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prod => "PROD",
            Self::Lab => "LAB",
            Self::Local => "LOCAL",
            Self::Testing => "TESTING",
        }
    }

    /// Tells whether answers may show details of a failure, and JSON is indented for people.
    #[must_use]
    pub fn is_local(self) -> bool {
        self == Self::Local
    }

    /// Returns the deployment of a process that starts in `environment`.
    ///
    /// # Errors
    /// A sentence about `MICROBUS_DEPLOYMENT`, when it is none.
    pub fn of(environment: &Environment) -> Result<Self, String> {
        match environment.get("MICROBUS_DEPLOYMENT") {
            None => Ok(Self::inferred(environment.get("MICROBUS_NATS"))),
            Some(text) => Self::parse(text).ok_or_else(|| {
                format!("MICROBUS_DEPLOYMENT is '{text}'; it must be PROD, LAB, LOCAL or TESTING")
            }),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Prod, Self::Lab, Self::Local, Self::Testing]
            .into_iter()
            .find(|deployment| text.eq_ignore_ascii_case(deployment.as_str()))
    }

    /// Infers the deployment of a process that was told none: `LOCAL`, unless its broker is elsewhere.
    fn inferred(servers: Option<&str>) -> Self {
        let local = |servers: &str| {
            ["/127.0.0.1:", "/0.0.0.0:", "/localhost:"]
                .iter()
                .any(|near| servers.contains(near))
        };
        match servers {
            Some(servers) if !local(servers) => Self::Prod,
            _ => Self::Local,
        }
    }
}

/// Which bus a process works on.
#[derive(Debug, Clone)]
pub(crate) enum BusChoice {
    /// A NATS broker.
    Nats(NatsSettings),
    /// None but the process itself: the issuer then serves HTTP on loopback.
    Embedded,
}

/// Where the properties of a process come from, besides its own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfigurationSource {
    /// The configurator service of the bus, whose values override the files.
    Configurator,
    /// The process's own files alone.
    Files,
    /// Nothing but defaults: in TESTING a stray file must not change what is tested.
    Defaults,
}

/// What a process is told of where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// Nothing.
    Unknown,
    /// The locality itself.
    Told(Locality),
    /// Who knows.
    AskCloud(Cloud),
}

impl Whereabouts {
    fn parse(text: &str) -> Result<Self, LocalityError> {
        match Cloud::named(text) {
            Some(cloud) => Ok(Self::AskCloud(cloud)),
            None => Ok(Self::Told(Locality::parse(text)?)),
        }
    }

    /// Returns the locality, after asking the cloud if need be.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub(crate) fn find(&self) -> Result<Option<Locality>, String> {
        match self {
            Self::Unknown => Ok(None),
            Self::Told(locality) => Ok(Some(locality.clone())),
            Self::AskCloud(cloud) => cloud.locality().map(Some).map_err(|error| {
                format!(
                    "MICROBUS_LOCALITY names a cloud, but {error}; write the zone itself, such as us-east-1a"
                )
            }),
        }
    }
}

/// The surroundings of a process, valid as a whole.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// Deployment in force.
    pub(crate) deployment: Deployment,
    /// First segment of every subject.
    pub(crate) plane: Plane,
    /// Where this process runs.
    pub(crate) whereabouts: Whereabouts,
    /// The bus to work on.
    pub(crate) bus: BusChoice,
    /// Where properties come from.
    pub(crate) configuration: ConfigurationSource,
    /// Working directory: artifacts and configuration files are looked up from here.
    pub(crate) directory: PathBuf,
    /// Connections to the broker, each with a thread of its own.
    pub(crate) connections: u8,
    /// How long start-up may be retried before the process gives up.
    pub(crate) startup_budget: Duration,
    /// How long a stop may take in all.
    pub(crate) shutdown_budget: Duration,
    /// Whether `:888/metrics` answers with Prometheus text.
    pub(crate) prometheus: bool,
    /// Where and how the admin listener opens, if anywhere.
    pub(crate) admin: Option<Admin>,
    /// Where traces, metrics and log lines are exported to, if anywhere.
    pub(crate) telemetry: microbus_otlp::Settings,
    /// Whether DEBUG lines are logged; never in PROD.
    pub(crate) debug: bool,
}

impl Surroundings {
    /// Judges `environment` and the artifacts in `directory` for the service `hostname`.
    ///
    /// # Errors
    /// Every problem found, one sentence each with its remedy; an operator's exit code for them is 78.
    pub(crate) fn judge(
        environment: &Environment,
        directory: &Path,
        hostname: &Hostname,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let servers = environment.get("MICROBUS_NATS");
        let deployment = Deployment::of(environment).unwrap_or_else(|problem| {
            problems.push(problem);
            Deployment::Prod
        });
        let plane = match environment.get("MICROBUS_PLANE") {
            None => Plane::default(),
            Some(text) => Plane::parse(text).unwrap_or_else(|error| {
                problems.push(format!("MICROBUS_PLANE: {error}"));
                Plane::default()
            }),
        };
        let whereabouts = match environment.get("MICROBUS_LOCALITY") {
            None => Whereabouts::Unknown,
            Some(text) => Whereabouts::parse(text).unwrap_or_else(|error| {
                problems.push(format!("MICROBUS_LOCALITY: {error}"));
                Whereabouts::Unknown
            }),
        };
        let configuration = match environment.get("MICROBUS_CONFIGURATION") {
            None | Some("configurator") => ConfigurationSource::Configurator,
            Some("files") => ConfigurationSource::Files,
            Some(other) => {
                problems.push(format!(
                    "MICROBUS_CONFIGURATION is '{other}'; it must be configurator or files"
                ));
                ConfigurationSource::Configurator
            }
        };
        let configuration = match deployment {
            Deployment::Testing => ConfigurationSource::Defaults,
            Deployment::Prod | Deployment::Lab | Deployment::Local => configuration,
        };
        let artifacts = Artifacts::resolve(directory, hostname.as_str());
        let bus = choose_bus(environment, deployment, servers, artifacts, &mut problems);
        let admin = Admin::read(environment, deployment, &mut problems);
        let connections = match environment.get("MICROBUS_CONNECTIONS").map(str::parse) {
            None => 1,
            Some(Ok(count)) if (1..=MOST_CONNECTIONS).contains(&count) => count,
            Some(_) => {
                problems.push(format!(
                    "MICROBUS_CONNECTIONS must be a number from 1 to {MOST_CONNECTIONS}: one per core that is to work, mostly 1"
                ));
                1
            }
        };
        let telemetry = microbus_otlp::Settings::read(|name| environment.get(name));
        let telemetry = telemetry.unwrap_or_else(|found| {
            problems.extend(found);
            microbus_otlp::Settings::default()
        });
        let surroundings = Self {
            deployment,
            plane,
            whereabouts,
            bus,
            configuration,
            directory: directory.to_owned(),
            connections,
            startup_budget: budget(environment, "MICROBUS_STARTUP_TIME_BUDGET", 120),
            shutdown_budget: budget(environment, "MICROBUS_SHUTDOWN_TIME_BUDGET", 24),
            prometheus: environment.is_on("MICROBUS_PROMETHEUS_EXPORTER"),
            admin,
            telemetry,
            debug: deployment != Deployment::Prod && environment.is_on("MICROBUS_LOG_DEBUG"),
        };
        if problems.is_empty() {
            Ok(surroundings)
        } else {
            Err(problems)
        }
    }
}

impl Surroundings {
    /// Tells whether a credentials file restricts what we may say and hear.
    #[must_use]
    pub(crate) fn has_credentials(&self) -> bool {
        matches!(&self.bus, BusChoice::Nats(settings) if settings.artifacts.credentials.is_some())
    }
}

impl Surroundings {
    /// Tells whether the credentials file is that of this service alone, as where each caller has one of its own.
    pub(crate) fn has_own_credentials(&self) -> bool {
        let BusChoice::Nats(settings) = &self.bus else {
            return false;
        };
        let file = settings.artifacts.credentials.as_deref();
        file.and_then(Path::file_name)
            .is_some_and(|name| name != "nats.creds")
    }
}

/// Chooses the bus without ever failing open: the embedded one only where nothing hints at a broker.
fn choose_bus(
    environment: &Environment,
    deployment: Deployment,
    servers: Option<&str>,
    artifacts: Artifacts,
    problems: &mut Vec<String>,
) -> BusChoice {
    let short_circuit_off = environment.is_off("MICROBUS_SHORT_CIRCUIT");
    if servers.is_none() && !short_circuit_off {
        if let Some(credentials) = artifacts.any_credentials() {
            problems.push(format!(
                "MICROBUS_NATS is not set, but {} lies here; set MICROBUS_NATS to the broker's URL",
                credentials.display()
            ));
        } else if deployment != Deployment::Local {
            problems.push(format!(
                "MICROBUS_NATS is not set; the {} deployment needs a broker: set it to its URL",
                deployment.as_str()
            ));
        }
        return BusChoice::Embedded;
    }
    BusChoice::Nats(NatsSettings {
        servers: servers.unwrap_or("nats://127.0.0.1:4222").to_owned(),
        artifacts,
        deprecated: deprecated_login(environment),
    })
}

fn deprecated_login(environment: &Environment) -> Option<DeprecatedLogin> {
    let secret = |name: &str| environment.get(name).map(|value| value.to_owned().into());
    if let (Some(user), Some(password)) = (
        environment.get("MICROBUS_NATS_USER"),
        secret("MICROBUS_NATS_PASSWORD"),
    ) {
        return Some(DeprecatedLogin::Password {
            user: user.to_owned(),
            password,
        });
    }
    if let Some(token) = secret("MICROBUS_NATS_TOKEN") {
        return Some(DeprecatedLogin::Token(token));
    }
    let jwt = environment.get("MICROBUS_NATS_USER_JWT")?;
    Some(DeprecatedLogin::UserJwt {
        jwt: jwt.to_owned(),
        seed: secret("MICROBUS_NATS_NKEY_SEED")?,
    })
}

/// More than any issuer needs, and few enough for a typing error to be noticed.
const MOST_CONNECTIONS: u8 = 16;

/// Unparsable and non-positive budgets mean the default, as in the Go services (spec: microbus-wire 9.1).
fn budget(environment: &Environment, name: &str, default_seconds: u64) -> Duration {
    environment
        .get(name)
        .and_then(|text| duration::parse(text).ok())
        .and_then(|nanoseconds| u64::try_from(nanoseconds).ok())
        .filter(|nanoseconds| *nanoseconds > 0)
        .map_or_else(
            || Duration::from_secs(default_seconds),
            Duration::from_nanos,
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(variables: &[(&str, &str)], directory: &Path) -> Result<Surroundings, Vec<String>> {
        let hostname = Hostname::parse("access.token.core").unwrap();
        Surroundings::judge(&variables.iter().copied().collect(), directory, &hostname)
    }

    #[test]
    fn an_unset_deployment_is_inferred_from_the_broker() {
        let directory = tempfile::tempdir().unwrap();
        for (servers, expected) in [
            ("nats://127.0.0.1:4222", Deployment::Local),
            ("nats://localhost:4222", Deployment::Local),
            ("nats://localhost", Deployment::Prod),
            ("nats://broker.internal:4222", Deployment::Prod),
        ] {
            let judged = judge(&[("MICROBUS_NATS", servers)], directory.path()).unwrap();
            assert_eq!(judged.deployment, expected, "{servers}");
        }
    }

    #[test]
    fn without_a_broker_the_embedded_bus_serves_in_local_only() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(
            judge(&[], directory.path()).unwrap().bus,
            BusChoice::Embedded
        ));
        for deployment in ["PROD", "LAB", "TESTING"] {
            let problems =
                judge(&[("MICROBUS_DEPLOYMENT", deployment)], directory.path()).unwrap_err();
            assert!(
                problems[0].contains("MICROBUS_NATS is not set"),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn credentials_in_the_directory_forbid_the_embedded_bus() {
        for name in [
            "nats.creds",
            "access.token.core_nats.creds",
            "other.service_nats.creds",
        ] {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join(name), "").unwrap();
            let problems = judge(&[], directory.path()).unwrap_err();
            assert!(problems[0].contains(name) && problems[0].contains("MICROBUS_NATS"));
        }
    }

    #[test]
    fn short_circuit_off_means_the_broker_on_this_machine() {
        let directory = tempfile::tempdir().unwrap();
        let judged = judge(&[("MICROBUS_SHORT_CIRCUIT", "False")], directory.path()).unwrap();
        let BusChoice::Nats(settings) = judged.bus else {
            panic!("embedded")
        };
        assert_eq!(settings.servers, "nats://127.0.0.1:4222");
    }

    #[test]
    fn every_problem_is_listed_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let problems = judge(
            &[
                ("MICROBUS_NATS", "nats://127.0.0.1:4222"),
                ("MICROBUS_DEPLOYMENT", "STAGING"),
                ("MICROBUS_PLANE", "a.b"),
                ("MICROBUS_LOCALITY", "US_WEST"),
                ("MICROBUS_CONFIGURATION", "nowhere"),
            ],
            directory.path(),
        )
        .unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:?}");
    }

    #[test]
    fn a_locality_is_told_or_left_to_a_cloud() {
        let directory = tempfile::tempdir().unwrap();
        let whereabouts = |text| {
            let variables = [("MICROBUS_SHORT_CIRCUIT", "0"), ("MICROBUS_LOCALITY", text)];
            judge(&variables, directory.path()).unwrap().whereabouts
        };
        let told = whereabouts("1.west.us").find().unwrap().unwrap();
        assert_eq!(told.as_str(), "us-west-1");
        assert_eq!(whereabouts("aws"), Whereabouts::AskCloud(Cloud::Aws));
        assert_eq!(whereabouts("GCP"), Whereabouts::AskCloud(Cloud::Gcp));
        assert_eq!(Whereabouts::Unknown.find(), Ok(None));
    }

    #[test]
    fn odd_budgets_mean_the_default() {
        let directory = tempfile::tempdir().unwrap();
        for (text, seconds) in [("5s", 5), ("", 24), ("0s", 24), ("-3s", 24), ("soon", 24)] {
            let judged = judge(&[("MICROBUS_SHUTDOWN_TIME_BUDGET", text)], directory.path());
            assert_eq!(
                judged.unwrap().shutdown_budget,
                Duration::from_secs(seconds),
                "{text}"
            );
        }
    }

    #[test]
    fn testing_has_neither_files_nor_configurator() {
        let directory = tempfile::tempdir().unwrap();
        let source = |deployment| {
            let variables = [
                ("MICROBUS_NATS", "nats://127.0.0.1:4222"),
                ("MICROBUS_DEPLOYMENT", deployment),
            ];
            judge(&variables, directory.path()).unwrap().configuration
        };
        assert_eq!(source("TESTING"), ConfigurationSource::Defaults);
        assert_eq!(source("LAB"), ConfigurationSource::Configurator);
    }

    #[test]
    fn debug_lines_are_never_logged_in_prod() {
        let directory = tempfile::tempdir().unwrap();
        let debug = |deployment| {
            let variables = [
                ("MICROBUS_NATS", "nats://127.0.0.1:4222"),
                ("MICROBUS_LOG_DEBUG", "1"),
                ("MICROBUS_DEPLOYMENT", deployment),
            ];
            judge(&variables, directory.path()).unwrap().debug
        };
        assert!(debug("LAB") && !debug("PROD"));
    }
}
