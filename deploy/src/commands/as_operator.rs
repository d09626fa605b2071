//! What the verbs that change an account have in common: the served JWT is edited, kept, sent, and proven to be in use.

use super::at_broker::AtBroker;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::output::print;
use clap::Args;
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::account_change::ChangeError;
use microbus_deploy::bootstrap::Mode;
use microbus_deploy::broker::{Login, Session, SessionError, System, SystemError};
use microbus_deploy::push::{Cluster, PushError, Pushed};
use microbus_deploy::{AccountChange, Credentials, Jwt, Nkey, NkeyKind};
use std::path::{Path, PathBuf};

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
    probe: Option<PathBuf>,
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

    /// Adds what the operator does then.
    pub(crate) fn next(&mut self, line: impl Into<String>) {
        let when = if self.wrong {
            "next, once nothing is WRONG"
        } else {
            "next"
        };
        self.lines.push(format!("{when}: {}", line.into()));
    }

    /// Prints the lines, and returns how the command ends: with `done`'s failure if it has one, which takes nothing back
    /// of what the lines say.
    ///
    /// # Errors
    /// [`Failure`] of `done`, or when standard output cannot be written.
    pub(crate) fn end(&self, done: Result<(), Failure>) -> Result<Exit, Failure> {
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        let printed = print(&text);
        done?;
        printed?;
        Ok(if self.wrong {
            Exit::Finding
        } else if self.open {
            Exit::Unknown
        } else {
            Exit::Ok
        })
    }
}

/// What the operator's files say, read before anything is changed.
pub(crate) struct Papers {
    /// Who signs accounts.
    pub(crate) operator: Nkey,
    /// Who is to stay.
    probe: Option<Probe>,
}

struct Probe {
    path: PathBuf,
    credentials: Credentials,
    jwt: Jwt,
}

impl Papers {
    /// Refuses to cut off the probe itself: it would tell of nothing but that.
    ///
    /// # Errors
    /// [`Failure`] when its JWT is one of those that will be `dead`.
    pub(crate) fn refuse_dead_probe(&self, dead: impl Fn(&Jwt) -> bool) -> Result<(), Failure> {
        match &self.probe {
            Some(probe) if dead(&probe.jwt) => Err(Failure::new(
                Exit::Finding,
                format!(
                    "nothing was sent: this would cut off {} as well, which --probe says must stay; \
                     give it new credentials first, or name others that stay",
                    probe.path.display()
                ),
            )),
            Some(_) | None => Ok(()),
        }
    }
}

impl AsOperator {
    /// Reads the files that are named.
    ///
    /// # Errors
    /// [`Failure`] when the seed is none of an operator or others may read it, or the probe is none.
    pub(crate) fn papers(&self) -> Result<Papers, Failure> {
        let probe = self.probe.as_ref().map(|path| {
            let credentials = files::read_credentials(path)?;
            Ok(Probe {
                path: path.clone(),
                jwt: files::read_user(path)?,
                credentials,
            })
        });
        Ok(Papers {
            probe: probe.transpose()?,
            operator: files::read_seed(&self.operator_key, NkeyKind::Operator)?,
        })
    }

    /// Finds the servers.
    ///
    /// # Errors
    /// [`Failure`] when they do not answer the system account.
    pub(crate) async fn cluster<'s>(&self, system: &'s System) -> Result<Cluster<'s>, Failure> {
        Cluster::find(system)
            .await
            .map_err(|error| not_asked(&error))
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

    /// Signs `change`, keeps both JWTs, sends the new one, and reports what each server made of it; returns what was sent if
    /// it is in force, which it is once every server uses it.
    ///
    /// # Errors
    /// [`Failure`] before anything is sent, or when the broker goes away meanwhile.
    pub(crate) async fn apply(
        &self,
        cluster: &Cluster<'_>,
        change: &AccountChange,
        papers: &Papers,
        report: &mut Report,
    ) -> Result<Option<String>, Failure> {
        let now = SystemClock.wall();
        let signed = change
            .sign(&papers.operator, now)
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
            .map_err(|error| perhaps_sent(&error))?;
        tell(&pushed, change.account(), &kept_signed, report);
        Ok((pushed.using == pushed.servers).then_some(signed))
    }

    /// Shows each server the account of `credentials`: one that keeps no accounts takes changes of those alone that it has
    /// seen. Whether it lets them in does not matter yet.
    ///
    /// # Errors
    /// [`Failure`] when the root CA cannot be read or the list of servers is none.
    pub(crate) async fn introduce(&self, credentials: &Credentials) -> Result<(), Failure> {
        let artifacts = self.broker.artifacts()?;
        for server in self.broker.servers()? {
            if let Ok(mut session) = Session::open(&server, &artifacts).await {
                drop(session.log_in(Some(credentials)).await);
            }
        }
        Ok(())
    }

    /// Proves that the probe can still connect.
    pub(crate) async fn prove_probe(&self, papers: &Papers, report: &mut Report) {
        let Some(probe) = &papers.probe else {
            report.done("not asked for: a probe that others can still connect (--probe)");
            return;
        };
        self.prove_login(&probe.path, &probe.credentials, report)
            .await;
    }

    /// Proves that the credentials in the file at `path` can connect.
    pub(crate) async fn prove_login(
        &self,
        path: &Path,
        credentials: &Credentials,
        report: &mut Report,
    ) {
        let shown = path.display();
        match self.log_in(credentials).await {
            Ok((_, Login::Accepted)) => report.done(format!("proven: {shown} can connect")),
            Ok((_, Login::Refused(reason))) => {
                report.wrong(format!("{shown} cannot connect: {reason}"));
            }
            Err(error) => report.open(format!("whether {shown} can connect: {error}")),
        }
    }

    /// Opens a connection to the first server that answers, and logs in.
    ///
    /// # Errors
    /// [`Failure`] when none does.
    pub(crate) async fn log_in(
        &self,
        credentials: &Credentials,
    ) -> Result<(Session, Login), Failure> {
        let artifacts = self.broker.artifacts()?;
        let mut failure = Failure::new(Exit::Usage, "--nats names no server");
        for server in self.broker.servers()? {
            let logged_in = async {
                let mut session = Session::open(&server, &artifacts).await?;
                let login = session.log_in(Some(credentials)).await?;
                Ok::<_, SessionError>((session, login))
            };
            match logged_in.await {
                Ok(logged_in) => return Ok(logged_in),
                Err(error) => {
                    let connecting = format!("connecting to {server}");
                    failure = Failure::caused(Exit::Unreachable, connecting, &error);
                }
            }
        }
        Err(failure)
    }

    /// Writes a JWT under a name of its own; one that is there already is the same one.
    fn keep(&self, jwt: &str) -> Result<PathBuf, Failure> {
        files::make_private_directory(&self.keep)?;
        let claims = Jwt::read(jwt).map_err(|error| not_changed(&error.into()))?;
        let id = claims.jti.get(..12).unwrap_or(&claims.jti);
        let path = self
            .keep
            .join(format!("{}-{}-{id}.jwt", claims.sub, claims.iat));
        files::write_new(&path, jwt.as_bytes(), Mode::Public)?;
        Ok(path)
    }
}

/// Why an account is not changed: nothing was sent.
pub(crate) fn not_changed(error: &ChangeError) -> Failure {
    Failure::caused(Exit::Finding, "nothing was sent", error)
}

/// Why the servers could not be asked before a change: nothing was sent.
pub(crate) fn not_asked(error: &SystemError) -> Failure {
    Failure::caused(Exit::Unknown, "nothing was sent: asking the servers", error)
}

/// Why the servers could not be asked.
pub(crate) fn could_not_ask(error: &SystemError) -> Failure {
    Failure::caused(Exit::Unknown, "asking the servers", error)
}

/// Why it is not known what became of a change that was being sent.
fn perhaps_sent(error: &PushError) -> Failure {
    match error {
        PushError::System(error) => {
            let doing =
                "it may have been sent, and is not proven; type the same again, which does no harm";
            Failure::caused(Exit::Unknown, doing, error)
        }
        PushError::Change(_) | PushError::Unknown { .. } => refused(error),
    }
}

fn refused(error: &PushError) -> Failure {
    match error {
        PushError::Change(error) => not_changed(error),
        PushError::System(error) => not_asked(error),
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
            "{using} of {servers} servers use what was sent: it is not in force; look into their logs, mend that and type the \
             same again"
        ));
    }
    if !pushed.kept {
        report.wrong(format!(
            "no server keeps accounts, so this holds until its next start at most. With a MEMORY resolver write the content of {} \
             behind {account} in resolver_preload and send the server a SIGHUP; with a URL resolver serve it under {account}",
            kept.display()
        ));
    }
}
