//! The processes of a bus, which end with us.

use super::layout::{ACCESS, BEARER, Layout};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Processes that were started, in that order.
#[derive(Default)]
pub(super) struct Children {
    started: Vec<Started>,
}

struct Started {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Children {
    /// Starts the broker, and returns its URL once it listens.
    pub(super) async fn start_broker(
        &mut self,
        program: &Path,
        layout: &Layout,
    ) -> Result<String, Failure> {
        let ops = layout.ops();
        // A bare name is looked up in PATH; a path is meant from where we were started.
        let program = match program.parent() {
            Some(parent) if parent != Path::new("") => files::absolute(program)?.into(),
            Some(_) | None => program.to_owned(),
        };
        let mut command = Command::new(program);
        // The server chooses a free port, and writes down which.
        command
            .args(["-c", "nats-server.conf", "--ports_file_dir", "."])
            .current_dir(&ops);
        self.start("nats-server", command, &ops)?;
        for _ in 0..ATTEMPTS {
            self.all_run()?;
            if let Some(url) = client_url(&ops) {
                return Ok(url);
            }
            tokio::time::sleep(BETWEEN_ATTEMPTS).await;
        }
        Err(Failure::new(
            Exit::Unreachable,
            format!(
                "the nats-server does not listen; see {}",
                ops.join("log").display()
            ),
        ))
    }

    /// Starts both issuers, each in its working directory, with no variable of ours: theirs are in env.yaml.
    pub(super) fn start_issuers(
        &mut self,
        binaries: &Path,
        layout: &Layout,
    ) -> Result<(), Failure> {
        for (binary, host) in ISSUERS.into_iter().zip([ACCESS, BEARER]) {
            let directory = layout.directory(host);
            let mut command = Command::new(binaries.join(binary));
            command.env_clear().current_dir(&directory);
            self.start(binary, command, &directory)?;
        }
        Ok(())
    }

    /// Checks that no process has ended.
    pub(super) fn all_run(&mut self) -> Result<(), Failure> {
        for started in &mut self.started {
            if let Ok(Some(status)) = started.child.try_wait() {
                let (name, last) = (&started.name, started.last_line());
                return Err(Failure::new(
                    Exit::Unreachable,
                    format!("{name} ended with {status}: {last}; --directory keeps its whole log"),
                ));
            }
        }
        Ok(())
    }

    fn start(&mut self, name: &str, mut command: Command, directory: &Path) -> Result<(), Failure> {
        let failed = |error: &std::io::Error| {
            let starting = format!("starting {}", command_name(name));
            Failure::caused(Exit::Configuration, starting, error)
        };
        let path = directory.join("log");
        let log = File::create(&path).map_err(|error| failed(&error))?;
        let errors = log.try_clone().map_err(|error| failed(&error))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| failed(&error))?;
        self.started.push(Started {
            name: name.to_owned(),
            child,
            log: path,
        });
        Ok(())
    }
}

impl Started {
    /// Returns the last line that it wrote.
    fn last_line(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rfind(|line| !line.trim().is_empty());
        last.unwrap_or("it wrote nothing").to_owned()
    }
}

impl Drop for Children {
    /// Ends the processes, the last one first: a broker that goes first would be missed.
    fn drop(&mut self) {
        for Started { child, .. } in self.started.iter_mut().rev() {
            // It is ours and not waited for, so its id is nobody else's; one that has ended takes no signal.
            let asked = kill_process(Pid::from_child(child), Signal::TERM).is_ok();
            let mut waited = 0;
            while asked && waited < LONGEST_STOP && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(BETWEEN_ATTEMPTS);
                waited += 1;
            }
            // What does not end in good time is ended; what has ended already cannot be.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Returns where clients connect, from the file that the server writes.
fn client_url(directory: &Path) -> Option<String> {
    let entries = std::fs::read_dir(directory).ok()?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let ports = paths.find(|path| path.extension().is_some_and(|kind| kind == "ports"))?;
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(ports).ok()?).ok()?;
    let url = ports.pointer("/nats/0")?.as_str()?;
    Some(url.to_owned())
}

fn command_name(name: &str) -> String {
    match name {
        "nats-server" => "nats-server; install it, or name it with --nats-server".to_owned(),
        issuer => issuer.to_owned(),
    }
}

/// The binaries of the issuers.
pub(super) const ISSUERS: [&str; 2] = ["access-token", "bearer-token"];
const ATTEMPTS: u32 = 200;
/// An issuer answers what it has heard before it ends.
const LONGEST_STOP: u32 = 200;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);
