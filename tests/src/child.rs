//! A child process that never outlives its test.

use crate::log::Log;
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child as Process, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running process with what it writes, killed on drop; what it wrote is printed when the test fails.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: Process,
    log: Log,
}

impl Child {
    /// Starts `command` without input; both its outputs go to one [`Log`].
    ///
    /// The command is consumed, because as long as it lives it holds the outputs open, and the log never ends.
    #[must_use]
    pub fn start(name: &str, mut command: Command) -> Self {
        let (reader, output) = std::io::pipe().expect("pipes can be made");
        let errors = output.try_clone().expect("pipes can be shared");
        let started = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn();
        let process = started.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self {
            name: name.to_owned(),
            process,
            log: Log::follow(reader),
        }
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Returns what the process writes.
    #[must_use]
    pub fn log(&self) -> Log {
        self.log.clone()
    }

    /// Sends a signal to the process, which must not have been waited for.
    pub fn signal(&self, signal: Signal) {
        // The process is ours and not yet waited for, so its id cannot have gone to another one.
        kill_process(Pid::from_child(&self.process), signal)
            .unwrap_or_else(|error| panic!("{} takes no signal: {error}", self.name));
    }

    /// Waits for the end of the process, and panics when it does not end within `limit`.
    pub async fn exit(&mut self, limit: Duration) -> ExitStatus {
        // The outputs end when the process does; only then is waiting sure to return.
        assert!(
            self.log.ended(limit).await,
            "{} still runs after {limit:?}:\n{}",
            self.name,
            self.log.text()
        );
        self.process.wait().expect("a child can be waited for")
    }

    /// Ends the process at once, as a power failure would.
    pub fn kill(&mut self) {
        // Killing fails only for a process that has been waited for: then it has ended already.
        if self.process.kill().is_ok() {
            self.process.wait().expect("a child can be waited for");
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {} wrote:\n{}\n---", self.name, self.log.text());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Child::start("sh", command)
    }

    #[tokio::test]
    async fn a_signal_ends_the_process_and_its_log_stays() {
        let script = "echo ready >&2; exec sleep 1000";
        let mut child = start(script);
        assert_eq!(
            child.log().line("ready", crate::PATIENCE).await.unwrap(),
            "ready"
        );
        child.signal(Signal::TERM);
        assert!(!child.exit(crate::PATIENCE).await.success());
        assert_eq!(child.log().text(), "ready");
    }

    #[tokio::test]
    async fn a_dropped_child_is_gone() {
        let child = start("exec sleep 1000");
        let mut log = child.log();
        drop(child);
        assert!(log.ended(crate::PATIENCE).await);
    }
}
