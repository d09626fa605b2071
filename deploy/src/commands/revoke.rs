//! `revoke`: a user is cut off, and it is proven.

use super::as_operator::{AsOperator, Report, not_asked, not_changed};
use super::at_broker::block_on;
use super::proof::{account_in, prove_cut_off, prove_gone};
use crate::arguments::account_key;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use clap::Args;
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::account_change::EVERYBODY;
use microbus_deploy::broker::{Login, Session, System};
use microbus_deploy::{Credentials, Jwt, NkeyKind, date};
use std::path::Path;

/// Cut a user off: revoke its credentials at the running brokers, and prove it
///
/// Fetches the account's JWT that the brokers serve, adds the revocation, checks and signs it, sends it to every server, and
/// proves that they use it, that the user's connections are closed and that it cannot come back. Credentials that are
/// issued later, for the same key too, work.
///
/// Exit codes: 0 proven, 1 refused or not all in order, 2 usage, 5 sent but not proven, or nothing sent because the servers
/// could not be asked, 69 no broker, 78 a file is missing or wrong.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Revoke {
    /// Whom: a .creds file, a user's public key, or * for every user of the account
    #[arg(value_name = "USER")]
    user: String,
    /// Credentials issued until then are dead, such as 2026-11-25T14:00:00Z or seconds since 1970; now by default, and never
    /// in the future
    #[arg(long, value_name = "TIME", value_parser = date::parse)]
    at: Option<i64>,
    /// The account's public key, where neither credentials nor a connection tell it
    #[arg(long, value_name = "KEY", value_parser = account_key)]
    account: Option<String>,
    #[command(flatten)]
    as_operator: AsOperator,
}

/// Who is to be cut off.
struct Target {
    /// The public key, or `*`.
    user: String,
    /// The credentials, where they are at hand.
    credentials: Option<(Credentials, Jwt)>,
}

impl Revoke {
    /// # Errors
    /// [`Failure`] with the reason; the lines before it say whether anything was sent.
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let mut report = Report::default();
        let done = block_on(self.revoke(&mut report))?;
        report.end(done)
    }

    async fn revoke(&self, report: &mut Report) -> Result<(), Failure> {
        let now = SystemClock.wall();
        let until = self.at.unwrap_or_else(|| date::unix(now));
        let target = self.target(until)?;
        let papers = self.as_operator.papers()?;
        let system = self.as_operator.broker.connect().await?;
        let cluster = self.as_operator.cluster(&system).await?;
        let account = self.account_of(&target, &system).await?;
        let dead = |jwt: &Jwt| {
            let named = target.user == EVERYBODY || jwt.sub == target.user;
            named && account_in(jwt) == account && jwt.iat <= until
        };
        papers.refuse_dead_probe(dead)?;
        // It connects first: some brokers serve the accounts of connected clients only.
        let witness = self.witness(&target, report).await?;
        let mut change = self.as_operator.open(&cluster, &account).await?;
        change
            .revoke(&target.user, date::moment(until), now)
            .map_err(|error| not_changed(&error))?;
        let in_force = self
            .as_operator
            .apply(&cluster, &change, &papers, report)
            .await?;
        if in_force.is_some() {
            report.done(format!(
                "revoked: {} of {account}, issued until {}",
                target.user,
                date::text(until)
            ));
        }
        if let Some(witness) = witness {
            prove_cut_off(witness, report).await;
        }
        if let Some((credentials, _)) = &target.credentials {
            self.prove_shut_out(credentials, report).await;
        }
        let which = Some(target.user.as_str()).filter(|user| *user != EVERYBODY);
        prove_gone(&system, which, dead, report).await;
        self.as_operator.prove_probe(&papers, report).await;
        Ok(())
    }

    fn target(&self, until: i64) -> Result<Target, Failure> {
        let known =
            self.user == EVERYBODY || NkeyKind::of_public_key(&self.user) == Some(NkeyKind::User);
        if known {
            return Ok(Target {
                user: self.user.clone(),
                credentials: None,
            });
        }
        let path = Path::new(&self.user);
        if !path.is_file() {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "{} is neither a .creds file nor a user's public key (U…) nor *",
                    self.user
                ),
            ));
        }
        let (credentials, jwt) = (files::read_credentials(path)?, files::read_user(path)?);
        let shown = path.display();
        if jwt.iat > until {
            return Err(Failure::new(
                Exit::Finding,
                format!(
                    "nothing was sent: {shown} was issued at {}, after --at {}, and would stay valid; give that time or a \
                     later one",
                    date::text(jwt.iat),
                    date::text(until)
                ),
            ));
        }
        let account = account_in(&jwt);
        if let Some(other) = self.account.as_ref().filter(|other| **other != account) {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "{shown} is of the account {account}, and --account says {other}; leave it out"
                ),
            ));
        }
        Ok(Target {
            user: jwt.sub.clone(),
            credentials: Some((credentials, jwt)),
        })
    }

    /// Returns the account's public key: as given, or as credentials or a live connection tell it.
    async fn account_of(&self, target: &Target, system: &System) -> Result<String, Failure> {
        if let Some(account) = &self.account {
            return Ok(account.clone());
        }
        if let Some((_, jwt)) = &target.credentials {
            return Ok(account_in(jwt));
        }
        if target.user != EVERYBODY {
            let connections = system
                .connections(Some(&target.user))
                .await
                .map_err(|error| not_asked(&error))?;
            if let Some(jwt) = connections
                .iter()
                .find_map(|connection| Jwt::read(&connection.jwt).ok())
            {
                return Ok(account_in(&jwt));
            }
        }
        Err(Failure::new(
            Exit::Usage,
            "whose account is it? Give its public key with --account",
        ))
    }

    /// Connects as the user, to see the connection cut.
    async fn witness(
        &self,
        target: &Target,
        report: &mut Report,
    ) -> Result<Option<Session>, Failure> {
        let Some((credentials, _)) = &target.credentials else {
            return Ok(None);
        };
        match self.as_operator.log_in(credentials).await? {
            (session, Login::Accepted) => Ok(Some(session)),
            (_, Login::Refused(reason)) => {
                report.done(format!(
                    "found: the broker refused {} before: {reason}",
                    target.user
                ));
                Ok(None)
            }
        }
    }

    async fn prove_shut_out(&self, credentials: &Credentials, report: &mut Report) {
        match self.as_operator.log_in(credentials).await {
            Ok((_, Login::Refused(reason))) => {
                report.done(format!("proven: it cannot come back: {reason}"));
            }
            Ok((_, Login::Accepted)) => {
                report.wrong("it can still connect; look into the broker's log");
            }
            Err(error) => report.open(format!("whether it can come back: {error}")),
        }
    }
}

const EXAMPLE: &str = "\
Example:
  microbus-deploy revoke creds/leaked.example_nats.creds --probe creds/other.example_nats.creds \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
";
