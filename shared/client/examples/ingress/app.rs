//! A guarded service on a bus, and an ingress in front of it.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;
use microbus_bus::{
    Acknowledge, Answer, Clock, Connection, Connector, Delivery, Failures, Handler, Handling,
    Identity, Incoming, Outgoing, Reply, RequestError, Route, Scope, SystemClock, Urgency,
    random_instance_id,
};
use microbus_client::{
    Actor, Budget, Caller, Deadline, Exchange, ExchangeLayer, ExchangeSettings, Issuers, PortRules,
    Protected, destination, error_response,
};
use microbus_required_claims::RequiredClaims;
use microbus_token::{Claims, Issuer};
use microbus_verify::{BusKeySource, Settings, Verifier};
use microbus_wire::frame::Response as BusResponse;
use microbus_wire::header::{ACTOR, CONTENT_TYPE};
use microbus_wire::host::Hostname;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::{Method, Plane};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

pub(crate) type AnyError = Box<dyn Error + Send + Sync>;

/// How the example's ingress is set up on a developer's machine.
pub(crate) const AT_HOME: ExchangeSettings = ExchangeSettings {
    time_budget: Duration::from_secs(20),
    reuse: Duration::ZERO,
    failures: Failures::Revealed,
};

/// Joins the bus as `host`.
pub(crate) async fn connector(
    connection: &Connection,
    host: &str,
) -> Result<Arc<Connector>, AnyError> {
    let identity = Identity {
        plane: Plane::default(),
        hostname: Hostname::parse(host)?,
        version: 1,
        instance: random_instance_id(),
        locality: None,
    };
    let clock = Arc::new(SystemClock);
    Ok(Connector::open(connection.clone(), identity, Failures::Redacted, clock).await?)
}

/// An endpoint that one replica answers.
pub(crate) fn route(
    name: &'static str,
    port: u16,
    path: &'static str,
    handler: impl Handler,
) -> Route {
    Route {
        name,
        scope: Scope::Own,
        port,
        method: None,
        path,
        delivery: Delivery::One,
        urgency: Urgency::Sheddable,
        acknowledge: Acknowledge::AtOnce,
        handler: Arc::new(handler),
    }
}

/// A service whose endpoints demand more and more of the actor.
pub(crate) async fn start_hello(connection: &Connection) -> Result<Arc<Connector>, AnyError> {
    let hello = connector(connection, "hello.example").await?;
    let source = BusKeySource::new(Arc::downgrade(&hello));
    let verifier = Verifier::new(source, Arc::new(SystemClock), Settings::default());
    for (name, path, required) in [
        ("Open", "/open", None),
        ("Me", "/me", Some("sub")),
        ("Admin", "/admin", Some("roles.admin && sub!='voldemort'")),
    ] {
        let required = required.map(RequiredClaims::parse).transpose()?;
        let handler = Protected::new(verifier.clone(), required, show_claims);
        hello.subscribe(route(name, 443, path, handler)).await?;
    }
    Ok(hello)
}

fn show_claims(_: Incoming, caller: Option<Caller>) -> Handling {
    let claims = caller.map(|caller| caller.claims().clone());
    let body = serde_json::Value::from(claims.unwrap_or_default()).to_string();
    Handling::Done(Answer::Ok(Reply::json(body)))
}

/// The way in: `/login` for a token, everything else goes to the bus.
pub(crate) async fn ingress(
    connection: &Connection,
    settings: ExchangeSettings,
) -> Result<Router, AnyError> {
    let connector = connector(connection, "http.ingress.core").await?;
    let issuers = Issuers::new(Arc::clone(&connector));
    let own = Router::new().route(
        "/login",
        post(move |request| login(issuers.clone(), request)),
    );
    Ok(behind_exchange(connector, own, settings))
}

/// Routes of an ingress's own, and the bus behind all others.
pub(crate) fn behind_exchange(
    connector: Arc<Connector>,
    own: Router,
    settings: ExchangeSettings,
) -> Router {
    let exchange = Exchange::new(&connector, Arc::new(SystemClock), settings);
    tokio::spawn(exchange.verifier().clone().keep_fresh());
    own.fallback(move |request| forward(Arc::clone(&connector), request))
        .layer(ExchangeLayer::new(exchange))
}

/// Gives a bearer token to whoever asks. A real ingress asks an identity provider first.
async fn login(issuers: Issuers, request: Request) -> Response {
    let budget = Budget::Of(Duration::from_secs(5));
    let Ok(body) = to_bytes(request.into_body(), LARGEST_BODY).await else {
        return error_response(
            ErrorStatus::PAYLOAD_TOO_LARGE,
            "too large",
            Failures::Revealed,
        );
    };
    let claims = match Claims::from_json_strict(&body) {
        Ok(claims) => claims,
        Err(error) => {
            return error_response(
                ErrorStatus::BAD_REQUEST,
                &error.to_string(),
                Failures::Revealed,
            );
        }
    };
    match issuers.mint(Issuer::Bearer, &claims, budget).await {
        Ok(token) => Response::new(Body::from(token.as_str().to_owned())),
        Err(error) => error_response(error.status(), &error.to_string(), Failures::Revealed),
    }
}

/// Makes a request of a client one on the bus, on behalf of its actor and within what is left of its time.
async fn forward(connector: Arc<Connector>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let method = Method::parse(parts.method.as_str());
    let (Ok(address), Some(method)) = (destination(path, &PortRules::local()), method) else {
        return error_response(ErrorStatus::NOT_FOUND, "not found", Failures::Revealed);
    };
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return error_response(
            ErrorStatus::PAYLOAD_TOO_LARGE,
            "too large",
            Failures::Revealed,
        );
    };
    let mut outgoing = Outgoing::new(method, address);
    if !body.is_empty() {
        outgoing = outgoing.json(body);
    }
    if let Some(actor) = parts.extensions.get::<Actor>() {
        outgoing = outgoing.header(ACTOR, actor.token().as_str());
    }
    if let Some(Deadline(deadline)) = parts.extensions.get() {
        outgoing = outgoing.within(deadline.saturating_duration_since(SystemClock.now()));
    }
    match connector.request(outgoing).await {
        Ok(answer) => to_http(&answer),
        Err(error) => failed(&error),
    }
}

fn to_http(answer: &BusResponse) -> Response {
    let mut builder = Response::builder().status(answer.status);
    if let Some(content_type) = answer.headers.get(CONTENT_TYPE) {
        builder = builder.header("content-type", content_type);
    }
    let body = Body::from(answer.body.clone());
    builder.body(body).unwrap_or_else(|_| {
        error_response(
            ErrorStatus::BAD_GATEWAY,
            "malformed answer",
            Failures::Redacted,
        )
    })
}

fn failed(error: &RequestError) -> Response {
    error_response(error.status(), &error.to_string(), Failures::Redacted)
}

const LARGEST_BODY: usize = 1 << 20;
