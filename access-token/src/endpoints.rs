//! From requests to calls of the issuer and back: no decisions but how to read a body.
//!
//! Source: spec: microbus-wire 4.1, 4.2, 11.4.

use crate::issuer::{Drafted, Issuer};
use crate::service::PROFILE;
use crate::status;
use crate::word::Word;
use microbus_bus::{
    Acknowledge, Clock, Delivery, Handling, Incoming, Reply, Route, Scope, Urgency,
};
use microbus_service::{Draft, Metrics, Minting, Refused, arguments};
use microbus_token::Claims;
use microbus_wire::header;
use std::sync::Arc;

/// Returns the endpoints of the issuer.
pub(crate) fn routes(
    issuer: &Arc<Issuer>,
    metrics: &Arc<Metrics>,
    minting: &Arc<Minting>,
    clock: &Arc<dyn Clock>,
) -> Vec<Route> {
    let (jwks, jwks_clock) = (Arc::clone(issuer), Arc::clone(clock));
    let (local_keys, clock) = (Arc::clone(issuer), Arc::clone(clock));
    let minter = Arc::clone(issuer);
    let (metrics, minting) = (Arc::clone(metrics), Arc::clone(minting));
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
            handler: Arc::new(move |request: Incoming| publish(&jwks, &*jwks_clock, &request)),
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
                minting.handle(request, |request, claims| {
                    draft(&minter, &metrics, request, claims)
                })
            }),
        },
    ]
}

/// Answers from memory, at once but for one case: a Go replica that has just announced itself may sign already, and its key
/// is on its way to us (design: keys, "Start").
fn publish(issuer: &Arc<Issuer>, clock: &dyn Clock, request: &Incoming) -> Handling {
    if let Err(failure) = arguments::expect_none(request) {
        return Handling::Done(Err(failure));
    }
    match issuer.expects(clock.now()) {
        None => Handling::Done(Ok(Reply::json(issuer.jwk_set()))),
        Some(until) => {
            let issuer = Arc::clone(issuer);
            Handling::Later(Box::pin(async move {
                issuer.heard(until).await;
                Ok(Reply::json(issuer.jwk_set()))
            }))
        }
    }
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

fn draft(
    issuer: &Issuer,
    metrics: &Metrics,
    request: &Incoming,
    claims: Claims,
) -> Result<Draft, Refused> {
    let drafted = issuer
        .draft(claims, request.given_budget())
        .map_err(status::refused)?;
    note_literal_names(&drafted, metrics, request);
    Ok(drafted.draft)
}

/// Claim names come from callers: they are counted, and shown in the log bounded and escaped.
fn note_literal_names(drafted: &Drafted, metrics: &Metrics, request: &Incoming) {
    for name in &drafted.literal_names {
        metrics.literal_claim_names.inc();
        let name: String = name.chars().take(40).collect();
        tracing::warn!(
            ?name,
            caller = request.from_host(),
            "A claim name is a literal of the expression language"
        );
    }
}
