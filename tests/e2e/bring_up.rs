//! What `microbus-deploy init` writes starts a real nats-server as it is, and what `creds` writes is accepted by it.

use async_nats::{ConnectErrorKind, ConnectOptions};
use axum::Router;
use axum::routing::get;
use e2e::{Bus, Caller, Desk, IssuerSetup, NatsServer, Product};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

const INSTANCE: &str = "id-tester0000";
const ISSUERS: &str = "--service access.token.core,bearer.token.core";
const SIGNER: &str = "--signing-key ops/account-sk.nk --account-jwt ops/account.jwt";

fn initialized(arguments: &str) -> Desk {
    let desk = Desk::new();
    desk.type_line(&format!("init ops --listen 127.0.0.1:0 {arguments}"))
        .succeeded();
    desk.type_line(&format!("creds {ISSUERS} {SIGNER}"))
        .succeeded();
    desk
}

async fn started(desk: &Desk) -> NatsServer {
    NatsServer::from_file(&desk.path("ops/nats-server.conf")).await
}

async fn connect(url: &str, credentials: &str) -> Result<Caller, ConnectErrorKind> {
    let host = "access.token.core";
    Caller::connect(url, Some(credentials), "microbus", host, INSTANCE).await
}

/// Asks the server for its name with the credentials of the system account.
async fn asked_with(url: &str, system_credentials: &str) -> serde_json::Value {
    let options = ConnectOptions::new().credentials(system_credentials);
    let client = options.unwrap().connect(url).await.unwrap();
    let answer = client.request("$SYS.REQ.SERVER.PING.IDZ", "".into()).await;
    serde_json::from_slice(&answer.unwrap().payload).unwrap()
}

#[tokio::test]
async fn a_server_with_its_accounts_in_memory_lets_the_issuers_in_and_nobody_else() {
    let desk = initialized("");
    let server = started(&desk).await;
    assert_eq!(server.monitor_address(), None);
    for host in ["access.token.core", "bearer.token.core"] {
        let credentials = desk.read(&format!("creds/{host}_nats.creds"));
        Caller::connect(
            &server.url(),
            Some(&credentials),
            "microbus",
            host,
            INSTANCE,
        )
        .await
        .unwrap();
    }
    let asked = asked_with(&server.url(), &desk.read("ops/sys.creds")).await;
    assert!(asked["name"].is_string(), "{asked}");

    let nobody = Caller::connect(&server.url(), None, "microbus", "a.b", INSTANCE).await;
    let stranger = Bus::start().await.credentials("access.token.core");
    for refused in [nobody, connect(&server.url(), &stranger).await] {
        assert_eq!(
            refused.err(),
            Some(ConnectErrorKind::AuthorizationViolation)
        );
    }
}

#[tokio::test]
async fn identities_may_sign_themselves() {
    let desk = Desk::new();
    desk.type_line("init ops --listen 127.0.0.1:0 --no-signing-keys")
        .succeeded();
    desk.type_line(&format!("creds {ISSUERS} --signing-key ops/account.nk"))
        .succeeded();
    let server = started(&desk).await;
    let credentials = desk.read("creds/access.token.core_nats.creds");
    connect(&server.url(), &credentials).await.unwrap();
}

#[tokio::test]
async fn a_server_with_a_directory_of_accounts_has_them_from_the_start() {
    let desk = initialized("--resolver full");
    let server = started(&desk).await;
    let credentials = desk.read("creds/access.token.core_nats.creds");
    connect(&server.url(), &credentials).await.unwrap();
    let kept = std::fs::read_dir(desk.path("ops/jwt")).unwrap().count();
    assert!(kept >= 2, "{kept} entries");
}

#[tokio::test]
async fn a_server_that_asks_the_web_for_accounts_needs_only_our_files() {
    let files: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let served = Arc::clone(&files);
    let accounts = move |axum::extract::Path(account): axum::extract::Path<String>| {
        let jwt = served.lock().unwrap().get(&account).cloned();
        std::future::ready(jwt.ok_or(axum::http::StatusCode::NOT_FOUND))
    };
    let router = Router::new()
        .route("/jwt/", get(|| std::future::ready("")))
        .route("/jwt/{account}", get(accounts));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let web = tokio::spawn(axum::serve(listener, router).into_future());

    let desk = initialized(&format!(
        "--resolver url --resolver-url http://{address}/jwt/"
    ));
    for entry in std::fs::read_dir(desk.path("ops/accounts")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let jwt = desk.read(&format!("ops/accounts/{name}"));
        files.lock().unwrap().insert(name, jwt);
    }
    let server = started(&desk).await;
    let credentials = desk.read("creds/access.token.core_nats.creds");
    connect(&server.url(), &credentials).await.unwrap();
    web.abort();
}

#[tokio::test]
async fn a_server_with_certificates_speaks_nothing_else() {
    let desk = Desk::new();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    desk.write("cert.pem", made.cert.pem());
    desk.write("key.pem", made.signing_key.serialize_pem());
    desk.type_line("init ops --listen 127.0.0.1:0 --tls-cert cert.pem --tls-key key.pem")
        .succeeded();
    desk.type_line(&format!("creds {ISSUERS} {SIGNER}"))
        .succeeded();
    let server = started(&desk).await;
    let credentials = desk.read("creds/access.token.core_nats.creds");
    let refused = connect(&server.url(), &credentials).await;
    let refused = refused.err();
    let by_tls = matches!(refused, Some(ConnectErrorKind::Tls | ConnectErrorKind::Io));
    assert!(by_tls, "{refused:?}");

    let trusting = ConnectOptions::new()
        .add_root_certificates(desk.path("cert.pem"))
        .credentials(&credentials)
        .unwrap();
    trusting.connect(server.url()).await.unwrap();
}

#[tokio::test]
async fn limits_are_those_that_were_asked_for() {
    let desk = initialized("--max-payload 131072 --max-subscriptions 7");
    let server = started(&desk).await;
    let credentials = desk.read("creds/access.token.core_nats.creds");
    let caller = connect(&server.url(), &credentials).await.unwrap();
    assert_eq!(caller.max_payload(), 131_072);
    // The caller has taken two subscriptions for itself.
    let mut listeners = Vec::new();
    for n in 0..6 {
        let pattern = format!("microbus.safe.443.*.access_token_core._.GET.{n}");
        listeners.push(caller.listen(&pattern).await);
    }
    let violation = caller.violation().await;
    assert!(
        violation
            .to_lowercase()
            .contains("maximum subscriptions exceeded"),
        "{violation}"
    );
}

#[tokio::test]
async fn the_largest_credential_that_is_made_is_accepted() {
    let desk = initialized("");
    let server = started(&desk).await;
    let mut calls = String::from("hostname: big.acme\ncalls:\n");
    let mut accepted = None;
    for n in 0.. {
        calls.push_str(&format!(
            "  - {{host: backend.acme, route: \":444/one-of-many-endpoints/{n}\"}}\n"
        ));
        if n < 15 {
            continue;
        }
        desk.write("big.yaml", &calls);
        let made = desk.type_line(&format!("creds {SIGNER} --calls big.yaml"));
        if made.code == 2 {
            break;
        }
        made.succeeded();
        accepted = Some(desk.read("creds/big.acme_nats.creds"));
    }
    let credentials = accepted.unwrap();
    let jwt = credentials.lines().nth(1).unwrap().len();
    assert!((3600..=3700).contains(&jwt), "{jwt}");
    Caller::connect(
        &server.url(),
        Some(&credentials),
        "microbus",
        "big.acme",
        INSTANCE,
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn minting_where_no_issuer_runs_says_how_to_look_for_it() {
    let desk = initialized("--resolver full");
    let server = started(&desk).await;
    desk.issue(&["--service", "http.ingress.core"]);
    let creds = "--creds creds/http.ingress.core_nats.creds";
    desk.type_line(&format!("mint {creds} --nats {}", server.url()))
        .ended(1)
        .complained("access.token.core: ack timeout")
        .complained("doctor --only issuers-up");
}

#[tokio::test]
async fn both_issuers_serve_with_what_was_made() {
    let desk = initialized("");
    desk.write(
        "tester.yaml",
        "hostname: tester.acme\ncalls: [{host: access.token.core, endpoint: Mint}]\n",
    );
    desk.type_line(&format!("creds --calls tester.yaml {SIGNER}"))
        .succeeded();
    let server = started(&desk).await;
    let file = "access.token.core_nats.creds";
    let issuer = IssuerSetup::new(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_NATS", &server.url())
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_file(file, desk.read(&format!("creds/{file}")))
        .start();
    let credentials = desk.read("creds/tester.acme_nats.creds");
    let url = server.url();
    let tester = Caller::connect(
        &url,
        Some(&credentials),
        "microbus",
        "tester.acme",
        INSTANCE,
    )
    .await
    .unwrap();
    issuer.until_logged("Serving").await;
    issuer.until_ready(&tester).await;
    let answers = tester
        .post(
            "access.token.core",
            666,
            "/mint",
            r#"{"claims":{"sub":"zoe"}}"#,
        )
        .await;
    assert_eq!(answers.response().status(), 200, "{answers:?}");
}
