//! What watches requests: metrics count them, and each is a span where traces are wanted.
//!
//! Source: spec: microbus-wire 4 step 10, 10.4. The caller is who the broker vouches for, and the actor whom the guard has
//! verified.

use crate::metrics::{Callback, Metrics};
use crate::rate::{Allowance, Limit};
use arc_swap::ArcSwapOption;
use microbus_bus::{Answered, Clock, Connector, Incoming, Observer, Outgoing, Route, Traced};
use microbus_otlp::{Attributes, Exporter, Span, SpanKind, Value};
use microbus_wire::address::Address;
use microbus_wire::header;
use microbus_wire::status::ErrorStatus;
use microbus_wire::subject::Method;
use microbus_wire::trace_context::{SpanId, TraceContext, TraceId};
use rand::Rng as _;
use rand::rngs::StdRng;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Watches all connectors of a process.
pub(crate) struct Watcher {
    metrics: Arc<Metrics>,
    tracer: Option<Tracer>,
    clock: Arc<dyn Clock>,
}

/// Makes spans.
struct Tracer {
    exporter: Arc<Exporter>,
    rng: Mutex<StdRng>,
    /// Whether every span tells what its request said, or only those that failed.
    verbose: bool,
    /// Who tells others which traces to export.
    connector: ArcSwapOption<Weak<Connector>>,
    /// What is left of [`SELECTIONS`].
    selections: Mutex<Allowance>,
}

impl Watcher {
    /// Makes a watcher that only counts where nothing is exported.
    pub(crate) fn new(
        metrics: Arc<Metrics>,
        exporter: Option<Arc<Exporter>>,
        rng: StdRng,
        verbose: bool,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let exporter = exporter.filter(|exporter| exporter.takes_spans());
        let tracer = exporter.map(|exporter| Tracer {
            exporter,
            rng: Mutex::new(rng),
            verbose,
            connector: ArcSwapOption::empty(),
            selections: Mutex::default(),
        });
        Self {
            metrics,
            tracer,
            clock,
        }
    }

    /// Watches `connector` and those beside it from now on.
    pub(crate) fn attach(self: &Arc<Self>, connector: &Arc<Connector>) {
        if let Some(tracer) = &self.tracer {
            let connector = Arc::new(Arc::downgrade(connector));
            tracer.connector.store(Some(connector));
        }
        connector.observe(Arc::<Self>::clone(self));
    }

    /// Notes how long a station of the process's life, or a ticker, took.
    pub(crate) fn callback(&self, callback: Callback, took: Duration, failed: bool) {
        self.metrics.callback(callback, took, failed);
        let (Some(tracer), Some(name)) = (&self.tracer, callback.span_name()) else {
            return;
        };
        let Some((trace, span)) = tracer.new_trace() else {
            return;
        };
        tracer.exporter.span(Span {
            trace,
            span,
            parent: None,
            name: name.into(),
            kind: SpanKind::Internal,
            start: self
                .clock
                .wall()
                .checked_sub(took)
                .unwrap_or_else(|| self.clock.wall()),
            took,
            attributes: Attributes::new(),
            failure: failed.then(|| "failed".to_owned()),
        });
    }

    /// Has a trace exported because somebody asked for it.
    pub(crate) fn select(&self, trace: &str) {
        if let (Some(tracer), Some(trace)) = (&self.tracer, TraceId::parse(trace)) {
            tracer.exporter.select(trace, self.clock.now());
        }
    }
}

impl Observer for Watcher {
    fn trace(&self, route: &Route, inbound: Option<TraceContext>) -> Option<Traced> {
        let tracer = self.tracer.as_ref()?;
        if route.path == "/on-new-subs" {
            return None;
        }
        if let Some(TraceContext {
            trace,
            span,
            sampled,
        }) = inbound
        {
            let context = TraceContext {
                trace,
                span: tracer.new_span()?,
                sampled,
            };
            return Some(Traced {
                context,
                parent: Some(span),
            });
        }
        // To ask for a trace is worth none.
        if route.path == "/trace" {
            return None;
        }
        let (trace, span) = tracer.new_trace()?;
        let context = TraceContext {
            trace,
            span,
            sampled: true,
        };
        Some(Traced {
            context,
            parent: None,
        })
    }

    fn answered(&self, answered: &Answered<'_>) {
        self.metrics.traffic.answered(answered);
        let (Some(tracer), Some((traced, request))) = (&self.tracer, answered.traced) else {
            return;
        };
        if !traced.context.sampled {
            return;
        }
        if answered.failed
            && tracer
                .exporter
                .select(traced.context.trace, self.clock.now())
        {
            self.tell_others(tracer, request, traced.context);
        }
        tracer.exporter.span(Span {
            trace: traced.context.trace,
            span: traced.context.span,
            parent: traced.parent,
            name: format!(":{}{}", answered.route.port, answered.route.path).into(),
            kind: SpanKind::Server,
            start: self
                .clock
                .wall()
                .checked_sub(answered.took)
                .unwrap_or_else(|| self.clock.wall()),
            took: answered.took,
            attributes: attributes_of(answered, request, tracer.verbose || answered.failed),
            failure: answered.error.map(str::to_owned),
        });
    }

    fn acked(&self, host: &str, port: &str, after: Duration) {
        self.metrics.traffic.acked(host, port, after);
    }

    fn gave_up(&self, status: ErrorStatus) {
        self.metrics.traffic.gave_up(status);
    }
}

impl Watcher {
    /// Has all services export the trace of a request that failed here. A flood of failures does not become a flood of
    /// broadcasts: what is told is bounded, what we export ourselves is not.
    fn tell_others(&self, tracer: &Tracer, request: &Incoming, context: TraceContext) {
        let mut selections = tracer
            .selections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !selections.take(SELECTIONS, self.clock.now()) {
            return;
        }
        drop(selections);
        let connector = tracer.connector.load();
        let Some(connector) = connector.as_ref().and_then(|connector| connector.upgrade()) else {
            return;
        };
        let url = format!("https://all:888/trace?id={}", context.trace.as_str());
        let Ok(address) = Address::parse(&url) else {
            return;
        };
        let outgoing = Outgoing::new(Method::Get, address)
            .on_behalf_of(request)
            .in_its_own_time();
        tokio::spawn(async move {
            if let Err(error) = connector.multicast(&outgoing).await {
                tracing::warn!(error = %error, "Selecting a trace");
            }
        });
    }
}

impl Tracer {
    fn new_trace(&self) -> Option<(TraceId, SpanId)> {
        let trace = TraceId::from_bytes(self.random())?;
        Some((trace, self.new_span()?))
    }

    fn new_span(&self) -> Option<SpanId> {
        SpanId::from_bytes(self.random())
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        rng.fill_bytes(&mut bytes);
        bytes
    }
}

fn attributes_of(answered: &Answered<'_>, request: &Incoming, with_request: bool) -> Attributes {
    let mut attributes = Attributes::with_capacity(4);
    attributes.push((
        "http.status_code".into(),
        Value::Integer(answered.status.into()),
    ));
    put(&mut attributes, "microbus.caller", request.from_host());
    if let Some(actor) = request.actor() {
        put(&mut attributes, "microbus.actor.iss", &actor.iss);
        for (name, value) in [
            ("microbus.actor.sub", &actor.sub),
            ("microbus.actor.roles", &actor.roles),
        ] {
            if let Some(value) = value {
                put(&mut attributes, name, value);
            }
        }
        if let Some(tenant) = actor.tenant {
            attributes.push(("microbus.actor.tenant".into(), Value::Integer(tenant)));
        }
    }
    if with_request {
        describe(answered, request, &mut attributes);
    }
    attributes
}

/// Tells what the request said, but neither claims to mint, which may stand in its query, nor what lets somebody in.
fn describe(answered: &Answered<'_>, request: &Incoming, attributes: &mut Attributes) {
    let route = answered.route;
    put(attributes, "http.method", answered.method.as_str());
    put(attributes, "url.scheme", "https");
    put(
        attributes,
        "server.address",
        request.host().split(':').next().unwrap_or_default(),
    );
    attributes.push(("server.port".into(), Value::Integer(route.port.into())));
    put(attributes, "url.path", &request.path());
    if route.port != DANGEROUS_PORT {
        put(attributes, "url.query", request.query());
    }
    put(attributes, "http.route", route.path);
    let size = i64::try_from(request.body().len()).unwrap_or(i64::MAX);
    attributes.push(("http.request.body.size".into(), Value::Integer(size)));
    let told = |name: &str| {
        let is_ours = name.starts_with(header::MICROBUS_PREFIX);
        !is_ours && !NEVER_TOLD.contains(&name)
    };
    for (name, value) in request.headers_as_text().filter(|(name, _)| told(name)) {
        let name = Cow::Owned(format!("http.request.header.{name}"));
        let value: String = value.chars().take(LONGEST_VALUE).collect();
        attributes.push((name, Value::Text(value.into())));
    }
}

fn put(attributes: &mut Attributes, name: &'static str, value: &str) {
    attributes.push((name.into(), Value::Text(value.to_owned().into())));
}

/// Where tokens are minted (spec: microbus-wire 2.1).
const DANGEROUS_PORT: u16 = 666;
/// Credentials, and what the span says itself.
const NEVER_TOLD: [&str; 5] = [
    "Authorization",
    "Cookie",
    "Proxy-Authorization",
    header::TRACEPARENT,
    header::TRACESTATE,
];
const LONGEST_VALUE: usize = 256;
/// How often others are told of a trace.
const SELECTIONS: Limit = Limit {
    interval: Duration::from_millis(100),
    burst: 20,
};

#[cfg(test)]
mod tests;
