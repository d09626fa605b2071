//! `explain`: why a verifier or the broker refuses.

use super::at_broker::block_on;
use super::at_bus::AtBus;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::output::{print, print_json};
use clap::Args;
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::explain::login::Login;
use microbus_deploy::explain::subject::{Grants, explain_without_grants};
use microbus_deploy::explain::{
    Explanation, Input, KeySets, Line, Published, Surface, Verdict, token,
};
use microbus_deploy::{Jwt, Reason, date, survey};
use microbus_token::Issuer;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Say why a token, a subject or a login is refused, and what to do
///
/// Reads a token, or a line of a log in which a broker, a client or a service tells of a refusal, from standard input. It
/// never shows the token, a signature or a seed. Every reason has a code that stays; REFUSALS.md lists them.
///
/// Ends with 0 when nothing speaks against it, 1 when it is refused, 5 when what is at hand does not tell.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Explain {
    /// JWK Set of the issuer that the token names, saved from its :888/jwks
    #[arg(long, value_name = "FILE", conflicts_with = "nats")]
    jwks: Option<PathBuf>,
    /// JWK Set of the other issuer, to tell whether the key is one of its
    #[arg(long, value_name = "FILE")]
    other_jwks: Option<PathBuf>,
    /// Judge the token as an ingress does, which takes bearer tokens only
    #[arg(long)]
    edge: bool,
    /// Credentials: for a line of a log those of the process that was refused, to ask the issuers those of any service
    #[arg(long, value_name = "FILE")]
    creds: Option<PathBuf>,
    #[command(flatten)]
    bus: AtBus,
    /// JWT of the account, as the broker has it
    #[arg(long, value_name = "FILE")]
    account_jwt: Option<PathBuf>,
    /// JWT of the operator that the broker trusts
    #[arg(long, value_name = "FILE", requires = "account_jwt")]
    operator_jwt: Option<PathBuf>,
    /// When it was refused, such as 2026-11-25T14:00:00Z or seconds since 1970; now by default
    #[arg(long, value_name = "TIME", value_parser = date::parse)]
    at: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print what a code means instead of reading anything
    #[arg(long, value_enum, value_name = "CODE", hide_possible_values = true)]
    reason: Option<Reason>,
}

impl Explain {
    /// # Errors
    /// [`Failure`] when a file cannot be read, or the operator's JWT is none.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let now = self.at.map_or_else(|| SystemClock.wall(), date::moment);
        if let Some(reason) = self.reason {
            let text = format!(
                "{}: {}.\n{}\n",
                reason.code(),
                reason.meaning(),
                reason.remedy()
            );
            print(&text)?;
            return Ok(Exit::Ok);
        }
        let text = files::read_text(Path::new("-"))?;
        let explanation = match Input::of(&text) {
            Input::Token(token) => self.token(token, now)?,
            Input::Line(line) => self.line(&line, date::unix(now))?,
            Input::Unknown => {
                return Err(Failure::new(
                    Exit::Unknown,
                    "standard input is neither a token nor a line that tells of a refusal; pass one of them alone",
                ));
            }
        };
        if self.json {
            print_json(&as_json(&explanation))?;
        } else {
            print(&as_text(&explanation))?;
        }
        Ok(match explanation.verdict {
            Verdict::Accepted => Exit::Ok,
            Verdict::Refused(Reason::LoginRefused) | Verdict::Unknown => Exit::Unknown,
            Verdict::Refused(_) => Exit::Finding,
        })
    }

    fn token(&self, token: &str, now: SystemTime) -> Result<Explanation, Failure> {
        let (own, other) = self.published(token)?;
        let sets = KeySets {
            own: own.as_ref(),
            other: other.as_ref(),
        };
        let surface = if self.edge {
            Surface::Edge
        } else {
            Surface::Bus
        };
        Ok(token::explain(token, sets, surface, now))
    }

    /// Returns the JWK Set of the issuer that the token names, and that of the other one, as far as they can be had.
    fn published(&self, token: &str) -> Result<(Option<Published>, Option<Published>), Failure> {
        let Some(issuer) = token::issuer(token).filter(|_| self.bus.nats.is_some()) else {
            let own = self.jwks.as_deref().map(published).transpose()?;
            let other = self.other_jwks.as_deref().map(published).transpose()?;
            return Ok((own, other));
        };
        let other = match issuer {
            Issuer::Access => Issuer::Bearer,
            Issuer::Bearer => Issuer::Access,
        };
        block_on(async {
            let Some(connector) = self.bus.connect(self.creds.as_deref()).await? else {
                return Ok((None, None));
            };
            let own = survey::survey(&connector, issuer).await;
            // Only to tell whether the key is one of its: it may be away.
            let other = survey::published(&connector, other).await.ok();
            connector.connection().close().await;
            let host = issuer.host();
            let own = own.map_err(|error| {
                Failure::new(
                    Exit::Unknown,
                    format!("{host} did not tell its keys: {error}"),
                )
            })?;
            Ok((Some(own), other))
        })?
    }

    fn line(&self, line: &Line, now: i64) -> Result<Explanation, Failure> {
        if let Line::Permission {
            verb,
            subject,
            queue,
        } = line
        {
            let Some(creds) = &self.creds else {
                return Ok(explain_without_grants(*verb, subject, queue.as_deref()));
            };
            let grants = Grants::of(&files::read_user(creds)?);
            return Ok(grants.explain(*verb, subject, queue.as_deref()));
        }
        let read = |path: &Option<PathBuf>| path.as_deref().map(files::read_text).transpose();
        let (credentials, account) = (read(&self.creds)?, read(&self.account_jwt)?);
        let operator = self.operator_jwt.as_deref().map(jwt).transpose()?;
        let login = Login {
            credentials: credentials.as_ref().map(|text| text.as_str()),
            account: account.as_ref().map(|text| text.as_str()),
            operator: operator.as_ref(),
        };
        Ok(match line {
            Line::Ended(reason) => login.explain_end(*reason, now),
            Line::Permission { .. } | Line::Login => login.explain(now),
        })
    }
}

fn published(path: &Path) -> Result<Published, Failure> {
    let json = files::read_text(path)?;
    Ok(Published::read(path.display().to_string(), json.as_bytes()))
}

fn jwt(path: &Path) -> Result<Jwt, Failure> {
    Jwt::read(&files::read_text(path)?)
        .map_err(|error| Failure::caused(Exit::Configuration, path.display(), &error))
}

fn as_text(explanation: &Explanation) -> String {
    let mut text = match explanation.verdict {
        Verdict::Refused(reason) => format!("refused: {}\n", reason.code()),
        Verdict::Accepted => "accepted\n".to_owned(),
        Verdict::Unknown => "could not tell\n".to_owned(),
    };
    text.push_str(&format!("{}.\n\n", explanation.why));
    for fact in &explanation.facts {
        text.push_str(&format!("  {:<16}  {}\n", fact.name, fact.found));
    }
    if !explanation.remedy.is_empty() {
        text.push_str(&format!("\n{}\n", explanation.remedy));
    }
    text
}

fn as_json(explanation: &Explanation) -> Value {
    let (verdict, code) = match explanation.verdict {
        Verdict::Refused(reason) => ("refused", Some(reason.code())),
        Verdict::Accepted => ("accepted", None),
        Verdict::Unknown => ("unknown", None),
    };
    json!({
        "verdict": verdict,
        "code": code,
        "why": explanation.why,
        "do": explanation.remedy,
        "facts": explanation.facts,
    })
}

const EXAMPLES: &str = "\
Examples:
  A token, offline, with a saved JWK Set:
    microbus-deploy explain --jwks bearer.json < token.txt
  A line of a log, with the credentials of the process that wrote it:
    journalctl -u billing -n 1 | microbus-deploy explain --creds billing.acme_nats.creds
  A refused login, with what the broker knows of the account:
    echo 'Authorization Violation' | microbus-deploy explain --creds billing.acme_nats.creds --account-jwt account.jwt
  What a code means:
    microbus-deploy explain --reason kid_unknown";
