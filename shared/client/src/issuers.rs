//! Typed calls of both issuers over the bus.

use crate::actor::MintedToken;
use microbus_bus::{Connector, Incoming, Outgoing, RequestError};
use microbus_token::{Claims, Issuer, JwkSet};
use microbus_wire::address::Address;
use microbus_wire::frame::Response;
use microbus_wire::header::FROM_HOST;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Method;
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Asks the issuers. Clones share the connection.
#[derive(Clone)]
pub struct Issuers {
    connector: Arc<Connector>,
}

/// How long a call may take, which also is how long an access token lives.
#[derive(Debug, Clone, Copy)]
pub enum Budget<'r> {
    /// This long: at most 15 min count.
    Of(Duration),
    /// What is left of the request that is being handled, with its call depth, trace and baggage.
    Inbound(&'r Incoming),
}

/// Why an issuer did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The call failed, or the issuer answered with an error.
    #[error("{host} was asked and did not help: {cause}")]
    Request {
        /// The issuer's host.
        host: &'static str,
        /// What happened.
        #[source]
        cause: RequestError,
    },
    /// The answer is not what an issuer answers, or not the issuer's.
    #[error("{host} answered something else than {wanted}")]
    Answer {
        /// The issuer's host.
        host: &'static str,
        /// What was wanted, such as `a token`.
        wanted: &'static str,
    },
}

impl IssuerError {
    /// Returns the status with which to pass the failure on.
    #[must_use]
    pub fn status(&self) -> ErrorStatus {
        match self {
            Self::Request { cause, .. } => cause.status(),
            Self::Answer { .. } => ErrorStatus::BAD_GATEWAY,
        }
    }
}

impl Issuers {
    /// Asks through `connector`, whose credentials must allow port 666 of the issuers that it mints at.
    #[must_use]
    pub fn new(connector: Arc<Connector>) -> Self {
        Self { connector }
    }

    /// Has an issuer mint a token for `claims`. An access token lives as long as the budget, a bearer token as configured.
    ///
    /// # Errors
    /// [`IssuerError`]. Status 404 is what it looks like when the issuer is not there, and when the broker does not let us ask.
    pub async fn mint(
        &self,
        issuer: Issuer,
        claims: &Claims,
        budget: Budget<'_>,
    ) -> Result<MintedToken, IssuerError> {
        let mut body = Vec::from(&br#"{"claims":"#[..]);
        claims.write_json(&mut body);
        body.push(b'}');
        let response = self.call(issuer, 666, "mint", body, budget).await?;
        let minted: Minted<'_> =
            serde_json::from_slice(&response.body).map_err(|_| answer_is_not(issuer, "a token"))?;
        if minted.token.is_empty() {
            return Err(answer_is_not(issuer, "a token"));
        }
        Ok(MintedToken::new(Zeroizing::new(minted.token.into_owned())))
    }

    /// Fetches the JWK Set of an issuer. A verifier does so by itself: see `microbus_verify`.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub async fn jwk_set(&self, issuer: Issuer, budget: Budget<'_>) -> Result<JwkSet, IssuerError> {
        let body = Vec::from(&b"{}"[..]);
        let response = self.call(issuer, 888, "jwks", body, budget).await?;
        JwkSet::from_json(&response.body).map_err(|_| answer_is_not(issuer, "a JWK Set"))
    }

    async fn call(
        &self,
        issuer: Issuer,
        port: u16,
        function: &str,
        body: Vec<u8>,
        budget: Budget<'_>,
    ) -> Result<Response, IssuerError> {
        let host = issuer.host();
        let address = Address::parse(&format!("https://{host}:{port}/{function}"))
            .map_err(|_| answer_is_not(issuer, "to its address"))?;
        let outgoing = Outgoing::new(Method::Post, address).json(body);
        let outgoing = match budget {
            Budget::Of(budget) => outgoing.within(budget),
            Budget::Inbound(inbound) => outgoing.on_behalf_of(inbound),
        };
        let response = self
            .connector
            .request(outgoing)
            .await
            .map_err(|cause| IssuerError::Request { host, cause })?;
        // Set from the subject, which the broker vouches for.
        if response.headers.get(FROM_HOST) != Some(host) {
            return Err(answer_is_not(issuer, "as itself"));
        }
        Ok(response)
    }
}

/// What Mint answers.
#[derive(Deserialize)]
struct Minted<'b> {
    #[serde(borrow)]
    token: Cow<'b, str>,
}

fn answer_is_not(issuer: Issuer, wanted: &'static str) -> IssuerError {
    IssuerError::Answer {
        host: issuer.host(),
        wanted,
    }
}

impl fmt::Debug for Issuers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Issuers").finish_non_exhaustive()
    }
}
