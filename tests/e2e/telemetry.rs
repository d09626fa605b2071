//! Traces, log lines and metrics of live issuers, before a collector that reads them with definitions of its own.

use crate::metrics::{admin_address, metrics_until, value};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use e2e::{Bus, Caller, IssuerSetup, PATIENCE, Product};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

const HOST: &str = "access.token.core";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Everything that a collector was given.
#[derive(Default)]
struct Given {
    resource: BTreeMap<String, String>,
    spans: Vec<Span>,
    lines: Vec<LogRecord>,
    metrics: Vec<Metric>,
}

/// A collector for one process.
struct Collector {
    address: String,
    given: watch::Receiver<Given>,
}

type Giving = State<Arc<watch::Sender<Given>>>;

impl Collector {
    async fn start() -> Self {
        let (sender, given) = watch::channel(Given::default());
        let router = Router::new()
            .route("/v1/traces", post(take_spans))
            .route("/v1/logs", post(take_lines))
            .route("/v1/metrics", post(take_metrics))
            .with_state(Arc::new(sender));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, given }
    }

    /// Has everything of `setup` exported here.
    fn watch(&self, setup: IssuerSetup) -> IssuerSetup {
        let mut setup = setup.with_variable("OTEL_METRIC_EXPORT_INTERVAL", "300");
        for (signal, path) in [
            ("TRACES", "traces"),
            ("LOGS", "logs"),
            ("METRICS", "metrics"),
        ] {
            let endpoint = format!("http://{}/v1/{path}", self.address);
            setup =
                setup.with_variable(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"), &endpoint);
        }
        setup
    }

    /// Waits until something is found in what was given.
    async fn until<T>(&mut self, what: &str, find: impl Fn(&Given) -> Option<T>) -> T {
        let found = self.given.wait_for(|given| find(given).is_some());
        let given = tokio::time::timeout(PATIENCE, found).await;
        let given = given
            .map_err(|_| format!("{what} was not exported"))
            .unwrap()
            .unwrap();
        find(&given).unwrap()
    }

    async fn until_span(&mut self, name: &str, trace: &str) -> Span {
        let find = |given: &Given| {
            let mut spans = given.spans.iter();
            spans
                .find(|span| span.name == name && hex(&span.trace_id) == trace)
                .cloned()
        };
        self.until(name, find).await
    }

    async fn until_line(&mut self, body: &str) -> LogRecord {
        let expected = Value::StringValue(body.to_owned());
        let find = |given: &Given| {
            let mut lines = given.lines.iter();
            let is_it = |line: &&LogRecord| {
                line.body.as_ref().and_then(|body| body.value.as_ref()) == Some(&expected)
            };
            lines.find(is_it).cloned()
        };
        self.until(body, find).await
    }
}

async fn take_spans(State(given): Giving, body: Bytes) {
    for mut of_resource in ExportTraceServiceRequest::decode(body)
        .unwrap()
        .resource_spans
    {
        let resource = texts(&of_resource.resource.take().unwrap().attributes);
        let spans = of_resource
            .scope_spans
            .into_iter()
            .flat_map(|of_scope| of_scope.spans);
        given.send_modify(|given| {
            given.resource = resource;
            given.spans.extend(spans);
        });
    }
}

async fn take_lines(State(given): Giving, body: Bytes) {
    let request = ExportLogsServiceRequest::decode(body).unwrap();
    let scopes = request
        .resource_logs
        .into_iter()
        .flat_map(|logs| logs.scope_logs);
    let lines = scopes.flat_map(|of_scope| of_scope.log_records);
    given.send_modify(|given| given.lines.extend(lines));
}

async fn take_metrics(State(given): Giving, body: Bytes) {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    let scopes = request
        .resource_metrics
        .into_iter()
        .flat_map(|metrics| metrics.scope_metrics);
    given.send_modify(|given| {
        given.metrics = scopes.flat_map(|of_scope| of_scope.metrics).collect();
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| {
        let value = attribute
            .value
            .as_ref()
            .and_then(|value| value.value.clone());
        match value.unwrap() {
            Value::StringValue(text) => text,
            Value::IntValue(number) => number.to_string(),
            other @ (Value::BoolValue(_)
            | Value::DoubleValue(_)
            | Value::ArrayValue(_)
            | Value::KvlistValue(_)
            | Value::BytesValue(_)
            | Value::StringValueStrindex(_)) => format!("{other:?}"),
        }
    };
    let pairs = attributes.iter().map(|one| (one.key.clone(), text(one)));
    pairs.collect()
}

async fn mint(caller: &Caller, headers: &[(&str, &str)], body: &str) -> serde_json::Value {
    let headers = [headers, &[("Content-Type", "application/json")]].concat();
    caller
        .call("POST", HOST, 666, "/mint", &headers, body.as_bytes())
        .await
        .json()
}

#[tokio::test]
async fn a_mint_is_a_span_that_names_its_caller_and_its_verified_actor() {
    let bus = Bus::start().await;
    let mut collector = Collector::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files");
    let issuer = collector.watch(setup).start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let claims = r#"{"claims":{"sub":"harry","roles":["wizard"],"tid":7}}"#;
    let token = mint(&caller, &[], claims).await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let headers = [
        ("Traceparent", PARENT),
        ("Microbus-Actor", token.as_str()),
        ("X-Forwarded-For", "192.0.2.1"),
        ("Cookie", "secret"),
        ("Authorization", "Bearer secret"),
    ];
    mint(&caller, &headers, r#"{"claims":{"sub":"planted-sub"}}"#).await;

    let span = collector.until_span(":666/mint", TRACE).await;
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!((span.kind, span.status.as_ref().unwrap().code), (2, 1));
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    let told = texts(&span.attributes);
    for (name, expected) in [
        ("http.status_code", "200"),
        ("microbus.caller", "tester.client"),
        ("microbus.actor.sub", "harry"),
        ("microbus.actor.tenant", "7"),
        ("microbus.actor.roles", r#"["wizard"]"#),
        ("http.method", "POST"),
        ("http.route", "/mint"),
        ("url.path", "/mint"),
        ("server.address", HOST),
        ("server.port", "666"),
        ("http.request.header.X-Forwarded-For", "192.0.2.1"),
    ] {
        assert_eq!(
            told.get(name).map(String::as_str),
            Some(expected),
            "{name} in {told:#?}"
        );
    }
    assert!(told["microbus.actor.iss"].contains(HOST));
    let all = format!("{:?}", collector.given.borrow().spans);
    for secret in ["secret", "planted-sub", token.rsplit('.').next().unwrap()] {
        assert!(!all.contains(secret), "{secret}");
    }
    let resource = collector.given.borrow().resource.clone();
    for (name, expected) in [
        ("service.namespace", "microbus"),
        ("service.name", HOST),
        ("service.version", "4"),
        ("deployment.environment.name", "LOCAL"),
    ] {
        assert_eq!(
            resource.get(name).map(String::as_str),
            Some(expected),
            "{resource:?}"
        );
    }
    assert!(resource["service.instance.id"].starts_with("id-"));
    // What was started with no context began a trace of its own.
    collector
        .until("startup", |given| {
            given
                .spans
                .iter()
                .find(|span| span.name == "startup")
                .map(|_| ())
        })
        .await;
}

#[tokio::test]
async fn a_line_about_a_request_has_its_trace_and_its_actor_and_metrics_are_those_of_the_text() {
    let bus = Bus::start().await;
    let mut collector = Collector::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_file(
            "config.yaml",
            "access.token.core:\n  MintPolicy: |\n    tester.client: '!roles.admin'\n",
        );
    let issuer = collector.watch(setup).start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let token = mint(&caller, &[], r#"{"claims":{"sub":"harry"}}"#).await;
    let actor = token["token"].as_str().unwrap();
    let headers = [("Traceparent", PARENT), ("Microbus-Actor", actor)];
    mint(&caller, &headers, r#"{"claims":{"roles":["admin"]}}"#).await;
    for body in ["Refused to mint", "Handling request"] {
        let line = collector.until_line(body).await;
        assert_eq!(hex(&line.trace_id), TRACE, "{body}");
        let told = texts(&line.attributes);
        assert_eq!(
            told.get("sub").map(String::as_str),
            Some("harry"),
            "{body}: {told:?}"
        );
        assert!(told["iss"].contains(HOST));
    }
    let line = issuer.until_logged("Handling request").await;
    assert!(line.contains(TRACE) && line.contains("sub=harry"), "{line}");
    let failed = collector.until_span(":666/mint", TRACE).await;
    assert_eq!(failed.status.as_ref().unwrap().code, 2);
    assert_eq!(failed.events[0].name, "exception");

    let minted = collector
        .until("microbus_token_minted", |given| {
            let mut metrics = given.metrics.iter();
            let metric = metrics.find(|metric| metric.name == "microbus_token_minted")?;
            let text = format!("{metric:?}");
            text.contains("AsDouble(1.0)").then_some(text)
        })
        .await;
    assert!(
        minted.contains("tester.client") && minted.contains("is_monotonic: true"),
        "{minted}"
    );
}

#[tokio::test]
async fn in_prod_a_trace_is_exported_once_something_went_wrong_in_it_and_all_are_told() {
    let bus = Bus::start().await;
    let _configurator = bus.configurator().await;
    let (mut ours, mut theirs) = (Collector::start().await, Collector::start().await);
    let start = |product: Product, collector: &Collector| {
        let setup = bus
            .issuer(product)
            .with_variable("MICROBUS_DEPLOYMENT", "PROD");
        collector.watch(setup).start()
    };
    let access = start(Product::ACCESS_TOKEN, &ours);
    let bearer = start(Product::BEARER_TOKEN, &theirs);
    access.until_logged("Serving").await;
    bearer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let mut tap = bus.tap().await;
    let quiet = PARENT.replace("319c", "0000");
    let in_trace = [("Traceparent", PARENT)];
    mint(&caller, &[("Traceparent", &quiet)], "{}").await;
    mint(&caller, &in_trace, "{}").await;
    // The other issuer has a part in the same trace, in which nothing goes wrong.
    caller
        .call(
            "GET",
            Product::BEARER_TOKEN.host,
            888,
            "/jwks",
            &in_trace,
            b"",
        )
        .await;
    let failed = caller
        .call(
            "POST",
            HOST,
            666,
            "/mint",
            &[("Content-Type", "application/json"), in_trace[0]],
            b"{",
        )
        .await;
    assert_eq!(failed.json()["err"]["trace"], TRACE);

    let selection = loop {
        let message = tap.next(PATIENCE).await.unwrap();
        if message.subject.ends_with(".all._.GET.trace") {
            break message;
        }
    };
    let text = String::from_utf8_lossy(&selection.payload).into_owned();
    assert!(
        text.starts_with(&format!("GET https://all:888/trace?id={TRACE} ")),
        "{text}"
    );
    assert!(
        text.contains(&format!("Traceparent: 00-{TRACE}-")),
        "{text}"
    );
    assert!(text.contains("Microbus-Time-Budget: 20s"), "{text}");

    ours.until("both mints", |given| {
        let mints = given.spans.iter().filter(|span| span.name == ":666/mint");
        (mints.count() == 2).then_some(())
    })
    .await;
    theirs.until_span(":888/jwks", TRACE).await;
    for collector in [&ours, &theirs] {
        let given = collector.given.borrow();
        assert!(
            given.spans.iter().all(|span| hex(&span.trace_id) == TRACE),
            "{:?}",
            given.spans
        );
    }
    // Where nothing failed, nothing but who called is told of a request.
    let given = ours.given.borrow();
    let succeeded =
        |span: &&Span| span.status.as_ref().unwrap().code == 1 && span.name == ":666/mint";
    let told = texts(&given.spans.iter().find(succeeded).unwrap().attributes);
    assert_eq!(
        told.keys().collect::<Vec<_>>(),
        ["http.status_code", "microbus.caller"]
    );
}

#[tokio::test]
async fn without_a_collector_tokens_are_minted_and_the_process_stops_in_time() {
    let bus = Bus::start().await;
    let nobody = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    // One that takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for endpoint in [nobody, silent.local_addr().unwrap()] {
        let setup = bus
            .issuer(Product::ACCESS_TOKEN)
            .with_variable("MICROBUS_CONFIGURATION", "files")
            .with_variable("MICROBUS_ADMIN", "0")
            .with_variable("OTEL_EXPORTER_OTLP_TIMEOUT", "500")
            .with_variable("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{endpoint}"));
        let mut issuer = setup.start();
        let admin = admin_address(&issuer).await;
        issuer.until_logged("Serving").await;
        let caller = bus.caller("tester.client", "id-tester0000").await;
        for _ in 0..20 {
            assert!(mint(&caller, &[], "{}").await["token"].is_string());
        }
        issuer.until_logged("Telemetry cannot be exported").await;
        metrics_until(&admin, |text| {
            let traces = ["signal=\"traces\""];
            value(text, "microbus_token_telemetry_dropped_total", &traces) >= 20.0
                && value(text, "microbus_token_telemetry_failing", &traces) == 1.0
        })
        .await;
        assert!(issuer.stop().await.success());
    }
}

#[tokio::test]
async fn an_endpoint_that_is_none_ends_the_process_with_the_remedy() {
    let mut issuer = IssuerSetup::new(Product::ACCESS_TOKEN)
        .with_argument("--door=127.0.0.1:0")
        .with_variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector")
        .start();
    assert_eq!(issuer.exit().await.code(), Some(78));
    let text = issuer.log().text();
    assert!(
        text.contains("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is 'collector'; write a URL"),
        "{text}"
    );
}
