//! What the exporter's thread does, one task per signal.

use crate::buffer::Buffer;
use crate::outcome::Counts;
use crate::selection::{Ring, Selected};
use crate::settings::{Signal, Target};
use crate::signal::{Readings, Resource, Span, encode_metrics};
use crate::tls::TlsError;
use crate::transport::Transport;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Where a signal goes, and what becomes of it there.
pub(crate) struct Sink {
    signal: Signal,
    transport: Option<Transport>,
    pub(crate) resource: Arc<Resource>,
    pub(crate) counts: Arc<Counts>,
}

impl Sink {
    pub(crate) fn open(target: &Target, resource: &Arc<Resource>) -> Result<Self, TlsError> {
        let signal = target.signal;
        let transport = target.collector.clone();
        let transport = transport.map(|collector| Transport::new(collector, signal));
        Ok(Self {
            signal,
            transport: transport.transpose()?,
            resource: Arc::clone(resource),
            counts: Arc::default(),
        })
    }

    /// Sends a message with so many things, once; tells the operator when that begins to fail and when it works again.
    async fn send(&mut self, message: Vec<u8>, count: usize) {
        let Some(transport) = &mut self.transport else {
            return;
        };
        let signal = self.signal.as_str();
        let sent = transport.send(message).await;
        let is_news = self.counts.note_failing(sent.is_err());
        match sent {
            Ok(()) => {
                self.counts.exported(count);
                if is_news {
                    tracing::info!(signal, "Telemetry is exported again");
                }
            }
            Err(error) => {
                self.counts.dropped(count);
                if is_news {
                    tracing::warn!(signal, error = %error, "Telemetry cannot be exported");
                }
            }
        }
    }
}

/// Exports what is put into `buffer`, until it is closed and empty.
pub(crate) async fn export<T>(
    buffer: Arc<Buffer<T>>,
    mut sink: Sink,
    encode: fn(&Resource, Vec<T>) -> Vec<u8>,
) {
    loop {
        buffer.filled().await;
        // What comes meanwhile goes along, and nobody is kept busy waking this thread.
        drop(tokio::time::timeout(GATHERING, buffer.half_full()).await);
        let closed = buffer.is_closed();
        let mut waiting = buffer.take().into_iter();
        loop {
            let batch: Vec<T> = waiting.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            let count = batch.len();
            sink.send(encode(&sink.resource, batch), count).await;
        }
        if closed {
            return;
        }
    }
}

/// Passes on from `ended` what belongs to selected traces, until it is closed; then closes `chosen`.
pub(crate) async fn choose(
    ended: Arc<Buffer<Span>>,
    selected: Arc<Mutex<Selected>>,
    chosen: Arc<Buffer<Span>>,
) {
    let mut ring = Ring::default();
    loop {
        // A selection is looked at within this time even if no span ends.
        drop(tokio::time::timeout(LOOK, ended.filled()).await);
        drop(tokio::time::timeout(LOOK, ended.half_full()).await);
        let closed = ended.is_closed();
        let now = tokio::time::Instant::now().into_std();
        let spans = ended.take();
        let mut selected = selected.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = selected.take_fresh();
        let mut passed = Vec::new();
        for span in spans {
            if selected.has(&span.trace, now) {
                passed.push(span);
            } else {
                ring.push(span);
            }
        }
        drop(selected);
        let waited = ring.take(&fresh);
        waited
            .into_iter()
            .chain(passed)
            .for_each(|span| chosen.push(span));
        if closed {
            chosen.close();
            return;
        }
    }
}

/// Exports readings at this interval, and once more at the end.
pub(crate) async fn export_readings(
    read: Box<dyn Fn() -> Option<Readings> + Send>,
    mut sink: Sink,
    interval: Duration,
    mut closing: watch::Receiver<bool>,
) {
    loop {
        let closed = async { closing.wait_for(|closing| *closing).await.is_ok() };
        let closed = tokio::time::timeout(interval, closed).await.is_ok();
        if let Some(readings) = read() {
            let count = readings.metrics.len();
            sink.send(encode_metrics(&sink.resource, readings), count)
                .await;
        }
        if closed {
            return;
        }
    }
}

/// How long things gather before they are exported together.
const GATHERING: Duration = Duration::from_secs(1);
/// How often ended spans are compared with what is selected.
const LOOK: Duration = Duration::from_millis(200);
const BATCH: usize = 512;
