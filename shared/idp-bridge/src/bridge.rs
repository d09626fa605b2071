//! Foreign token in, token of ours out.

use crate::fetch::AuthoritiesError;
use crate::mapping::RequiredClaimMissing;
use crate::provider::Provider;
use crate::settings::Settings;
use crate::token::{ForeignTokenError, TokenKind, Unverified};
use microbus_bus::{Clock, Connector};
use microbus_client::{Budget, IssuerError, Issuers, MintedToken};
use microbus_token::{Claims, ClaimsError, Issuer};
use microbus_verify::FetchError;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Verifies tokens of identity providers and has our issuers mint tokens for who they are about.
pub struct Bridge {
    providers: Vec<Provider>,
    issuers: Issuers,
    clock: Arc<dyn Clock>,
}

/// A foreign token, and what it is said to be.
#[derive(Clone, Copy)]
pub struct ForeignToken<'t> {
    /// The compact JWT.
    pub text: &'t str,
    /// What it is meant for; a token of the other kind is refused.
    pub kind: TokenKind,
    /// The nonce of the login that it must belong to. Where a browser brings the token, this is what ties the two together:
    /// see [`Login`](crate::Login).
    pub nonce: Option<&'t str>,
}

/// Who a foreign token is about, in claims of ours.
#[derive(Debug, Clone)]
pub struct Identity {
    claims: Claims,
    lifetime: Duration,
}

impl Identity {
    /// Returns the mapped claims, as they are given to Mint: `iss` is the provider, which becomes `idp`.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Returns how long the foreign token is still valid.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }
}

/// Why there is no token of ours for a foreign one.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The foreign token is at fault.
    #[error(transparent)]
    Token(#[from] ForeignTokenError),
    /// The foreign token lacks what the mapping requires.
    #[error(transparent)]
    Claims(#[from] RequiredClaimMissing),
    /// The provider's keys cannot be had now; asking again later helps.
    #[error(transparent)]
    Provider(#[from] FetchError),
    /// Our issuer did not mint.
    #[error(transparent)]
    Mint(#[from] IssuerError),
}

impl BridgeError {
    /// Returns a short fixed code, fit for a metric label.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Token(error) => error.reason(),
            Self::Claims(_) => "claim_required",
            Self::Provider(_) => "provider_unavailable",
            Self::Mint(_) => "mint",
        }
    }
}

impl Bridge {
    /// Makes a bridge that mints through `connector`. Nothing is fetched yet, so it starts while providers are down.
    ///
    /// The connector's credentials need port 666 of the issuers that are minted at, and nothing else.
    ///
    /// # Errors
    /// [`AuthoritiesError`] when a file of authorities cannot be read.
    pub fn new(
        settings: Settings,
        connector: &Arc<Connector>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, AuthoritiesError> {
        let providers = settings.providers.into_iter();
        Ok(Arc::new(Self {
            providers: providers
                .map(|settings| Provider::new(settings, &clock))
                .collect::<Result<_, _>>()?,
            issuers: Issuers::new(Arc::clone(connector)),
            clock,
        }))
    }

    /// Verifies a foreign token and maps its claims.
    ///
    /// # Errors
    /// [`BridgeError`], all but [`BridgeError::Mint`].
    pub async fn identify(&self, token: ForeignToken<'_>) -> Result<Identity, BridgeError> {
        let unverified = Unverified::parse(token.text)?;
        let issuer = unverified.issuer().ok_or(ForeignTokenError::Issuer)?;
        let provider = self.provider(&issuer).ok_or(ForeignTokenError::Issuer)?;
        let (foreign, lifetime) = provider
            .verify(unverified, token.kind, token.nonce, &*self.clock)
            .await?;
        let foreign: Map<String, Value> = serde_json::from_slice(&foreign.to_json())
            .map_err(|error| ForeignTokenError::Payload(ClaimsError::Serialise(error)))?;
        let mut mapped = provider.settings().mapping.apply(&foreign)?;
        mapped.insert("iss".to_owned(), issuer.into());
        let claims = Claims::from_json_strict(Value::from(mapped).to_string().as_bytes())
            .map_err(ForeignTokenError::Payload)?;
        Ok(Identity { claims, lifetime })
    }

    /// Exchanges a foreign token for an access token that lives for `budget`, but not longer than the foreign one.
    ///
    /// # Errors
    /// [`BridgeError`].
    pub async fn access_token(
        &self,
        token: ForeignToken<'_>,
        budget: Duration,
    ) -> Result<MintedToken, BridgeError> {
        let identity = self.identify(token).await?;
        let budget = Budget::Of(budget.min(identity.lifetime));
        let minted = self
            .issuers
            .mint(Issuer::Access, &identity.claims, budget)
            .await?;
        Ok(minted)
    }

    /// Exchanges a foreign token for a bearer token, which lives as long as the bearer issuer is configured to let it: longer
    /// than the foreign one, as a rule. Its `idp` is the provider; that of access tokens made of it is not, so let the
    /// mapping set a claim of its own where guards need to know the provider.
    ///
    /// # Errors
    /// [`BridgeError`].
    pub async fn bearer_token(&self, token: ForeignToken<'_>) -> Result<MintedToken, BridgeError> {
        let identity = self.identify(token).await?;
        let budget = Budget::Of(MINT_BUDGET);
        let minted = self
            .issuers
            .mint(Issuer::Bearer, &identity.claims, budget)
            .await?;
        Ok(minted)
    }

    /// Fetches the keys of every provider now and every five minutes, and every five seconds where that fails, until it is
    /// dropped: spawn it. Without it the first token of each provider waits for its keys, and a withdrawn key counts until a token
    /// with an unknown one comes.
    pub async fn keep_fresh(self: Arc<Self>) {
        let each = self.providers.iter().map(|provider| async {
            loop {
                let pause = match provider.refresh().await {
                    Ok(()) => REFRESH_INTERVAL,
                    // The fetch has logged its failure.
                    Err(_) => RETRY_INTERVAL,
                };
                tokio::time::sleep(pause).await;
            }
        });
        futures_util::future::join_all(each).await;
    }

    pub(crate) fn provider(&self, issuer: &str) -> Option<&Provider> {
        self.providers
            .iter()
            .find(|provider| provider.settings().issuer == issuer)
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Bridge")
            .field("providers", &self.providers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ForeignToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ForeignToken")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

const MINT_BUDGET: Duration = Duration::from_secs(20);
const REFRESH_INTERVAL: Duration = Duration::from_secs(300);
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
