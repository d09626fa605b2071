//! `doctor`: whether a deployment is as the operator's guide wants it.

use super::at_broker::block_on;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use clap::Args;
use microbus_deploy::doctor::{CHECKS, Finding, Request, Verdict, examine};
use microbus_wire::Plane;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Check a deployment: files, environment, broker, issuers
///
/// Each check says PASS, WARN, FAIL, SKIP (nobody asked for it) or UNKNOWN (it could not be told), what it found, what is
/// expected and what to do. Nothing is changed; with --mint-as one token is minted.
///
/// Variables are those of this process, completed from the `env.yaml` files around each directory: start it with the
/// environment that the services get.
///
/// Exit codes: 0 nothing wrong, 1 a check failed (with --strict also: warned), 5 something could not be told, 69 the broker
/// does not answer.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Doctor {
    /// A working directory of services; may be given several times [default: the current one]
    #[arg(long, value_name = "DIR")]
    directory: Vec<PathBuf>,
    /// URLs of the broker [default: `MICROBUS_NATS` of the first directory]
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// Root CA of broker and ingress, PEM [default: ca.pem of the first directory, or those of this machine]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The plane that everything should be on
    #[arg(long)]
    plane: Option<String>,
    /// Hosts that must have credentials of their own in a directory
    #[arg(long, value_name = "HOST,…", value_delimiter = ',')]
    service: Vec<String>,
    /// Credentials of a user of the system account, for what the servers say about themselves
    #[arg(long, value_name = "FILE")]
    system_creds: Option<PathBuf>,
    /// The JWT of your operator, to be compared with whom the servers trust
    #[arg(long, value_name = "FILE", requires = "system_creds")]
    operator_jwt: Option<PathBuf>,
    /// Credentials of an ordinary service, to try what must be refused [default: some of a directory]
    #[arg(long, value_name = "FILE")]
    creds: Option<PathBuf>,
    /// Credentials of a service that may mint an access token, which is then verified
    #[arg(long, value_name = "FILE")]
    mint_as: Option<PathBuf>,
    /// A file with a token to verify; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "mint_as")]
    token: Option<PathBuf>,
    /// URL of the ingress, as users write it, with the path of a page that it serves [default path: /]
    #[arg(long, value_name = "URL")]
    ingress: Option<String>,
    /// A host, or host:port, that must be closed from where this runs
    #[arg(long, value_name = "HOST")]
    outside: Vec<String>,
    /// The git repository of the application
    #[arg(long, value_name = "DIR")]
    repository: Option<PathBuf>,
    /// The file of alarms that Prometheus loads
    #[arg(long, value_name = "FILE")]
    alerts: Option<PathBuf>,
    /// The runbook for incidents
    #[arg(long, value_name = "FILE")]
    runbook: Option<PathBuf>,
    /// Time between two deployments
    #[arg(long, value_name = "DURATION", default_value = "72h", value_parser = crate::arguments::duration)]
    cadence: Duration,
    /// Make only these checks
    #[arg(long, value_name = "CHECK,…", value_delimiter = ',', value_parser = check_name)]
    only: Vec<String>,
    /// Leave these checks out
    #[arg(long, value_name = "CHECK,…", value_delimiter = ',', value_parser = check_name)]
    skip: Vec<String>,
    /// Let a warning count as a failure
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// # Errors
    /// [`Failure`] when a file that is named cannot be read, or the answer cannot be written.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let (strict, json) = (self.strict, self.json);
        let findings = block_on(diagnose(&self.request()?))??;
        let report = if json {
            as_json(&findings)
        } else {
            as_text(&findings)
        };
        std::io::stdout()
            .write_all(report.as_bytes())
            .map_err(|error| Failure::caused(Exit::Internal, "writing the findings", &error))?;
        Ok(exit(&findings, strict))
    }

    fn request(self) -> Result<Request, Failure> {
        let plane = self.plane.as_deref().map(Plane::parse).transpose();
        let plane = plane.map_err(|error| Failure::caused(Exit::Usage, "--plane", &error))?;
        // A wrong path of the operator's own is a typing mistake. Files of the deployment that are not there are findings.
        for path in [&self.ca, &self.system_creds, &self.operator_jwt] {
            path.as_deref().map(files::read_text).transpose()?;
        }
        let mut directories = self.directory;
        if directories.is_empty() {
            directories.push(PathBuf::from("."));
        }
        Ok(Request {
            directories,
            environment: process_environment(),
            servers: self.nats,
            root_ca: self.ca,
            plane,
            services: self.service,
            system_credentials: self.system_creds,
            operator_jwt: self.operator_jwt,
            credentials: self.creds,
            minter: self.mint_as,
            token: self.token.as_deref().map(files::read_text).transpose()?,
            ingress: self.ingress,
            outside: self.outside,
            repository: self.repository,
            alerts: self.alerts,
            runbook: self.runbook,
            cadence: self.cadence,
            only: self.only,
            skip: self.skip,
        })
    }
}

/// Looks at what `request` names.
///
/// # Errors
/// [`Failure`] when a directory cannot be read.
pub(crate) async fn diagnose(request: &Request) -> Result<Vec<Finding>, Failure> {
    let examined = examine(request).await;
    examined.map_err(|error| Failure::caused(Exit::Configuration, "--directory", &error))
}

/// Returns the report for people: one line for what is well, and what to do for what is not.
pub(crate) fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let verdict = verdict_name(finding.verdict);
        text.push_str(&format!(
            "{verdict:<7} {:<18} {}\n",
            finding.id, finding.found
        ));
        if let Some(remedy) = &finding.remedy {
            text.push_str(&format!(
                "{:27}expected: {}\n{:27}do: {remedy}\n",
                "", finding.expected, ""
            ));
        }
    }
    let count = |verdict| {
        findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count()
    };
    text.push_str(&format!(
        "{} passed, {} warnings, {} failed, {} could not be told, {} not asked for\n",
        count(Verdict::Pass),
        count(Verdict::Warn),
        count(Verdict::Fail),
        count(Verdict::Unknown),
        count(Verdict::Skip),
    ));
    text
}

fn as_json(findings: &[Finding]) -> String {
    format!("{:#}\n", json!({ "findings": findings }))
}

/// Returns how the findings end the command.
pub(crate) fn exit(findings: &[Finding], strict: bool) -> Exit {
    let any = |verdict| findings.iter().any(|finding| finding.verdict == verdict);
    let unreachable =
        |finding: &Finding| finding.id == "broker-reachable" && finding.verdict == Verdict::Fail;
    if findings.iter().any(unreachable) {
        Exit::Unreachable
    } else if any(Verdict::Fail) || (strict && any(Verdict::Warn)) {
        Exit::Finding
    } else if any(Verdict::Unknown) {
        Exit::Unknown
    } else {
        Exit::Ok
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Warn => "WARN",
        Verdict::Fail => "FAIL",
        Verdict::Skip => "SKIP",
        Verdict::Unknown => "UNKNOWN",
    }
}

fn check_name(text: &str) -> Result<String, String> {
    if CHECKS.iter().any(|check| check.id == text) {
        return Ok(text.to_owned());
    }
    let names: Vec<_> = CHECKS.iter().map(|check| check.id).collect();
    Err(format!("no such check; there are {}", names.join(", ")))
}

/// Returns the variables of this process.
fn process_environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

const EXAMPLE: &str = "\
Example:
  MICROBUS_NATS=nats://nats.internal:4222 MICROBUS_DEPLOYMENT=PROD MICROBUS_PLANE=prod \\
  microbus-deploy doctor --directory /srv/access-token --directory /srv/bearer-token \\
    --system-creds ops/sys.creds --operator-jwt ops/operator.jwt --repository .
";
