//! The example's ingress, issuers and guarded service over the in-process bus.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

#[path = "../examples/ingress/app.rs"]
mod app;
#[path = "../examples/ingress/issuers.rs"]
mod issuers;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use microbus_bus::{
    Acknowledge, Clock as _, Connection, Connector, Delivery, Failures, Handling, Identity,
    Incoming, Reply, Route, Scope, SystemClock, Urgency, random_instance_id,
};
use microbus_client::{
    Actor, Deadline, Exchange, ExchangeLayer, ExchangeSettings, RequireClaimsLayer,
};
use microbus_required_claims::RequiredClaims;
use microbus_wire::host::Hostname;
use microbus_wire::subject::Plane;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tower::ServiceExt as _;

/// A bus with everything on it, and what keeps it alive.
struct Application {
    ingress: Router,
    connection: Connection,
    issuers: Option<[Arc<Connector>; 2]>,
    _hello: Arc<Connector>,
}

impl Application {
    async fn start(settings: ExchangeSettings) -> Self {
        let connection = Connection::in_process();
        Self {
            issuers: Some(issuers::start(&connection).await.unwrap()),
            _hello: app::start_hello(&connection).await.unwrap(),
            ingress: app::ingress(&connection, settings).await.unwrap(),
            connection,
        }
    }

    async fn ask(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.ingress.clone().oneshot(request).await.unwrap();
        assert!(
            response
                .headers()
                .keys()
                .all(|name| !name.as_str().starts_with("microbus-"))
        );
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String) {
        let request = headers
            .iter()
            .fold(Request::get(path), |request, (name, value)| {
                request.header(*name, *value)
            });
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    async fn log_in(&self, claims: &str) -> String {
        let request = Request::post("/login")
            .body(Body::from(claims.to_owned()))
            .unwrap();
        let (status, token) = self.ask(request).await;
        assert_eq!(status, 200, "{token}");
        token
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_bearer_token_becomes_an_actor_whose_claims_open_what_they_should() {
    let application = Application::start(app::AT_HOME).await;
    let reader = application
        .log_in(r#"{"sub":"harry","roles":["reader"]}"#)
        .await;
    let admin = application
        .log_in(r#"{"sub":"minerva","roles":["admin"]}"#)
        .await;
    let bearer = |token: &str| format!("Bearer {token}");
    for (path, token, status) in [
        ("/hello.example/open", None, 200),
        ("/hello.example/me", None, 401),
        ("/hello.example/admin", None, 401),
        ("/hello.example/open", Some(&reader), 200),
        ("/hello.example/me", Some(&reader), 200),
        ("/hello.example/admin", Some(&reader), 403),
        ("/hello.example/admin", Some(&admin), 200),
        ("/nobody.example/x", Some(&admin), 404),
        ("/access.token.core:666/mint", Some(&admin), 404),
        ("/access.token.core:888/jwks", Some(&admin), 404),
    ] {
        let header = token.map(|token| bearer(token)).unwrap_or_default();
        let (found, body) = application.get(path, &[("authorization", &header)]).await;
        assert_eq!(found, status, "{path}: {body}");
    }
    let (_, claims) = application
        .get(
            "/hello.example/me",
            &[("cookie", &format!("Authorization={reader}"))],
        )
        .await;
    let claims = json(&claims);
    assert_eq!(claims["iss"], "https://access.token.core");
    assert_eq!(claims["idp"], "https://bearer.token.core");
    assert_eq!(
        (&claims["sub"], &claims["roles"][0]),
        (&"harry".into(), &"reader".into())
    );
    let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(lifetime, 30, "the budget and the padding on both sides");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_good_bearer_token_goes_on_without_an_actor() {
    let application = Application::start(app::AT_HOME).await;
    let good = application.log_in(r#"{"sub":"harry"}"#).await;
    let (signed, _) = good.rsplit_once('.').unwrap();
    let (_, me) = application
        .get(
            "/hello.example/me",
            &[("authorization", &format!("Bearer {good}"))],
        )
        .await;
    assert_eq!(json(&me)["sub"], "harry");
    let access = "eyJhbGciOiJFZERTQSIsImtpZCI6ImFhYWFhYWFhYWFhYWFhYWEiLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJodHRwczovL2FjY2Vzcy50b2tlbi5jb3JlIn0";
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJoYXJyeSIsInJvbGVzIjpbImFkbWluIl19.";
    let flat = "A".repeat(86);
    for (what, name, value) in [
        ("another prefix", "authorization", format!("bearer {good}")),
        ("no prefix", "authorization", good.clone()),
        (
            "a forged signature",
            "authorization",
            format!("Bearer {signed}.{flat}"),
        ),
        (
            "an access token",
            "authorization",
            format!("Bearer {access}.{flat}"),
        ),
        (
            "an unsigned token",
            "authorization",
            format!("Bearer {none}"),
        ),
        ("an actor from outside", "microbus-actor", good.clone()),
        (
            "a cookie of another name",
            "cookie",
            format!("token={good}"),
        ),
        ("rubbish", "authorization", "Bearer rubbish".to_owned()),
    ] {
        let (status, body) = application
            .get("/hello.example/me", &[(name, &value)])
            .await;
        assert_eq!(status, 401, "{what}: {body}");
        let (status, claims) = application
            .get("/hello.example/open", &[(name, &value)])
            .await;
        assert_eq!((status, &*claims), (StatusCode::OK, "{}"), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_access_issuer_a_good_token_fails_and_no_token_does_not() {
    let mut application = Application::start(app::AT_HOME).await;
    let good = application.log_in(r#"{"sub":"harry"}"#).await;
    let header = format!("Bearer {good}");
    let (status, _) = application
        .get("/hello.example/me", &[("authorization", &header)])
        .await;
    assert_eq!(status, 200);
    let [access, _bearer] = application.issuers.take().unwrap();
    access.leave(|_| true).await;
    let (status, body) = application
        .get("/hello.example/open", &[("authorization", &header)])
        .await;
    assert_eq!(
        (status, &json(&body)["err"]["statusCode"]),
        (StatusCode::NOT_FOUND, &404.into())
    );
    assert!(!body.contains(&good), "no token in an error");
    let (status, _) = application.get("/hello.example/open", &[]).await;
    assert_eq!(status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_absent_bearer_issuer_makes_everybody_anonymous() {
    let application = Application::start(app::AT_HOME).await;
    let good = application.log_in(r#"{"sub":"harry"}"#).await;
    let elsewhere = Application {
        ingress: app::ingress(&Connection::in_process(), app::AT_HOME)
            .await
            .unwrap(),
        ..application
    };
    let (status, body) = elsewhere
        .get(
            "/hello.example/open",
            &[("authorization", &format!("Bearer {good}"))],
        )
        .await;
    assert_eq!(status, 404, "the service is not on this bus: {body}");
    assert!(
        body.contains("hello.example"),
        "it was asked, without an actor: {body}"
    );
}

/// Counts how often access tokens are minted, by standing in for their issuer.
async fn counted_mints(
    connection: &Connection,
    lifetime: u64,
) -> (Arc<Connector>, Arc<AtomicUsize>) {
    let identity = Identity {
        plane: Plane::default(),
        hostname: Hostname::parse("access.token.core").unwrap(),
        version: 1,
        instance: random_instance_id(),
        locality: None,
    };
    let connector = Connector::open(
        connection.clone(),
        identity,
        Failures::Redacted,
        Arc::new(SystemClock),
    )
    .await
    .unwrap();
    let mints = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&mints);
    let mint = move |request: Incoming| {
        count.fetch_add(1, Ordering::Relaxed);
        let claims = format!(
            r#"{{"exp":{},"sub":"{}"}}"#,
            now() + lifetime,
            request.budget().as_secs()
        );
        let token = format!("e30.{}.c2ln", encode(&claims));
        Handling::Later(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Reply::json(format!(r#"{{"token":"{token}"}}"#)))
        }))
    };
    let route = Route {
        name: "Mint",
        scope: Scope::Own,
        port: 666,
        method: None,
        path: "/mint",
        delivery: Delivery::One,
        urgency: Urgency::Sheddable,
        acknowledge: Acknowledge::AtOnce,
        handler: Arc::new(mint),
    };
    connector.subscribe(route).await.unwrap();
    (connector, mints)
}

fn now() -> u64 {
    SystemClock
        .wall()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn encode(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

/// Asks `open` of an application whose access tokens live for `lifetime` seconds, often, and returns how many were minted.
async fn mints_of(settings: ExchangeSettings, lifetime: u64, pause: Duration) -> usize {
    let mut application = Application::start(settings).await;
    let good = application.log_in(r#"{"sub":"harry"}"#).await;
    let [access, _bearer] = application.issuers.take().unwrap();
    access.leave(|_| true).await;
    let (_access, mints) = counted_mints(&application.connection, lifetime).await;
    let header = format!("Bearer {good}");
    let headers = [("authorization", &*header)];
    let at_once = (0..10).map(|_| application.get("/nobody.example/", &headers));
    futures_util::future::join_all(at_once).await;
    tokio::time::sleep(pause).await;
    application.get("/nobody.example/", &headers).await;
    mints.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn exchanges_are_shared_and_used_again_only_when_asked_for_and_only_while_they_live() {
    let reusing = ExchangeSettings {
        reuse: Duration::from_secs(60),
        ..app::AT_HOME
    };
    let second = Duration::from_secs(1);
    for (what, settings, lifetime, pause, mints) in [
        ("off", app::AT_HOME, 30, Duration::ZERO, 11),
        ("on", reusing, 30, second, 1),
        ("on, five seconds later", reusing, 30, 5 * second, 2),
        (
            "on, but a token lives no longer than a request",
            reusing,
            25,
            second,
            2,
        ),
    ] {
        assert_eq!(mints_of(settings, lifetime, pause).await, mints, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_of_required_claims_guards_handlers_in_the_ingress_itself() {
    let application = Application::start(app::AT_HOME).await;
    let connector = app::connector(&application.connection, "edge.example")
        .await
        .unwrap();
    let exchange = Exchange::new(&connector, Arc::new(SystemClock), app::AT_HOME);
    let handler = |request: Request<Body>| async move {
        let Deadline(deadline) = request.extensions().get().copied().unwrap();
        let actor = request.extensions().get::<Actor>().unwrap();
        let sent = request.headers().get("microbus-actor").unwrap();
        assert_eq!(sent, actor.token().as_str());
        assert!(sent.is_sensitive() && !format!("{request:?}").contains(actor.token().as_str()));
        assert!(!request.headers().contains_key("authorization"));
        let left = deadline - SystemClock.now();
        assert!(left <= app::AT_HOME.time_budget && left > Duration::from_secs(19));
        ([("microbus-secret", "x"), ("x-kept", "y")], "hello, admin")
    };
    let guard = RequireClaimsLayer::new(RequiredClaims::parse("roles.admin").unwrap());
    let guarded = Application {
        ingress: Router::new()
            .route("/", get(handler))
            .layer(guard)
            .layer(ExchangeLayer::new(exchange)),
        ..application
    };
    for (claims, status, answer) in [
        (None, 401, "unauthorized"),
        (Some(r#"{"roles":["reader"]}"#), 403, "forbidden"),
        (Some(r#"{"roles":["admin"]}"#), 200, "hello, admin"),
    ] {
        let login = app::ingress(&guarded.connection, app::AT_HOME)
            .await
            .unwrap();
        let header = match claims {
            Some(claims) => {
                let request = Request::post("/login").body(Body::from(claims)).unwrap();
                let response = login.oneshot(request).await.unwrap();
                let token = to_bytes(response.into_body(), 1 << 20).await.unwrap();
                format!("Bearer {}", std::str::from_utf8(&token).unwrap())
            }
            None => String::new(),
        };
        let (found, body) = guarded.get("/", &[("authorization", &header)]).await;
        assert_eq!(found, status, "{body}");
        assert!(body.contains(answer), "{body}");
    }
}
