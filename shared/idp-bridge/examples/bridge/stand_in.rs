//! A stand-in for an identity provider on loopback: its description, its keys, and nothing else. Tests sign for it.

use super::signer::{AnyError, Signer};
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// A provider whose answers can be changed while it runs.
#[derive(Clone)]
pub(crate) struct StandIn {
    issuer: String,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<AtomicUsize>,
}

struct Answers {
    status: StatusCode,
    description: String,
    keys: String,
}

impl StandIn {
    /// Serves on a listener of this machine; routes of its own may be added.
    pub(crate) fn start(listener: TcpListener, own: Router) -> Result<Self, AnyError> {
        let address = listener.local_addr()?;
        let issuer = format!("http://{address}");
        let description = json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/jwks"),
            "authorization_endpoint": format!("{issuer}/authorize"),
        });
        let stand_in = Self {
            issuer,
            answers: Arc::new(Mutex::new(Answers {
                status: StatusCode::OK,
                description: description.to_string(),
                keys: r#"{"keys":[]}"#.to_owned(),
            })),
            asked: Arc::default(),
        };
        let (describe, publish) = (stand_in.clone(), stand_in.clone());
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(move || async move { describe.answer(|answers| &answers.description) }),
            )
            .route(
                "/jwks",
                get(move || async move { publish.answer(|answers| &answers.keys) }),
            )
            .merge(own);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(stand_in)
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// How often its description or its keys were asked for.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn publish(&self, signers: &[&Signer]) {
        let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk()).collect();
        self.publish_text(&json!({ "keys": keys }).to_string());
    }

    pub(crate) fn publish_text(&self, keys: &str) {
        self.change(|answers| keys.clone_into(&mut answers.keys));
    }

    pub(crate) fn describe(&self, description: &str) {
        self.change(|answers| description.clone_into(&mut answers.description));
    }

    /// Answers everything with this status from now on.
    pub(crate) fn answer_with(&self, status: StatusCode) {
        self.change(|answers| answers.status = status);
    }

    fn change(&self, change: impl FnOnce(&mut Answers)) {
        change(&mut self.answers.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn answer(&self, text: impl Fn(&Answers) -> &String) -> Response {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let headers = [
            (header::CONTENT_TYPE, "application/json".to_owned()),
            (header::LOCATION, format!("{}/elsewhere", self.issuer)),
        ];
        (answers.status, headers, text(&answers).clone()).into_response()
    }
}
