//! A bridge with an ingress, both issuers and a guarded service in one process, without a broker: see the README, "For
//! callers". Without an argument a stand-in for an identity provider is there too; with one it is the bridge's configuration.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the example tells what to type, and what is wrong"
)]

#[expect(
    dead_code,
    reason = "the bridge logs in otherwise than the ingress's example"
)]
#[path = "../../../client/examples/ingress/app.rs"]
mod app;
#[path = "../../../client/examples/ingress/issuers.rs"]
mod issuers;
mod routes;
#[expect(dead_code, reason = "tests attack with what is published")]
mod signer;
#[expect(dead_code, reason = "tests have the provider do more")]
mod stand_in;

use app::AnyError;
use axum::Router;
use axum::extract::Query;
use axum::response::Html;
use axum::routing::get;
use microbus_bus::{Clock as _, Connection, SystemClock};
use microbus_idp_bridge::{Bridge, Settings};
use routes::{BrowserLogin, login_routes, token_exchange_route};
use serde_json::json;
use signer::Signer;
use stand_in::StandIn;
use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let own = std::env::args().nth(1);
    let settings = match read_settings(own.as_deref()) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(78);
        }
    };
    match serve(settings, own.is_none()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(70)
        }
    }
}

fn read_settings(own: Option<&str>) -> Result<Settings, AnyError> {
    let configuration = match own {
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?,
        None => include_str!("bridge.yaml").to_owned(),
    };
    Ok(Settings::parse(&configuration)?)
}

async fn serve(settings: Settings, with_stand_in: bool) -> Result<(), AnyError> {
    let connection = Connection::in_process();
    let _issuers = issuers::start(&connection).await?;
    let _hello = app::start_hello(&connection).await?;
    let connector = app::connector(&connection, "idp.bridge").await?;
    let bridge = Bridge::new(settings, &connector, Arc::new(SystemClock))?;
    tokio::spawn(Arc::clone(&bridge).keep_fresh());
    let mut ways_in = token_exchange_route(Arc::clone(&bridge));

    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    let at = listener.local_addr()?;
    println!("In another terminal:");
    if with_stand_in {
        start_stand_in().await?;
        println!("  ID_TOKEN=$(curl -s {STAND_IN}/id_token)");
        let login = BrowserLogin {
            issuer: STAND_IN.to_owned(),
            client_id: "web-app".to_owned(),
            redirect_uri: format!("http://{at}/login/callback"),
        };
        ways_in = ways_in.merge(login_routes(bridge, login));
    }
    println!("  curl http://{at}/token -d subject_token=$ID_TOKEN \\");
    println!("    -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \\");
    println!("    -d subject_token_type=urn:ietf:params:oauth:token-type:id_token");
    if with_stand_in {
        println!("In a browser: http://{at}/login");
    }
    let ingress = app::connector(&connection, "http.ingress.core").await?;
    axum::serve(
        listener,
        app::behind_exchange(ingress, ways_in, app::AT_HOME),
    )
    .await?;
    Ok(())
}

/// Starts a provider that gives an ID token to whoever asks.
async fn start_stand_in() -> Result<(), AnyError> {
    let listener = TcpListener::bind("127.0.0.1:8090").await?;
    let signer = Arc::new(Signer::generate("ES256", "example")?);
    let (plain, posting) = (Arc::clone(&signer), Arc::clone(&signer));
    let own = Router::new()
        .route(
            "/id_token",
            get(move || async move { id_token(&plain, None) }),
        )
        .route(
            "/authorize",
            get(move |query| async move { log_in(&posting, &query) }),
        );
    let stand_in = StandIn::start(listener, own)?;
    stand_in.publish(&[&signer]);
    Ok(())
}

fn id_token(signer: &Signer, nonce: Option<&str>) -> String {
    let now = SystemClock.wall().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs());
    let header = json!({"alg": signer.alg, "kid": signer.kid, "typ": "JWT"});
    let payload = json!({
        "iss": STAND_IN, "aud": "web-app", "iat": now, "exp": now + 300, "nonce": nonce.unwrap_or_default(),
        "sub": "harry", "email": "harry@hogwarts.edu", "groups": ["Readers", "Quidditch"],
    });
    let token = signer.token(&header.to_string(), &payload.to_string());
    token.unwrap_or_default()
}

/// The login page of a provider that asks for no password: it posts back at once.
fn log_in(signer: &Signer, Query(query): &Query<HashMap<String, String>>) -> Html<String> {
    let token = id_token(signer, query.get("nonce").map(String::as_str));
    Html(format!(
        "<body onload='document.forms[0].submit()'>\
         <form method='post' action='http://127.0.0.1:8080/login/callback'>\
         <input type='hidden' name='id_token' value='{token}'><button>Log in</button></form>"
    ))
}

/// As in bridge.yaml.
const STAND_IN: &str = "http://127.0.0.1:8090";
