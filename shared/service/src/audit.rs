//! The audit trail: each decision to mint as one line, written by a thread of its own.
//!
//! Minting hands a line over and goes on. What cannot be written is kept and tried again; what there is no room to keep is
//! dropped and counted, or the token is refused, as the operator wants it.

mod queue;
mod writer;

use crate::metrics::Metrics;
use crate::property::{Property, Rule};
use crate::settings::Settings;
use microbus_audit::{Entry, Field};
use queue::Queue;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use writer::Writer;

/// The trail of one process.
pub(crate) struct Audit {
    trail: Option<Trail>,
    metrics: Arc<Metrics>,
}

struct Trail {
    queue: Arc<Queue>,
    /// Whether the latest attempt to write failed.
    failing: Arc<AtomicBool>,
    when_full: WhenFull,
    fields: Vec<Field>,
    /// One minted token in so many is recorded.
    sample: u64,
    minted: AtomicU64,
}

/// What becomes of a decision that cannot be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenFull {
    /// It stands, and a counter tells of it.
    Drop,
    /// No token is handed out.
    Refuse,
}

/// A decision was not recorded, and must have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotRecorded;

impl Audit {
    /// Opens the trail that `settings` name and starts its thread; no trail is no error.
    ///
    /// # Errors
    /// When the file cannot be opened, or there is no thread to be had.
    pub(crate) fn open(settings: &Settings, metrics: &Arc<Metrics>) -> io::Result<Self> {
        let trail = match settings.text(LOG) {
            "" => None,
            path => Some(Trail::open(Path::new(path), settings, metrics)?),
        };
        Ok(Self {
            trail,
            metrics: Arc::clone(metrics),
        })
    }

    /// Tells whether a decision is to be recorded: every refusal, and those tokens that the sample takes.
    pub(crate) fn wants(&self, minted: bool) -> bool {
        self.trail.as_ref().is_some_and(|trail| {
            !minted
                || trail
                    .minted
                    .fetch_add(1, Ordering::Relaxed)
                    .is_multiple_of(trail.sample)
        })
    }

    /// Tells whether entries are to have `field`.
    pub(crate) fn has(&self, field: Field) -> bool {
        self.trail
            .as_ref()
            .is_some_and(|trail| trail.fields.contains(&field))
    }

    /// Hands an entry to the thread that writes.
    ///
    /// # Errors
    /// [`NotRecorded`] when it could not be taken and the operator wants no token to go out unrecorded.
    pub(crate) fn record(&self, entry: &Entry<'_>) -> Result<(), NotRecorded> {
        let Some(trail) = &self.trail else {
            return Ok(());
        };
        let refuses = trail.when_full == WhenFull::Refuse;
        let is_taken = if refuses && trail.failing.load(Ordering::Relaxed) {
            false
        } else {
            trail.queue.push(&entry.to_json())
        };
        if is_taken {
            return Ok(());
        }
        self.metrics.audit_dropped.inc();
        if refuses { Err(NotRecorded) } else { Ok(()) }
    }

    /// Waits until everything handed over so far is written, or can for some seconds not be.
    pub(crate) fn flush(&self) {
        let Some(trail) = &self.trail else {
            return;
        };
        let (written, was_written) = sync_channel(1);
        trail.queue.flush(written);
        if was_written.recv_timeout(LONGEST_FLUSH).is_err() {
            tracing::error!("The end of the audit trail was not written");
        }
    }
}

impl Trail {
    fn open(path: &Path, settings: &Settings, metrics: &Arc<Metrics>) -> io::Result<Self> {
        let queue = Arc::<Queue>::default();
        let failing = Arc::new(AtomicBool::new(false));
        let chained = settings.switch(CHAIN);
        let writer = Writer::open(path, chained, Arc::clone(&failing), Arc::clone(metrics))?;
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn({
                let queue = Arc::clone(&queue);
                move || writer.run(&queue)
            })?;
        let named = |field: &Field| words(settings.text(FIELDS)).any(|word| word == field.as_str());
        Ok(Self {
            queue,
            failing,
            when_full: match settings.text(WHEN_FULL) {
                "refuse" => WhenFull::Refuse,
                _ => WhenFull::Drop,
            },
            fields: Field::ALL.into_iter().filter(named).collect(),
            sample: settings.count(SAMPLE).max(1),
            minted: AtomicU64::new(0),
        })
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Audit").finish_non_exhaustive()
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|word| !word.is_empty())
}

/// How an issuer's audit trail is configured: by its own files only, read when it starts.
pub const AUDIT_PROPERTIES: [Property; 5] = [
    Property {
        name: LOG,
        rule: Rule::Own(&Rule::Path),
        default: "",
        effect: "file that each decision to mint is appended to, or `/dev/stderr`; read at start",
    },
    Property {
        name: CHAIN,
        rule: Rule::Own(&Rule::Switch),
        default: "false",
        effect: "link each line of the audit trail to the one before; read at start",
    },
    Property {
        name: WHEN_FULL,
        rule: Rule::Own(&Rule::Choice(&["drop", "refuse"])),
        default: "drop",
        effect: "what a decision that cannot be recorded becomes: dropped and counted, or no token; read at start",
    },
    Property {
        name: SAMPLE,
        rule: Rule::Own(&Rule::Count {
            least: 1,
            most: 1_000_000,
        }),
        default: "1",
        effect: "one in so many tokens is recorded, and every refusal; read at start",
    },
    Property {
        name: FIELDS,
        rule: Rule::Own(&Rule::Words(&[
            Field::CallerId.as_str(),
            Field::Jti.as_str(),
            Field::Sub.as_str(),
            Field::IssGiven.as_str(),
            Field::Lifetime.as_str(),
            Field::Kid.as_str(),
            Field::Trace.as_str(),
        ])),
        default: "caller_id jti sub iss_given lifetime kid trace",
        effect: "what a line tells besides time, service, instance, caller and outcome; read at start",
    },
];

pub(crate) const LOG: &str = "AuditLog";
const CHAIN: &str = "AuditChain";
const WHEN_FULL: &str = "AuditWhenFull";
const SAMPLE: &str = "AuditSample";
const FIELDS: &str = "AuditFields";

const LONGEST_FLUSH: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
