//! The thread that writes the audit trail.

use super::queue::{Queue, Urgency};
use crate::metrics::Metrics;
use microbus_audit::Chain;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

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

    /// Writes what comes until nothing will come any more.
    pub(super) fn run(mut self, queue: &Queue) {
        let mut lines = String::new();
        loop {
            if self.pending.is_empty() {
                match queue.wait() {
                    None => return,
                    // What comes meanwhile is written with it, and nobody is kept busy waking this thread.
                    Some(Urgency::Usual) => std::thread::sleep(GATHERING),
                    Some(Urgency::Awaited) => {}
                }
            } else {
                // Only after a failure is anything left.
                std::thread::sleep(RETRY);
            }
            if self.pending.len() < MOST_PENDING {
                let (taken, flushes) = queue.take(lines);
                self.append(&taken);
                self.flushes.extend(flushes);
                lines = emptied(taken);
            }
            let written = self.write();
            self.note(written);
        }
    }

    fn append(&mut self, lines: &str) {
        match &mut self.chain {
            Some(chain) => {
                for line in lines.lines() {
                    self.pending.extend(chain.append(line).into_bytes());
                }
            }
            None => self.pending.extend_from_slice(lines.as_bytes()),
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
        self.pending.shrink_to(KEPT);
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

/// Empties a text for what comes next, without the memory of a flood.
fn emptied(mut text: String) -> String {
    text.clear();
    text.shrink_to(KEPT);
    text
}

pub(super) const STDERR: &str = "/dev/stderr";
/// How long entries gather before they are written together.
const GATHERING: Duration = Duration::from_millis(5);
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(200);
const MOST_PENDING: usize = 1 << 20;
/// Room for what usually gathers at a high rate.
const KEPT: usize = 256 << 10;
const LONGEST_LINE: u64 = 1 << 20;
