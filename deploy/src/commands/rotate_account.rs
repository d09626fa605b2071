//! `rotate-account`: an account whose identity has leaked is replaced by a new one.

use super::as_operator::{AsOperator, Report, could_not_ask, not_changed, read_credentials};
use super::at_broker::block_on;
use super::proof::{account_in, prove_gone};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use clap::{Args, Subcommand};
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::account_change::{self, EVERYBODY};
use microbus_deploy::bootstrap::Mode;
use microbus_deploy::broker::Login;
use microbus_deploy::{Jwt, Nkey, NkeyKind, Permissions, Signer};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Replace an account whose identity key has leaked
///
/// An account *is* its key, so this makes another one. `new` makes it with the limits of the old one, pushes it, and issues
/// every credential of a directory again for it. Deploy them all at once: old and new account share no traffic. `retire`
/// then ends the old account: all of its users are cut off and cannot come back.
///
/// Exit codes: 0 proven, 1 refused or not all in order, 5 sent but not proven, 69 no broker.
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
#[derive(Debug, Args)]
struct New {
    /// The public key of the old account
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// A new directory for the seeds and the JWT of the new account
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// The directory with the credentials of the old account
    #[arg(long, value_name = "DIR")]
    from_creds: PathBuf,
    /// Where the credentials of the new account go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    as_operator: AsOperator,
}

/// End the old account: everybody in it is cut off
#[derive(Debug, Args)]
struct Retire {
    /// The public key of the old account
    #[arg(value_name = "ACCOUNT")]
    account: String,
    #[command(flatten)]
    as_operator: AsOperator,
}

impl RotateAccount {
    /// # Errors
    /// [`Failure`] when nothing is sent, with the reason.
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        match &self.step {
            Step::New(new) => block_on(new.make())?,
            Step::Retire(retire) => block_on(retire.retire())?,
        }
    }
}

impl New {
    async fn make(&self) -> Result<Exit, Failure> {
        let operator = self.as_operator.operator()?;
        let old = self.old_credentials()?;
        let system = self.as_operator.broker.connect().await?;
        let cluster = self.as_operator.cluster(&system).await?;
        let mut report = Report::default();
        let change = self.as_operator.open(&cluster, &self.account).await?;
        let [identity, signing_key] = [new_key(NkeyKind::Account)?, new_key(NkeyKind::Account)?];
        let change =
            change.into_new_account(&identity.public_key(), vec![signing_key.public_key()]);
        files::write_new_directory(&self.keys, &[])?;
        files::write_new_seed(&self.keys.join("account.nk"), &identity)?;
        files::write_new_seed(&self.keys.join("account-sk.nk"), &signing_key)?;
        let signed = self
            .as_operator
            .apply(&cluster, &change, &operator, &mut report)
            .await?;
        files::write_whole(
            &self.keys.join("account.jwt"),
            signed.as_bytes(),
            Mode::Public,
        )?;
        report.done(format!(
            "made: {}, whose keys are in {}",
            identity.public_key(),
            self.keys.display()
        ));
        let signer = Signer::of_account(&signing_key, &identity.public_key())
            .map_err(|error| Failure::caused(Exit::Internal, "signing users", &error))?;
        files::make_private_directory(&self.out)?;
        for (path, jwt) in &old {
            let text = issue_again(jwt, &signer, SystemClock.wall())
                .map_err(|error| Failure::caused(Exit::Finding, path.display(), &*error))?;
            let name = path.file_name().unwrap_or_default();
            files::write_whole(&self.out.join(name), text.as_bytes(), Mode::Secret)?;
        }
        report.done(format!(
            "issued: {} credentials in {}",
            old.len(),
            self.out.display()
        ));
        self.prove_first(&old, &mut report).await?;
        report.done(format!(
            "next: deploy them all at once; then microbus-deploy rotate-account retire {}",
            self.account
        ));
        report.print()
    }

    /// Proves that one of the new credentials can connect.
    async fn prove_first(
        &self,
        old: &[(PathBuf, Jwt)],
        report: &mut Report,
    ) -> Result<(), Failure> {
        let Some((path, _)) = old.first() else {
            return Ok(());
        };
        let path = self.out.join(path.file_name().unwrap_or_default());
        match self.as_operator.log_in(&read_credentials(&path)?).await? {
            (_, Login::Accepted) => report.done(format!("proven: {} can connect", path.display())),
            (_, Login::Refused(reason)) => {
                report.wrong(format!("{} cannot connect: {reason}", path.display()));
            }
        }
        Ok(())
    }

    /// Reads the credentials of the old account; others in the directory are left alone.
    fn old_credentials(&self) -> Result<Vec<(PathBuf, Jwt)>, Failure> {
        let mut paths = credential_files(&self.from_creds).map_err(|error| {
            Failure::caused(Exit::Configuration, self.from_creds.display(), &error)
        })?;
        paths.sort();
        let mut old = Vec::new();
        for path in paths {
            let jwt = Jwt::read(read_credentials(&path)?.jwt())
                .map_err(|error| Failure::caused(Exit::Configuration, path.display(), &error))?;
            if account_in(&jwt) == self.account {
                old.push((path, jwt));
            }
        }
        if old.is_empty() {
            return Err(Failure::new(
                Exit::Finding,
                format!(
                    "{} holds no credentials of {}",
                    self.from_creds.display(),
                    self.account
                ),
            ));
        }
        Ok(old)
    }
}

impl Retire {
    async fn retire(&self) -> Result<Exit, Failure> {
        let now = SystemClock.wall();
        let operator = self.as_operator.operator()?;
        let system = self.as_operator.broker.connect().await?;
        let cluster = self.as_operator.cluster(&system).await?;
        let mut report = Report::default();
        let mut change = self.as_operator.open(&cluster, &self.account).await?;
        change
            .revoke(EVERYBODY, now, now)
            .map_err(|error| not_changed(&error))?;
        // The leaked key can still sign: what it signs from now on ends with the account itself.
        self.as_operator
            .apply(&cluster, &change, &operator, &mut report)
            .await?;
        let request = account_change::deletion(&self.account, &operator, now)
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
        } else {
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
        }
        let dead = |jwt: &Jwt| account_in(jwt) == self.account;
        prove_gone(&system, None, dead, &mut report).await?;
        self.as_operator.prove_probe(&mut report).await?;
        report.print()
    }
}

fn new_key(kind: NkeyKind) -> Result<Nkey, Failure> {
    Nkey::from_random(kind, files::random_seed()?)
        .map_err(|error| Failure::caused(Exit::Internal, "making a key", &error))
}

fn credential_files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "creds") {
            files.push(path);
        }
    }
    Ok(files)
}

/// Issues what `old` may do to a new key of the same name, until the same end.
fn issue_again(
    old: &Jwt,
    signer: &Signer<'_>,
    now: SystemTime,
) -> Result<zeroize::Zeroizing<String>, Box<dyn Error>> {
    let permissions = Permissions::of_jwt(old, None)?;
    let end = old.exp.and_then(|end| u64::try_from(end).ok());
    let end = end.and_then(|end| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(end)));
    let user = Nkey::from_random(
        NkeyKind::User,
        files::random_seed().map_err(|failure| failure.to_string())?,
    )?;
    Ok(signer
        .issue(&old.name, &user, &permissions, end, now)?
        .to_text())
}

const EXAMPLE: &str = "\
Example:
  microbus-deploy rotate-account new A… --keys ops/account2 --from-creds creds --out creds2 \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
  microbus-deploy rotate-account retire A… --probe creds2/login.example_nats.creds \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
";
