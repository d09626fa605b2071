//! `keys`: a bearer key file before it is deployed, and whether a planned rotation is safe.

use super::at_broker::block_on;
use super::at_bus::AtBus;
use crate::arguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::output::{print, print_json};
use clap::Args;
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::explain::Published;
use microbus_deploy::rotation::{Hazard, Plan, Running, State, disagreement};
use microbus_deploy::{date, survey};
use microbus_token::{Issuer, Jwk, JwkSet, read_key_text};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Show kid, public JWK and state of a bearer key file, and whether deploying it is safe
///
/// FILE is to become `PrivateKey` of bearer.token.core, and --alt its `AltPrivateKey`. The private half is never shown. Against a
/// saved JWK Set or the running issuer it says what the change comes to, and names what would go wrong: both files hold one
/// key, the alternate is the key that comes rather than the one that goes, a key would vanish while its tokens live.
///
/// Ends with 0 when nothing speaks against it, 1 with a finding.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Keys {
    /// The key file that is to be `PrivateKey`
    file: PathBuf,
    /// The key file that is to be `AltPrivateKey`: the key that goes
    #[arg(long, value_name = "FILE")]
    alt: Option<PathBuf>,
    /// The JWK Set that bearer.token.core serves now, saved from its :888/jwks; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "nats")]
    jwks: Option<PathBuf>,
    /// Credentials of any service: all may ask the issuers for their keys
    #[arg(long, value_name = "FILE")]
    creds: Option<PathBuf>,
    #[command(flatten)]
    bus: AtBus,
    /// The longest `AuthTokenTTL` that the running keys have signed with
    #[arg(long, value_name = "DURATION", default_value = "720h", value_parser = arguments::duration)]
    auth_token_ttl: Duration,
    /// When the alternate that is published now stopped signing: its successor's line `Key signs`
    #[arg(long, value_name = "TIME", value_parser = date::parse)]
    signed_until: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A key file as it lies there.
struct KeyFile {
    path: String,
    mode: u32,
    jwk: Option<Jwk>,
}

impl Keys {
    /// # Errors
    /// [`Failure`] when a file holds no key, or the JWK Set cannot be had.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let primary = KeyFile::read(&self.file)?;
        let alternate = self.alt.as_deref().map(KeyFile::read).transpose()?;
        let files: Vec<_> = [Some(&primary), alternate.as_ref()]
            .into_iter()
            .flatten()
            .collect();
        let plan = Plan {
            primary: primary.jwk.as_ref(),
            alternate: alternate.as_ref().and_then(|file| file.jwk.as_ref()),
        };
        let published = self.published()?;
        let running = published.as_ref().map(set).transpose()?;
        let mut hazards: Vec<_> = files.iter().filter_map(|file| file.openness()).collect();
        if let (Some(published), Some(keys)) = (&published, running) {
            let running = Running {
                keys,
                token_lifetime: i64::try_from(self.auth_token_ttl.as_secs()).unwrap_or(i64::MAX),
                alternate_signed_until: self.signed_until,
            };
            hazards.extend(disagreement(published.replicas()));
            hazards.extend(plan.hazards_against(&running, date::unix(SystemClock.wall())));
        } else {
            hazards.extend(plan.hazards());
        }
        let outcome = running.map(|keys| plan.outcome(keys));
        if self.json {
            let keys: Vec<_> = files.iter().map(|file| file.json(running)).collect();
            print_json(&json!({"keys": keys, "outcome": outcome, "findings": hazards}))?;
        } else {
            let mut text: String = files.iter().map(|file| file.text(running)).collect();
            text.extend(outcome.map(|outcome| format!("This would be {outcome}.\n")));
            let findings = hazards
                .iter()
                .map(|hazard| format!("{}: {hazard}.\n", hazard.code()));
            text.extend(findings);
            print(&text)?;
        }
        Ok(if hazards.is_empty() {
            Exit::Ok
        } else {
            Exit::Finding
        })
    }

    /// Returns what the issuer publishes now, if there is a way to know.
    fn published(&self) -> Result<Option<Published>, Failure> {
        if let Some(path) = &self.jwks {
            let json = files::read_text(path)?;
            let published = Published::read(path.display().to_string(), json.as_bytes());
            return Ok(Some(published));
        }
        block_on(async {
            let Some(connector) = self.bus.connect(self.creds.as_deref()).await? else {
                return Ok(None);
            };
            let surveyed = survey::survey(&connector, Issuer::Bearer).await;
            connector.connection().close().await;
            surveyed.map(Some).map_err(|error| {
                let reason = format!("bearer.token.core did not tell its keys: {error}");
                Failure::new(Exit::Unknown, reason)
            })
        })?
    }
}

impl KeyFile {
    /// Reads a file as the bearer issuer does; an empty one holds no key.
    fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let unusable =
            |error: &dyn std::error::Error| Failure::caused(Exit::Configuration, &shown, error);
        let file = File::open(path).map_err(|error| unusable(&error))?;
        let metadata = file.metadata().map_err(|error| unusable(&error))?;
        if !metadata.is_file() {
            let reason = format!("{shown}: it is not a file; name the file with the key itself");
            return Err(Failure::new(Exit::Configuration, reason));
        }
        // Room for one byte more and some spare, so that the buffer never grows and leaves a copy behind.
        let mut text = Zeroizing::new(Vec::with_capacity(LARGEST + 64));
        let limit = u64::try_from(LARGEST + 1).unwrap_or(u64::MAX);
        file.take(limit)
            .read_to_end(&mut text)
            .map_err(|error| unusable(&error))?;
        if text.len() > LARGEST {
            let reason = format!("{shown}: it has more than {LARGEST} bytes; a key has about 120");
            return Err(Failure::new(Exit::Configuration, reason));
        }
        let key = read_key_text(&text).map_err(|error| unusable(&error))?;
        Ok(Self {
            path: shown,
            mode: metadata.permissions().mode() & 0o7777,
            jwk: key.as_ref().map(Jwk::of),
        })
    }

    fn openness(&self) -> Option<Hazard> {
        (self.mode & 0o007 != 0).then(|| Hazard::OpenToOthers {
            file: self.path.clone(),
            mode: self.mode,
        })
    }

    fn text(&self, running: Option<&JwkSet>) -> String {
        let Some(jwk) = &self.jwk else {
            return format!("{}\n  no key: the file is empty\n\n", self.path);
        };
        let state = running.map_or(
            "not compared: give --jwks, or --nats with --creds",
            |keys| State::of(jwk.id(), keys).as_str(),
        );
        format!(
            "{}\n  kid    {}\n  JWK    {}\n  state  {state}\n  mode   {:04o}\n\n",
            self.path,
            jwk.id(),
            jwk.to_json(),
            self.mode
        )
    }

    fn json(&self, running: Option<&JwkSet>) -> Value {
        let jwk = self.jwk.as_ref();
        let state = jwk
            .zip(running)
            .map(|(jwk, keys)| State::of(jwk.id(), keys));
        json!({
            "file": self.path,
            "kid": jwk.map(|jwk| jwk.id().as_str()),
            "jwk": jwk.and_then(|jwk| serde_json::from_str::<Value>(&jwk.to_json()).ok()),
            "state": state,
            "mode": format!("{:04o}", self.mode),
        })
    }
}

fn set(published: &Published) -> Result<&JwkSet, Failure> {
    published.set().map_err(|reason| {
        let reason = format!(
            "{}: {}. {}",
            reason.code(),
            reason.meaning(),
            reason.remedy()
        );
        Failure::new(Exit::Finding, reason)
    })
}

/// As the bearer issuer reads at most.
const LARGEST: usize = 16 * 1024;

const EXAMPLES: &str = "\
Examples:
  A key file by itself:
    microbus-deploy keys new.pem
  A rotation before it is made, against the running issuer:
    microbus-deploy keys new.pem --alt old.pem --nats nats://10.0.0.5:4222 --creds billing.acme_nats.creds
  The end of a rotation, against a saved JWK Set: may the old key go?
    microbus-deploy keys new.pem --jwks bearer.json --signed-until 2026-11-25T14:00:00Z";
