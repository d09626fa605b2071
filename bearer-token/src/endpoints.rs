//! From requests to calls of the issuer and back: no decisions but how to read a body.
//!
//! Source: spec: microbus-wire 4.1, 4.2, 11.4.

use crate::issuer::Issuer;
use crate::status;
use bytes::Bytes;
use microbus_bus::{
    Acknowledge, Answer, Delivery, Handling, Incoming, Reply, Route, Scope, Urgency,
};
use microbus_service::arguments;
use std::sync::Arc;

/// Returns the endpoints of the issuer.
pub(crate) fn routes(issuer: &Arc<Issuer>) -> Vec<Route> {
    let publisher = Arc::clone(issuer);
    let minter = Arc::clone(issuer);
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
            handler: Arc::new(move |request: Incoming| Handling::Done(mint(&minter, &request))),
        },
    ]
}

fn publish(issuer: &Issuer, request: &Incoming) -> Answer {
    arguments::expect_none(request)?;
    Ok(Reply::json(issuer.jwk_set()))
}

fn mint(issuer: &Issuer, request: &Incoming) -> Answer {
    let claims = arguments::claims(request)?;
    let token = issuer
        .mint(claims)
        .map_err(|error| status::failure(&error))?;
    Ok(Reply::json(token_body(token.as_str())))
}

/// Returns `{"token":"…"}` and LF; a compact JWT needs no escaping.
fn token_body(token: &str) -> Bytes {
    let mut body = Vec::with_capacity(token.len() + 13);
    body.extend_from_slice(b"{\"token\":\"");
    body.extend_from_slice(token.as_bytes());
    body.extend_from_slice(b"\"}\n");
    body.into()
}
