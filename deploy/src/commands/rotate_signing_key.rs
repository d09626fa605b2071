//! `rotate-signing-key`: the key that signs the users of an account is replaced, in steps that cut nobody off by accident.

use super::as_operator::{AsOperator, Report, not_asked, not_changed};
use super::at_broker::block_on;
use super::proof::{account_in, prove_gone};
use crate::arguments::account_key;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::pending_seed::PendingSeed;
use clap::{Args, Subcommand};
use microbus_deploy::Jwt;
use microbus_deploy::account_change::ChangeError;
use microbus_deploy::bootstrap::Mode;
use std::path::PathBuf;

/// Replace the key that signs the users of an account
///
/// In three steps. `add` makes a new key and has the account list it. Then issue all credentials again with it
/// (`creds --from-creds`) and deploy them. `remove` takes the old key from the account: whoever still has credentials of it
/// is cut off and cannot come back. After a leak, `remove` first.
///
/// Exit codes: 0 proven, 1 refused or not all in order, 2 usage, 5 sent but not proven, or nothing sent because the servers
/// could not be asked, 69 no broker, 78 a file is missing or wrong.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct RotateSigningKey {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, Subcommand)]
enum Step {
    Add(Add),
    Remove(Remove),
}

/// Make a new key, and have the account list it beside the old one
///
/// A run that was interrupted is taken up when the same is typed again: until it is done the seed is in FILE with the ending
/// .pending.nk.
#[derive(Debug, Args)]
#[command(after_long_help = ADD_EXAMPLE)]
struct Add {
    /// The public key of the account
    #[arg(value_name = "ACCOUNT", value_parser = account_key)]
    account: String,
    /// Where the seed of the new key goes; a file that is there is never overwritten
    #[arg(long, value_name = "FILE")]
    new_key: PathBuf,
    /// Where the JWT of the account goes, for `creds --account-jwt`
    #[arg(long, value_name = "FILE")]
    account_jwt: PathBuf,
    #[command(flatten)]
    as_operator: AsOperator,
}

/// Take a key from the account: users that it signed are cut off
#[derive(Debug, Args)]
#[command(after_long_help = REMOVE_EXAMPLE)]
struct Remove {
    /// The public key of the account
    #[arg(value_name = "ACCOUNT", value_parser = account_key)]
    account: String,
    /// The public key to take away
    #[arg(long, value_name = "KEY", value_parser = account_key)]
    key: String,
    #[command(flatten)]
    as_operator: AsOperator,
}

impl RotateSigningKey {
    /// # Errors
    /// [`Failure`] with the reason; the lines before it say whether anything was sent.
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let mut report = Report::default();
        let done = match &self.step {
            Step::Add(add) => block_on(add.add(&mut report))?,
            Step::Remove(remove) => block_on(remove.remove(&mut report))?,
        };
        report.end(done)
    }
}

impl Add {
    async fn add(&self, report: &mut Report) -> Result<(), Failure> {
        let papers = self.as_operator.papers()?;
        let system = self.as_operator.broker.connect().await?;
        let cluster = self.as_operator.cluster(&system).await?;
        let mut change = self.as_operator.open(&cluster, &self.account).await?;
        // The seed comes first: an account that lists a key which nobody has is of no use.
        let pending = PendingSeed::open(&self.new_key)?;
        let key = pending.key().public_key();
        change
            .add_signing_key(&key)
            .map_err(|error| not_changed(&error))?;
        let in_force = self
            .as_operator
            .apply(&cluster, &change, &papers, report)
            .await?;
        // The seed stays pending, so that the same can be typed again.
        let Some(signed) = in_force else {
            return Ok(());
        };
        files::write_whole(&self.account_jwt, signed.as_bytes(), Mode::Public)?;
        pending.settle()?;
        let (new_key, account_jwt) = (self.new_key.display(), self.account_jwt.display());
        report.done(format!("added: {key}, whose seed is in {new_key}"));
        self.as_operator.prove_probe(&papers, report).await;
        report.next(format!(
            "microbus-deploy creds --from-creds creds --signing-key {new_key} --account-jwt {account_jwt} --out new; \
             deploy them; microbus-deploy rotate-signing-key remove"
        ));
        Ok(())
    }
}

impl Remove {
    async fn remove(&self, report: &mut Report) -> Result<(), Failure> {
        if self.key == self.account {
            return Err(Failure::new(
                Exit::Usage,
                "an account is its own key, which cannot be taken from it; microbus-deploy rotate-account makes another",
            ));
        }
        let papers = self.as_operator.papers()?;
        let dead = |jwt: &Jwt| jwt.iss == self.key && account_in(jwt) == self.account;
        papers.refuse_dead_probe(dead)?;
        let system = self.as_operator.broker.connect().await?;
        let cluster = self.as_operator.cluster(&system).await?;
        let mut change = self.as_operator.open(&cluster, &self.account).await?;
        if let Err(error) = change.remove_signing_key(&self.key) {
            // A run before may have taken it away at some servers alone: all get the same then.
            let not_listed = matches!(error, ChangeError::NotListed { .. });
            let everywhere = cluster.all_use(&self.account, change.served()).await;
            if !not_listed || everywhere.map_err(|error| not_asked(&error))? {
                return Err(not_changed(&error));
            }
        }
        let in_force = self
            .as_operator
            .apply(&cluster, &change, &papers, report)
            .await?;
        if in_force.is_some() {
            report.done(format!("removed: {} of {}", self.key, self.account));
        }
        prove_gone(&system, None, dead, report).await;
        self.as_operator.prove_probe(&papers, report).await;
        Ok(())
    }
}

const ADD_EXAMPLE: &str = "\
Example:
  microbus-deploy rotate-signing-key add A… --new-key ops/account-sk2.nk --account-jwt ops/account2.jwt \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
";

const REMOVE_EXAMPLE: &str = "\
Example:
  microbus-deploy rotate-signing-key remove A… --key A… --probe new/login.example_nats.creds \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
";

const EXAMPLE: &str = "\
Example:
  microbus-deploy rotate-signing-key add A… --new-key ops/account-sk2.nk --account-jwt ops/account2.jwt \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
  microbus-deploy creds --from-creds creds --signing-key ops/account-sk2.nk --account-jwt ops/account2.jwt --out new
  microbus-deploy rotate-signing-key remove A… --key A… --probe new/login.example_nats.creds \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
";
