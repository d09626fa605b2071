//! The process under test: its working directory, what it writes, its HTTP door.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// An issuer that may be started: a working directory and variables.
pub(crate) struct Setup {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// A running issuer, killed on drop.
pub(crate) struct Issuer {
    folder: TempDir,
    child: Child,
    lines: Receiver<String>,
    log: String,
    address: String,
}

/// How a process ended that was not to serve.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
    }

    pub(crate) fn with_file(self, name: &str, content: &str) -> Self {
        std::fs::write(self.path(name), content).unwrap();
        self
    }

    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the issuer and waits until it serves at a door of its own.
    pub(crate) fn serve(self) -> Issuer {
        let mut child = self.spawn();
        let (sender, lines) = channel();
        let errors = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut issuer = Issuer {
            folder: self.folder,
            child,
            lines,
            log: String::new(),
            address: String::new(),
        };
        let line = issuer.until("curl -s http://");
        let (_, address) = line.split_once("http://").unwrap();
        issuer.address = address.split_once("/mint").unwrap().0.to_owned();
        issuer.until("Serving");
        issuer
    }

    /// Starts the issuer and waits for its end.
    pub(crate) fn end(self) -> Ended {
        let output = self.spawn().wait_with_output().unwrap();
        assert!(output.stdout.is_empty(), "nothing is written but logs");
        Ended {
            code: output.status.code(),
            log: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The shell lifts the limit of core dumps as far as it may, and becomes the issuer.
    fn spawn(&self) -> Child {
        Command::new("/bin/sh")
            .args(["-c", r#"ulimit -S -c "$(ulimit -H -c)"; exec "$0" "$@""#])
            .arg(env!("CARGO_BIN_EXE_bearer-token"))
            .arg("--door=127.0.0.1:0")
            .env_clear()
            .envs(self.variables.iter().cloned())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

impl Issuer {
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next line of the log with `part` in it.
    pub(crate) fn until(&mut self, part: &str) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no '{part}' in the log:\n{}", self.log);
            };
            self.log.push_str(&line);
            self.log.push('\n');
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Returns all that was read of the log.
    pub(crate) fn log(&mut self) -> &str {
        while let Ok(line) = self.lines.try_recv() {
            self.log.push_str(&line);
            self.log.push('\n');
        }
        &self.log
    }

    /// Sends a request such as `POST /mint` and returns the whole answer.
    pub(crate) fn exchange(&self, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (address, length) = (&self.address, body.len());
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Mints a token and returns it.
    pub(crate) fn mint(&self, body: &str) -> String {
        let answer = self.exchange("POST /mint", body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        json["token"].as_str().unwrap().to_owned()
    }

    /// Returns the kid of the key that signs now.
    pub(crate) fn signer(&self) -> String {
        let token = self.mint("{}");
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap());
        let header: serde_json::Value = serde_json::from_slice(&header.unwrap()).unwrap();
        header["kid"].as_str().unwrap().to_owned()
    }

    /// Returns the kids that are published, in order.
    pub(crate) fn published(&self) -> Vec<String> {
        let answer = self.exchange("GET /jwks", "");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        let keys = json["keys"].as_array().cloned().unwrap_or_default();
        keys.iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Sends a signal.
    pub(crate) fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends a signal and waits for the end; returns it with the rest of the log.
    pub(crate) fn end_by(&mut self, signal: Signal) -> ExitStatus {
        self.send(signal);
        let status = self.child.wait().unwrap();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.log.push_str(&line);
            self.log.push('\n');
        }
        status
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        // Killing fails only for a process that has ended.
        if self.child.kill().is_ok() {
            self.child.wait().unwrap();
        }
    }
}
