use super::*;
use crate::fixture::{self, ACCESS, answered, connector, outgoing};
use microbus_bus::{Connection, Outgoing, SystemClock};
use microbus_wire::frame::Response;
use microbus_wire::header;
use microbus_wire::trace::TracedError;
use std::io::Read as _;
use std::time::Duration;

/// A process with nothing but its control endpoints, and a stranger beside it.
struct Bench {
    own: Arc<Connector>,
    stranger: Arc<Connector>,
}

impl Bench {
    async fn start(prometheus: bool, local: bool) -> Self {
        let connection = Connection::in_process();
        let own = connector(&connection, "access.token.core").await;
        let stranger = connector(&connection, "tester.client").await;
        let metrics = fixture::metrics();
        let control = Arc::new(Control {
            profile: &ACCESS,
            connector: Arc::clone(&own),
            configuration: fixture::configuration(&metrics),
            metrics: Arc::clone(&metrics),
            clock: Arc::new(SystemClock),
            refreshes: Mutex::default(),
            vitals: fixture::vitals(&metrics, &Arc::default()),
            watcher: fixture::watcher(&metrics, None),
            service: Arc::new(fixture::Idle),
            prometheus,
            local,
        });
        for route in control.cache_routes().into_iter().chain(control.routes()) {
            own.subscribe(route).await.unwrap();
        }
        Self { own, stranger }
    }

    async fn get(&self, path: &str) -> Response {
        let request = outgoing(Method::Get, &own_url(path));
        self.stranger.request(request).await.unwrap()
    }

    async fn post(&self, path: &str, body: &'static str) -> Result<Response, TracedError> {
        let request = outgoing(Method::Post, &own_url(path)).json(body);
        answered(self.stranger.request(request).await)
    }

    /// Asks as a replica of the same host does.
    async fn as_replica(&self, method: Method, path: &str) -> Result<Response, TracedError> {
        answered(self.own.request(outgoing(method, &own_url(path))).await)
    }
}

fn own_url(path: &str) -> String {
    format!("https://access.token.core:888{path}")
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_refreshes_is_refused() {
    let bench = Bench::start(false, false).await;
    for _ in 0..10 {
        bench.post("/config-refresh", "{}").await.unwrap();
    }
    let refused = bench.post("/config-refresh", "{}").await.unwrap_err();
    assert_eq!(refused.status, ErrorStatus::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn endpoints_answer_on_the_own_host_and_on_all() {
    let bench = Bench::start(false, false).await;
    for host in ["access.token.core", "all"] {
        for (path, body) in [
            ("/ping", r#"{"pong":0}"#),
            ("/config-refresh", "{}"),
            ("/trace?id=0af7651916cd43dd8448eb211c80319d", "{}"),
        ] {
            let request = outgoing(Method::Post, &format!("https://{host}:888{path}")).json("{}");
            let answers = bench.stranger.multicast(&request).await.unwrap();
            assert_eq!(answers.len(), 1, "{host}{path}");
            let answer = answers[0].as_ref().unwrap();
            assert_eq!(answer.body, body, "{host}{path}");
            assert_eq!(
                answer.headers.get(header::CONTENT_TYPE),
                Some("application/json")
            );
            assert_eq!(answer.headers.get(header::QUEUE), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn new_subscriptions_make_us_forget_who_answered_there() {
    let bench = Bench::start(false, false).await;
    let ping = outgoing(Method::Get, "https://all:888/ping");
    let mut took = Vec::new();
    for body in [None, None, Some(r#"{"hosts":["all"]}"#)] {
        if let Some(body) = body {
            let answer = bench.post("/on-new-subs", body).await.unwrap();
            assert_eq!(answer.body, "{}");
        }
        let began = tokio::time::Instant::now();
        bench.own.multicast(&ping).await.unwrap();
        took.push(began.elapsed() >= bench.own.round_trip());
    }
    assert_eq!(took, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn new_subscriptions_that_cannot_be_read_are_a_400() {
    let bench = Bench::start(false, false).await;
    for body in ["", "not json", r#"{"hosts":5}"#, r#"{"hosts":[5]}"#] {
        let error = bench.post("/on-new-subs", body).await.unwrap_err();
        assert_eq!(error.status, ErrorStatus::BAD_REQUEST, "{body}");
        assert_eq!(error.error, "malformed body");
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_are_not_implemented_unless_they_are_switched_on() {
    let off = Bench::start(false, false).await.get("/metrics").await;
    assert_eq!((off.status, off.body.len()), (501, 0));
    assert_eq!(off.op_code(), Some(header::OpCode::Res), "not an error");
    let on = Bench::start(true, false).await.get("/metrics").await;
    assert_eq!(on.status, 200);
    assert_eq!(
        on.headers.get(header::CONTENT_TYPE),
        Some("text/plain; version=0.0.4; charset=utf-8; escaping=underscores")
    );
    let text = String::from_utf8(on.body.to_vec()).unwrap();
    assert!(text.contains("microbus_uptime_duration_seconds{"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn metrics_are_compressed_for_whoever_accepts_that_except_in_local() {
    let request = || -> Outgoing {
        outgoing(Method::Get, &own_url("/metrics")).header("Accept-Encoding", "deflate, gzip")
    };
    let bench = Bench::start(true, false).await;
    let answer = bench.stranger.request(request()).await.unwrap();
    assert_eq!(answer.headers.get("Content-Encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("target_info{"), "{text}");
    let bench = Bench::start(true, true).await;
    let answer = bench.stranger.request(request()).await.unwrap();
    assert_eq!(answer.headers.get("Content-Encoding"), None);
    assert!(answer.body.starts_with(b"# HELP"));
}

#[tokio::test(start_paused = true)]
async fn the_openapi_document_is_never_cached_and_indented_for_people_only() {
    for (local, lines) in [(false, 1), (true, 100)] {
        let bench = Bench::start(false, local).await;
        let answer = bench.get("/openapi.json").await;
        assert_eq!(
            answer.headers.get("Cache-Control"),
            Some("private, no-store")
        );
        assert_eq!(answer.headers.get(header::QUEUE), Some("access.token.core"));
        let text = std::str::from_utf8(&answer.body).unwrap();
        assert!(text.lines().count() >= lines, "{text}");
        assert!(local || text.lines().count() == 1);
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
    }
    let bench = Bench::start(false, false).await;
    let posted = outgoing(Method::Post, &own_url("/openapi.json")).within(Duration::from_secs(1));
    let error = bench.stranger.request(posted).await.unwrap_err();
    assert_eq!(error.status(), ErrorStatus::NOT_FOUND, "only GET is heard");
}

#[tokio::test(start_paused = true)]
async fn the_cache_is_always_empty() {
    let bench = Bench::start(false, false).await;
    for (query, status, body) in [
        ("do=len", 200, "0"),
        ("do=weight", 200, "0"),
        ("do=load&key=x", 404, ""),
        ("do=store&key=x", 404, ""),
        ("do=checksum&key=x", 404, ""),
        ("do=delete&key=x", 200, ""),
        ("do=clear", 200, ""),
    ] {
        let path = format!("/dcache/all?{query}");
        let answer = bench.as_replica(Method::Get, &path).await.unwrap();
        assert_eq!(answer.status, status, "{query}");
        assert_eq!(answer.body, body, "{query}");
        assert_eq!(answer.headers.get(header::CONTENT_TYPE), None, "{query}");
    }
    for (query, text) in [
        ("do=load", "missing key"),
        ("do=delete&key=", "missing key"),
        ("do=bogus", "invalid action"),
        ("", "invalid action"),
    ] {
        let path = format!("/dcache/all?{query}");
        let error = bench.as_replica(Method::Get, &path).await.unwrap_err();
        assert_eq!(
            (error.status, error.error.as_str()),
            (ErrorStatus::BAD_REQUEST, text),
            "{query}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_cache_is_for_replicas_alone() {
    let bench = Bench::start(false, false).await;
    let error = bench.post("/dcache/all?do=len", "").await.unwrap_err();
    assert_eq!(
        (error.status, error.error.as_str()),
        (ErrorStatus::BAD_REQUEST, "foreign host")
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_stopping_replica_hands_over_is_taken_and_dropped() {
    let bench = Bench::start(false, false).await;
    let taken = bench.as_replica(Method::Put, "/dcache/rescue?key=k").await;
    assert_eq!(taken.unwrap().status, 200);
    let error = bench.as_replica(Method::Put, "/dcache/rescue").await;
    assert_eq!(error.unwrap_err().error, "missing key");
}
