//! What the operator's tool says of keys, tokens and refusals, against a real broker and real issuers.

use crate::ingress::app;
use e2e::normal::kid;
use e2e::{Bus, Caller, Issuer, PATIENCE, Product, build_folder};
use microbus_bus::{Artifacts, Connection, NatsSettings};
use microbus_client::ExchangeSettings;
use microbus_deploy::Permissions;
use microbus_wire::Hostname;
use serde_json::Value;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;

const HOST: &str = Product::BEARER_TOKEN.host;

/// PKCS#8 of the seeds 32×01 to 32×03, as base64 of the DER.
const KEY_1: &str = "MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
const KEY_2: &str = "MC4CAQAwBQYDK2VwBCIEIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC";
const KEY_3: &str = "MC4CAQAwBQYDK2VwBCIEIAMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD";
const KID_2: &str = "ajgD1fBZkCo";

/// A bus with a bearer issuer that signs with the first key, and an operator with the credentials of `billing.acme`.
struct Operator {
    bus: Bus,
    issuer: Issuer,
    caller: Caller,
    desk: TempDir,
}

impl Operator {
    async fn start() -> Self {
        let bus = Bus::start().await;
        let setup = bus
            .issuer(Product::BEARER_TOKEN)
            .with_variable("MICROBUS_DEPLOYMENT", "LAB")
            .with_variable("MICROBUS_CONFIGURATION", "files")
            .with_variable("MICROBUS_PROMETHEUS_EXPORTER", "1")
            .with_file("primary.key", KEY_1)
            .with_file("alternate.key", "")
            .with_file(
                "config.yaml",
                "bearer.token.core:\n  PrivateKeyFile: ./primary.key\n  AltPrivateKeyFile: ./alternate.key\n",
            );
        let issuer = setup.start();
        issuer.until_logged("Serving").await;
        let caller = bus.caller("billing.acme", "id-billing000").await;
        let desk = tempfile::tempdir().unwrap();
        let operator = Self {
            bus,
            issuer,
            caller,
            desk,
        };
        operator.file("billing.creds", operator.bus.credentials("billing.acme"));
        operator
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.desk.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    async fn mint(&self) -> String {
        let minted = self.caller.post(HOST, 666, "/mint", "{}").await;
        minted.json()["token"].as_str().unwrap().to_owned()
    }

    /// Runs a verb with `--json`, asking over the bus with the credentials of `billing.acme`.
    async fn asks(&self, arguments: &[&str], input: &str) -> (Value, Option<i32>) {
        let (creds, url) = (
            self.desk.path().join("billing.creds"),
            self.bus.server.url(),
        );
        let mut command = tool();
        command
            .args(arguments)
            .arg("--json")
            .args(["--nats", &url])
            .arg("--creds")
            .arg(creds);
        judged(&fed(command, input).await)
    }
}

fn tool() -> Command {
    Command::new(build_folder::binary("microbus-deploy", "microbus-deploy"))
}

async fn fed(mut command: Command, input: &str) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A verb that reads nothing may be gone already.
    drop(stdin.write_all(input.as_bytes()).await);
    drop(stdin);
    let ended = tokio::time::timeout(PATIENCE * 2, child.wait_with_output());
    ended.await.unwrap().unwrap()
}

fn judged(output: &Output) -> (Value, Option<i32>) {
    let complained = String::from_utf8_lossy(&output.stderr);
    let json: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    assert!(json.is_some(), "{complained}");
    (json.unwrap(), output.status.code())
}

/// Explains `input` with the credentials file at `creds` and no bus.
async fn explained(creds: &Path, input: &str) -> (Value, Option<i32>) {
    let mut command = tool();
    command.args([
        OsStr::new("explain"),
        OsStr::new("--json"),
        OsStr::new("--creds"),
        creds.as_os_str(),
    ]);
    judged(&fed(command, input).await)
}

#[tokio::test]
async fn a_rotation_is_judged_against_the_running_issuer() {
    let operator = Operator::start().await;
    let [old, new, third] = [("old.pem", KEY_1), ("new.pem", KEY_2), ("third.pem", KEY_3)]
        .map(|(name, key)| operator.file(name, key).to_str().unwrap().to_owned());
    let codes = |json: &Value| -> Vec<String> {
        let findings = json["findings"].as_array().unwrap().iter();
        findings
            .map(|finding| finding["code"].as_str().unwrap().to_owned())
            .collect()
    };
    let (json, exit) = operator.asks(&["keys", &new, "--alt", &old], "").await;
    assert_eq!((codes(&json), exit), (Vec::new(), Some(0)), "{json}");
    assert_eq!(
        (&json["keys"][0]["state"], &json["keys"][1]["state"]),
        (&"new".into(), &"primary".into())
    );
    let (json, exit) = operator.asks(&["keys", &new], "").await;
    assert_eq!(
        (codes(&json), exit),
        (vec!["vanishes".to_owned()], Some(1)),
        "{json}"
    );
    let (json, exit) = operator.asks(&["keys", &new, "--alt", &third], "").await;
    assert_eq!(codes(&json), ["alternate_incoming", "vanishes"], "{json}");
    assert_eq!(exit, Some(1));
}

#[tokio::test]
async fn a_token_is_explained_with_the_replica_that_publishes_its_key_and_since_when() {
    let operator = Operator::start().await;
    let token = operator.mint().await;
    let (json, exit) = operator.asks(&["explain"], &token).await;
    assert_eq!(
        (json["verdict"].as_str(), exit),
        (Some("accepted"), Some(0)),
        "{json}"
    );
    let facts = json["facts"].as_array().unwrap();
    let replica = facts.iter().find(|fact| fact["name"] == "replica").unwrap();
    let found = replica["found"].as_str().unwrap();
    assert!(
        found.starts_with("id-") && found.contains(" publishes it since 20"),
        "{found}"
    );

    let (signed, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", "A".repeat(86));
    let (json, exit) = operator.asks(&["explain"], &forged).await;
    assert_eq!(
        (json["code"].as_str(), exit),
        (Some("signature"), Some(1)),
        "{json}"
    );

    operator.issuer.write_file("primary.key", KEY_2);
    operator.issuer.until_logged("Key published").await;
    let end = tokio::time::Instant::now() + PATIENCE;
    // The old key signs on for a while but is not published: a verifier that starts now refuses its tokens.
    loop {
        let (json, _) = operator.asks(&["explain"], &token).await;
        if json["code"] == "kid_unknown" {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "{json}");
    }
}

#[tokio::test]
async fn lines_of_a_real_broker_and_its_client_are_explained() {
    let operator = Operator::start().await;
    let host = Hostname::parse("guest.acme").unwrap();
    let permissions = Permissions::of_service(operator.bus.plane(), &host);
    let creds = operator.file(
        "guest.creds",
        operator.bus.credentials_with("guest.acme", &permissions),
    );
    let text = std::fs::read_to_string(&creds).unwrap();
    let url = operator.bus.server.url();
    let guest = Caller::connect(&url, Some(&text), "microbus", "guest.acme", "id-guest00000");
    let guest = guest.await.unwrap();
    for (subject, code, segment) in [
        (
            "microbus.danger.666.guest_acme.bearer_token_core._.POST.mint",
            "danger_not_granted",
            "segment 2, the trust",
        ),
        (
            "microbus.safe.888.other_acme.bearer_token_core._.GET.jwks",
            "source_not_own",
            "segment 4, the source host",
        ),
        (
            "prod.safe.888.guest_acme.bearer_token_core._.GET.jwks",
            "plane_differs",
            "segment 1, the plane",
        ),
        ("_INBOX.abc", "not_of_the_bus", "segment 1, the plane"),
    ] {
        guest.publish(subject, "").await;
        let line = guest.violation().await;
        let (json, exit) = explained(&creds, &line).await;
        assert_eq!(
            (json["code"].as_str(), exit),
            (Some(code), Some(1)),
            "{line}: {json}"
        );
        let facts = json["facts"].as_array().unwrap();
        let difference = facts.iter().find(|fact| fact["name"] == "first difference");
        assert!(
            difference.unwrap()["found"]
                .as_str()
                .unwrap()
                .starts_with(segment),
            "{json}"
        );
        let mut log = operator.bus.server.log();
        let logged = log.line(subject, PATIENCE).await.unwrap();
        let (json, _) = explained(&creds, &logged).await;
        assert_eq!(json["code"], code, "{logged}");
    }
    let _listener = guest.listen("microbus.safe.443.*.other_acme.>").await;
    let line = guest.violation().await;
    let (json, _) = explained(&creds, &line).await;
    assert_eq!(json["code"], "subscription_of_other", "{line}: {json}");
}

#[tokio::test]
async fn a_warmed_ingress_needs_no_fetch_for_the_first_token_of_a_new_key() {
    let operator = Operator::start().await;
    operator.file(
        "http.ingress.core_nats.creds",
        operator.bus.credentials("http.ingress.core"),
    );
    let settings = NatsSettings {
        servers: operator.bus.server.url(),
        artifacts: Artifacts::resolve(operator.desk.path(), "http.ingress.core"),
        deprecated: None,
    };
    let own = Connection::to_broker(&settings).await.unwrap();
    let router = app::ingress(&own, ExchangeSettings::default())
        .await
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });

    // The answer to a token that the ingress believes: it asks for an access token, and here nobody mints any.
    let old = operator.mint().await;
    assert_eq!(get(&address.to_string(), &old).await, 404);
    operator.issuer.write_file("alternate.key", KEY_1);
    operator.issuer.write_file("primary.key", KEY_2);
    let url = format!("http://{address}/login");
    let (json, exit) = operator
        .asks(&["warm-ingress", &url, "--kid", KID_2, "--wait", "20s"], "")
        .await;
    assert_eq!(exit, Some(0), "{json}");
    assert_eq!(json["ingresses"][0]["outcome"], "met", "{json}");
    assert!(json["jwk_sets_served"].as_u64().unwrap() >= 1, "{json}");

    operator.issuer.rotate();
    operator.issuer.until_logged("Key signs").await;
    let new = loop {
        let token = operator.mint().await;
        if kid(&token) == KID_2 {
            break token;
        }
        tokio::task::yield_now().await;
    };
    let before = operator.jwk_sets_served().await;
    assert_eq!(get(&address.to_string(), &new).await, 404);
    assert_eq!(operator.jwk_sets_served().await, before);
    // What an ingress that does not know the key says to whoever is nobody.
    assert_eq!(get(&address.to_string(), "not.a.token").await, 405);
    serving.abort();
}

impl Operator {
    async fn jwk_sets_served(&self) -> u64 {
        let metrics = self.caller.get(HOST, 888, "/metrics").await.body();
        let text = String::from_utf8(metrics).unwrap();
        microbus_deploy::explain::metrics::jwk_sets_served(&text).unwrap()
    }
}

async fn get(address: &str, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let answer = e2e::http::exchange(address, "GET /login", &headers, "");
    answer.await.status
}

#[tokio::test]
async fn a_key_that_is_not_published_is_not_warmed_for() {
    let operator = Operator::start().await;
    let mut command = tool();
    command.args([
        "warm-ingress",
        "http://127.0.0.1:9/",
        "--kid",
        KID_2,
        "--wait",
        "0s",
    ]);
    command.args(["--nats", &operator.bus.server.url(), "--creds"]);
    command.arg(operator.desk.path().join("billing.creds"));
    let output = fed(command, "").await;
    assert_eq!(output.status.code(), Some(5));
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        complained.contains("does not publish ajgD1fBZkCo"),
        "{complained}"
    );
}
