//! `rotate-signing-key`: the key that signs the users of an account is replaced, in steps that cut nobody off by accident.

use super::as_operator::{AsOperator, Report, not_changed};
use super::at_broker::block_on;
use super::proof::{account_in, prove_gone};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use clap::{Args, Subcommand};
use microbus_deploy::bootstrap::Mode;
use microbus_deploy::{Jwt, Nkey, NkeyKind};
use std::path::PathBuf;

/// Replace the key that signs the users of an account
///
/// In three steps. `add` makes a new key and has the account list it. Then issue all credentials again with it
/// (`creds --from-creds`) and deploy them. `remove` takes the old key from the account: whoever still has credentials of it
/// is cut off and cannot come back. After a leak, `remove` first.
///
/// Exit codes: 0 proven, 1 refused or not all in order, 5 sent but not proven, 69 no broker.
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
#[derive(Debug, Args)]
struct Add {
    /// The public key of the account
    #[arg(value_name = "ACCOUNT")]
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
struct Remove {
    /// The public key of the account
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// The public key to take away
    #[arg(long, value_name = "KEY")]
    key: String,
    #[command(flatten)]
    as_operator: AsOperator,
}

impl RotateSigningKey {
    /// # Errors
    /// [`Failure`] when nothing is sent, with the reason.
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        match &self.step {
            Step::Add(add) => block_on(add.add())?,
            Step::Remove(remove) => block_on(remove.remove())?,
        }
    }
}

impl Add {
    async fn add(&self) -> Result<Exit, Failure> {
        let operator = self.as_operator.operator()?;
        let system = self.as_operator.broker.connect().await?;
        let cluster = self.as_operator.cluster(&system).await?;
        let mut report = Report::default();
        let mut change = self.as_operator.open(&cluster, &self.account).await?;
        let key = Nkey::from_random(NkeyKind::Account, files::random_seed()?)
            .map_err(|error| Failure::caused(Exit::Internal, "making a key", &error))?;
        change
            .add_signing_key(&key.public_key())
            .map_err(|error| not_changed(&error))?;
        // The seed comes first: an account that lists a key which nobody has is of no use.
        files::write_new_seed(&self.new_key, &key)?;
        let signed = self
            .as_operator
            .apply(&cluster, &change, &operator, &mut report)
            .await?;
        files::write_whole(&self.account_jwt, signed.as_bytes(), Mode::Public)?;
        report.done(format!(
            "added: {}, whose seed is in {}",
            key.public_key(),
            self.new_key.display()
        ));
        self.as_operator.prove_probe(&mut report).await?;
        report.done(format!(
            "next: microbus-deploy creds --from-creds …_nats.creds --signing-key {} --account-jwt {} --out new; \
             deploy them; microbus-deploy rotate-signing-key remove",
            self.new_key.display(),
            self.account_jwt.display()
        ));
        report.print()
    }
}

impl Remove {
    async fn remove(&self) -> Result<Exit, Failure> {
        let operator = self.as_operator.operator()?;
        let system = self.as_operator.broker.connect().await?;
        let cluster = self.as_operator.cluster(&system).await?;
        let mut report = Report::default();
        let mut change = self.as_operator.open(&cluster, &self.account).await?;
        change
            .remove_signing_key(&self.key)
            .map_err(|error| not_changed(&error))?;
        self.as_operator
            .apply(&cluster, &change, &operator, &mut report)
            .await?;
        report.done(format!("removed: {} of {}", self.key, self.account));
        let dead = |jwt: &Jwt| jwt.iss == self.key && account_in(jwt) == self.account;
        prove_gone(&system, None, dead, &mut report).await?;
        self.as_operator.prove_probe(&mut report).await?;
        report.print()
    }
}

const EXAMPLE: &str = "\
Example:
  microbus-deploy rotate-signing-key add A… --new-key ops/account-sk2.nk --account-jwt ops/account2.jwt \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
  microbus-deploy creds --from-creds creds/login.example_nats.creds --signing-key ops/account-sk2.nk \\
    --account-jwt ops/account2.jwt --out new
  microbus-deploy rotate-signing-key remove A… --key A… --probe new/login.example_nats.creds \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
";
