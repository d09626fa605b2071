//! Fetches the configuration and puts it in force, at start and whenever it is refreshed.
//!
//! Source: spec: microbus-wire 8.1, 8.2, 13.11, 13.13.

use crate::deployment::{ConfigurationSource, Surroundings};
use crate::files::{self, Unusable};
use crate::metrics::{Callback, Metrics};
use crate::property::ANSWER_WITHOUT_ACK;
use crate::service::{Profile, Service};
use crate::settings::{self, OwnValues, Resolution, Settings, Texts};
use microbus_bus::{Clock, Connector, Failure, Incoming, Outgoing, RequestError};
use microbus_wire::address::Address;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Method;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};

/// The configuration of one process.
pub(crate) struct Configuration {
    profile: &'static Profile,
    source: ConfigurationSource,
    directory: PathBuf,
    /// In LOCAL a configurator that does not answer is no reason not to start.
    forgiving: bool,
    /// Whether a credential restricts us: then the broker refuses the old port of the configurator anyway.
    restricted: bool,
    service: Arc<dyn Service>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    in_force: Mutex<InForce>,
    /// What the environment says, which the files override.
    environment: Texts,
    /// Told of each change that was put in force.
    pub(crate) changed: Notify,
    /// Whether a retry of a failed refresh is on its way.
    retrying: AtomicBool,
}

struct InForce {
    settings: Option<Settings>,
    files: OwnFiles,
}

/// What was taken from the process's own files.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnFiles {
    /// What they and the environment say, valid as a whole.
    pub(crate) values: OwnValues,
    /// Files that could not be used when they were read, so that nothing of them counts.
    pub(crate) skipped: Vec<PathBuf>,
}

/// Why there is no configuration to start with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    #[error(
        "the configurator does not answer ({0}); start configurator.core, or set MICROBUS_CONFIGURATION=files to use this process's own files alone"
    )]
    Configurator(#[source] RequestError),
    /// The parser's own text may quote the answer, in which keys are.
    #[error("the configurator's answer is not understood at line {line}, column {column}")]
    Answer { line: usize, column: usize },
    #[error("a default breaks its own rule: {0}")]
    Default(#[source] crate::property::InvalidValue),
    #[error("{0}")]
    Service(#[source] Failure),
}

#[derive(Default, Deserialize)]
struct ValuesAnswer {
    #[serde(default)]
    values: BTreeMap<String, String>,
}

impl Configuration {
    pub(crate) fn new(
        profile: &'static Profile,
        surroundings: &Surroundings,
        environment: Texts,
        files: OwnFiles,
        service: Arc<dyn Service>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            profile,
            source: surroundings.configuration,
            directory: surroundings.directory.clone(),
            forgiving: surroundings.deployment.is_local(),
            restricted: surroundings.has_credentials(),
            service,
            metrics,
            clock,
            environment,
            in_force: Mutex::new(InForce {
                settings: None,
                files,
            }),
            changed: Notify::new(),
            retrying: AtomicBool::new(false),
        }
    }

    /// Fetches and puts in force what to start with, and logs each value.
    pub(crate) async fn start(
        &self,
        connector: &Connector,
        budget: Duration,
    ) -> Result<(), ConfigurationError> {
        let mut in_force = self.in_force.lock().await;
        let remote = match self
            .remote(connector, |request| request.within(budget))
            .await
        {
            Ok(remote) => remote,
            Err(ConfigurationError::Configurator(error)) if self.forgiving => {
                tracing::warn!(error = %error, "No configurator: files and defaults serve");
                Texts::new()
            }
            Err(error) => return Err(error),
        };
        let files = &in_force.files.values;
        let resolution = settings::resolve(self.profile.properties, files, &remote, None)
            .map_err(ConfigurationError::Default)?;
        self.report(&resolution);
        self.service
            .configure(&resolution.settings)
            .map_err(ConfigurationError::Service)?;
        connector.answer_without_ack(resolution.settings.switch(ANSWER_WITHOUT_ACK.name));
        for property in self.profile.properties {
            let shown = resolution
                .changed
                .iter()
                .find(|(name, _)| *name == property.name)
                .map_or_else(
                    || property.show(property.default),
                    |(_, shown)| shown.clone(),
                );
            tracing::info!(name = property.name, value = shown, "Config");
        }
        in_force.settings = Some(resolution.settings);
        Ok(())
    }

    /// Fetches again and puts in force what changed. What fails changes nothing and is tried again by itself.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        connector: &Arc<Connector>,
        inbound: Option<&Incoming>,
    ) -> Result<(), Failure> {
        let refreshed = self.try_refresh(connector, inbound).await;
        self.metrics
            .last_refresh_successful
            .set(i64::from(refreshed.is_ok()));
        if refreshed.is_err() {
            self.retry_later(connector);
        }
        refreshed
    }

    async fn try_refresh(
        &self,
        connector: &Connector,
        inbound: Option<&Incoming>,
    ) -> Result<(), Failure> {
        let mut in_force = self.in_force.lock().await;
        let within = |request: Outgoing| match inbound {
            Some(inbound) => request.on_behalf_of(inbound),
            None => request,
        };
        let remote = self.remote(connector, within).await.map_err(failure)?;
        let reread = self.reread_files(&mut in_force);
        self.put_in_force(&mut in_force, &remote, connector)?;
        reread
    }

    fn put_in_force(
        &self,
        in_force: &mut InForce,
        remote: &Texts,
        connector: &Connector,
    ) -> Result<(), Failure> {
        let InForce {
            settings: before,
            files,
        } = &*in_force;
        let resolution = settings::resolve(
            self.profile.properties,
            &files.values,
            remote,
            before.as_ref(),
        )
        .map_err(|error| failure(ConfigurationError::Default(error)))?;
        self.report(&resolution);
        // Without one of the keys the others may be the wrong ones to sign with: then nothing changes.
        if let Some(bad) = resolution.refused.iter().find(|refused| refused.is_key()) {
            let failure = Failure::new(ErrorStatus::INTERNAL, "invalid configuration value");
            return Err(failure.with_detail(bad));
        }
        if resolution.changed.is_empty() {
            return Ok(());
        }
        let began = self.clock.now();
        let configured = self.service.configure(&resolution.settings);
        let took = self.clock.now().saturating_duration_since(began);
        let failed = configured.is_err();
        self.metrics.callback(Callback::ConfigChanged, took, failed);
        configured?;
        connector.answer_without_ack(resolution.settings.switch(ANSWER_WITHOUT_ACK.name));
        for (name, value) in &resolution.changed {
            tracing::info!(name, value, "Config updated");
        }
        in_force.settings = Some(resolution.settings);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes the files over if they are valid as a whole; else the values read before stay.
    ///
    /// # Errors
    /// When they stay.
    fn reread_files(&self, in_force: &mut InForce) -> Result<(), Failure> {
        if self.source == ConfigurationSource::Defaults {
            return Ok(());
        }
        let read = files::read(
            &self.directory,
            self.profile.issuer.host(),
            self.profile.properties,
        );
        let mut problems = read.problems;
        let texts = settings::layered(&self.environment, read.values);
        let (values, invalid) = settings::judge_files(self.profile.properties, &texts);
        problems.extend(invalid.iter().map(ToString::to_string));
        // Without a file that counted until now, what it restricts would be unrestricted.
        let (still, newly): (Vec<_>, Vec<_>) = read
            .skipped
            .into_iter()
            .partition(|file| in_force.files.skipped.contains(&file.path));
        problems.extend(newly.iter().map(ToString::to_string));
        log_skipped(&still);
        for problem in &problems {
            tracing::error!(
                error = problem,
                "Invalid config file, keeping the values read before"
            );
            self.metrics.invalid_configuration.inc();
        }
        if let Some(problem) = problems.first() {
            let failure = Failure::new(ErrorStatus::INTERNAL, "invalid configuration file");
            return Err(failure.with_detail(problem));
        }
        let skipped = still.into_iter().map(|file| file.path).collect();
        in_force.files = OwnFiles { values, skipped };
        Ok(())
    }

    fn report(&self, resolution: &Resolution) {
        for refused in &resolution.refused {
            tracing::error!(error = %refused, "Invalid config value");
            self.metrics.invalid_configuration.inc();
        }
    }

    /// Asks the configurator; nothing when the process's own files are all that counts.
    async fn remote(
        &self,
        connector: &Connector,
        within: impl Fn(Outgoing) -> Outgoing,
    ) -> Result<Texts, ConfigurationError> {
        if self.source != ConfigurationSource::Configurator
            || connector.connection().is_in_process()
        {
            return Ok(Texts::new());
        }
        let names: Vec<_> = self
            .profile
            .properties
            .iter()
            .filter(|property| !property.is_own())
            .map(|property| property.name)
            .collect();
        let body = json!({ "names": names }).to_string();
        let ask = |url: &'static str| {
            let body = body.clone();
            let within = &within;
            async move {
                let Ok(address) = Address::parse(url) else {
                    return Ok(ValuesAnswer::default());
                };
                let request = within(Outgoing::new(Method::Post, address).json(body));
                let response = connector
                    .request(request)
                    .await
                    .map_err(ConfigurationError::Configurator)?;
                serde_json::from_slice(&response.body).map_err(|error| ConfigurationError::Answer {
                    line: error.line(),
                    column: error.column(),
                })
            }
        };
        let mut answer: Result<ValuesAnswer, _> = ask("https://configurator.core:888/values").await;
        let absent = matches!(&answer, Err(ConfigurationError::Configurator(error))
            if error.status() == ErrorStatus::NOT_FOUND);
        if absent && !self.restricted {
            answer = ask("https://configurator.core:443/values").await;
        }
        let values = answer?.values.into_iter();
        Ok(values.map(|(name, text)| (name, text.into())).collect())
    }

    /// A configurator that restarts asks for a refresh before it answers one: ask again until it does.
    fn retry_later(self: &Arc<Self>, connector: &Arc<Connector>) {
        if self.retrying.swap(true, Ordering::Relaxed) {
            return;
        }
        let (configuration, connector) = (Arc::clone(self), Arc::downgrade(connector));
        tokio::spawn(async move {
            for attempt in 1..=RETRIES {
                tokio::time::sleep(RETRY_STEP.saturating_mul(attempt)).await;
                let Some(connector) = connector.upgrade() else {
                    return;
                };
                match configuration.try_refresh(&connector, None).await {
                    Ok(()) => {
                        configuration.metrics.last_refresh_successful.set(1);
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, "Refreshing the configuration again");
                    }
                }
            }
            configuration.retrying.store(false, Ordering::Relaxed);
        });
    }
}

pub(crate) fn log_skipped(skipped: &[Unusable]) {
    for Unusable { path, cause } in skipped {
        tracing::error!(path = %path.display(), error = cause, "Parsing config file");
    }
}

fn failure(error: ConfigurationError) -> Failure {
    match error {
        ConfigurationError::Configurator(error) => Failure::new(error.status(), error.to_string()),
        ConfigurationError::Service(failure) => failure,
        ConfigurationError::Answer { .. } | ConfigurationError::Default(_) => {
            Failure::new(ErrorStatus::INTERNAL, "configuration error").with_detail(error)
        }
    }
}

const RETRIES: u32 = 6;
const RETRY_STEP: Duration = Duration::from_secs(5);
