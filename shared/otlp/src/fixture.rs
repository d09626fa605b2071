//! What the tests of several files need.

use crate::signal::{Span, SpanKind};
use microbus_wire::trace_context::{SpanId, TraceId};
use std::time::{Duration, UNIX_EPOCH};

pub(crate) fn span_of(trace: TraceId, name: &'static str) -> Span {
    Span {
        trace,
        span: SpanId::from_bytes([1; 8]).unwrap(),
        parent: None,
        name: name.into(),
        kind: SpanKind::Server,
        start: UNIX_EPOCH,
        took: Duration::from_millis(1),
        attributes: Vec::new(),
        failure: None,
    }
}
