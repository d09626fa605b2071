//! `rotate-account`: an account whose identity has leaked is replaced by a new one.

use super::as_operator::{AsOperator, Papers, Report, could_not_ask, not_changed};
use super::at_broker::block_on;
use super::creds::not_issued;
use super::proof::{account_in, prove_gone};
use crate::arguments::account_key;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{deployment, files};
use clap::{Args, Subcommand};
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::account_change::{self, EVERYBODY};
use microbus_deploy::bootstrap::Mode;
use microbus_deploy::broker::System;
use microbus_deploy::push::Cluster;
use microbus_deploy::{Credentials, Jwt, Nkey, NkeyKind, Permissions, Signer, date};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Replace an account whose identity key has leaked
///
/// An account *is* its key, so this makes another one. `new` makes it with the limits of the old one, pushes it, and issues
/// every credential of a directory again for it. Deploy them all at once: old and new account share no traffic. `retire`
/// then ends the old account: all of its users are cut off and cannot come back.
///
/// Exit codes: 0 proven, 1 refused or not all in order, 2 usage, 5 sent but not proven, or nothing sent because the servers
/// could not be asked, 69 no broker, 78 a file is missing or wrong.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct RotateAccount {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    New(New),
    Retire(Retire),
}

/// Make the new account, and issue every credential again for it
///
/// A run that was interrupted is taken up when the same is typed again, with the same keys.
#[derive(Debug, Args)]
#[command(after_long_help = NEW_EXAMPLE)]
struct New {
    /// The public key of the old account
    #[arg(value_name = "ACCOUNT", value_parser = account_key)]
    account: String,
    /// A new directory for the seeds and the JWT of the new account
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// The directory with the credentials of the old account; others in it are left alone
    #[arg(long, value_name = "DIR")]
    from_creds: PathBuf,
    /// Where the credentials of the new account go, another directory
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    as_operator: AsOperator,
}

/// End the old account: everybody in it is cut off
#[derive(Debug, Args)]
#[command(after_long_help = RETIRE_EXAMPLE)]
struct Retire {
    /// The public key of the old account
    #[arg(value_name = "ACCOUNT", value_parser = account_key)]
    account: String,
    #[command(flatten)]
    as_operator: AsOperator,
}

/// The keys of the new account.
struct Keys {
    identity: Nkey,
    signing_key: Nkey,
}

impl RotateAccount {
    /// # Errors
    /// [`Failure`] with the reason; the lines before it say whether anything was sent.
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let mut report = Report::default();
        let done = match &self.step {
            Step::New(new) => block_on(new.make(&mut report))?,
            Step::Retire(retire) => block_on(retire.retire(&mut report))?,
        };
        report.end(done)
    }
}

impl New {
    async fn make(&self, report: &mut Report) -> Result<(), Failure> {
        let papers = self.as_operator.papers()?;
        let old = self.old_users(report)?;
        let system = self.as_operator.broker.connect().await?;
        let cluster = self.as_operator.cluster(&system).await?;
        let change = self.as_operator.open(&cluster, &self.account).await?;
        let taken_up = self.mark().exists();
        let keys = self.open_keys()?;
        let account = keys.identity.public_key();
        let change = change.into_new_account(&account, vec![keys.signing_key.public_key()]);
        // Signed before anything is sent: what cannot be issued again is known in time.
        let new = issue_all(&old, &keys)?;
        files::make_private_directory(&self.out)?;
        if let Some((_, credentials)) = new.first().filter(|_| taken_up) {
            self.as_operator.introduce(credentials).await?;
        }
        let in_force = self
            .as_operator
            .apply(&cluster, &change, &papers, report)
            .await?;
        // The mark stays beside the keys, so that the same can be typed again.
        let Some(signed) = in_force else {
            return Ok(());
        };
        for (name, credentials) in &new {
            let text = credentials.to_text();
            files::write_whole(&self.out.join(name), text.as_bytes(), Mode::Secret)?;
        }
        self.close_keys(&signed)?;
        report.done(format!(
            "made: {account}, whose keys are in {}",
            self.keys.display()
        ));
        report.done(format!(
            "issued: {} credentials in {}",
            new.len(),
            self.out.display()
        ));
        if let Some((name, credentials)) = new.first() {
            let path = self.out.join(name);
            self.as_operator
                .prove_login(&path, credentials, report)
                .await;
        }
        self.as_operator.prove_probe(&papers, report).await;
        report.next(format!(
            "deploy them all at once; then microbus-deploy rotate-account retire {}",
            self.account
        ));
        Ok(())
    }

    /// Makes the keys in a new directory, or takes up those of a run for the same account that was interrupted.
    fn open_keys(&self) -> Result<Keys, Failure> {
        let mark = self.mark();
        if !mark.exists() {
            files::write_new_directory(&self.keys, &[])?;
            files::write_whole(&mark, self.account.as_bytes(), Mode::Public)?;
        } else if *files::read_text(&mark)? != self.account {
            return Err(Failure::new(
                Exit::Finding,
                format!(
                    "{} holds the keys of another account's unfinished rotation; name a new directory",
                    self.keys.display()
                ),
            ));
        }
        let key = |name| {
            let path = self.keys.join(name);
            if path.exists() {
                return files::read_seed(&path, NkeyKind::Account);
            }
            let key = files::new_key(NkeyKind::Account)?;
            files::write_new_seed(&path, &key)?;
            Ok(key)
        };
        Ok(Keys {
            identity: key("account.nk")?,
            signing_key: key("account-sk.nk")?,
        })
    }

    fn mark(&self) -> PathBuf {
        self.keys.join(UNFINISHED)
    }

    /// Puts the account's JWT beside its keys, and ends the time in which a run is taken up.
    fn close_keys(&self, signed: &str) -> Result<(), Failure> {
        let path = self.keys.join("account.jwt");
        files::write_whole(&path, signed.as_bytes(), Mode::Public)?;
        let mark = self.mark();
        std::fs::remove_file(&mark)
            .map_err(|error| Failure::caused(Exit::Internal, mark.display(), &error))
    }

    /// Reads the users of the old account, with the names of their files.
    fn old_users(&self, report: &mut Report) -> Result<Vec<(OsString, Jwt)>, Failure> {
        let same = |path: &Path| std::fs::canonicalize(path).ok();
        if same(&self.out).is_some_and(|out| Some(out) == same(&self.from_creds)) {
            return Err(Failure::new(
                Exit::Usage,
                "--out is where the old credentials are, which are needed until the new ones are deployed; name another directory",
            ));
        }
        let now = date::unix(SystemClock.wall());
        let mut old = BTreeMap::new();
        for file in deployment::read_some(&self.from_creds)? {
            let jwt = deployment::user(&file)?;
            if account_in(&jwt) != self.account {
                continue;
            }
            if let Some(end) = jwt.exp.filter(|end| *end <= now) {
                let (path, end) = (&file.path, date::text(end));
                report.done(format!("left out: {path}, which expired at {end}"));
                continue;
            }
            let path = PathBuf::from(&file.path);
            let name = path.file_name().unwrap_or_default().to_owned();
            if old.insert(name.clone(), jwt).is_some() {
                let name = name.display();
                return Err(Failure::new(
                    Exit::Finding,
                    format!(
                        "nothing was sent: {} holds two files {name}; take one of them out",
                        self.from_creds.display()
                    ),
                ));
            }
        }
        if old.is_empty() {
            return Err(Failure::new(
                Exit::Finding,
                format!(
                    "nothing was sent: {} holds no credentials of {}",
                    self.from_creds.display(),
                    self.account
                ),
            ));
        }
        Ok(old.into_iter().collect())
    }
}

impl Retire {
    async fn retire(&self, report: &mut Report) -> Result<(), Failure> {
        let now = SystemClock.wall();
        let papers = self.as_operator.papers()?;
        let dead = |jwt: &Jwt| account_in(jwt) == self.account;
        papers.refuse_dead_probe(dead)?;
        let system = self.as_operator.broker.connect().await?;
        let cluster = self.as_operator.cluster(&system).await?;
        let mut change = self.as_operator.open(&cluster, &self.account).await?;
        change
            .revoke(EVERYBODY, now, now)
            .map_err(|error| not_changed(&error))?;
        // The leaked key can still sign: what it signs from now on ends with the account itself.
        let in_force = self
            .as_operator
            .apply(&cluster, &change, &papers, report)
            .await?;
        // An account that is deleted could not be revoked again.
        if in_force.is_none() {
            return Ok(());
        }
        self.delete(&system, &cluster, &papers, report).await?;
        prove_gone(&system, None, dead, report).await;
        self.as_operator.prove_probe(&papers, report).await;
        Ok(())
    }

    async fn delete(
        &self,
        system: &System,
        cluster: &Cluster<'_>,
        papers: &Papers,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let request = account_change::deletion(&self.account, &papers.operator, SystemClock.wall())
            .map_err(|error| Failure::caused(Exit::Internal, "signing the request", &error))?;
        let answers = system
            .delete(&request)
            .await
            .map_err(|error| could_not_ask(&error))?;
        let deleted = answers.iter().filter(|answer| answer.code == 200).count();
        let servers = cluster.servers().len();
        if deleted == servers {
            report.done(format!(
                "deleted: {} at each of {servers} servers",
                self.account
            ));
            return Ok(());
        }
        let said: Vec<_> = answers
            .iter()
            .map(|answer| answer.message.as_str())
            .collect();
        report.wrong(format!(
            "{deleted} of {servers} servers deleted {} ({}); whoever has its key can sign new users: \
             take it out of resolver_preload, or set allow_delete",
            self.account,
            said.join("; ")
        ));
        Ok(())
    }
}

/// Issues what each of `old` may do to a new key of the same name, until the same end.
fn issue_all(
    old: &[(OsString, Jwt)],
    keys: &Keys,
) -> Result<Vec<(OsString, Credentials)>, Failure> {
    let signer = Signer::of_account(&keys.signing_key, &keys.identity.public_key())
        .map_err(|error| Failure::caused(Exit::Internal, "signing users", &error))?;
    let mut new = Vec::new();
    for (name, jwt) in old {
        let permissions = Permissions::of_jwt(jwt, None)
            .map_err(|error| Failure::caused(Exit::Finding, name.display(), &error))?;
        let user = files::new_key(NkeyKind::User)?;
        let (end, now) = (jwt.exp.map(date::moment), SystemClock.wall());
        let credentials = signer
            .issue(&jwt.name, &user, &permissions, end, now)
            .map_err(|error| not_issued(&error))?;
        new.push((name.clone(), credentials));
    }
    Ok(new)
}

/// Stands in a directory of keys, with the old account in it, until its credentials are issued.
const UNFINISHED: &str = "unfinished";

const NEW_EXAMPLE: &str = "\
Example:
  microbus-deploy rotate-account new A… --keys ops/account2 --from-creds creds --out creds2 \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
";

const RETIRE_EXAMPLE: &str = "\
Example:
  microbus-deploy rotate-account retire A… --probe creds2/login.example_nats.creds \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
";

const EXAMPLE: &str = "\
Example:
  microbus-deploy rotate-account new A… --keys ops/account2 --from-creds creds --out creds2 \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
  microbus-deploy rotate-account retire A… --probe creds2/login.example_nats.creds \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
";
