//! Both issuers on the bus of this process. In production each is a process of its own.

use crate::app::{AnyError, connector, route};
use access_token::Issuer as AccessIssuer;
use bearer_token::Issuer as BearerIssuer;
use microbus_bus::{Clock, Connection, Connector, Failure, Handling, Incoming, Reply, SystemClock};
use microbus_token::{Claims, CompactJwt, Issuer, WrongSignature, decode_claims};
use microbus_wire::status::ErrorStatus;
use rand::SeedableRng as _;
use rand::rngs::{StdRng, SysRng};
use std::error::Error;
use std::sync::Arc;

/// Starts both issuers with keys that die with the process.
pub(crate) async fn start(connection: &Connection) -> Result<[Arc<Connector>; 2], AnyError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rng = || StdRng::try_from_rng(&mut SysRng);

    let instance = "example".to_owned();
    let config = access_token::Config::default();
    let issuer = AccessIssuer::new(instance, config, Vec::new(), rng()?, Arc::clone(&clock));
    issuer.start(clock.now())?;
    issuer.activate_first(clock.now());
    let issuer = Arc::new(issuer);
    let access = connector(connection, Issuer::Access.host()).await?;
    let keys = Arc::clone(&issuer);
    let jwks = move |_: Incoming| Handling::Done(Ok(Reply::json(keys.jwk_set())));
    access.subscribe(route("JWKS", 888, "/jwks", jwks)).await?;
    let mint = move |request: Incoming| {
        let minted = claims_of(&request).and_then(|claims| {
            let budget = request.given_budget();
            issuer
                .draft(claims, budget)
                .map_err(|error| unavailable(&error))
        });
        Handling::Done(minted.and_then(|drafted| token_reply(drafted.draft.sign())))
    };
    access.subscribe(route("Mint", 666, "/mint", mint)).await?;

    let config = bearer_token::Config::default();
    let issuer = Arc::new(BearerIssuer::new(config, rng()?, Arc::clone(&clock)));
    issuer.start_with_ephemeral_key(clock.now())?;
    let bearer = connector(connection, Issuer::Bearer.host()).await?;
    let keys = Arc::clone(&issuer);
    let jwks = move |_: Incoming| Handling::Done(Ok(Reply::json(keys.jwk_set())));
    bearer.subscribe(route("JWKS", 888, "/jwks", jwks)).await?;
    let mint = move |request: Incoming| {
        let minted = claims_of(&request)
            .and_then(|claims| issuer.draft(claims).map_err(|error| unavailable(&error)));
        Handling::Done(minted.and_then(|draft| token_reply(draft.sign())))
    };
    bearer.subscribe(route("Mint", 666, "/mint", mint)).await?;
    Ok([access, bearer])
}

fn claims_of(request: &Incoming) -> Result<Claims, Failure> {
    let none = std::iter::empty::<(&str, &str)>;
    decode_claims(Some(request.body()), none(), none())
        .map_err(|error| Failure::new(ErrorStatus::BAD_REQUEST, "malformed").with_detail(error))
}

fn unavailable(error: &dyn Error) -> Failure {
    Failure::new(ErrorStatus::UNAVAILABLE, "no key").with_detail(error)
}

fn token_reply(signed: Result<CompactJwt, WrongSignature>) -> Result<Reply, Failure> {
    let token = signed.map_err(|error| unavailable(&error))?;
    let body = format!("{{\"token\":\"{}\"}}\n", token.as_str());
    Ok(Reply::json(body))
}
