//! Before the start: judge everything that can be judged without a bus.

use super::{Ending, Options, Process};
use crate::audit::{self, Audit};
use crate::configuration::{self, OwnFiles};
use crate::deployment::{ConfigurationSource, Deployment, Surroundings};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::files::{self, FileValues};
use crate::health::Health;
use crate::log::{self, CommonFields};
use crate::metrics::Metrics;
use crate::minting::Minting;
use crate::own_file;
use crate::process;
use crate::service::{Parts, Profile, Service};
use crate::settings::{self, Texts};
use crate::telemetry::{self, Watcher};
use crate::vitals::Vitals;
use microbus_bus::{Clock, Identity, SystemClock, random_instance_id};
use microbus_wire::host::Hostname;
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};
use std::net::Ipv4Addr;
use std::sync::Arc;

impl Process {
    /// Judges everything that can be judged without a bus.
    pub(super) fn prepare(
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
        // What cannot be read may be who may mint.
        let strict = matches!(
            Deployment::of(&environment),
            Ok(Deployment::Prod | Deployment::Lab)
        );
        let (unusable, skipped): (Vec<_>, Vec<_>) = found
            .skipped
            .into_iter()
            .partition(|file| strict && file.path.parent() == Some(&directory));
        problems.extend(unusable.iter().map(ToString::to_string));
        let by_environment = own_file::paths(profile.properties, &environment);
        let texts = settings::layered(&by_environment, found.values);
        let (files, invalid) = settings::judge_files(profile.properties, &texts);
        problems.extend(invalid.iter().map(ToString::to_string));
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
        let locality = surroundings.whereabouts.find().unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });

        let identity = Identity {
            plane: surroundings.plane.clone(),
            hostname,
            version: profile.version,
            instance: random_instance_id(),
            locality,
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
        let health = Arc::new(Health::default());
        let vitals = Arc::new(Vitals::new(
            common.clone(),
            Arc::clone(&metrics),
            Arc::clone(&health),
            Arc::clone(&service),
            Arc::clone(&clock),
            started,
        ));
        let exporter = telemetry::start(&surroundings.telemetry, &common, &vitals)
            .map_err(|error| refused(vec![error.to_string()]))?;
        if let Some(exporter) = &exporter {
            vitals.export_through(exporter);
        }
        let rng = StdRng::try_from_rng(&mut SysRng).map_err(|error| internal(&error))?;
        let watcher = Arc::new(Watcher::new(
            Arc::clone(&metrics),
            exporter.clone(),
            rng,
            surroundings.deployment.is_local(),
            Arc::clone(&clock),
        ));
        log::start(
            common,
            surroundings.debug,
            metrics.messages.clone(),
            exporter.clone(),
        )
        .map_err(|error| internal(&error))?;
        log_panics();
        configuration::log_skipped(&skipped);
        Ok(Self {
            profile,
            surroundings,
            door,
            identity,
            environment: by_environment,
            files: OwnFiles {
                values: files,
                skipped: skipped.into_iter().map(|file| file.path).collect(),
            },
            service,
            metrics,
            health,
            vitals,
            watcher,
            exporter,
            audit,
            minting,
            clock,
            started,
        })
    }
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
