//! The thread that writes the audit trail.

use crate::metrics::Metrics;
use microbus_audit::{Chain, Entry};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

/// What the writer is told.
pub(super) enum Message {
    /// Write this.
    Entry(Box<Entry>),
    /// Say when everything before this is written.
    Flush(SyncSender<()>),
}

/// Appends lines to a file or to standard error.
pub(super) struct Writer {
    path: PathBuf,
    sink: Sink,
    chain: Option<Chain>,
    /// Lines that are not written yet, the first perhaps in part.
    pending: Vec<u8>,
    /// Who waits for `pending` to be written.
    flushes: Vec<SyncSender<()>>,
    failing: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

enum Sink {
    Stderr,
    File(File),
}

impl Writer {
    /// Opens the trail; one that is there is gone on with.
    pub(super) fn open(
        path: &Path,
        chained: bool,
        failing: Arc<AtomicBool>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let mut pending = Vec::new();
        let (sink, chain) = if path == Path::new(STDERR) {
            (Sink::Stderr, Chain::default())
        } else {
            let mut file = append_to(path)?;
            let end = end_of(&mut file)?;
            if end.last().is_some_and(|byte| *byte != b'\n') {
                // A line that was torn stays as it is, and the next one begins on a line of its own.
                pending.push(b'\n');
            }
            (Sink::File(file), Chain::after(&end))
        };
        Ok(Self {
            path: path.to_owned(),
            sink,
            chain: chained.then_some(chain),
            pending,
            flushes: Vec::new(),
            failing,
            metrics,
        })
    }

    /// Writes what comes until nobody can send any more.
    pub(super) fn run(mut self, queue: &Receiver<Message>) {
        loop {
            let message = if self.pending.is_empty() {
                queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                // Only after a failure is anything left.
                Err(RecvTimeoutError::Timeout)
            };
            match message {
                Ok(message) => {
                    self.take(message);
                    // What comes meanwhile is written with it, and nobody is kept busy waking this thread.
                    if self.flushes.is_empty() {
                        std::thread::sleep(GATHERING);
                    }
                }
                Err(RecvTimeoutError::Timeout) => std::thread::sleep(RETRY),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while self.pending.len() < MOST_PENDING
                && let Ok(message) = queue.try_recv()
            {
                self.take(message);
            }
            let written = self.write();
            self.note(written);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Entry(entry) => match &mut self.chain {
                Some(chain) => self.pending.extend(chain.append(&entry).into_bytes()),
                None => {
                    self.pending.extend(entry.to_json().into_bytes());
                    self.pending.push(b'\n');
                }
            },
            Message::Flush(written) => self.flushes.push(written),
        }
    }

    /// Writes what is pending; what was written is no longer, even if the rest failed.
    fn write(&mut self) -> io::Result<()> {
        self.follow_rotation()?;
        let mut written = 0;
        let outcome = loop {
            let rest = self.pending.get(written..).unwrap_or_default();
            if rest.is_empty() {
                break Ok(());
            }
            let outcome = match &mut self.sink {
                Sink::Stderr => io::stderr().write(rest),
                Sink::File(file) => file.write(rest),
            };
            match outcome {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written = written.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.pending.drain(..written);
        outcome
    }

    /// Opens the file anew when it was moved away, between two lines.
    fn follow_rotation(&mut self) -> io::Result<()> {
        let Sink::File(file) = &self.sink else {
            return Ok(());
        };
        let identity = |data: Metadata| (data.dev(), data.ino());
        let there = std::fs::metadata(&self.path).map(identity).ok();
        if there != Some(identity(file.metadata()?)) {
            self.sink = Sink::File(append_to(&self.path)?);
        }
        Ok(())
    }

    /// Tells the operator when writing begins to fail and when it works again.
    fn note(&mut self, written: io::Result<()>) {
        let failing = written.is_err();
        let before = self.failing.swap(failing, Ordering::Relaxed);
        self.metrics.audit_failing.set(i64::from(failing));
        match written {
            Err(error) if !before => {
                tracing::error!(error = %error, path = %self.path.display(), "The audit trail cannot be written");
            }
            Ok(()) if before => tracing::warn!("The audit trail is written again"),
            Ok(()) | Err(_) => {}
        }
        if !failing {
            for flush in self.flushes.drain(..) {
                // Who waits no longer need not be told.
                flush.try_send(()).unwrap_or_default();
            }
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
}

/// Reads the last lines of a file, at least the last one if it is not absurdly long.
fn end_of(file: &mut File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    let mut end = Vec::new();
    if length > 0 {
        file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_LINE)))?;
        file.take(LONGEST_LINE).read_to_end(&mut end)?;
    }
    Ok(end)
}

pub(super) const STDERR: &str = "/dev/stderr";
/// How long entries gather before they are written together.
const GATHERING: Duration = Duration::from_millis(5);
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(200);
const MOST_PENDING: usize = 1 << 20;
const LONGEST_LINE: u64 = 1 << 20;
