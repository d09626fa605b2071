//! Looks at everything that was asked for, in an order in which a cause comes before what it causes.

use super::broker_accounts::Known;
use super::credentials_accepted::Trusted;
use super::place::{CredentialsFile, Place, serves_danger};
use super::{
    Check, Finding, Verdict, alerts, broker_accounts, broker_external, broker_limits,
    broker_monitor, broker_opmode, broker_tls, clock, credentials_accepted, credentials_present,
    deployment, enforcement, expiry, first_verification, gitignore, ingress, issuers_isolated,
    issuers_up, nats_url, plane, plane_running, runbook, secrets_modes, seeds,
};
use crate::broker::service::{self, Own};
use crate::broker::{Server, Session, SessionError, System, SystemError};
use crate::date::unix;
use crate::jwt::Jwt;
use crate::push::Cluster;
use microbus_bus::{Artifacts, Clock as _, SystemClock};
use microbus_token::Issuer;
use microbus_wire::Plane;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use thiserror::Error;
use zeroize::Zeroizing;

/// What to look at.
#[derive(Debug, Default)]
pub struct Request {
    /// Working directories of services.
    pub directories: Vec<PathBuf>,
    /// Variables of the operating system that those services would get.
    pub environment: BTreeMap<String, String>,
    /// URLs of the broker; without them those of the first directory.
    pub servers: Option<String>,
    /// Root CA of broker and ingress.
    pub root_ca: Option<PathBuf>,
    /// The plane that everything should be on.
    pub plane: Option<Plane>,
    /// Hosts that must have credentials of their own in one of the directories.
    pub services: Vec<String>,
    /// Credentials of a user of the system account.
    pub system_credentials: Option<PathBuf>,
    /// The JWT of our operator.
    pub operator_jwt: Option<PathBuf>,
    /// Credentials of an ordinary service, for what the broker must refuse; without them one of the directories.
    pub credentials: Option<PathBuf>,
    /// Credentials of a service that may mint, to verify a token of now.
    pub minter: Option<PathBuf>,
    /// A token to verify.
    pub token: Option<Zeroizing<String>>,
    /// URL of a page that the ingress serves.
    pub ingress: Option<String>,
    /// Hosts whose ports must be closed from here.
    pub outside: Vec<String>,
    /// The repository of the application.
    pub repository: Option<PathBuf>,
    /// File of alarms.
    pub alerts: Option<PathBuf>,
    /// The runbook.
    pub runbook: Option<PathBuf>,
    /// Time between two deployments.
    pub cadence: Duration,
    /// Names of the only checks to make; all when it is empty.
    pub only: Vec<String>,
    /// Names of checks to leave out.
    pub skip: Vec<String>,
}

impl Request {
    /// Tells whether a check is asked for.
    fn wants(&self, check: &Check) -> bool {
        let named = |list: &[String]| list.iter().any(|id| id == check.id);
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}

/// Looks at what `request` names.
///
/// # Errors
/// [`DirectoryError`] when a directory cannot be read.
pub async fn examine(request: &Request) -> Result<Vec<Finding>, DirectoryError> {
    let mut places = Vec::new();
    for directory in &request.directories {
        let place = Place::look(directory, &request.environment);
        places.push(place.map_err(|source| DirectoryError {
            directory: directory.clone(),
            source,
        })?);
    }
    let examination = Examination {
        request,
        artifacts: artifacts(request),
        places,
        now: SystemClock.wall(),
    };
    let mut findings = Vec::new();
    if BROKER.iter().any(|check| request.wants(check)) {
        findings.extend(examination.broker().await);
    }
    if request.wants(&broker_external::CHECK) {
        findings.extend(broker_external::check(&request.outside).await);
    }
    if request.wants(&ingress::TLS) || request.wants(&ingress::PORTS) {
        let (url, artifacts) = (request.ingress.as_deref(), &examination.artifacts);
        findings.extend(ingress::check(url, artifacts, examination.now).await);
    }
    findings.extend(examination.files());
    let asked: BTreeSet<_> = super::CHECKS
        .iter()
        .filter(|check| request.wants(check))
        .map(|check| check.id)
        .collect();
    // A broker that does not answer is told even to those who asked for what depends on it alone.
    findings.retain(|finding| {
        let is_away = finding.id == broker_opmode::REACHABLE.id && finding.verdict == Verdict::Fail;
        asked.contains(finding.id) || is_away
    });
    Ok(findings)
}

/// A working directory that cannot be read.
#[derive(Debug, Error)]
#[error("{} cannot be read", directory.display())]
pub struct DirectoryError {
    directory: PathBuf,
    source: std::io::Error,
}

/// What a client of the broker believes and shows: what is named, or what lies in the first directory.
fn artifacts(request: &Request) -> Artifacts {
    let first = request.directories.first();
    let mut artifacts = first
        .map(|directory| Artifacts::resolve(directory, ""))
        .unwrap_or_default();
    artifacts.credentials = None;
    if request.root_ca.is_some() {
        artifacts.root_ca.clone_from(&request.root_ca);
    }
    artifacts
}

struct Examination<'a> {
    request: &'a Request,
    artifacts: Artifacts,
    places: Vec<Place>,
    now: SystemTime,
}

impl Examination<'_> {
    /// Looks at the broker as a stranger, as the system account, as each service, and through the issuers on it.
    async fn broker(&self) -> Vec<Finding> {
        let Some(urls) = self.urls() else {
            let why = "no broker named with --nats or MICROBUS_NATS";
            return BROKER.iter().map(|check| check.skip(why)).collect();
        };
        let Ok(servers) = Server::parse_list(&urls) else {
            let remedy = "write nats://host:port or tls://host:port, several with commas between";
            let away = broker_opmode::REACHABLE.fail("the URL of the broker is none", remedy);
            return with_the_rest_unknown(vec![away]);
        };
        let mut findings = Vec::new();
        let mut reached = None;
        for server in &servers {
            let (seen, answered) = self.stranger(server).await;
            findings.extend(seen);
            if answered && reached.is_none() {
                reached = Some(server);
            }
        }
        let Some(server) = reached else {
            return with_the_rest_unknown(findings);
        };
        let attempts = credentials_accepted::attempt(&self.places, server, &self.artifacts).await;
        let (seen, trusted) = self.system(&urls).await;
        findings.extend(seen);
        let now = unix(self.now);
        findings.extend(credentials_accepted::check(
            &attempts,
            trusted.as_ref(),
            now,
        ));
        findings.extend(self.service(server, &urls).await);
        findings
    }

    fn urls(&self) -> Option<String> {
        let mut urls = self
            .places
            .iter()
            .filter_map(|place| place.environment.get("MICROBUS_NATS"));
        let named = self.request.servers.clone();
        named.or_else(|| urls.next().map(str::to_owned))
    }

    /// Looks at one server as somebody without credentials; tells whether it answered.
    async fn stranger(&self, server: &Server) -> (Vec<Finding>, bool) {
        let mut session = match Session::open(server, &self.artifacts).await {
            Ok(session) => session,
            Err(error) => {
                let seen = match broker_tls::check_failure(server, &error) {
                    Some(finding) => {
                        let answers = format!("{server} answers, but {error}");
                        let reached = broker_opmode::REACHABLE.unknown(answers, "see broker-tls");
                        vec![reached, finding]
                    }
                    None => {
                        let remedy = "start it, or mend MICROBUS_NATS";
                        let away = format!("{server}: {}", told(&error));
                        vec![broker_opmode::REACHABLE.fail(away, remedy)]
                    }
                };
                return (seen, false);
            }
        };
        let info = session.info().clone();
        let mut findings = vec![
            broker_opmode::REACHABLE.pass(format!("{server} is nats-server {}", info.version)),
        ];
        findings.push(broker_tls::check(server, session.certificate(), self.now));
        findings.extend(broker_limits::check_announced(server, &info));
        match session.log_in(None).await {
            Ok(anonymous) => findings.extend(broker_opmode::check(server, &info, &anonymous)),
            Err(error) => findings.push(
                broker_opmode::CHECK.unknown(format!("{server}: {}", told(&error)), "try again"),
            ),
        }
        (findings, true)
    }

    /// Looks at the cluster as a user of the system account.
    async fn system(&self, urls: &str) -> (Vec<Finding>, Option<Trusted>) {
        let Some(credentials) = &self.request.system_credentials else {
            let why = "no credentials of the system account named with --system-creds";
            return (SYSTEM.iter().map(|check| check.skip(why)).collect(), None);
        };
        let mut artifacts = self.artifacts.clone();
        artifacts.credentials = Some(credentials.clone());
        let operator = self
            .request
            .operator_jwt
            .iter()
            .map(|_| &broker_opmode::CHECK);
        let asked_for: Vec<_> = SYSTEM.into_iter().chain(operator).collect();
        let unknown = |found: String| {
            let remedy =
                "give credentials of a user of the account that the servers call system_account";
            asked_for
                .iter()
                .map(|check| check.unknown(found.clone(), remedy))
                .collect()
        };
        let system = match System::connect(urls, artifacts).await {
            Ok(system) => system,
            Err(error) => return (unknown(error.to_string()), None),
        };
        match self.ask_system(&system).await {
            Ok((findings, trusted)) => (findings, Some(trusted)),
            Err(error) => (unknown(error.to_string()), None),
        }
    }

    async fn ask_system(&self, system: &System) -> Result<(Vec<Finding>, Trusted), SystemError> {
        let asked = SystemClock.wall();
        let cluster = Cluster::find(system).await?;
        let between = [asked, SystemClock.wall()];
        let servers = cluster.servers();
        let mut findings = clock::check(servers, between);
        findings.extend(broker_monitor::check(servers));
        findings.extend(broker_limits::check_settings(servers));
        if let Some(path) = &self.request.operator_jwt {
            findings.extend(self.operator(path, &cluster));
        }
        let operators = cluster.trusted();
        let mut known = Vec::new();
        for account in self.accounts(system).await? {
            known.push(Known {
                in_use: system.accounts_in_use(&account).await?,
                kept: system.kept_account(&account).await?,
                account,
            });
        }
        findings.extend(broker_accounts::check(&known, &operators, self.now));
        let connections = system.connections(None).await?;
        findings.extend(plane_running::check(&self.places, &connections));
        let in_use = known.iter().flat_map(|known| known.in_use.iter().flatten());
        let accounts = in_use.filter_map(|jwt| Jwt::read(jwt).ok()).collect();
        Ok((
            findings,
            Trusted {
                accounts,
                operators,
            },
        ))
    }

    fn operator(&self, path: &Path, cluster: &Cluster<'_>) -> Vec<Finding> {
        let ours = std::fs::read_to_string(path).map_err(|error| error.to_string());
        match ours.and_then(|text| Jwt::read(&text).map_err(|error| error.to_string())) {
            Ok(ours) => broker_opmode::check_operator(cluster.servers(), &ours),
            Err(error) => vec![broker_opmode::CHECK.unknown(
                format!("{}: {error}", path.display()),
                "name the JWT of your operator with --operator-jwt",
            )],
        }
    }

    /// Returns the accounts of the deployment: the broker's own, and those of the credentials in the directories.
    async fn accounts(&self, system: &System) -> Result<BTreeSet<String>, SystemError> {
        let mut accounts: BTreeSet<_> = system.account_names().await?.into_iter().collect();
        // A broker has an account for clients that do not log in, even where there are none.
        accounts.retain(|account| account.starts_with('A') && account.len() == PUBLIC_KEY_LENGTH);
        Ok(accounts)
    }

    /// Looks at what an ordinary service may do and hears.
    async fn service(&self, server: &Server, urls: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let ordinary = match self.ordinary() {
            Ok(Some(ordinary)) => ordinary,
            Ok(None) => {
                let why = "no credentials of a service, in a directory or named with --creds";
                return SERVICE.iter().map(|check| check.skip(why)).collect();
            }
            Err(error) => {
                let remedy = "name readable credentials with --creds";
                return SERVICE
                    .iter()
                    .map(|check| check.unknown(error.clone(), remedy))
                    .collect();
            }
        };
        if let Ok((credentials, jwt)) = &ordinary.content {
            findings.extend(enforcement::check(server, &self.artifacts, credentials, jwt).await);
            let connected = service::connect(urls, &self.artifacts, &ordinary.path, jwt).await;
            match connected {
                Ok(connector) => {
                    let (seen, published) = issuers_up::check(&connector).await;
                    findings.extend(seen);
                    findings.push(self.verification(urls, &published).await);
                }
                Err(error) => findings.extend(
                    [&issuers_up::CHECK, &first_verification::CHECK]
                        .map(|check| check.unknown(error.to_string(), "see creds-accepted")),
                ),
            }
        }
        findings
    }

    /// Returns the credentials to look with: those that are named, or of a service that serves no port 666, or any.
    fn ordinary(&self) -> Result<Option<CredentialsFile>, String> {
        if let Some(path) = &self.request.credentials {
            let file = CredentialsFile::read(path);
            if let Err(error) = &file.content {
                return Err(format!("{}: {error}", path.display()));
            }
            return Ok(Some(file));
        }
        let speaks = self
            .places
            .iter()
            .flat_map(Place::readable)
            .filter(|(_, _, jwt)| Own::of(jwt).is_some());
        let chosen = speaks.min_by_key(|(_, _, jwt)| serves_danger(jwt));
        Ok(chosen.map(|(path, _, _)| CredentialsFile::read(path)))
    }

    async fn verification(&self, urls: &str, published: &issuers_up::Published) -> Finding {
        if let Some(token) = &self.request.token {
            return first_verification::check(token, published, self.now);
        }
        let Some(path) = &self.request.minter else {
            return first_verification::CHECK
                .skip("no token named with --token, and nobody who may mint with --mint-as");
        };
        let minted = match CredentialsFile::read(path).content {
            Err(error) => Err(error.to_string()),
            Ok((_, jwt)) => match service::connect(urls, &self.artifacts, path, &jwt).await {
                Err(error) => Err(error.to_string()),
                Ok(connector) => {
                    let claims = json!({"sub": "doctor@microbus-deploy"});
                    let minted = service::mint(&connector, Issuer::Access, &claims).await;
                    minted.map_err(|error| error.to_string())
                }
            },
        };
        match minted {
            Ok(token) => first_verification::check(&token, published, SystemClock.wall()),
            Err(error) => first_verification::CHECK.fail(
                format!("{} cannot mint: {error}", path.display()),
                "grant it Mint with microbus-deploy creds --calls, or see issuers-up",
            ),
        }
    }

    /// Looks at what needs nobody's answer.
    fn files(&self) -> Vec<Finding> {
        let (request, places) = (self.request, &self.places);
        let mut findings = deployment::check(places);
        findings.extend(nats_url::check(places));
        findings.extend(plane::check(places, request.plane.as_ref()));
        findings.extend(credentials_present::check(places, &request.services));
        findings.extend(expiry::check(places, request.cadence, self.now));
        findings.extend(secrets_modes::check(places));
        findings.extend(issuers_isolated::check(places));
        if request.wants(&seeds::ACCOUNT) || request.wants(&seeds::OPERATOR) {
            let roots = request.directories.iter().chain(&request.repository);
            let (lying, files) = seeds::search(roots.cloned().collect(), &request.environment);
            findings.extend(seeds::check(&lying, files));
        }
        findings.extend(gitignore::check(request.repository.as_deref()));
        findings.push(alerts::check(request.alerts.as_deref()));
        findings.push(runbook::check(request.runbook.as_deref()));
        findings
    }
}

/// Adds to what is known of a broker that cannot be asked that the rest is not, and where to look for the cause.
fn with_the_rest_unknown(mut findings: Vec<Finding>) -> Vec<Finding> {
    let failed = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Fail);
    let causes: BTreeSet<_> = failed.map(|finding| finding.id).collect();
    let causes: Vec<_> = causes.into_iter().collect();
    let remedy = format!("see {}", causes.join(" and "));
    let rest = BROKER
        .iter()
        .filter(|check| findings.iter().all(|known| known.id != check.id));
    let unknown: Vec<_> = rest
        .map(|check| check.unknown("the broker cannot be asked", remedy.as_str()))
        .collect();
    findings.extend(unknown);
    findings
}

/// Returns an error with its causes on one line.
fn told(error: &SessionError) -> String {
    let mut told = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(deeper) = source {
        told.push_str(&format!(": {deeper}"));
        source = deeper.source();
    }
    told
}

/// Checks for which a broker must answer.
const BROKER: [&Check; 12] = [
    &broker_opmode::REACHABLE,
    &broker_opmode::CHECK,
    &broker_accounts::CHECK,
    &broker_monitor::CHECK,
    &broker_tls::CHECK,
    &broker_limits::CHECK,
    &enforcement::CHECK,
    &clock::CHECK,
    &plane_running::CHECK,
    &credentials_accepted::CHECK,
    &issuers_up::CHECK,
    &first_verification::CHECK,
];
/// Checks for which the system account must answer, and nothing else can.
const SYSTEM: [&Check; 4] = [
    &broker_accounts::CHECK,
    &broker_monitor::CHECK,
    &clock::CHECK,
    &plane_running::CHECK,
];
/// Checks that a service makes.
const SERVICE: [&Check; 3] = [
    &enforcement::CHECK,
    &issuers_up::CHECK,
    &first_verification::CHECK,
];
const PUBLIC_KEY_LENGTH: usize = 56;
