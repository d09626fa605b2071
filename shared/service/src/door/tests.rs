use super::*;
use crate::fixture::{self, connector};
use crate::health::{Health, Phase};
use microbus_bus::{
    Acknowledge, Connection, Delivery, Failure, Handling, Incoming, Reply, Route, Scope, Urgency,
};
use microbus_wire::trace::TracedError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A door whose process answers a Mint with what it was asked.
struct Bench {
    address: SocketAddr,
    health: Arc<Health>,
}

impl Bench {
    async fn open() -> Self {
        let connector = connector(&Connection::in_process(), "access.token.core").await;
        for (port, path) in [(666, "/mint"), (888, "/jwks")] {
            let route = Route {
                name: "Test",
                scope: Scope::Own,
                port,
                method: None,
                path,
                delivery: Delivery::One,
                urgency: Urgency::Sheddable,
                acknowledge: Acknowledge::AtOnce,
                handler: Arc::new(|request: Incoming| asked(&request)),
            };
            connector.subscribe(route).await.unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Arc::new(Health::default());
        let vitals = fixture::vitals(&fixture::metrics(), &health);
        vitals.attach(&connector);
        let door = Door {
            connector,
            vitals,
            address,
        };
        tokio::spawn(door.serve(listener));
        Self { address, health }
    }

    /// Sends a request with the right `Host`; returns status and body.
    async fn send(&self, line: &str, headers: &[&str], body: &str) -> (u16, String) {
        let host = format!("Host: {}", self.address);
        self.send_raw(line, &[&[host.as_str()], headers].concat(), body)
            .await
    }

    async fn send_raw(&self, line: &str, headers: &[&str], body: &str) -> (u16, String) {
        let answer = self.exchange(line, headers, body).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// Sends a request without a body; returns the whole answer.
    async fn send_whole(&self, line: &str) -> String {
        let host = format!("Host: {}", self.address);
        self.exchange(line, &[&host], "").await
    }

    async fn exchange(&self, line: &str, headers: &[&str], body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let headers = headers.join("\r\n");
        let request = format!(
            "{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn asked(request: &Incoming) -> Handling {
    if request.body().starts_with(b"[") {
        let failure = Failure::new(ErrorStatus::BAD_REQUEST, "malformed arguments");
        return Handling::Done(Err(failure));
    }
    let body = std::str::from_utf8(request.body()).unwrap_or_default();
    let budget = request.given_budget().map(|budget| budget.as_secs());
    Handling::Done(Ok(Reply::json(format!(
        "{} {body} {budget:?}",
        request.path()
    ))))
}

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn a_mint_goes_to_the_issuer_with_its_body_and_its_budget_if_it_has_one() {
    let bench = Bench::open().await;
    for (headers, body, expected) in [
        (&[JSON][..], "{\"claims\":{}}", "/mint {\"claims\":{}} None"),
        (
            &["Content-Type: Application/JSON; charset=utf-8"],
            "{}",
            "/mint {} None",
        ),
        (&[], "", "/mint {} None"),
        (
            &[JSON, "Microbus-Time-Budget: 5s"],
            "{}",
            "/mint {} Some(5)",
        ),
        (&[JSON, "Microbus-Time-Budget: soon"], "{}", "/mint {} None"),
    ] {
        let answer = bench.send("POST /mint", headers, body).await;
        assert_eq!(answer, (200, expected.to_owned()));
    }
}

#[tokio::test]
async fn keys_are_those_of_the_service() {
    let bench = Bench::open().await;
    let answer = bench.send("GET /jwks", &[], "").await;
    assert_eq!(answer, (200, "{}\n".to_owned()));
}

#[tokio::test]
async fn the_issuers_refusal_is_passed_on_with_its_status() {
    let bench = Bench::open().await;
    let (status, body) = bench.send("POST /mint", &[JSON], "[]").await;
    assert_eq!(status, 400);
    let error = TracedError::decode(body.as_bytes());
    assert_eq!(
        (error.status, error.error.as_str()),
        (ErrorStatus::BAD_REQUEST, "malformed arguments")
    );
}

#[tokio::test]
async fn a_foreign_host_is_refused_wherever_it_asks() {
    let bench = Bench::open().await;
    let port = bench.address.port();
    for host in [
        "Host: evil.example".to_owned(),
        format!("Host: evil.example:{port}"),
        format!("Host: localhost.evil.example:{port}"),
        "Host: 127.0.0.1:1".to_owned(),
        "X-No-Host: 1".to_owned(),
    ] {
        for line in ["POST /mint", "GET /jwks", "GET /readyz"] {
            let (status, _) = bench.send_raw(line, &[&host, JSON], "").await;
            assert!(matches!(status, 400 | 403), "{host} {line}: {status}");
        }
    }
    for host in [format!("localhost:{port}"), format!("[::1]:{port}")] {
        let (status, _) = bench
            .send_raw("GET /healthz", &[&format!("Host: {host}")], "")
            .await;
        assert_eq!(status, 200, "{host}");
    }
}

#[tokio::test]
async fn the_doors_own_page_may_mint() {
    let bench = Bench::open().await;
    let own = format!("Origin: http://{}", bench.address);
    let answer = bench.send("POST /mint", &[&own, JSON], "{}").await;
    assert_eq!(answer, (200, "/mint {} None".to_owned()));
    let two = [own.as_str(), "Origin: http://evil.example", JSON];
    assert_eq!(bench.send("POST /mint", &two, "{}").await.0, 403);
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_is_shown_in_no_frame() {
    let bench = Bench::open().await;
    for path in ["/", "/page.css", "/page.js"] {
        let answer = bench.send_whole(&format!("GET {path}")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let policy = head.to_lowercase();
        assert!(
            policy.contains("content-security-policy: default-src 'none'; script-src 'self';"),
            "{head}"
        );
        assert!(
            policy.contains("frame-ancestors 'none'")
                && policy.contains("x-content-type-options: nosniff")
        );
        let outside = [
            "src=\"http",
            "href=\"http",
            "url(",
            "@import",
            "import(",
            "<style",
            " style=",
            "onclick",
        ];
        assert!(!outside.iter().any(|part| body.contains(part)), "{path}");
    }
    let status = bench.send("GET /status.json", &[], "").await.1;
    assert!(
        status.contains("\"service\":\"access.token.core\""),
        "{status}"
    );
}

#[tokio::test]
async fn another_page_in_a_browser_is_refused() {
    let bench = Bench::open().await;
    let port = bench.address.port();
    let other_name = format!("Origin: http://localhost:{port}");
    let other_scheme = format!("Origin: https://{}", bench.address);
    for origin in [
        "Origin: http://localhost",
        "Origin: null",
        "Origin: ",
        &other_name,
        &other_scheme,
    ] {
        for line in ["POST /mint", "GET /jwks"] {
            let (status, _) = bench.send(line, &[origin, JSON], "").await;
            assert_eq!(status, 403, "{origin} {line}");
        }
    }
}

#[tokio::test]
async fn claims_that_are_not_json_are_refused() {
    let bench = Bench::open().await;
    for headers in [
        &[][..],
        &["Content-Type: text/plain"],
        &["Content-Type: application/x-www-form-urlencoded"],
        &["Content-Type: application/jsonx"],
    ] {
        let (status, _) = bench.send("POST /mint", headers, "{}").await;
        assert_eq!(status, 415, "{headers:?}");
    }
}

#[tokio::test]
async fn nothing_else_is_behind_the_door() {
    let bench = Bench::open().await;
    for (line, expected) in [
        ("POST /", 405),
        ("GET /page", 404),
        ("GET /mint", 405),
        ("POST /jwks", 405),
        ("GET /local-keys", 404),
        ("POST /mint/", 404),
    ] {
        let (status, _) = bench.send(line, &[JSON], "").await;
        assert_eq!(status, expected, "{line}");
    }
}

#[tokio::test]
async fn it_is_alive_from_the_start_and_ready_while_it_serves() {
    let bench = Bench::open().await;
    assert_eq!(bench.send("GET /healthz", &[], "").await.0, 200);
    let (status, body) = bench.send("GET /readyz", &[], "").await;
    assert_eq!(status, 503);
    assert_eq!(body, "{\"ready\":false,\"reason\":\"starting\"}\n");
    bench.health.enter(Phase::Serving);
    assert_eq!(bench.send("GET /readyz", &[], "").await.0, 200);
}
