//! `warm-ingress`: makes each ingress fetch the JWK Set of the bearer issuer while a new key is published and does not sign yet.

use super::at_broker::block_on;
use super::at_bus::AtBus;
use crate::arguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{print, print_json};
use clap::Args;
use microbus_bus::{Artifacts, Connector};
use microbus_deploy::survey;
use microbus_deploy::warm_up::{self, Outcome};
use microbus_token::{Issuer, KeyId};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use url::Url;

/// Make each ingress fetch the bearer JWK Set, so that it knows a new key before the first token of it
///
/// To be run after a new key is published and before it signs (`ActivationDelay`, 10 s unless it is longer). Each ingress gets two
/// requests with a token of bearer.token.core whose key nobody knows; it has expired and makes nobody an actor. Name every
/// ingress by itself: behind a load balancer only one of them is reached.
///
/// The fetch itself cannot be seen from outside. With --kid the JWK Set is looked at first, so that there is something to
/// fetch; with --nats the issuer is asked how often it served its JWK Set meanwhile, if it exports metrics. What proves it for
/// each ingress is a request with a token of the new key after it signs.
///
/// Ends with 0 when every ingress met the token, 1 when one did not, 5 when the key is not published.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct WarmIngress {
    /// URLs of the ingresses, with any path that they do not block
    #[arg(required = true, value_name = "URL", value_parser = web_url)]
    urls: Vec<Url>,
    /// Warm only when this key is published
    #[arg(long, value_name = "KID", value_parser = key_id, requires = "nats")]
    kid: Option<KeyId>,
    /// How long to wait until it is
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = arguments::duration)]
    wait: Duration,
    /// How long to wait for each answer of an ingress
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = arguments::duration)]
    timeout: Duration,
    /// Credentials of any service: all may ask the issuers for their keys
    #[arg(long, value_name = "FILE")]
    creds: Option<PathBuf>,
    #[command(flatten)]
    bus: AtBus,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What became of one ingress.
#[derive(Debug, Serialize)]
struct Warmed {
    url: String,
    outcome: Outcome,
    statuses: Vec<Option<u16>>,
    error: Option<String>,
}

impl WarmIngress {
    /// # Errors
    /// [`Failure`] when the bus cannot be asked, or the key is not published in time.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let (warmed, served) = block_on(self.warm())??;
        if self.json {
            print_json(&serde_json::json!({"ingresses": warmed, "jwk_sets_served": served}))?;
        } else {
            print(&text(&warmed, served, self.bus.nats.is_some()))?;
        }
        let all_met = warmed.iter().all(|warmed| warmed.outcome == Outcome::Met);
        Ok(if all_met { Exit::Ok } else { Exit::Finding })
    }

    async fn warm(&self) -> Result<(Vec<Warmed>, Option<u64>), Failure> {
        let artifacts = self.bus.artifacts()?;
        let connector = self.bus.connect(self.creds.as_deref()).await?;
        if let (Some(connector), Some(kid)) = (&connector, &self.kid) {
            until_published(connector, kid, self.wait).await?;
        }
        let before = served(connector.as_deref()).await?;
        let mut tasks = JoinSet::new();
        for (position, url) in self.urls.iter().cloned().enumerate() {
            let token = warm_up::token(&random()?);
            let (artifacts, patience) = (artifacts.clone(), self.timeout);
            tasks.spawn(
                async move { (position, warm_one(url, &token, &artifacts, patience).await) },
            );
        }
        let mut warmed = tasks.join_all().await;
        warmed.sort_by_key(|(position, _)| *position);
        let after = served(connector.as_deref()).await?;
        if let Some(connector) = connector {
            connector.connection().close().await;
        }
        let served = after
            .zip(before)
            .map(|(after, before)| after.saturating_sub(before));
        Ok((
            warmed.into_iter().map(|(_, warmed)| warmed).collect(),
            served,
        ))
    }
}

async fn warm_one(url: Url, token: &str, artifacts: &Artifacts, patience: Duration) -> Warmed {
    let (mut statuses, mut error) = (Vec::new(), None);
    for pause in [Duration::ZERO, warm_up::INTERVAL] {
        sleep(pause).await;
        match warm_up::send(&url, token, artifacts, patience).await {
            Ok(status) => statuses.push(Some(status)),
            Err(cause) => {
                statuses.push(None);
                error = Some(cause);
            }
        }
    }
    Warmed {
        url: url.to_string(),
        outcome: Outcome::of(&statuses),
        statuses,
        error,
    }
}

/// Waits until every replica publishes a key: an ingress that is made to fetch asks any one of them.
async fn until_published(
    connector: &Connector,
    kid: &KeyId,
    patience: Duration,
) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    loop {
        let why = match survey::survey(connector, Issuer::Bearer).await {
            Ok(published) => {
                let without: Vec<_> = published.without(kid).collect();
                if published.has(kid) && without.is_empty() {
                    return Ok(());
                }
                let who = if without.is_empty() {
                    String::new()
                } else {
                    format!(" at {}", without.join(", "))
                };
                format!(
                    "bearer.token.core does not publish {kid}{who}: nothing was sent, warm when it does"
                )
            }
            Err(error) => format!("bearer.token.core did not tell its keys: {error}"),
        };
        if Instant::now() >= deadline {
            return Err(Failure::new(Exit::Unknown, why));
        }
        sleep(POLL).await;
    }
}

async fn served(connector: Option<&Connector>) -> Result<Option<u64>, Failure> {
    let Some(connector) = connector else {
        return Ok(None);
    };
    let served = survey::served(connector, Issuer::Bearer).await;
    served.map_err(|error| Failure::new(Exit::Unknown, error))
}

fn text(warmed: &[Warmed], served: Option<u64>, asked: bool) -> String {
    let mut text = String::new();
    for Warmed {
        url,
        outcome,
        statuses,
        error,
    } in warmed
    {
        let statuses: Vec<_> = statuses
            .iter()
            .map(|status| status.map_or_else(|| "none".to_owned(), |status| status.to_string()))
            .collect();
        text.push_str(&format!(
            "{url}: {} ({})\n",
            outcome.as_str(),
            statuses.join(", ")
        ));
        text.extend(error.iter().map(|error| format!("  {error}\n")));
    }
    match served {
        Some(served) => text.push_str(&format!(
            "bearer.token.core served its JWK Set {served} times meanwhile; at least {} were needed, if nobody else asked.\n",
            warmed.len()
        )),
        None if asked => text.push_str(
            "bearer.token.core does not tell how often it served its JWK Set; that needs MICROBUS_PROMETHEUS_EXPORTER=1 at each replica.\n",
        ),
        None => {}
    }
    text
}

fn random() -> Result<[u8; 64], Failure> {
    let mut random = [0; 64];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::new(Exit::Internal, format!("drawing random bytes: {error}")))?;
    Ok(random)
}

fn web_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| HOW_TO_WRITE.to_owned())?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    is_web.then_some(url).ok_or_else(|| HOW_TO_WRITE.to_owned())
}

fn key_id(text: &str) -> Result<KeyId, String> {
    KeyId::parse(text).map_err(|error| error.to_string())
}

const HOW_TO_WRITE: &str = "write https://host/path, or http:// where the ingress does not encrypt";
/// How often the JWK Set is looked at while a key is waited for.
const POLL: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  Two ingresses, after the new key was deployed:
    microbus-deploy warm-ingress https://10.0.0.11/ https://10.0.0.12/ --ca ingress-ca.pem
  Wait for the new key first, and see how often the JWK Set was fetched:
    microbus-deploy warm-ingress https://edge-1.acme.example/ --kid NHUPmL1Z_Pw --wait 1m \\
      --nats nats://10.0.0.5:4222 --creds billing.acme_nats.creds";
