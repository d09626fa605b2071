//! Keys of the bearer issuer from every source it has on a bus, looked for in everything that leaves the process.

#[path = "../../bearer-token/tests/planted.rs"]
mod planted;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use e2e::http::exchange;
use e2e::{Bus, Issuer, IssuerSetup, Message, PATIENCE, Product};
use microbus_token::read_key_text;
use planted::Planted;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const HOST: &str = Product::BEARER_TOKEN.host;

/// How the keys get into files: one as a credential of systemd, the other in a file that a variable names.
#[derive(Clone, Copy)]
struct Files {
    credential: &'static str,
    variable: &'static str,
}

#[tokio::test]
async fn on_a_bus_no_key_leaves_a_process_whose_primary_is_a_credential() {
    no_key_leaves(Files {
        credential: "PrivateKey",
        variable: "MICROBUS_ALT_PRIVATE_KEY_FILE",
    })
    .await;
}

#[tokio::test]
async fn on_a_bus_no_key_leaves_a_process_whose_primary_is_in_a_file_that_a_variable_names() {
    no_key_leaves(Files {
        credential: "AltPrivateKey",
        variable: "MICROBUS_PRIVATE_KEY_FILE",
    })
    .await;
}

/// Plants a key in every source, and looks for it in everything that leaves the process.
async fn no_key_leaves(files: Files) {
    let planted = [3, 4, 5, 6, 7, 8, 10, 11].map(Planted::new);
    let [
        by_bus,
        alternate_by_bus,
        by_text,
        by_local_text,
        by_credential,
        by_file,
        bad,
        bad_file,
    ] = &planted;
    let bus = Bus::start().await;
    let configurator = bus.configurator().await;
    configurator.set(HOST, "PrivateKey", &by_bus.text());
    configurator.set(HOST, "AltPrivateKey", &alternate_by_bus.text());
    configurator.set(HOST, "PrivateKeyFile", "/etc/probe-of-our-disk");
    let mut tap = bus.tap().await;
    let mut collector = Collector::start().await;
    let credentials = tempfile::tempdir().unwrap();
    let credential = credentials.path().join(files.credential);
    std::fs::write(credential, by_credential.pem()).unwrap();
    let config = format!("bearer.token.core:\n  PrivateKey: {}\n", by_text.text());
    let local = by_local_text.text();
    let local_config = format!("bearer.token.core:\n  AltPrivateKey: {local}\n");
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "LAB")
        .with_variable("MICROBUS_LOG_DEBUG", "1")
        .with_variable("MICROBUS_PROMETHEUS_EXPORTER", "1")
        .with_variable("MICROBUS_ADMIN", "0")
        .with_variable(
            "CREDENTIALS_DIRECTORY",
            credentials.path().to_str().unwrap(),
        )
        .with_variable(files.variable, "./key.pem")
        .with_file("config.yaml", config)
        .with_file("config.local.yaml", local_config)
        .with_file("key.pem", by_file.pem());
    allow_core_dumps();
    let mut issuer = collector.watch(setup).start();
    let admin = issuer.until_logged("Admin listener open").await;
    let admin: serde_json::Value = serde_json::from_str(&admin).unwrap();
    let admin = admin["address"].as_str().unwrap();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;

    let mut seen = Vec::new();
    let minted = caller
        .post(HOST, 666, "/mint", r#"{"claims":{"sub":"harry"}}"#)
        .await;
    let token = minted.json()["token"].as_str().unwrap().to_owned();
    let published = caller.get(HOST, 888, "/jwks").await.json();
    let kids = [0, 1].map(|place| published["keys"][place]["kid"].as_str().unwrap().to_owned());
    let [of_credential, of_file] = [by_credential, by_file].map(id_of);
    let expected = match files.credential {
        "PrivateKey" => [of_credential, of_file],
        _ => [of_file, of_credential],
    };
    assert_eq!(
        (&e2e::normal::kid(&token), &kids),
        (&expected[0], &expected),
        "files win, and the path that the configurator sent is none"
    );
    // A bad value is reported, not quoted.
    configurator.set(HOST, "AltPrivateKey", &bad.pem().replace('\n', " "));
    let refreshed = configurator.refresh(HOST).await;
    assert_eq!(refreshed.response().status(), 500);
    issuer.write_file("key.pem", bad_file.pem().replace('\n', " "));
    issuer.until_logged("Key file cannot be used").await;
    for body in ["{", r#"{"claims":[]}"#, r#"{"claims":{"a":"\ud800"}}"#] {
        seen.push((
            "an answer",
            caller.post(HOST, 666, "/mint", body).await.body(),
        ));
    }
    for path in [
        "/jwks",
        "/metrics",
        "/ping",
        "/openapi.json",
        "/config.yaml",
        "/trace",
    ] {
        let id = caller.next_message_id();
        let subject = caller.subject(888, HOST, "_", "GET", path.trim_start_matches('/'));
        let url = format!("https://{HOST}:888{path}");
        let headers = [("Microbus-Time-Budget", "20s")];
        let request = caller.request("GET", &url, &id, &headers, b"");
        let limit = Duration::from_millis(300);
        let answers = caller
            .exchange_until(&subject, request, &id, e2e::Answers::is_complete, limit)
            .await;
        for message in &answers.messages {
            seen.push(("an answer over the bus", message.payload.to_vec()));
        }
    }
    for path in [
        "/metrics",
        "/jwks",
        "/healthz",
        "/readyz",
        "/status.json",
        "/",
    ] {
        let answer = exchange(admin, &format!("GET {path}"), &[], "").await;
        seen.push(("an answer of the admin listener", answer.body.into_bytes()));
    }
    for (path, part) in [
        ("/v1/traces", ":666/mint"),
        ("/v1/metrics", "microbus_token_minted"),
        ("/v1/logs", "Key file cannot be used"),
    ] {
        seen.push(("an export", collector.until(path, part).await));
    }

    let process = format!("/proc/{}", issuer.id());
    let read = |name: &str| std::fs::read(format!("{process}/{name}")).unwrap_or_default();
    let limits = String::from_utf8(read("limits")).unwrap();
    let no_core = |line: &str| {
        line.split_whitespace()
            .skip(4)
            .take(2)
            .all(|size| size == "0")
    };
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    assert!(core.is_some_and(no_core), "{limits}");
    assert!(!read("cmdline").is_empty());
    seen.push(("its command line", read("cmdline")));
    // To any other user but root even this is closed.
    seen.push(("its environment", read("environ")));
    let before = files_in(&issuer);
    let end = issuer.abort().await;
    assert_eq!((end.code(), end.core_dumped()), (None, false));
    assert_eq!(files_in(&issuer), before, "it left a dump");
    seen.push(("its log", issuer.log().text().into_bytes()));

    let mut said = 0;
    let end = caller.subject(888, "nobody.example", "_", "GET", "end");
    caller.publish(&end, "").await;
    loop {
        let message = tap.next(Duration::from_secs(5)).await.unwrap();
        if message.subject == end {
            break;
        }
        if is_ours(&message) {
            said += 1;
            seen.push(("a message", message.payload.to_vec()));
        }
    }
    assert!(said > 10, "{said}");
    for key in &planted {
        for (place, content) in &seen {
            key.is_not_in(place, content);
        }
    }
    for (place, content) in &seen {
        let content = String::from_utf8_lossy(content);
        assert!(!content.contains("probe-of-our-disk"), "{place}");
    }
}

/// A collector that keeps what it is given, as it came.
struct Collector {
    address: String,
    given: watch::Receiver<Vec<(String, Bytes)>>,
}

type Giving = State<Arc<watch::Sender<Vec<(String, Bytes)>>>>;

impl Collector {
    async fn start() -> Self {
        let (sender, given) = watch::channel(Vec::new());
        let take = async |State(given): Giving, path: Uri, body: Bytes| {
            given.send_modify(|given| given.push((path.to_string(), body)));
        };
        let router = Router::new().fallback(take).with_state(Arc::new(sender));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, given }
    }

    /// Has everything of `setup` exported here.
    fn watch(&self, setup: IssuerSetup) -> IssuerSetup {
        let signals = ["traces", "metrics", "logs"];
        let setup = setup.with_variable("OTEL_METRIC_EXPORT_INTERVAL", "300");
        signals.into_iter().fold(setup, |setup, signal| {
            let variable = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.to_uppercase());
            let endpoint = format!("http://{}/v1/{signal}", self.address);
            setup.with_variable(&variable, &endpoint)
        })
    }

    /// Waits until `part` was exported to `path`, and returns everything that was.
    async fn until(&mut self, path: &str, part: &str) -> Vec<u8> {
        let all = |given: &[(String, Bytes)]| {
            let bodies = given.iter().filter(|(to, _)| to == path);
            bodies
                .flat_map(|(_, body)| body.clone())
                .collect::<Vec<_>>()
        };
        let found = self
            .given
            .wait_for(|given| String::from_utf8_lossy(&all(given)).contains(part));
        let given = tokio::time::timeout(PATIENCE, found).await;
        let given = given
            .map_err(|_| format!("'{part}' was not exported to {path}"))
            .unwrap()
            .unwrap();
        all(&given)
    }
}

/// Lifts the limit that the issuer inherits: it has to forbid dumps by itself.
fn allow_core_dumps() {
    let limit = getrlimit(Resource::Core);
    let lifted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Core, lifted).unwrap();
}

fn files_in(issuer: &Issuer) -> Vec<OsString> {
    let entries = std::fs::read_dir(issuer.folder()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

fn id_of(planted: &Planted) -> String {
    let key = read_key_text(planted.pem().as_bytes()).unwrap().unwrap();
    key.id().as_str().to_owned()
}

/// Tells whether the issuer sent a message: the fourth segment of a subject is whoever sends.
fn is_ours(message: &Message) -> bool {
    message.subject.split('.').nth(3) == Some("bearer_token_core")
}
