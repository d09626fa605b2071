//! Which traces are exported where most are not: those that somebody selected because something went wrong in them.
//!
//! Source: spec: microbus-wire 10.4. Spans wait in a ring, and a trace that is selected while they wait, or was before, is
//! exported whole.

use crate::signal::Span;
use microbus_wire::trace_context::TraceId;
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// The traces that were selected lately: two generations of bounded size.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    young: HashSet<TraceId>,
    old: HashSet<TraceId>,
    latest: Option<Instant>,
    /// Those whose spans may still lie in the ring.
    fresh: Vec<TraceId>,
}

impl Selected {
    /// Selects a trace; tells whether that is news.
    pub(crate) fn select(&mut self, trace: TraceId, now: Instant) -> bool {
        let is_over = |latest: Instant| now.saturating_duration_since(latest) > MEMORY;
        if self.latest.is_some_and(is_over) {
            self.young.clear();
            self.old.clear();
        }
        self.latest = Some(now);
        if self.young.contains(&trace) || self.old.contains(&trace) {
            return false;
        }
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(trace);
        if self.fresh.len() < GENERATION {
            self.fresh.push(trace);
        }
        true
    }

    /// Returns what was selected since the last call.
    pub(crate) fn take_fresh(&mut self) -> Vec<TraceId> {
        std::mem::take(&mut self.fresh)
    }

    /// Tells whether a trace was selected, and that is not forgotten.
    pub(crate) fn has(&self, trace: &TraceId, now: Instant) -> bool {
        let latest = self.latest;
        let is_alive = latest.is_some_and(|at| now.saturating_duration_since(at) <= MEMORY);
        is_alive && (self.young.contains(trace) || self.old.contains(trace))
    }
}

/// The spans that wait for their trace to be selected; the oldest give way.
#[derive(Debug, Default)]
pub(crate) struct Ring(VecDeque<Span>);

impl Ring {
    pub(crate) fn push(&mut self, span: Span) {
        if self.0.len() >= RING {
            self.0.pop_front();
        }
        self.0.push_back(span);
    }

    /// Takes out the spans of these traces.
    pub(crate) fn take(&mut self, traces: &[TraceId]) -> Vec<Span> {
        if traces.is_empty() {
            return Vec::new();
        }
        let wanted: HashSet<&TraceId> = traces.iter().collect();
        let (taken, left) = std::mem::take(&mut self.0)
            .into_iter()
            .partition::<VecDeque<_>, _>(|span| wanted.contains(&span.trace));
        self.0 = left;
        taken.into()
    }
}

/// How long after the latest selection all are forgotten.
const MEMORY: Duration = Duration::from_secs(20);
const GENERATION: usize = 4096;
const RING: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::span_of;
    use std::num::NonZeroU32;

    fn trace(number: u32) -> TraceId {
        let mut bytes = [7; 16];
        bytes[..4].copy_from_slice(&NonZeroU32::new(number).unwrap().get().to_be_bytes());
        TraceId::from_bytes(bytes).unwrap()
    }

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn a_trace_is_news_once_and_forgotten_after_a_while() {
        let (mut selected, now) = (Selected::default(), start());
        assert!(selected.select(trace(1), now));
        assert!(!selected.select(trace(1), now + MEMORY / 2));
        let later = now + MEMORY / 2 + MEMORY;
        assert!(selected.has(&trace(1), later));
        assert!(!selected.has(&trace(1), later + MEMORY / 20));
        assert!(selected.select(trace(1), later + MEMORY / 20));
    }

    #[test]
    fn a_flood_of_selections_is_bounded_and_the_latest_are_kept() {
        let (mut selected, now) = (Selected::default(), start());
        for number in 1..=20_000 {
            assert!(selected.select(trace(number), now));
        }
        assert!(selected.has(&trace(20_000), now) && !selected.has(&trace(1), now));
        assert!(selected.has(&trace(20_000 - 4000), now));
        assert!(selected.young.len() + selected.old.len() <= 2 * GENERATION);
        assert_eq!(selected.take_fresh().len(), GENERATION);
        assert!(selected.take_fresh().is_empty());
    }

    #[test]
    fn the_ring_gives_back_the_spans_of_a_trace_in_order_and_forgets_the_oldest() {
        let mut ring = Ring::default();
        let names = ["first", "second", "other"];
        for (name, number) in names.into_iter().zip([1, 1, 2]) {
            ring.push(span_of(trace(number), name));
        }
        let taken = ring.take(&[trace(1)]);
        let taken: Vec<_> = taken.iter().map(|span| &*span.name).collect();
        assert_eq!(taken, ["first", "second"]);
        assert!(ring.take(&[trace(1)]).is_empty());
        for _ in 0..RING {
            ring.push(span_of(trace(3), "later"));
        }
        assert!(ring.take(&[trace(2)]).is_empty());
        assert_eq!(ring.take(&[trace(3)]).len(), RING);
    }
}
