use super::*;
use crate::fixture;
use microbus_bus::{Acknowledge, Connection, Delivery, Failure, Handling, Reply, Scope, Urgency};
use microbus_otlp::{Parts, Resource, Settings, Spans};
use microbus_wire::trace::TracedError;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn exporter(spans: Spans) -> Arc<Exporter> {
    let nowhere = |name: &str| (name == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").then_some("nil");
    let settings = Settings::read(nowhere).unwrap();
    let parts = Parts {
        resource: Resource(vec![]),
        spans,
        readings: Box::new(|| None),
        metric_interval: Duration::from_secs(60),
    };
    Arc::new(Exporter::start(&settings, parts).unwrap())
}

fn route(path: &'static str, handler: fn(&Incoming) -> Handling) -> Route {
    Route {
        name: "Test",
        scope: Scope::Own,
        port: 888,
        method: None,
        path,
        delivery: Delivery::One,
        urgency: Urgency::Sheddable,
        acknowledge: Acknowledge::AtOnce,
        handler: Arc::new(move |request: Incoming| handler(&request)),
    }
}

/// Answers with the trace context that nested calls of the request would carry.
fn tell_context(request: &Incoming) -> Handling {
    let context = request.traced().map(|traced| traced.context.to_string());
    Handling::Done(Ok(Reply::json(context.unwrap_or_default())))
}

fn fail(_: &Incoming) -> Handling {
    Handling::Done(Err(Failure::new(ErrorStatus::FORBIDDEN, "no")))
}

/// A watched service and a stranger beside it.
struct Bench {
    own: Arc<Connector>,
    stranger: Arc<Connector>,
}

impl Bench {
    async fn start(exporter: Option<Arc<Exporter>>) -> Self {
        let connection = Connection::in_process();
        let own = fixture::connector(&connection, "access.token.core").await;
        let stranger = fixture::connector(&connection, "tester.client").await;
        fixture::watcher(&fixture::metrics(), exporter).attach(&own);
        own.subscribe(route("/context", tell_context))
            .await
            .unwrap();
        own.subscribe(route("/trace", tell_context)).await.unwrap();
        own.subscribe(route("/fail", fail)).await.unwrap();
        Self { own, stranger }
    }

    async fn context(&self, path: &str, parent: Option<&str>) -> Option<TraceContext> {
        let url = format!("https://access.token.core:888{path}");
        let mut request = fixture::outgoing(Method::Get, &url);
        if let Some(parent) = parent {
            request = request.header(header::TRACEPARENT, parent);
        }
        let answer = self.stranger.request(request).await.unwrap();
        TraceContext::parse(std::str::from_utf8(&answer.body).unwrap())
    }

    async fn failure(&self, parent: &str) -> TracedError {
        let request = fixture::outgoing(Method::Get, "https://access.token.core:888/fail");
        let request = request.header(header::TRACEPARENT, parent);
        fixture::answered(self.stranger.request(request).await).unwrap_err()
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_a_span_of_its_callers_trace_or_begins_one() {
    let bench = Bench::start(Some(exporter(Spans::All))).await;
    let parent = TraceContext::parse(PARENT).unwrap();
    let child = bench.context("/context", Some(PARENT)).await.unwrap();
    assert_eq!((child.trace, child.sampled), (parent.trace, true));
    assert_ne!(child.span, parent.span);
    let unsampled = PARENT.replace("-01", "-00");
    let child = bench.context("/context", Some(&unsampled)).await.unwrap();
    assert!(!child.sampled);
    let first = bench.context("/context", None).await.unwrap();
    let second = bench.context("/context", Some("no context")).await.unwrap();
    assert!(first.sampled && second.sampled && first.trace != second.trace);
    assert_eq!(bench.context("/trace", None).await, None);
    assert!(bench.context("/trace", Some(PARENT)).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn without_an_exporter_nothing_is_a_span() {
    let bench = Bench::start(None).await;
    assert_eq!(bench.context("/context", Some(PARENT)).await, None);
    assert_eq!(bench.failure(PARENT).await.trace, None);
}

#[tokio::test(start_paused = true)]
async fn a_failure_names_its_trace_and_is_told_to_all_once_where_traces_are_selected() {
    for (spans, expected) in [(Spans::All, 0), (Spans::OfSelectedTraces, 1)] {
        let bench = Bench::start(Some(exporter(spans))).await;
        let (told, mut telling) = tokio::sync::mpsc::unbounded_channel();
        let hear = move |request: Incoming| {
            let parent = request.header(header::TRACEPARENT).unwrap().to_owned();
            told.send((request.query().to_owned(), parent)).unwrap();
            Handling::Done(Ok(Reply::json("{}")))
        };
        let all = Route {
            scope: Scope::All,
            handler: Arc::new(hear),
            ..route("/trace", fail)
        };
        bench.stranger.subscribe(all).await.unwrap();
        for _ in 0..3 {
            let failure = bench.failure(PARENT).await;
            assert_eq!(failure.trace.as_deref(), Some(TRACE));
        }
        bench.own.drained().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let heard: Vec<_> = std::iter::from_fn(|| telling.try_recv().ok()).collect();
        assert_eq!(heard.len(), expected, "{heard:?}");
        for (query, parent) in heard {
            assert_eq!(query, format!("id={TRACE}"));
            assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent != PARENT);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_failures_is_no_flood_of_broadcasts() {
    let bench = Bench::start(Some(exporter(Spans::OfSelectedTraces))).await;
    let heard = Arc::new(Mutex::new(0_u32));
    let counter = Arc::clone(&heard);
    let all = Route {
        scope: Scope::All,
        handler: Arc::new(move |_: Incoming| {
            *counter.lock().unwrap() += 1;
            Handling::Done(Ok(Reply::json("{}")))
        }),
        ..route("/trace", fail)
    };
    bench.stranger.subscribe(all).await.unwrap();
    for number in 0..100 {
        bench
            .failure(&PARENT.replace("319c", &format!("{number:04}")))
            .await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let heard = *heard.lock().unwrap();
    assert!((SELECTIONS.burst..50).contains(&heard), "{heard}");
}
