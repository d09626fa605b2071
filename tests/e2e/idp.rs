//! The bridge between a real identity provider, `oidc-provider` on Node.js, and the real issuers over NATS.
//!
//! Behind the feature `idp-tests`, because it needs `node` and `npm` in `PATH`, which the README's test command does not
//! promise. The same cases against a stand-in are in `shared/idp-bridge/tests`.

#[path = "../../shared/idp-bridge/examples/bridge/routes.rs"]
mod routes;

use crate::ingress::{app, connect};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use e2e::child::Child;
use e2e::http::exchange;
use e2e::{Bus, Configurator, Issuer, PATIENCE, Product, build_folder};
use microbus_bus::{Connector, SystemClock};
use microbus_deploy::{Permissions, Target};
use microbus_idp_bridge::token_exchange::{ACCESS_TOKEN, BEARER_TOKEN, ID_TOKEN, TOKEN_EXCHANGE};
use microbus_idp_bridge::{Bridge, Settings};
use microbus_wire::Hostname;
use routes::{BrowserLogin, login_routes, token_exchange_route};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tempfile::TempDir;
use tower::ServiceExt as _;

const ALGORITHMS: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];
const NONCE: &str = "of-this-login";

/// Installs what package-lock.json says into the build folder, once, and returns where.
fn node_folder() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED
        .get_or_init(|| {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("idp");
            let folder = build_folder::folder().join("idp");
            std::fs::create_dir_all(&folder).unwrap();
            let lock = std::fs::read(source.join("package-lock.json")).unwrap();
            let complete = folder.join("complete");
            if std::fs::read(&complete).ok().as_ref() != Some(&lock) {
                for file in ["package.json", "package-lock.json"] {
                    std::fs::copy(source.join(file), folder.join(file)).unwrap();
                }
                let mut npm = Command::new("npm");
                npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
                // Not found: Node.js 20 brings npm.
                let output = npm.current_dir(&folder).output().unwrap();
                assert!(output.status.success(), "{output:?}");
                std::fs::write(complete, lock).unwrap();
            }
            // Node looks for packages beside the script, so the scripts go to the packages.
            for file in ["provider.mjs", "browser.mjs"] {
                std::fs::copy(source.join(file), folder.join(file)).unwrap();
            }
            folder
        })
        .clone()
}

/// A running oidc-provider.
struct Provider {
    child: Child,
    issuer: String,
}

impl Provider {
    async fn start(port: &str) -> Self {
        let mut command = Command::new("node");
        command
            .current_dir(node_folder())
            .args(["provider.mjs", port]);
        let child = Child::start("oidc-provider", command);
        let line = child.log().line("listening", PATIENCE).await.unwrap();
        let issuer = line.split_once("listening ").unwrap().1.to_owned();
        Self { child, issuer }
    }

    async fn rotate(&self) {
        let mut log = self.child.log();
        self.child.signal(Signal::HUP);
        log.line("rotated", PATIENCE).await.unwrap();
    }

    /// Starts anew on the same port, with other keys.
    async fn restart(mut self) -> Self {
        self.child.kill();
        Self::start(self.port()).await
    }

    fn port(&self) -> &str {
        self.issuer.rsplit_once(':').unwrap().1
    }

    fn address(&self) -> &str {
        self.issuer.strip_prefix("http://").unwrap()
    }

    /// Logs the user in and returns the ID token.
    fn id_token(&self, alg: &str) -> String {
        let form = browse(&format!(
            "{}/auth?response_type=id_token&response_mode=form_post&scope=openid&client_id=web-{alg}&nonce={NONCE}\
             &redirect_uri=https%3A%2F%2Fapp.example%2Flogin%2Fcallback",
            self.issuer
        ));
        let form: HashMap<_, _> = form_urlencoded::parse(form.as_bytes())
            .into_owned()
            .collect();
        form["id_token"].clone()
    }

    /// Returns an access token of the client `batch`, as a JWT of RFC 9068.
    async fn access_token(&self, alg: &str) -> String {
        let body =
            format!("grant_type=client_credentials&scope=read&resource=https://api.example/{alg}");
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Authorization", "Basic YmF0Y2g6c2VjcmV0"),
        ];
        let answer = exchange(self.address(), "POST /token", &headers, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }
}

/// Follows a login in a browser, and returns the form that it posts back.
fn browse(url: &str) -> String {
    let output = Command::new("node")
        .current_dir(node_folder())
        .args(["browser.mjs", url])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A bus with both issuers and the guarded service.
struct Application {
    bus: Bus,
    folder: TempDir,
    _configurator: Configurator,
    _issuers: [Issuer; 2],
    _hello: Arc<Connector>,
}

impl Application {
    async fn start() -> Self {
        let bus = Bus::start().await;
        let configurator = bus.configurator().await;
        let issuers = [Product::ACCESS_TOKEN, Product::BEARER_TOKEN].map(|product| {
            bus.issuer(product)
                .with_variable("MICROBUS_DEPLOYMENT", "LOCAL")
                .start()
        });
        for issuer in &issuers {
            issuer.until_logged("Serving").await;
        }
        let folder = TempDir::new().unwrap();
        let credentials = bus.credentials("hello.example");
        let own = connect(&bus, &folder, "hello.example", &credentials).await;
        Self {
            _hello: app::start_hello(&own).await.unwrap(),
            bus,
            folder,
            _configurator: configurator,
            _issuers: issuers,
        }
    }

    /// The bridge's ways in, with the ingress behind them. Its credentials let it mint at both issuers, and nothing else.
    async fn ways_in(&self, issuer: &str, browsers_use: &str) -> Router {
        let host = Hostname::parse("idp.bridge").unwrap();
        let plane = self.bus.plane();
        let permissions = [Product::ACCESS_TOKEN, Product::BEARER_TOKEN].iter().fold(
            Permissions::of_service(plane, &host),
            |permissions, product| {
                let mint = Target::resolve(Some(product.host), ":666/mint").unwrap();
                permissions.with_call(plane, &host, &mint, None)
            },
        );
        let credentials = self.bus.credentials_with("idp.bridge", &permissions);
        let own = connect(&self.bus, &self.folder, "idp.bridge", &credentials).await;
        let connector = app::connector(&own, "idp.bridge").await.unwrap();
        let settings = Settings::parse(&settings(issuer)).unwrap();
        let bridge = Bridge::new(settings, &connector, Arc::new(SystemClock)).unwrap();
        tokio::spawn(Arc::clone(&bridge).keep_fresh());
        let login = BrowserLogin {
            issuer: issuer.to_owned(),
            client_id: format!("web-{browsers_use}"),
            redirect_uri: "https://app.example/login/callback".to_owned(),
        };
        let credentials = self.bus.credentials("http.ingress.core");
        let ingress = connect(&self.bus, &self.folder, "http.ingress.core", &credentials).await;
        let ingress = app::connector(&ingress, "http.ingress.core").await.unwrap();
        let ways_in = token_exchange_route(Arc::clone(&bridge)).merge(login_routes(bridge, login));
        app::behind_exchange(ingress, ways_in, app::AT_HOME)
    }
}

fn settings(issuer: &str) -> String {
    let list = |prefix: &str| ALGORITHMS.map(|alg| format!("{prefix}{alg}")).join(", ");
    format!(
        "providers:
  - issuer: {issuer}
    algorithms: [{}]
    id_tokens: {{audiences: [{}]}}
    access_tokens: {{audiences: [{}], authorized_parties: [batch]}}
    claims:
      sub: {{prefix: 'login|', required: true}}
      source: {{constant: login}}
      level:
      tenant: {{from: 'https://ns.example/org'}}
      roles: {{from: groups, roles: {{Readers: reader, 'Domain Admins': admin}}}}
      address:
",
        list(""),
        list("web-"),
        list("https://api.example/")
    )
}

async fn exchanged(ways_in: &Router, subject: &str, kind: &str, wanted: &str) -> (u16, Value) {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", TOKEN_EXCHANGE)
        .append_pair("subject_token", subject)
        .append_pair("subject_token_type", kind)
        .append_pair("requested_token_type", wanted)
        .finish();
    let request = Request::post("/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body));
    let response = ways_in.clone().oneshot(request.unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn claims_of(answer: &Value) -> Value {
    use base64::Engine as _;
    let payload = answer["access_token"].as_str().unwrap();
    let payload = payload.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload);
    serde_json::from_slice(&payload.unwrap()).unwrap()
}

#[tokio::test]
async fn tokens_of_every_algorithm_and_kind_are_exchanged_at_both_issuers() {
    let (application, provider) = (Application::start().await, Provider::start("0").await);
    let ways_in = application.ways_in(&provider.issuer, "RS256").await;
    for alg in ALGORITHMS {
        let id_token = provider.id_token(alg);
        let access_token = provider.access_token(alg).await;
        for (wanted, issuer) in [
            (ACCESS_TOKEN, "https://access.token.core"),
            (BEARER_TOKEN, "https://bearer.token.core"),
        ] {
            let (status, answer) = exchanged(&ways_in, &id_token, ID_TOKEN, wanted).await;
            assert_eq!(status, 200, "{alg}: {answer}");
            let claims = claims_of(&answer);
            assert_eq!(
                (&claims["iss"], &claims["sub"]),
                (&json!(issuer), &json!("login|harry"))
            );
            assert_eq!(claims["roles"], json!(["reader", "admin"]));
            assert_eq!(
                claims["address"],
                json!({"country": "UK"}),
                "unsafe names are gone"
            );
            assert_eq!(
                (&claims["tenant"], &claims["level"]),
                (&json!("gryffindor"), &json!(5))
            );
            let (status, answer) = exchanged(&ways_in, &access_token, ACCESS_TOKEN, wanted).await;
            assert_eq!(status, 200, "{alg}: {answer}");
            assert_eq!(claims_of(&answer)["sub"], "login|batch");
        }
        let (_, answer) = exchanged(&ways_in, &id_token, ID_TOKEN, ACCESS_TOKEN).await;
        assert_eq!(claims_of(&answer)["idp"], provider.issuer);
        for (token, kind) in [(&id_token, ACCESS_TOKEN), (&access_token, ID_TOKEN)] {
            let (status, answer) = exchanged(&ways_in, token, kind, ACCESS_TOKEN).await;
            assert_eq!((status, &answer["error"]), (400, &json!("invalid_request")));
        }
    }
}

#[tokio::test]
async fn a_browser_logs_in_at_the_provider_and_is_an_actor_on_the_bus() {
    let (application, provider) = (Application::start().await, Provider::start("0").await);
    let ways_in = application.ways_in(&provider.issuer, "ES256").await;
    let ask = |request: Request<Body>| ways_in.clone().oneshot(request);
    let cookie_of = |response: &axum::response::Response, name: &str| {
        let cookies = response.headers().get_all("set-cookie").iter();
        let cookies = cookies.filter_map(|cookie| cookie.to_str().ok());
        let cookie = cookies.into_iter().find(|cookie| cookie.starts_with(name));
        cookie.and_then(|cookie| Some(cookie.split_once(';')?.0.to_owned()))
    };

    // Until the bridge has heard of the provider, nobody can log in.
    let begun = async {
        loop {
            let request = Request::get("/login").body(Body::empty()).unwrap();
            let begun = ask(request).await.unwrap();
            if begun.status() == 303 {
                return begun;
            }
            assert_eq!(begun.status(), 503);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let begun = tokio::time::timeout(PATIENCE, begun).await.unwrap();
    let nonce = cookie_of(&begun, "__Host-login-nonce=").unwrap();
    let form = browse(begun.headers()["location"].to_str().unwrap());
    let request = Request::post("/login/callback").header("cookie", nonce);
    let finished = ask(request.body(Body::from(form)).unwrap()).await.unwrap();
    assert_eq!(finished.status(), 303);
    let session = cookie_of(&finished, "Authorization=").unwrap();
    for (path, cookie, status) in [
        ("/hello.example/me", &*session, 200),
        ("/hello.example/admin", &*session, 200),
        ("/hello.example/me", "", 401),
    ] {
        let request = Request::get(path).header("cookie", cookie);
        let response = ask(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{path} {cookie}");
    }
}

#[tokio::test]
async fn keys_rotate_while_the_provider_runs_and_the_old_stop_counting() {
    let (application, provider) = (Application::start().await, Provider::start("0").await);
    let ways_in = application.ways_in(&provider.issuer, "RS256").await;
    let status = async |token: &str| exchanged(&ways_in, token, ID_TOKEN, ACCESS_TOKEN).await.0;
    let first = provider.id_token("RS256");
    assert_eq!(status(&first).await, 200);
    provider.rotate().await;
    let second = provider.id_token("RS256");
    assert_eq!(status(&second).await, 200, "the new key is found at once");
    assert_eq!(status(&first).await, 200, "the old one is still published");
    provider.rotate().await;
    let third = provider.id_token("RS256");
    assert_eq!(status(&third).await, 200);
    assert_eq!(status(&second).await, 200);
    assert_eq!(status(&first).await, 400, "its key is withdrawn");
}

#[tokio::test]
async fn the_bridge_outlives_a_provider_that_is_down_at_the_start_and_later() {
    let (application, mut provider) = (Application::start().await, Provider::start("0").await);
    let early = provider.id_token("EdDSA");
    provider.child.kill();
    let ways_in = application.ways_in(&provider.issuer, "EdDSA").await;
    let ask = async |token: &str| exchanged(&ways_in, token, ID_TOKEN, ACCESS_TOKEN).await;
    let (status, answer) = ask(&early).await;
    assert_eq!(
        (status, &answer["error"]),
        (503, &json!("temporarily_unavailable"))
    );

    let mut provider = provider.restart().await;
    let good = provider.id_token("EdDSA");
    let healed = async {
        while ask(&good).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, healed).await.unwrap();
    assert_eq!(
        ask(&early).await.0,
        400,
        "its key went with the process that made it"
    );

    provider.child.kill();
    assert_eq!(ask(&good).await.0, 200, "keys that are known count on");
    // That its key is unknown is remembered for a moment; after that nobody can tell.
    let unsure = async {
        while ask(&early).await.0 != 503 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, unsure).await.unwrap();

    let provider = provider.restart().await;
    let after = provider.id_token("EdDSA");
    let healed = async {
        while ask(&after).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, healed).await.unwrap();
    assert_eq!(ask(&good).await.0, 400, "its key is published no more");
}
