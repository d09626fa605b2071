//! One identity provider: what it says of itself, its keys, and its tokens.

use crate::bridge::BridgeError;
use crate::fetch::{AuthoritiesError, Fetcher};
use crate::key::{ForeignKey, ForeignKeyId, ForeignKeySet};
use crate::settings::ProviderSettings;
use crate::token::{ForeignTokenError, TokenKind, Unverified};
use crate::url::Url;
use microbus_bus::Clock;
use microbus_token::Claims;
use microbus_token::json::{Reading, normalise};
use microbus_verify::{FetchError, Fetched, Finding, KeyStore, Pace};
use serde::Deserialize;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An identity provider that is believed.
#[derive(Debug)]
pub(crate) struct Provider {
    settings: ProviderSettings,
    keys: KeyStore<ForeignKeyId, ForeignKey>,
    login_page: Arc<Mutex<Option<String>>>,
}

impl Provider {
    pub(crate) fn new(
        settings: ProviderSettings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, AuthoritiesError> {
        let login_page = Arc::<Mutex<Option<String>>>::default();
        let source = Source {
            issuer: settings.issuer.clone(),
            discovery: settings.url.discovery(),
            pinned: settings.algorithms.clone(),
            fetcher: Fetcher::new(settings.ca_file.as_deref())?,
            login_page: Arc::clone(&login_page),
        };
        let fetch = move || -> Fetched<ForeignKeyId, ForeignKey> {
            let source = source.clone();
            Box::pin(async move { source.fetch().await })
        };
        let pace = Pace {
            interval: FETCH_INTERVAL,
            patience: LONGEST_WAIT,
            // Whoever withdraws a key means it.
            keep_vanished: Duration::ZERO,
        };
        let keys = KeyStore::new(settings.issuer.clone(), fetch, Arc::clone(clock), pace);
        Ok(Self {
            settings,
            keys,
            login_page,
        })
    }

    pub(crate) fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    /// Returns where browsers log in, once the provider has told.
    pub(crate) fn login_page(&self) -> Option<String> {
        let page = self.login_page.lock();
        page.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn refresh(&self) -> Result<(), FetchError> {
        self.keys.refresh().await
    }

    /// Verifies a token that names this provider; returns its claims and how long it still lives.
    pub(crate) async fn verify(
        &self,
        unverified: Unverified<'_>,
        kind: TokenKind,
        nonce: Option<&str>,
        clock: &dyn Clock,
    ) -> Result<(Claims, Duration), BridgeError> {
        if !self
            .settings
            .algorithms
            .contains(&unverified.key().algorithm)
        {
            return Err(ForeignTokenError::Algorithm.into());
        }
        let key = match self.keys.find(unverified.key()) {
            Finding::Known(key) => key,
            Finding::Unknown => return Err(ForeignTokenError::UnknownKey.into()),
            Finding::Unavailable(error) => return Err(error.into()),
            Finding::Waiting(found) => found.await?.ok_or(ForeignTokenError::UnknownKey)?,
        };
        let signed = unverified.verify(&key)?;
        Ok(signed.judge(kind, nonce, &self.settings.rules, clock.wall())?)
    }
}

/// Fetches what a provider says of itself, then its keys.
#[derive(Debug, Clone)]
struct Source {
    issuer: String,
    discovery: Url,
    pinned: Vec<crate::algorithm::Algorithm>,
    fetcher: Fetcher,
    login_page: Arc<Mutex<Option<String>>>,
}

/// What is read of a provider's description (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Description {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
}

impl Source {
    async fn fetch(&self) -> Result<Vec<(ForeignKeyId, ForeignKey)>, FetchError> {
        self.fetch_keys().await.map_err(|error| FetchError {
            host: self.issuer.clone().into(),
            cause: in_words(&*error),
            absent: false,
        })
    }

    async fn fetch_keys(&self) -> Result<Vec<(ForeignKeyId, ForeignKey)>, AnyError> {
        let text = self.fetcher.get(&self.discovery).await?;
        let plain = normalise(&text, Reading::Strict)
            .map_err(|error| format!("{} is not strict JSON: {error}", self.discovery))?;
        let description: Description = serde_json::from_slice(&plain)
            .map_err(|error| format!("{} is no description: {error}", self.discovery))?;
        // Mix-up of providers (OpenID Connect Discovery 1.0, section 4.3).
        if description.issuer != self.issuer {
            return Err(format!(
                "{} describes the issuer {:?}, not {:?}; they must be equal to the letter",
                self.discovery, description.issuer, self.issuer
            )
            .into());
        }
        let jwks = Url::parse(&description.jwks_uri)?;
        if self.discovery.is_secure() && !jwks.is_secure() {
            return Err(format!("the keys lie at {jwks}, without TLS").into());
        }
        let set = ForeignKeySet::read(&self.fetcher.get(&jwks).await?, &self.pinned)?;
        for fault in &set.faults {
            tracing::warn!(issuer = self.issuer, fault = %fault, "A provider's key is left out");
        }
        if set.keys.is_empty() {
            tracing::warn!(
                issuer = self.issuer,
                "A provider publishes no key for the configured algorithms"
            );
        }
        let page = description
            .authorization_endpoint
            .filter(|page| Url::parse(page).is_ok());
        *self
            .login_page
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = page;
        Ok(set.keys)
    }
}

type AnyError = Box<dyn Error + Send + Sync>;

/// Writes an error and what caused it.
fn in_words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// A stranger with made-up key IDs must not have us flood the provider.
const FETCH_INTERVAL: Duration = Duration::from_secs(2);
/// Two documents, over TLS.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
