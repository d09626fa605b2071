//! `revoke`: a user is cut off, and it is proven.

use super::as_operator::{AsOperator, Report, not_changed, read_credentials, unix};
use super::at_broker::block_on;
use super::proof::{account_in, connections, prove_cut_off, prove_gone};
use crate::exit::Exit;
use crate::failure::Failure;
use clap::Args;
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::account_change::EVERYBODY;
use microbus_deploy::broker::{Login, Session, System};
use microbus_deploy::{Credentials, Jwt, NkeyKind};
use std::path::Path;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Cut a user off: revoke its credentials at the running brokers, and prove it
///
/// Fetches the account's JWT that the brokers serve, adds the revocation, checks and signs it, sends it to every server, and
/// proves that they use it, that the user's connections are closed and that it cannot come back. Credentials that are
/// issued later, for the same key too, work.
///
/// Exit codes: 0 proven, 1 refused or not all in order, 5 sent but not proven, 69 no broker.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Revoke {
    /// Whom: a .creds file, a user's public key, or * for every user of the account
    #[arg(value_name = "USER")]
    user: String,
    /// Credentials issued until then are dead: now, RFC 3339, or Unix seconds; never in the future
    #[arg(long, value_name = "TIME", default_value = "now")]
    at: String,
    /// The account's public key, where neither credentials nor a connection tell it
    #[arg(long, value_name = "KEY")]
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
    /// [`Failure`] when nothing is sent, with the reason.
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        block_on(self.revoke())?
    }

    async fn revoke(&self) -> Result<Exit, Failure> {
        let now = SystemClock.wall();
        let until = parse_time(&self.at, now)?;
        let target = self.target(until)?;
        let operator = self.as_operator.operator()?;
        let system = self.as_operator.broker.connect().await?;
        let cluster = self.as_operator.cluster(&system).await?;
        let account = self.account_of(&target, &system).await?;
        let mut report = Report::default();
        let witness = self.witness(&target, &mut report).await?;
        let mut change = self.as_operator.open(&cluster, &account).await?;
        change
            .revoke(&target.user, until, now)
            .map_err(|error| not_changed(&error))?;
        self.as_operator
            .apply(&cluster, &change, &operator, &mut report)
            .await?;
        report.done(format!(
            "revoked: {} of {account}, issued until {}",
            target.user,
            unix(until)
        ));
        if let Some(witness) = witness {
            prove_cut_off(witness, &mut report).await;
        }
        if let Some((credentials, _)) = &target.credentials {
            self.prove_shut_out(credentials, &mut report).await?;
        }
        let which = Some(target.user.as_str()).filter(|user| *user != EVERYBODY);
        let dead = |jwt: &Jwt| account_in(jwt) == account && jwt.iat <= unix(until);
        prove_gone(&system, which, dead, &mut report).await?;
        self.as_operator.prove_probe(&mut report).await?;
        report.print()
    }

    fn target(&self, until: SystemTime) -> Result<Target, Failure> {
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
        let credentials = read_credentials(path)?;
        let jwt = Jwt::read(credentials.jwt())
            .map_err(|error| Failure::caused(Exit::Configuration, path.display(), &error))?;
        if jwt.iat > unix(until) {
            return Err(Failure::new(
                Exit::Finding,
                format!(
                    "{} was issued at {}, after --at {}, and would stay valid; give that time or a later one",
                    path.display(),
                    jwt.iat,
                    unix(until)
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
            let connections = connections(system, Some(&target.user)).await?;
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

    async fn prove_shut_out(
        &self,
        credentials: &Credentials,
        report: &mut Report,
    ) -> Result<(), Failure> {
        match self.as_operator.log_in(credentials).await? {
            (_, Login::Refused(reason)) => {
                report.done(format!("proven: it cannot come back: {reason}"));
            }
            (_, Login::Accepted) => {
                report.wrong("it can still connect; look into the broker's log");
            }
        }
        Ok(())
    }
}

fn parse_time(text: &str, now: SystemTime) -> Result<SystemTime, Failure> {
    if text == "now" {
        return Ok(now);
    }
    let seconds = text.parse().ok();
    let seconds = seconds.or_else(|| {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(time.unix_timestamp()).ok()
    });
    seconds
        .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                format!("--at is {text:?}; write now, RFC 3339 as in 2026-01-31T12:00:00Z, or Unix seconds"),
            )
        })
}

const EXAMPLE: &str = "\
Example:
  microbus-deploy revoke creds/leaked.example_nats.creds --probe creds/other.example_nats.creds \\
    --nats nats://nats.internal:4222 --system-creds ops/sys.creds --operator-key ops/operator-sk.nk
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_now_or_a_date_or_seconds() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(50);
        let parsed = |text| {
            parse_time(text, now)
                .map(unix)
                .map_err(|failure| failure.exit())
        };
        assert_eq!(parsed("now"), Ok(50));
        assert_eq!(parsed("1700000000"), Ok(1_700_000_000));
        assert_eq!(parsed("1970-01-01T01:00:00+00:30"), Ok(1800));
        for text in ["", "yesterday", "-5", "2026-01-31"] {
            assert_eq!(parsed(text), Err(Exit::Usage), "{text}");
        }
    }
}
