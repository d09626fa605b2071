//! What the verbs that change an account have in common: the served JWT is edited, kept, sent, and proven to be in use.

use super::at_broker::AtBroker;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use clap::Args;
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::account_change::ChangeError;
use microbus_deploy::broker::{Login, Session, System, SystemError};
use microbus_deploy::push::{Cluster, PushError, Pushed};
use microbus_deploy::{AccountChange, Credentials, Jwt, Nkey, NkeyKind};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Who changes an account, at which broker.
#[derive(Debug, Args)]
pub(crate) struct AsOperator {
    #[command(flatten)]
    pub(crate) broker: AtBroker,
    /// Seed of the operator or of one of its signing keys; - is standard input
    #[arg(long, value_name = "FILE")]
    operator_key: PathBuf,
    /// Directory in which each account JWT that was served or sent is kept, never overwritten
    #[arg(long, value_name = "DIR", default_value = "account-jwts")]
    keep: PathBuf,
    /// Credentials of a user of the account who stays, to prove that they can still connect
    #[arg(long, value_name = "FILE")]
    pub(crate) probe: Option<PathBuf>,
}

/// What was done and proven, a line each, and whether anything is left open.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<String>,
    wrong: bool,
    open: bool,
}

impl Report {
    /// Adds what was done, or is proven.
    pub(crate) fn done(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// Adds what is not as it should be.
    pub(crate) fn wrong(&mut self, line: impl Into<String>) {
        self.lines.push(format!("WRONG: {}", line.into()));
        self.wrong = true;
    }

    /// Adds what could not be told.
    pub(crate) fn open(&mut self, line: impl Into<String>) {
        self.lines.push(format!("NOT PROVEN: {}", line.into()));
        self.open = true;
    }

    /// Prints the lines, and returns how the command ends.
    ///
    /// # Errors
    /// [`Failure`] when standard output cannot be written.
    pub(crate) fn print(&self) -> Result<Exit, Failure> {
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| Failure::caused(Exit::Internal, "writing what was done", &error))?;
        Ok(if self.wrong {
            Exit::Finding
        } else if self.open {
            Exit::Unknown
        } else {
            Exit::Ok
        })
    }
}

impl AsOperator {
    /// Reads the seed that signs accounts.
    ///
    /// # Errors
    /// [`Failure`] when it is none of an operator, or others may read it.
    pub(crate) fn operator(&self) -> Result<Nkey, Failure> {
        files::read_seed(&self.operator_key, NkeyKind::Operator)
    }

    /// Finds the servers.
    ///
    /// # Errors
    /// [`Failure`] when they do not answer the system account.
    pub(crate) async fn cluster<'s>(&self, system: &'s System) -> Result<Cluster<'s>, Failure> {
        Cluster::find(system)
            .await
            .map_err(|error| could_not_ask(&error))
    }

    /// Opens the served JWT of `account`.
    ///
    /// # Errors
    /// [`Failure`] when no server has one that it trusts.
    pub(crate) async fn open(
        &self,
        cluster: &Cluster<'_>,
        account: &str,
    ) -> Result<AccountChange, Failure> {
        let served = cluster
            .served(account)
            .await
            .map_err(|error| refused(&error))?;
        AccountChange::of(&served).map_err(|error| not_changed(&error))
    }

    /// Signs `change`, keeps both JWTs, sends the new one, and reports what each server made of it; returns what was sent.
    ///
    /// # Errors
    /// [`Failure`] before anything is sent, or when the broker goes away meanwhile.
    pub(crate) async fn apply(
        &self,
        cluster: &Cluster<'_>,
        change: &AccountChange,
        operator: &Nkey,
        report: &mut Report,
    ) -> Result<String, Failure> {
        let now = SystemClock.wall();
        let signed = change
            .sign(operator, now)
            .map_err(|error| not_changed(&error))?;
        change
            .check(&signed, &cluster.trusted(), now)
            .map_err(|error| not_changed(&error))?;
        let kept_served = self.keep(change.served())?;
        let kept_signed = self.keep(&signed)?;
        report.done(format!(
            "kept: {} (served until now), {} (new)",
            kept_served.display(),
            kept_signed.display()
        ));
        let pushed = cluster
            .push(change, &signed, SystemClock.wall())
            .await
            .map_err(|error| refused(&error))?;
        tell(&pushed, change.account(), &kept_signed, report);
        Ok(signed)
    }

    /// Proves that the probe can still connect.
    ///
    /// # Errors
    /// [`Failure`] when its credentials cannot be read.
    pub(crate) async fn prove_probe(&self, report: &mut Report) -> Result<(), Failure> {
        let Some(probe) = &self.probe else {
            report.done("not asked for: a probe that others can still connect (--probe)");
            return Ok(());
        };
        let shown = probe.display();
        match self.log_in(&read_credentials(probe)?).await {
            Ok((_, Login::Accepted)) => report.done(format!("proven: {shown} can connect")),
            Ok((_, Login::Refused(reason))) => {
                report.wrong(format!("{shown} cannot connect: {reason}"));
            }
            Err(error) => report.open(format!("whether {shown} can connect: {}", error)),
        }
        Ok(())
    }

    /// Opens a connection and logs in.
    ///
    /// # Errors
    /// [`Failure`] when nobody answers.
    pub(crate) async fn log_in(
        &self,
        credentials: &Credentials,
    ) -> Result<(Session, Login), Failure> {
        let server = self.broker.server()?;
        let doing = |error| Failure::caused(Exit::Unreachable, "connecting to the broker", &error);
        let artifacts = self.broker.artifacts();
        let mut session = Session::open(&server, &artifacts).await.map_err(doing)?;
        let login = session.log_in(Some(credentials)).await.map_err(doing)?;
        Ok((session, login))
    }

    /// Writes a JWT under a name of its own; one that is there already is the same one.
    fn keep(&self, jwt: &str) -> Result<PathBuf, Failure> {
        files::make_private_directory(&self.keep)?;
        let claims = Jwt::read(jwt).map_err(|error| not_changed(&error.into()))?;
        let id = claims.jti.get(..12).unwrap_or(&claims.jti);
        let path = self
            .keep
            .join(format!("{}-{}-{id}.jwt", claims.sub, claims.iat));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| file.write_all(jwt.as_bytes()));
        match written {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                let writing = format!("keeping {}", path.display());
                Err(Failure::caused(Exit::Internal, writing, &error))
            }
            Ok(()) | Err(_) => Ok(path),
        }
    }
}

/// Reads a `.creds` file.
///
/// # Errors
/// [`Failure`] when it is none.
pub(crate) fn read_credentials(path: &Path) -> Result<Credentials, Failure> {
    Credentials::parse(&files::read_text(path)?)
        .map_err(|error| Failure::caused(Exit::Configuration, path.display(), &error))
}

/// Returns the time in Unix seconds.
pub(crate) fn unix(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Why an account is not changed: nothing was sent.
pub(crate) fn not_changed(error: &ChangeError) -> Failure {
    Failure::caused(Exit::Finding, "nothing was sent", error)
}

/// Why the servers could not be asked.
pub(crate) fn could_not_ask(error: &SystemError) -> Failure {
    Failure::caused(Exit::Unknown, "asking the servers", error)
}

fn refused(error: &PushError) -> Failure {
    match error {
        PushError::Change(error) => not_changed(error),
        PushError::System(error) => could_not_ask(error),
        PushError::Unknown { .. } => Failure::caused(Exit::Finding, "nothing was sent", error),
    }
}

fn tell(pushed: &Pushed, account: &str, kept: &Path, report: &mut Report) {
    let Pushed {
        servers,
        using,
        accepted,
        ..
    } = pushed;
    for refusal in &pushed.refusals {
        report.wrong(format!(
            "{} answered {}: {}",
            refusal.server, refusal.code, refusal.message
        ));
    }
    if accepted == servers {
        report.done(format!(
            "sent: each of {servers} servers answered that it took it"
        ));
    } else {
        report.open(format!(
            "{accepted} of {servers} servers answered that they took it"
        ));
    }
    if using == servers {
        report.done(format!(
            "proven: each of {servers} servers uses what was sent"
        ));
    } else {
        report.wrong(format!(
            "{using} of {servers} servers use what was sent; look into their logs"
        ));
    }
    if !pushed.kept {
        report.wrong(format!(
            "no server keeps accounts, so this holds until its next start. With a MEMORY resolver write the content of {} \
             behind {account} in resolver_preload and send the server a SIGHUP; with a URL resolver serve it under {account}",
            kept.display()
        ));
    }
}
