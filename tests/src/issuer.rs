//! The real binaries under test, each in a working directory of its own.

use crate::PATIENCE;
use crate::build_folder;
use crate::caller::Caller;
use crate::child::Child;
use crate::log::Log;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use tempfile::TempDir;

/// A binary of this workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its cargo package.
    pub package: &'static str,
    /// Its file name.
    pub binary: &'static str,
    /// Its host name on the bus.
    pub host: &'static str,
}

impl Product {
    /// The issuer of short-lived actor tokens.
    pub const ACCESS_TOKEN: Self = Self {
        package: "microbus-access-token",
        binary: "access-token",
        host: "access.token.core",
    };
    /// The issuer of long-lived bearer tokens.
    pub const BEARER_TOKEN: Self = Self {
        package: "microbus-bearer-token",
        binary: "bearer-token",
        host: "bearer.token.core",
    };
}

/// What a process finds when it starts: these variables and files, and nothing of the test's own environment.
#[derive(Clone, Debug)]
pub struct IssuerSetup {
    product: Product,
    variables: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
    arguments: Vec<String>,
}

impl IssuerSetup {
    /// Sets up `product` with no variable and no file.
    #[must_use]
    pub fn new(product: Product) -> Self {
        Self {
            product,
            variables: BTreeMap::new(),
            files: BTreeMap::new(),
            arguments: Vec::new(),
        }
    }

    /// Returns what is set up.
    #[must_use]
    pub fn product(&self) -> Product {
        self.product
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Puts a file into the working directory.
    #[must_use]
    pub fn with_file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.to_owned(), content.into());
        self
    }

    /// Adds a command-line argument.
    #[must_use]
    pub fn with_argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Builds the binary if need be and starts it. It may not be ready yet, or may even refuse to start.
    #[must_use]
    pub fn start(&self) -> Issuer {
        let folder = tempfile::tempdir().expect("temporary folders can be made");
        for (name, content) in &self.files {
            // Credentials and keys among them are for their owner alone.
            let mut file = File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(folder.path().join(name))
                .expect("a file can be made");
            file.write_all(content).expect("a file can be written");
        }
        let child = spawn(self, folder.path());
        Issuer {
            setup: self.clone(),
            folder,
            child,
        }
    }
}

/// A running issuer, killed on drop.
#[derive(Debug)]
pub struct Issuer {
    setup: IssuerSetup,
    folder: TempDir,
    child: Child,
}

impl Issuer {
    /// Returns the working directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns what the process writes.
    #[must_use]
    pub fn log(&self) -> Log {
        self.child.log()
    }

    /// Replaces a file of the working directory, whole, as a careful operator would.
    pub fn write_file(&self, name: &str, content: impl AsRef<[u8]>) {
        let draft = self.folder().join(format!("{name}.draft"));
        std::fs::write(&draft, content).expect("a file can be written");
        std::fs::rename(&draft, self.folder().join(name)).expect("a file can be replaced");
    }

    /// Waits until the issuer answers a ping of `caller`.
    pub async fn until_ready(&self, caller: &Caller) {
        // Mint comes last; who answers pings need not have got that far.
        self.until_logged("Serving").await;
        caller.until_answering(self.setup.product.host).await;
    }

    /// Waits for a line of the log with `part` in it and returns the line; panics when it does not come.
    pub async fn until_logged(&self, part: &str) -> String {
        let mut log = self.log();
        let line = log.line(part, PATIENCE).await;
        line.unwrap_or_else(|| panic!("no '{part}' in the log:\n{}", log.text()))
    }

    /// Asks the process to stop (SIGTERM), without waiting.
    pub fn ask_to_stop(&self) {
        self.child.signal(Signal::TERM);
    }

    /// Asks the process to stop and waits for its end.
    pub async fn stop(&mut self) -> ExitStatus {
        self.ask_to_stop();
        self.exit().await
    }

    /// Waits for the process to end by itself.
    pub async fn exit(&mut self) -> ExitStatus {
        self.child.exit(PATIENCE * 2).await
    }

    /// Asks the process for a new key (SIGUSR1).
    pub fn rotate(&self) {
        self.child.signal(Signal::USR1);
    }

    /// Stops the process where it is (SIGSTOP); it neither hears nor says anything.
    pub fn pause(&self) {
        self.child.signal(Signal::STOP);
    }

    /// Lets a stopped process go on (SIGCONT).
    pub fn resume(&self) {
        self.child.signal(Signal::CONT);
    }

    /// Asks for the death that leaves a core dump (SIGABRT), and returns how the process ended.
    pub async fn abort(&mut self) -> ExitStatus {
        self.child.signal(Signal::ABORT);
        self.exit().await
    }

    /// Ends the process at once (SIGKILL).
    pub fn kill(&mut self) {
        self.child.kill();
    }

    /// Starts the process again in the same working directory; one that still runs is killed first.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.setup, self.folder.path());
    }
}

fn spawn(setup: &IssuerSetup, folder: &Path) -> Child {
    let product = setup.product;
    let mut command = Command::new(build_folder::binary(product.package, product.binary));
    command
        .args(&setup.arguments)
        .env_clear()
        .envs(&setup.variables)
        .current_dir(folder);
    Child::start(product.binary, command)
}
