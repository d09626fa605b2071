//! The example's ingress and guarded service between the real issuers, each with credentials of its own.

#[path = "../../shared/client/examples/ingress/app.rs"]
pub(crate) mod app;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use e2e::{Bus, Configurator, Issuer, Product};
use microbus_bus::{Artifacts, Connection, Connector, NatsSettings};
use microbus_client::ExchangeSettings;
use microbus_deploy::{Permissions, Target};
use microbus_wire::Hostname;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tower::ServiceExt as _;

/// PKCS#8 of the seeds 32×01 and 32×02, as base64 of the DER.
const KEY_1: &str = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
const KEY_2: &str = "MC4CAQAwBQYDK2VwBCIEIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC";

/// A bus with both issuers and the guarded service.
struct Application {
    bus: Bus,
    configurator: Configurator,
    folder: TempDir,
    _issuers: [Issuer; 2],
    _hello: Arc<Connector>,
}

impl Application {
    async fn start() -> Self {
        let bus = Bus::start().await;
        let configurator = bus.configurator().await;
        configurator.set("bearer.token.core", "PrivateKey", KEY_1);
        let start = |product| {
            bus.issuer(product)
                .with_variable("MICROBUS_DEPLOYMENT", "PROD")
                .start()
        };
        let issuers = [Product::ACCESS_TOKEN, Product::BEARER_TOKEN].map(start);
        for issuer in &issuers {
            issuer.until_logged("Serving").await;
        }
        let folder = TempDir::new().unwrap();
        let own = connect(
            &bus,
            &folder,
            "hello.example",
            &bus.credentials("hello.example"),
        )
        .await;
        let hello = app::start_hello(&own).await.unwrap();
        Self {
            bus,
            configurator,
            folder,
            _issuers: issuers,
            _hello: hello,
        }
    }

    /// An ingress with what production grants it.
    async fn ingress(&self, settings: ExchangeSettings) -> Router {
        let credentials = self.bus.credentials("http.ingress.core");
        self.ingress_with(&credentials, settings).await
    }

    async fn ingress_with(&self, credentials: &str, settings: ExchangeSettings) -> Router {
        let own = connect(&self.bus, &self.folder, "http.ingress.core", credentials).await;
        app::ingress(&own, settings).await.unwrap()
    }
}

pub(crate) async fn connect(
    bus: &Bus,
    folder: &TempDir,
    host: &str,
    credentials: &str,
) -> Connection {
    let path = folder.path().join(format!("{host}_nats.creds"));
    std::fs::write(&path, credentials).unwrap();
    let settings = NatsSettings {
        servers: bus.server.url(),
        artifacts: Artifacts::resolve(folder.path(), host),
        deprecated: None,
    };
    Connection::to_broker(&settings).await.unwrap()
}

async fn ask(ingress: &Router, request: Request<Body>) -> (u16, String) {
    let response = ingress.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(ingress: &Router, path: &str, bearer: Option<&str>) -> (u16, String) {
    let request = Request::get(path);
    let request = match bearer {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    ask(ingress, request.body(Body::empty()).unwrap()).await
}

async fn log_in(ingress: &Router, claims: &'static str) -> String {
    let request = Request::post("/login").body(Body::from(claims)).unwrap();
    let (status, token) = ask(ingress, request).await;
    assert_eq!(status, 200, "{token}");
    token
}

#[tokio::test]
async fn a_client_logs_in_and_is_let_in_or_refused_as_its_claims_say() {
    let application = Application::start().await;
    let reusing = ExchangeSettings {
        reuse: Duration::from_secs(5),
        ..app::AT_HOME
    };
    for settings in [app::AT_HOME, reusing] {
        let ingress = application.ingress(settings).await;
        let reader = log_in(&ingress, r#"{"sub":"harry","roles":["reader"]}"#).await;
        let admin = log_in(&ingress, r#"{"sub":"minerva","roles":["admin"]}"#).await;
        for (path, bearer, status) in [
            ("/hello.example/open", None, 200),
            ("/hello.example/me", None, 401),
            ("/hello.example/me", Some(&reader), 200),
            ("/hello.example/admin", None, 401),
            ("/hello.example/admin", Some(&reader), 403),
            ("/hello.example/admin", Some(&admin), 200),
            ("/hello.example/me", Some(&reader), 200),
            ("/access.token.core:666/mint", Some(&admin), 404),
            ("/nobody.example/", Some(&admin), 404),
        ] {
            let (found, body) = get(&ingress, path, bearer.map(String::as_str)).await;
            assert_eq!(found, status, "{path}: {body}");
        }
        let (_, claims) = get(&ingress, "/hello.example/me", Some(&reader)).await;
        let claims: Value = serde_json::from_str(&claims).unwrap();
        assert_eq!(claims["iss"], "https://access.token.core");
        assert_eq!(claims["idp"], "https://bearer.token.core");
        assert_eq!(claims["sub"], "harry");
    }
}

#[tokio::test]
async fn a_token_of_a_withdrawn_key_makes_nobody_an_actor() {
    let application = Application::start().await;
    let before = application.ingress(app::AT_HOME).await;
    let token = log_in(&before, r#"{"sub":"harry"}"#).await;
    assert_eq!(get(&before, "/hello.example/me", Some(&token)).await.0, 200);
    application
        .configurator
        .set("bearer.token.core", "PrivateKey", KEY_2);
    application.configurator.refresh("bearer.token.core").await;
    let after = application.ingress(app::AT_HOME).await;
    assert_eq!(get(&after, "/hello.example/me", Some(&token)).await.0, 401);
    assert_eq!(
        get(&after, "/hello.example/open", Some(&token)).await.0,
        200
    );
}

#[tokio::test]
async fn an_ingress_that_may_not_mint_serves_strangers_and_fails_who_has_a_token() {
    let application = Application::start().await;
    let allowed = application.ingress(app::AT_HOME).await;
    let token = log_in(&allowed, r#"{"sub":"harry"}"#).await;
    let own = Hostname::parse("http.ingress.core").unwrap();
    let plane = application.bus.plane();
    let anything = Target::anything();
    let permissions = Permissions::of_service(plane, &own).with_call(plane, &own, &anything, None);
    let credentials = application
        .bus
        .credentials_with("http.ingress.core", &permissions);
    let ingress = application.ingress_with(&credentials, app::AT_HOME).await;
    assert_eq!(get(&ingress, "/hello.example/open", None).await.0, 200);
    let (status, body) = get(&ingress, "/hello.example/open", Some(&token)).await;
    assert_eq!(status, 404, "{body}");
    assert!(!body.contains(&token));
}
