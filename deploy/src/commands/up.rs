//! `up`: a whole bus on this machine, to try it all.

mod children;
mod layout;

use super::at_broker::block_on;
use super::doctor;
use crate::exit::Exit;
use crate::failure::Failure;
use children::Children;
use clap::Args;
use layout::Layout;
use microbus_deploy::doctor::{Request, Verdict};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Bring up a whole bus on this machine: broker in operator mode, both issuers, everything checked
///
/// Makes operator, accounts and credentials in a new directory, starts a nats-server on a free loopback port, both issuers
/// as processes of their own, each in a working directory with its own credentials, and runs `doctor`. Stops them all at
/// Ctrl-C or SIGTERM, or when the terminal is closed. Nothing is downloaded.
///
/// Exit codes: 0 stopped as asked, 1 `doctor` found something wrong (with --once), 69 the broker or an issuer did not start,
/// 78 a program is not there.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Up {
    /// Where everything goes, which must not be there or be empty; kept at the end [default: a new one, removed at the end]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// The nats-server to start
    #[arg(long, value_name = "FILE", default_value = "nats-server")]
    nats_server: PathBuf,
    /// The directory with the binaries access-token and bearer-token [default: that of microbus-deploy]
    #[arg(long, value_name = "DIR")]
    issuers: Option<PathBuf>,
    /// The plane of the bus
    #[arg(long, default_value = "microbus")]
    plane: String,
    /// Stop everything as soon as the checks are done, and end with their result
    #[arg(long)]
    once: bool,
}

impl Up {
    /// # Errors
    /// [`Failure`] when something does not start.
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        block_on(self.bring_up())?
    }

    async fn bring_up(&self) -> Result<Exit, Failure> {
        let issuers = self.issuers()?;
        let scratch = Scratch::new(self.directory.as_deref())?;
        let layout = Layout::write(scratch.path(), &self.plane)?;
        let mut stop = Stop::listen()?;
        let mut children = Children::default();
        let brought = async {
            let url = children.start_broker(&self.nats_server, &layout).await?;
            layout.tell_broker(&url)?;
            children.start_issuers(&issuers, &layout)?;
            let findings = green(&layout, &url, &mut children).await?;
            Ok::<_, Failure>((url, findings))
        };
        let (url, exit) = tokio::select! {
            () = stop.asked() => return Ok(Exit::Ok),
            brought = brought => {
                let (url, findings) = brought?;
                say(&doctor::as_text(&findings))?;
                (url, doctor::exit(&findings, false))
            }
        };
        if self.once {
            return Ok(exit);
        }
        say(&layout.instructions(&url))?;
        stop.asked().await;
        Ok(Exit::Ok)
    }

    /// Returns the directory of both issuers.
    fn issuers(&self) -> Result<PathBuf, Failure> {
        let beside = || std::env::current_exe().ok()?.parent().map(Path::to_owned);
        let directory = self.issuers.clone().or_else(beside).unwrap_or_default();
        for binary in children::ISSUERS {
            let path = directory.join(binary);
            if !path.is_file() {
                return Err(Failure::new(
                    Exit::Configuration,
                    format!(
                        "{} is not there; build it with cargo build --release, or name its directory with --issuers",
                        path.display()
                    ),
                ));
            }
        }
        Ok(directory)
    }
}

/// Waits until both issuers answer, then looks at everything.
async fn green(
    layout: &Layout,
    url: &str,
    children: &mut Children,
) -> Result<Vec<microbus_deploy::doctor::Finding>, Failure> {
    for _ in 0..ATTEMPTS {
        children.all_run()?;
        let up = Request {
            only: vec!["issuers-up".to_owned()],
            ..layout.request(url)
        };
        let findings = doctor::diagnose(&up).await?;
        if findings
            .iter()
            .all(|finding| finding.verdict == Verdict::Pass)
        {
            break;
        }
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
    }
    doctor::diagnose(&layout.request(url)).await
}

/// The directory that everything goes to.
enum Scratch {
    Kept(PathBuf),
    Removed(tempfile::TempDir),
}

impl Scratch {
    fn new(directory: Option<&Path>) -> Result<Self, Failure> {
        if let Some(directory) = directory {
            let directory = std::path::absolute(directory).map_err(|error| {
                Failure::caused(Exit::Internal, "looking for the directory", &error)
            })?;
            return Ok(Self::Kept(directory));
        }
        tempfile::Builder::new()
            .prefix("microbus-up-")
            .tempdir()
            .map(Self::Removed)
            .map_err(|error| Failure::caused(Exit::Internal, "making a directory", &error))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(directory) => directory,
            Self::Removed(directory) => directory.path(),
        }
    }
}

/// The signals that ask us to stop.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| Failure::caused(Exit::Internal, "listening for signals", &error))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::caused(Exit::Internal, "writing what is up", &error))
}

/// Issuers are up within a second or two, on a machine that has time for them.
const ATTEMPTS: u32 = 40;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(250);

const EXAMPLE: &str = "\
Example:
  microbus-deploy up --nats-server /usr/local/bin/nats-server
";
