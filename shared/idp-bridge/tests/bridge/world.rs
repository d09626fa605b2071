//! A provider, a bridge and what it mints at.

use crate::signer::Signer;
use crate::stand_in::StandIn;
use crate::{app, issuers};
use axum::Router;
use microbus_bus::{Clock as _, Connection, Connector, SystemClock};
use microbus_idp_bridge::{Bridge, BridgeError, ForeignToken, Settings, TokenKind};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::net::TcpListener;

pub(crate) const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

pub(crate) struct World {
    pub(crate) connection: Connection,
    pub(crate) provider: StandIn,
    pub(crate) bridge: Arc<Bridge>,
    pub(crate) issuers: Option<[Arc<Connector>; 2]>,
}

impl World {
    /// Starts everything; the provider publishes these keys and is believed with their algorithms.
    pub(crate) async fn start(signers: &[&Signer]) -> Self {
        let provider = provider().await;
        provider.publish(signers);
        let algorithms: Vec<&str> = signers.iter().map(|signer| signer.alg).collect();
        let settings = settings(provider.issuer(), &algorithms.join(", "));
        Self::with(provider, &settings).await
    }

    pub(crate) async fn with(provider: StandIn, settings: &str) -> Self {
        let connection = Connection::in_process();
        let issuers = issuers::start(&connection).await.unwrap();
        let connector = app::connector(&connection, "idp.bridge").await.unwrap();
        let settings = Settings::parse(settings).unwrap();
        Self {
            bridge: Bridge::new(settings, &connector, Arc::new(SystemClock)).unwrap(),
            provider,
            connection,
            issuers: Some(issuers),
        }
    }

    /// Returns the claims of the access token that a foreign one is exchanged for.
    pub(crate) async fn exchanged(
        &self,
        text: &str,
        kind: TokenKind,
    ) -> Result<Value, BridgeError> {
        let token = ForeignToken {
            text,
            kind,
            nonce: None,
        };
        let minted = self.bridge.access_token(token, LIFE).await?;
        Ok(Value::from(minted.read_claims().unwrap()))
    }

    pub(crate) fn id_token(&self, signer: &Signer) -> String {
        self.token(signer, TokenKind::IdToken, &json!({}))
    }

    /// Returns a good token with other claims.
    pub(crate) fn token(&self, signer: &Signer, kind: TokenKind, claims: &Value) -> String {
        token_of(self.provider.issuer(), signer, kind, claims)
    }
}

pub(crate) fn token_of(issuer: &str, signer: &Signer, kind: TokenKind, claims: &Value) -> String {
    let typ = match kind {
        TokenKind::IdToken => "JWT",
        TokenKind::AccessToken => "at+jwt",
    };
    let header = json!({"alg": signer.alg, "kid": signer.kid, "typ": typ});
    let mut payload = json!({
        "iss": issuer, "aud": "web-app", "sub": "harry", "iat": now(), "exp": now() + 300, "jti": "j", "client_id": "batch",
        "groups": ["Readers", "Quidditch"],
    });
    for (name, value) in claims.as_object().unwrap() {
        payload[name] = value.clone();
    }
    signer
        .token(&header.to_string(), &payload.to_string())
        .unwrap()
}

pub(crate) async fn provider() -> StandIn {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    StandIn::start(listener, Router::new()).unwrap()
}

pub(crate) fn settings(issuer: &str, algorithms: &str) -> String {
    format!(
        "providers:\n{}",
        provider_settings(issuer, algorithms, "source: {constant: one}")
    )
}

pub(crate) fn provider_settings(issuer: &str, algorithms: &str, more: &str) -> String {
    format!(
        "  - issuer: {issuer}
    algorithms: [{algorithms}]
    id_tokens: {{audiences: [web-app]}}
    access_tokens: {{audiences: [web-app, api], authorized_parties: [batch]}}
    claims:
      sub: {{prefix: 'one|', required: true}}
      roles: {{from: groups, roles: {{Readers: reader}}}}
      {more}
"
    )
}

pub(crate) fn now() -> u64 {
    let now = SystemClock.wall().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

pub(crate) const LIFE: Duration = Duration::from_secs(60);
