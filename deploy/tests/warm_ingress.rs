//! `warm-ingress` against a stand-in that treats tokens as an ingress of the bus does (spec: verify 5).
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, in its helpers too, and the stand-in has a clock of its own"
)]

use microbus_token::{Issuer, Unverified, looks_like_jwt};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// An ingress with a cache of bearer keys.
struct Ingress {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What the issuer publishes.
    published: BTreeSet<String>,
    cache: BTreeSet<String>,
    last_fetch: Option<Instant>,
    /// How requests look that were not redirected: whether their token was one to look at.
    seen: Vec<bool>,
    behaviour: Behaviour,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Behaviour {
    #[default]
    Fetches,
    /// The issuer is there and fails.
    FetchFails,
    /// Plain requests are sent to https.
    Redirects,
}

impl Ingress {
    fn start(state: State, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(state));
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state, tls) = (stream.unwrap(), Arc::clone(&serving), tls.clone());
                thread::spawn(move || match tls {
                    None => serve(stream, &state),
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        serve(StreamOwned::new(connection, stream), &state);
                    }
                });
            }
        });
        Self { port, state }
    }

    fn plain(published: &[&str], behaviour: Behaviour) -> Self {
        let published = published.iter().map(|kid| (*kid).to_owned()).collect();
        let state = State {
            published,
            behaviour,
            ..State::default()
        };
        Self::start(state, None)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/login.example/page?x=1", self.port)
    }

    fn knows(&self, kid: &str) -> bool {
        self.state.lock().unwrap().cache.contains(kid)
    }
}

fn serve(stream: impl Read + Write, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        // A client that does not believe our certificate leaves without a word.
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let status = state.lock().unwrap().answer(&head);
    let mut stream = reader.into_inner();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    // The client reads no more than it needs.
    drop(stream.write_all(answer.as_bytes()));
    drop(stream.flush());
}

impl State {
    fn answer(&mut self, head: &[String]) -> &'static str {
        if self.behaviour == Behaviour::Redirects {
            return "301 Moved Permanently";
        }
        assert!(
            head.first()
                .is_some_and(|line| line.starts_with("GET /login.example/page?x=1 "))
        );
        let bearer = head
            .iter()
            .find_map(|line| line.strip_prefix("Authorization: Bearer "));
        let wanted = bearer
            .filter(|token| looks_like_jwt(token))
            .and_then(|token| {
                let unverified = Unverified::parse(token, 16_384).ok()?;
                (unverified.issuer() == Issuer::Bearer).then(|| unverified.key_id().clone())
            });
        self.seen.push(wanted.is_some());
        match wanted {
            Some(kid) if !self.cache.contains(kid.as_str()) => self.fetch(),
            _ => "200 OK",
        }
    }

    /// At most one fetch a second, counted from its start; a token that is still unknown makes the request anonymous.
    fn fetch(&mut self) -> &'static str {
        let recently = |last: Instant| last.elapsed() < Duration::from_secs(1);
        if self.last_fetch.is_some_and(recently) {
            return "200 OK";
        }
        self.last_fetch = Some(Instant::now());
        if self.behaviour == Behaviour::FetchFails {
            return "503 Service Unavailable";
        }
        self.cache = self.published.clone();
        "200 OK"
    }
}

fn warm(urls: &[&str], more: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_microbus-deploy"))
        .arg("warm-ingress")
        .args(urls)
        .args(more)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

#[test]
fn each_ingress_knows_the_new_key_afterwards() {
    let ingresses = [1, 2].map(|_| Ingress::plain(&["old", "new"], Behaviour::Fetches));
    let urls = ingresses.each_ref().map(Ingress::url);
    let (shown, exit) = warm(&urls.each_ref().map(String::as_str), &[]);
    assert_eq!(exit, Some(0), "{shown}");
    for (ingress, url) in ingresses.iter().zip(&urls) {
        assert!(ingress.knows("new"), "{shown}");
        assert_eq!(ingress.state.lock().unwrap().seen, [true, true]);
        assert!(
            shown.contains(&format!("{url}: met the unknown key twice")),
            "{shown}"
        );
    }
}

#[test]
fn an_ingress_that_fetched_just_before_the_key_was_published_is_warmed_too() {
    let ingress = Ingress::plain(&["old", "new"], Behaviour::Fetches);
    {
        let mut state = ingress.state.lock().unwrap();
        state.cache.insert("old".to_owned());
        state.last_fetch = Some(Instant::now());
    }
    let (shown, exit) = warm(&[&ingress.url()], &[]);
    assert_eq!(exit, Some(0), "{shown}");
    assert!(ingress.knows("new"), "{shown}");
}

#[test]
fn an_ingress_that_cannot_fetch_redirects_or_is_away_is_named() {
    let failing = Ingress::plain(&[], Behaviour::FetchFails);
    let redirecting = Ingress::plain(&[], Behaviour::Redirects);
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let fine = Ingress::plain(&["new"], Behaviour::Fetches);
    let urls = [failing.url(), redirecting.url(), closed, fine.url()];
    let (shown, exit) = warm(&urls.each_ref().map(String::as_str), &["--json"]);
    assert_eq!(exit, Some(1), "{shown}");
    let json: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let ingresses = json["ingresses"].as_array().unwrap();
    let outcomes: Vec<_> = ingresses
        .iter()
        .map(|warmed| warmed["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["failed", "redirected", "unreachable", "met"]);
    assert!(fine.knows("new"));
}

#[test]
fn a_silent_ingress_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let began = Instant::now();
    let (shown, exit) = warm(&[&url], &["--timeout", "1s"]);
    assert_eq!(exit, Some(1), "{shown}");
    assert!(shown.contains("no answer within 1 s"), "{shown}");
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn https_is_spoken_with_the_given_root_and_refused_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let state = State {
        published: BTreeSet::from(["new".to_owned()]),
        ..State::default()
    };
    let ingress = Ingress::start(state, Some(Arc::new(config)));
    let url = format!("https://localhost:{}/login.example/page?x=1", ingress.port);
    let (shown, exit) = warm(&[&url], &[]);
    assert_eq!(exit, Some(1), "{shown}");
    assert!(!ingress.knows("new"));
    let (shown, exit) = warm(&[&url], &["--ca", ca.to_str().unwrap()]);
    assert_eq!(exit, Some(0), "{shown}");
    assert!(ingress.knows("new"), "{shown}");
    let missing = warm(&[&url], &["--ca", "/no/such/ca.pem"]);
    assert_eq!(missing.1, Some(78), "{}", missing.0);
}

#[test]
fn what_is_no_url_of_a_web_server_is_a_usage_error() {
    for url in ["10.0.0.5", "nats://10.0.0.5:4222", "https://"] {
        let (shown, exit) = warm(&[url], &[]);
        assert!(
            exit == Some(2) && shown.contains("https://host/path"),
            "{shown}"
        );
    }
}
