//! The desk of an operator: what `microbus-deploy init` wrote, brokers that were started with it, and the tool itself.

use crate::PATIENCE;
use crate::build_folder;
use crate::nats::NatsServer;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A directory in which an operator works, with the brokers of one bus.
#[derive(Debug)]
pub struct Desk {
    folder: TempDir,
    /// The brokers.
    pub servers: Vec<NatsServer>,
}

/// What a run of the tool left.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Desk {
    /// Makes an empty desk.
    #[must_use]
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("temporary folders can be made"),
            servers: Vec::new(),
        }
    }

    /// Sets up a bus with one broker that keeps accounts in a directory.
    pub async fn open() -> Self {
        Self::with_brokers(1, &["--resolver", "full"]).await
    }

    /// Sets up a bus with one broker, whose `init` got further arguments.
    pub async fn with_init(arguments: &[&str]) -> Self {
        Self::with_brokers(1, arguments).await
    }

    /// Sets up a bus with a cluster of `count` brokers, whose `init` got further arguments.
    pub async fn with_brokers(count: usize, arguments: &[&str]) -> Self {
        let mut desk = Self::new();
        let init = [&["init", "ops", "--listen", "127.0.0.1:0"], arguments].concat();
        desk.run(&init).succeeded();
        let config = desk.read("ops/nats-server.conf");
        let mut seed = None;
        for number in 0..count {
            let own = config.replace("/ops/jwt", &format!("/ops/jwt-{number}"));
            let routes = seed
                .as_ref()
                .map(|address| format!("routes: [\"nats://{address}\"]"))
                .unwrap_or_default();
            let cluster = if count > 1 {
                format!(
                    "server_name: n{number}\n\
                     cluster {{ name: desk, host: 127.0.0.1, port: -1, no_advertise: true, pool_size: -1, {routes} }}\n"
                )
            } else {
                String::new()
            };
            let server = NatsServer::configured(&format!("{own}{cluster}")).await;
            if count > 1 && seed.is_none() {
                seed = Some(server.route_address().await);
            }
            desk.servers.push(server);
        }
        if count > 1 {
            for server in &desk.servers {
                let formed = server
                    .log()
                    .line("Route connection created", PATIENCE)
                    .await;
                assert!(
                    formed.is_some(),
                    "the cluster does not form:\n{}",
                    server.log().text()
                );
            }
        }
        desk
    }

    /// Returns the URL of the first broker.
    #[must_use]
    pub fn url(&self) -> String {
        self.servers[0].url()
    }

    /// Returns a path on the desk.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns what stands in a file.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        let parent = path.parent().expect("the desk is above it");
        std::fs::create_dir_all(parent).expect("the desk can be written");
        std::fs::write(path, content).expect("the desk can be written");
    }

    /// Runs the tool with a line as an operator types it, its arguments separated by blanks.
    pub fn type_line(&self, line: &str) -> Ran {
        self.run(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs the tool, with no variable but `PATH`.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(&[], arguments)
    }

    /// Runs the tool with these variables besides.
    pub fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let mut command = Command::new(build_folder::binary("microbus-deploy", "microbus-deploy"));
        command
            .args(arguments)
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .current_dir(self.folder.path());
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().expect("the tool is built");
        let text = |bytes| String::from_utf8(bytes).expect("the tool writes text");
        Ran {
            code: status.code().unwrap_or(-1),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    /// Issues credentials of core services or callers with `creds` and further arguments.
    pub fn issue(&self, arguments: &[&str]) {
        let signer = [
            "creds",
            "--signing-key",
            "ops/account-sk.nk",
            "--account-jwt",
            "ops/account.jwt",
        ];
        self.run(&[&signer, arguments].concat()).succeeded();
    }

    /// Issues credentials of a service that calls nobody, and returns where they are.
    pub fn issue_plain(&self, host: &str, folder: &str) -> PathBuf {
        let calls = format!("{folder}-{host}.yaml");
        self.write(&calls, format!("hostname: {host}\ncalls: []\n"));
        self.issue(&["--calls", &calls, "--out", folder]);
        self.path(folder).join(format!("{host}_nats.creds"))
    }

    /// Runs the tool on the brokers, as the system account.
    pub fn run_at_broker(&self, arguments: &[&str]) -> Ran {
        let url = self.url();
        let broker = ["--nats", &url, "--system-creds", "ops/sys.creds"];
        self.run(&[arguments, &broker].concat())
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

impl Ran {
    /// Checks that it ended well.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        self.ended(0)
    }

    /// Checks the exit code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Checks that it printed `part`.
    #[track_caller]
    pub fn said(self, part: &str) -> Self {
        assert!(
            self.stdout.contains(part),
            "{part}\nis not in\n{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Checks that it complained about `part`.
    #[track_caller]
    pub fn complained(self, part: &str) -> Self {
        assert!(
            self.stderr.contains(part),
            "{part}\nis not in\n{}\n{}",
            self.stderr,
            self.stdout
        );
        self
    }
}

/// Returns the text of a file.
#[must_use]
pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
