//! From requests to calls of the issuer and back: no decisions but how to read a body.
//!
//! Source: spec: microbus-wire 4.1, 4.2, 11.4.

use crate::issuer::Issuer;
use crate::service::PROFILE;
use crate::status;
use microbus_bus::{
    Acknowledge, Answer, Delivery, Handling, Incoming, Reply, Route, Scope, Urgency,
};
use microbus_service::{Draft, Minting, Refused, arguments};
use microbus_token::Claims;
use microbus_wire::query;
use std::sync::Arc;

/// Returns the endpoints of the issuer.
pub(crate) fn routes(issuer: &Arc<Issuer>, minting: &Arc<Minting>) -> Vec<Route> {
    let publisher = Arc::clone(issuer);
    let (minter, minting) = (Arc::clone(issuer), Arc::clone(minting));
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
            handler: Arc::new(move |request: Incoming| {
                Handling::Done(publish(&publisher, &request))
            }),
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
                minting.handle(request, |_, claims| draft(&minter, claims))
            }),
        },
    ]
}

/// Answers with the keys of all replicas, and to a sister that asks for them with our own alone.
fn publish(issuer: &Issuer, request: &Incoming) -> Answer {
    arguments::expect_none(request)?;
    let of_sister = request.from_host() == PROFILE.issuer.host();
    let body = if of_sister && query::pairs(request.query()).any(|(name, _)| name == "own") {
        issuer.own_jwk_set()
    } else {
        issuer.jwk_set()
    };
    Ok(Reply::json(body))
}

fn draft(issuer: &Issuer, claims: Claims) -> Result<Draft, Refused> {
    issuer
        .draft(claims)
        .map_err(|error| status::refused(&error))
}
