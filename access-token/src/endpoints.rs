//! From requests to calls of the issuer and back: no decisions but how to read a body.
//!
//! Source: spec: microbus-wire 4.1, 4.2, 11.4.

use crate::issuer::{Issuer, Minted};
use crate::replicas::Word;
use crate::service::PROFILE;
use crate::status;
use bytes::Bytes;
use microbus_bus::{
    Acknowledge, Answer, Clock, Delivery, Handling, Incoming, Reply, Route, Scope, Urgency,
};
use microbus_service::{Metrics, arguments};
use microbus_wire::header;
use std::sync::Arc;

/// Returns the endpoints of the issuer.
pub(crate) fn routes(
    issuer: &Arc<Issuer>,
    metrics: &Arc<Metrics>,
    clock: &Arc<dyn Clock>,
) -> Vec<Route> {
    let jwks = Arc::clone(issuer);
    let (local_keys, clock) = (Arc::clone(issuer), Arc::clone(clock));
    let minter = Arc::clone(issuer);
    let metrics = Arc::clone(metrics);
    vec![
        Route {
            name: "JWKS",
            scope: Scope::Own,
            port: 888,
            method: None,
            path: "/jwks",
            delivery: Delivery::One,
            urgency: Urgency::Exempt,
            acknowledge: Acknowledge::IfLate,
            handler: Arc::new(move |request: Incoming| publish(&jwks, &request)),
        },
        Route {
            name: "LocalKeys",
            scope: Scope::Own,
            port: 888,
            method: None,
            path: "/local-keys",
            delivery: Delivery::Every,
            urgency: Urgency::Exempt,
            acknowledge: Acknowledge::AtOnce,
            handler: Arc::new(move |request: Incoming| tell(&local_keys, &*clock, &request)),
        },
        Route {
            name: "Mint",
            scope: Scope::Own,
            port: 666,
            method: None,
            path: "/mint",
            delivery: Delivery::One,
            urgency: Urgency::Sheddable,
            acknowledge: Acknowledge::IfLate,
            handler: Arc::new(move |request: Incoming| {
                Handling::Done(mint(&minter, &metrics, &request))
            }),
        },
    ]
}

fn publish(issuer: &Issuer, request: &Incoming) -> Handling {
    let answer = arguments::expect_none(request).map(|()| Reply::json(issuer.jwk_set()));
    Handling::Done(answer)
}

/// Takes in what a replica says of keys, and answers with what we know.
///
/// Who is a replica is what the broker vouches for in the subject, never a header (design: keys, "What is believed").
fn tell(issuer: &Issuer, clock: &dyn Clock, request: &Incoming) -> Handling {
    let now = clock.now();
    if let Err(failure) = arguments::expect_none(request) {
        return Handling::Done(Err(failure));
    }
    let instance = request.header(header::FROM_ID).unwrap_or_default();
    if request.from_host() == PROFILE.issuer.host()
        && let Some(word) = Word::parse(request.body())
    {
        issuer.hear(instance, &word, now);
    }
    Handling::Done(Ok(Reply::json(issuer.word(now))))
}

fn mint(issuer: &Issuer, metrics: &Metrics, request: &Incoming) -> Answer {
    let claims = arguments::claims(request)?;
    let minted = issuer
        .mint(claims, request.given_budget())
        .map_err(status::failure)?;
    note_literal_names(&minted, metrics, request);
    Ok(Reply::json(token_body(minted.token.as_str())))
}

/// Claim names come from callers: they are counted, and shown in the log bounded and escaped.
fn note_literal_names(minted: &Minted, metrics: &Metrics, request: &Incoming) {
    for name in &minted.literal_names {
        metrics.literal_claim_names.inc();
        let name: String = name.chars().take(40).collect();
        tracing::warn!(
            ?name,
            caller = request.from_host(),
            "A claim name is a literal of the expression language"
        );
    }
}

/// Returns `{"token":"…"}` and LF; a compact JWT needs no escaping.
fn token_body(token: &str) -> Bytes {
    let mut body = Vec::with_capacity(token.len() + 13);
    body.extend_from_slice(b"{\"token\":\"");
    body.extend_from_slice(token.as_bytes());
    body.extend_from_slice(b"\"}\n");
    body.into()
}
