//! The thread that exports: whatever a collector does or does not do, nobody else waits for it.

use crate::buffer::Buffer;
use crate::outcome::{Counts, Outcome};
use crate::selection::Selected;
use crate::settings::{Settings, Signal};
use crate::signal::{LogRecord, Readings, Resource, Span, encode_logs, encode_spans};
use crate::tls::TlsError;
use crate::work::{Sink, choose, export, export_readings};
use microbus_wire::trace_context::TraceId;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What is needed besides the settings.
pub struct Parts {
    /// Who speaks.
    pub resource: Resource,
    /// Which spans are exported.
    pub spans: Spans,
    /// Reads all metrics; called on the exporter's own thread.
    pub readings: Box<dyn Fn() -> Option<Readings> + Send>,
    /// How often metrics are exported where the settings do not say.
    pub metric_interval: Duration,
}

/// Which spans are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spans {
    /// All.
    All,
    /// Those of traces that were selected, by [`Exporter::select`].
    OfSelectedTraces,
}

/// Exports what it is given, when it can.
pub struct Exporter {
    spans: Option<Arc<Buffer<Span>>>,
    logs: Option<Arc<Buffer<LogRecord>>>,
    counts: Vec<(Signal, Arc<Counts>)>,
    selected: Option<Arc<Mutex<Selected>>>,
    closing: watch::Sender<bool>,
    ended: Mutex<Receiver<()>>,
}

/// Why nothing can be exported.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The operating system has no thread for it.
    #[error("the exporter has no thread: {0}")]
    Thread(#[from] io::Error),
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Exporter {
    /// Starts the thread; no collector is looked for yet.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(settings: &Settings, parts: Parts) -> Result<Self, StartError> {
        let resource = Arc::new(parts.resource);
        let (closing, closed) = watch::channel(false);
        let mut work: Vec<Work> = Vec::new();
        let mut counts = Vec::new();
        let mut selected = None;
        let mut spans = None;
        if let Some(target) = &settings.traces {
            let sink = Sink::open(target, &resource)?;
            counts.push((Signal::Traces, Arc::clone(&sink.counts)));
            let exported = Arc::new(Buffer::new(MOST_SPANS, &sink.counts));
            spans = Some(Arc::clone(&exported));
            if parts.spans == Spans::OfSelectedTraces {
                let ended = Arc::new(Buffer::new(MOST_SPANS, &sink.counts));
                let choice = selected.insert(Arc::<Mutex<Selected>>::default());
                let choosing = choose(
                    Arc::clone(&ended),
                    Arc::clone(choice),
                    Arc::clone(&exported),
                );
                work.push(Box::pin(choosing));
                spans = Some(ended);
            }
            work.push(Box::pin(export(exported, sink, encode_spans)));
        }
        let mut logs = None;
        if let Some(target) = &settings.logs {
            let sink = Sink::open(target, &resource)?;
            counts.push((Signal::Logs, Arc::clone(&sink.counts)));
            let lines = logs.insert(Arc::new(Buffer::new(MOST_LINES, &sink.counts)));
            work.push(Box::pin(export(Arc::clone(lines), sink, encode_logs)));
        }
        if let Some(target) = &settings.metrics {
            let sink = Sink::open(target, &resource)?;
            counts.push((Signal::Metrics, Arc::clone(&sink.counts)));
            let interval = settings.metric_interval.unwrap_or(parts.metric_interval);
            let exporting = export_readings(parts.readings, sink, interval, closed);
            work.push(Box::pin(exporting));
        }
        Ok(Self {
            spans,
            logs,
            counts,
            selected,
            closing,
            ended: Mutex::new(run(work)?),
        })
    }

    /// Tells whether spans are of use.
    #[must_use]
    pub fn takes_spans(&self) -> bool {
        self.spans.is_some()
    }

    /// Tells whether lines of the log are of use.
    #[must_use]
    pub fn takes_logs(&self) -> bool {
        self.logs.is_some()
    }

    /// Takes a span over.
    pub fn span(&self, span: Span) {
        if let Some(spans) = &self.spans {
            spans.push(span);
        }
    }

    /// Takes a line of the log over.
    pub fn log(&self, record: LogRecord) {
        if let Some(lines) = &self.logs {
            lines.push(record);
        }
    }

    /// Has a trace exported; tells whether that is news. It never is where all are exported.
    pub fn select(&self, trace: TraceId, now: Instant) -> bool {
        let selected = self.selected.as_ref();
        selected.is_some_and(|selected| lock(selected).select(trace, now))
    }

    /// Returns what became of each signal that is exported.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Outcome> {
        let counts = self.counts.iter();
        counts
            .map(|(signal, counts)| counts.outcome(*signal))
            .collect()
    }

    /// Exports what is left, for at most `limit`; tells whether that was enough, for what was not is lost.
    pub fn finish(&self, limit: Duration) -> bool {
        if let Some(spans) = &self.spans {
            spans.close();
        }
        if let Some(lines) = &self.logs {
            lines.close();
        }
        self.closing.send_replace(true);
        lock(&self.ended).recv_timeout(limit).is_ok()
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Exporter").finish_non_exhaustive()
    }
}

/// Does all of this on a thread of its own. What is returned is told when everything is done.
fn run(work: Vec<Work>) -> io::Result<Receiver<()>> {
    let (end, ended) = sync_channel(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("telemetry".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let tasks: Vec<_> = work.into_iter().map(tokio::spawn).collect();
                for task in tasks {
                    // One that panicked was reported by the hook, and the others go on.
                    drop(task.await);
                }
            });
            // Whoever waited for the end may have given up.
            end.send(()).unwrap_or_default();
        })?;
    Ok(ended)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Spans that wait to be looked at, and those that wait to be exported.
const MOST_SPANS: usize = 8192;
const MOST_LINES: usize = 4096;
