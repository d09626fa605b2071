//! What a child process writes, line by line, and waiting for a line of it.

use std::io::{BufRead as _, BufReader, Read};
use std::time::Duration;
use tokio::sync::watch;

/// The lines that a process wrote to one of its outputs so far.
#[derive(Clone, Debug)]
pub struct Log {
    written: watch::Receiver<Written>,
}

#[derive(Debug, Default)]
struct Written {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    /// Starts to read `output` on a thread of its own, until it ends.
    #[must_use]
    pub fn follow(output: impl Read + Send + 'static) -> Self {
        let (sender, written) = watch::channel(Written::default());
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while matches!(output.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                sender.send_modify(|written| written.lines.push(text));
                line.clear();
            }
            sender.send_modify(|written| written.ended = true);
        });
        Self { written }
    }

    /// Returns all lines so far, joined.
    #[must_use]
    pub fn text(&self) -> String {
        self.written.borrow().lines.join("\n")
    }

    /// Returns how many lines there are, as a place to begin a later [`Log::line_after`] at.
    #[must_use]
    pub fn position(&self) -> usize {
        self.written.borrow().lines.len()
    }

    /// Waits for a line with `part` in it and returns the line; `None` when the output ended or the time is over.
    pub async fn line(&mut self, part: &str, limit: Duration) -> Option<String> {
        self.line_after(0, part, limit).await
    }

    /// Waits for a line with `part` in it from `position` on; `None` when the output ended or the time is over.
    pub async fn line_after(
        &mut self,
        position: usize,
        part: &str,
        limit: Duration,
    ) -> Option<String> {
        let find = |written: &Written| {
            written
                .lines
                .iter()
                .skip(position)
                .find(|line| line.contains(part))
                .cloned()
        };
        let arrived = self
            .written
            .wait_for(|written| written.ended || find(written).is_some());
        let written = tokio::time::timeout(limit, arrived).await.ok()?.ok()?;
        find(&written)
    }

    /// Waits until the process closed this output; tells whether it did within `limit`.
    pub async fn ended(&mut self, limit: Duration) -> bool {
        let ended = self.written.wait_for(|written| written.ended);
        matches!(tokio::time::timeout(limit, ended).await, Ok(Ok(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[tokio::test]
    async fn a_line_is_found_whether_it_came_before_or_comes_later() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut log = Log::follow(reader);
        writeln!(writer, "listening on 1").unwrap();
        assert_eq!(
            log.line("listening", crate::PATIENCE).await.unwrap(),
            "listening on 1"
        );
        let position = log.position();
        writeln!(writer, "listening on 2").unwrap();
        let later = log.line_after(position, "listening", crate::PATIENCE).await;
        assert_eq!(later.unwrap(), "listening on 2");
        drop(writer);
        assert!(log.ended(crate::PATIENCE).await);
        assert_eq!(log.line("never", crate::PATIENCE).await, None);
        assert_eq!(log.text(), "listening on 1\nlistening on 2");
    }
}
