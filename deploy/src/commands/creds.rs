//! `creds`: the credentials of services, each with exactly the permissions that it needs.

mod sources;

use crate::arguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{files, output};
use clap::Args;
use microbus_bus::{Clock as _, SystemClock};
use microbus_deploy::bootstrap::Mode;
use microbus_deploy::signer::IssueError;
use microbus_deploy::{Jwt, Nkey, NkeyKind, Permissions, Signer};
use microbus_wire::{Hostname, Plane};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// Make the credentials of services
///
/// Writes `<hostname>_nats.creds`, which belongs into the working directory of that service and nowhere else. A service
/// may publish and subscribe to exactly what its manifest, its declared calls or its preset say.
///
/// Manifests do not say what a service calls: declare it in `calls.yaml` beside the manifest, or with --calls.
///
/// Exit codes: 0 written, 1 a service does not declare its calls or a seed is open to others, 2 usage or size budget,
/// 78 a file is missing or wrong.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Creds {
    #[command(flatten)]
    sources: sources::Sources,
    /// The file with the seed that signs: the account's own, or one of its signing keys; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    signing_key: PathBuf,
    /// The public key of the account, where a signing key signs
    #[arg(long, value_name = "KEY", conflicts_with = "account_jwt", value_parser = arguments::account_key)]
    account: Option<String>,
    /// The JWT of the account, which tells whether the key may sign
    #[arg(long, value_name = "FILE")]
    account_jwt: Option<PathBuf>,
    /// The plane, letters and digits [default: microbus, or the plane of a credential that is signed again]
    #[arg(long, value_parser = plane)]
    plane: Option<Plane>,
    /// How long the credentials count, such as 720h; 0 is until they are revoked
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = arguments::duration)]
    expiration: Duration,
    /// Keep the keys of users in this directory and use those that are there; without it every run makes new ones
    #[arg(long, value_name = "DIR")]
    persist_user_nkeys: Option<PathBuf>,
    /// Where the credentials go
    #[arg(long, value_name = "DIR", default_value = "creds")]
    out: PathBuf,
    /// What the broker's `max_control_line` is, if it is not 4096
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    max_control_line: usize,
    /// Subscriptions that one connection may hold, if fewer than the broker allows; a service needs a few for each endpoint
    #[arg(long, value_name = "N")]
    max_subscriptions: Option<NonZeroU32>,
    /// Bytes of one message that it may publish, if fewer than the broker allows
    ///
    /// The Go services need 131072 at least, and do not start with less.
    #[arg(long, value_name = "BYTES")]
    max_payload: Option<NonZeroU32>,
    /// Fail on what is only warned of otherwise: services of a bundle that cannot be found
    #[arg(long)]
    strict: bool,
    /// Print the permissions instead of writing credentials
    #[arg(long)]
    dry_run: bool,
}

impl Creds {
    /// # Errors
    /// [`Failure`] when a source cannot be read, says too little, or would make credentials that a broker refuses.
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let services = self.sources.read(self.plane.as_ref(), self.strict)?;
        let key = files::read_seed(&self.signing_key, NkeyKind::Account)?;
        let signer = self.signer(&key)?;
        if self.dry_run {
            output::print(&describe(&services))?;
            return Ok(Exit::Ok);
        }
        // All are signed before any is written: a run that fails leaves nothing half done.
        let mut signed = Vec::new();
        for (host, permissions) in &services {
            signed.push((host, self.sign(host, permissions, &signer)?));
        }
        files::make_private_directory(&self.out)?;
        let mut written = String::new();
        for (host, credentials) in signed {
            let path = self.out.join(format!("{host}_nats.creds"));
            files::write_whole(&path, credentials.to_text().as_bytes(), Mode::Secret)?;
            written.push_str(&format!("{}\n", path.display()));
        }
        output::print(&written)?;
        Ok(Exit::Ok)
    }

    fn signer<'k>(&self, key: &'k Nkey) -> Result<Signer<'k>, Failure> {
        let signer = match (&self.account, &self.account_jwt) {
            (Some(account), _) => Signer::of_account(key, account),
            (None, Some(path)) => {
                let jwt = Jwt::read(&files::read_text(path)?).map_err(|error| {
                    let reading = format!("the JWT in {}", path.display());
                    Failure::caused(Exit::Configuration, reading, &error)
                })?;
                Signer::listed_in(key, &jwt)
            }
            (None, None) => {
                output::warn(&format!(
                    "{} is taken for the account itself; if it is one of its signing keys, brokers refuse these credentials: \
                     give --account-jwt or --account",
                    key.public_key()
                ));
                Signer::identity(key)
            }
        };
        let signer = signer
            .map_err(|error| Failure::caused(Exit::Configuration, "the signing key", &error))?;
        Ok(signer
            .with_max_control_line(self.max_control_line)
            .with_user_limits(self.max_subscriptions, self.max_payload))
    }

    fn sign(
        &self,
        host: &Hostname,
        permissions: &Permissions,
        signer: &Signer<'_>,
    ) -> Result<microbus_deploy::Credentials, Failure> {
        let now = SystemClock.wall();
        let expires = Some(self.expiration).filter(|expiration| !expiration.is_zero());
        let expires = expires.and_then(|expiration| now.checked_add(expiration));
        let user = self.user_key(host)?;
        signer
            .issue(host.as_str(), &user, permissions, expires, now)
            .map_err(|error| not_issued(&error))
    }

    fn user_key(&self, host: &Hostname) -> Result<Nkey, Failure> {
        let Some(directory) = &self.persist_user_nkeys else {
            return files::new_key(NkeyKind::User);
        };
        let path = directory.join(format!("{host}_user.nk"));
        if path.exists() {
            return files::read_seed(&path, NkeyKind::User);
        }
        let user = files::new_key(NkeyKind::User)?;
        files::make_private_directory(directory)?;
        files::write_new_seed(&path, &user)?;
        Ok(user)
    }
}

/// Says why credentials cannot be issued.
pub(super) fn not_issued(error: &IssueError) -> Failure {
    let exit = match error {
        IssueError::TooLong(_) => Exit::Usage,
        IssueError::NotAUser(_) | IssueError::Claims(_) => Exit::Internal,
    };
    Failure::caused(exit, "no credentials", error)
}

fn describe(services: &BTreeMap<Hostname, Permissions>) -> String {
    let mut text = String::new();
    for (host, permissions) in services {
        text.push_str(&format!("{host}\n"));
        for (verb, patterns) in [
            ("publish  ", permissions.publish()),
            ("subscribe", permissions.subscribe()),
        ] {
            for pattern in patterns {
                text.push_str(&format!("  {verb} {pattern}\n"));
            }
        }
    }
    text
}

fn plane(text: &str) -> Result<Plane, String> {
    // The bus takes longer ones, but each pattern would carry it.
    if text.len() > 63 {
        return Err("a plane has at most 63 letters and digits".to_owned());
    }
    Plane::parse(text).map_err(|_| {
        "a plane has letters and digits only, and no wildcard: it keeps applications apart"
            .to_owned()
    })
}

const EXAMPLES: &str = concat!(
    "Examples, each with --signing-key ops/account-sk.nk --account-jwt ops/account.jwt besides:
  Core services, and one that only calls:
    microbus-deploy creds --service access.token.core,bearer.token.core --calls login.yaml --plane prod
  All services of an application, whose user keys stay the same from run to run:
    microbus-deploy creds --bundle main/main.go --plane prod --expiration 720h --persist-user-nkeys ops/user-nkeys
  Some services, by the directories of their manifests:
    microbus-deploy creds --manifests coreservices/httpegress,examples/hello --plane prod
  Those that there are, with new keys and on another plane:
    microbus-deploy creds --from-creds creds --plane staging --out creds.staging

A list of calls:\n\n",
    include_str!("../../samples/calls.yaml"),
    "\nAn endpoint or event by name needs the manifest of its host, or is one of a core service. A service without a \
     manifest\nthat serves port 666 says trust_root: true."
);
