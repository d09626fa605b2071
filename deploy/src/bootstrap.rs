//! Everything that a bus is brought up with: operator, system account, application account, and the files of them.
//!
//! Source: spec: deploy 5.5.

use crate::account::Account;
use crate::claims::ClaimsError;
use crate::credentials::Credentials;
use crate::nkey::{Nkey, NkeyError, NkeyKind};
use crate::operator::Operator;
use crate::permissions::{Permissions, PermissionsError};
use crate::server_config::ServerConfig;
use crate::signer::IssueError;
use std::time::SystemTime;
use thiserror::Error;
use zeroize::Zeroizing;

/// What an operator decides before the keys are made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The operator's name in its JWT.
    pub operator: String,
    /// The application account's name in its JWT.
    pub account: String,
    /// Whether accounts and users are signed by keys beside the identities, so that those can go offline.
    pub signing_keys: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            operator: "microbus-operator".to_owned(),
            account: "microbus".to_owned(),
            signing_keys: true,
        }
    }
}

/// An operator with its two accounts, and the JWTs of all three.
#[derive(Debug)]
pub struct Bootstrap {
    operator: Operator,
    system: Account,
    account: Account,
    operator_jwt: String,
    system_jwt: String,
    account_jwt: String,
    system_credentials: Credentials,
}

impl Bootstrap {
    /// How many keys there are.
    pub const KEYS: usize = 6;

    /// Makes keys and JWTs as `plan` says; `random` is from a cryptographic generator.
    ///
    /// # Errors
    /// [`BootstrapError`]; with a clock that is set there is none.
    pub fn new(
        plan: &Plan,
        random: &Zeroizing<[[u8; 32]; Self::KEYS]>,
        now: SystemTime,
    ) -> Result<Self, BootstrapError> {
        let [
            system,
            operator,
            operator_signer,
            account,
            account_signer,
            system_user,
        ] = &**random;
        let key = |kind, random: &[u8; 32]| Nkey::from_random(kind, *random);
        let system = Account::new(SYSTEM_NAME, key(NkeyKind::Account, system)?)?;
        let mut operator = Operator::new(&plan.operator, key(NkeyKind::Operator, operator)?)?;
        let mut account = Account::new(&plan.account, key(NkeyKind::Account, account)?)?;
        if plan.signing_keys {
            operator = operator.with_signing_key(key(NkeyKind::Operator, operator_signer)?)?;
            account = account.with_signing_key(key(NkeyKind::Account, account_signer)?)?;
        }
        let operator = operator.with_system_account(&system);
        let system_user = key(NkeyKind::User, system_user)?;
        Ok(Self {
            operator_jwt: operator.jwt(now)?,
            system_jwt: operator.sign_account(&system, now)?,
            account_jwt: operator.sign_account(&account, now)?,
            system_credentials: system.issue("sys", &system_user, &of_system_user()?, None, now)?,
            operator,
            system,
            account,
        })
    }

    /// Returns the application account, which signs the credentials of services.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Returns the operator.
    #[must_use]
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Returns the credentials with which an operator asks the servers and pushes JWTs of accounts.
    #[must_use]
    pub fn system_credentials(&self) -> &Credentials {
        &self.system_credentials
    }

    /// Returns the configuration of a server that trusts the operator and knows both accounts.
    #[must_use]
    pub fn server_config(&self) -> ServerConfig {
        ServerConfig::new(self.operator_jwt.clone())
            .with_system_account(&self.system, self.system_jwt.clone())
            .with_account(&self.account, self.account_jwt.clone())
    }

    /// Returns the files that an operator keeps, the server's configuration with `config` among them.
    ///
    /// The directory `accounts` is what a web server must serve for [`crate::Resolver::Url`].
    ///
    /// # Errors
    /// [`NkeyError::Seed`] when a seed is not at hand.
    pub fn files(&self, config: &ServerConfig) -> Result<Vec<KeptFile>, NkeyError> {
        let seeds = [
            ("operator.nk", Some(self.operator.identity())),
            ("operator-sk.nk", self.operator.signing_key()),
            ("sys.nk", Some(self.system.identity())),
            ("account.nk", Some(self.account.identity())),
            ("account-sk.nk", self.account.signing_key()),
        ];
        let mut files = Vec::new();
        for (name, key) in seeds {
            if let Some(key) = key {
                files.push(KeptFile::new(name, key.expose_seed()?, Mode::Secret));
            }
        }
        let system_credentials = self.system_credentials.to_text();
        files.push(KeptFile::new("sys.creds", system_credentials, Mode::Secret));
        let in_accounts = |account: &Account| format!("accounts/{}", account.public_key());
        for (name, jwt) in [
            ("operator.jwt".to_owned(), &self.operator_jwt),
            ("sys.jwt".to_owned(), &self.system_jwt),
            ("account.jwt".to_owned(), &self.account_jwt),
            (in_accounts(&self.system), &self.system_jwt),
            (in_accounts(&self.account), &self.account_jwt),
        ] {
            files.push(KeptFile::new(
                name,
                Zeroizing::new(jwt.clone()),
                Mode::Public,
            ));
        }
        let config = Zeroizing::new(config.to_text());
        files.push(KeptFile::new("nats-server.conf", config, Mode::Config));
        Ok(files)
    }
}

/// A file of the operator's directory.
pub struct KeptFile {
    /// The path below the directory.
    pub name: String,
    /// What stands in it.
    pub content: Zeroizing<String>,
    /// Who may read it.
    pub mode: Mode,
}

impl KeptFile {
    fn new(name: impl Into<String>, content: Zeroizing<String>, mode: Mode) -> Self {
        Self {
            name: name.into(),
            content,
            mode,
        }
    }
}

impl std::fmt::Debug for KeptFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("KeptFile")
            .field("name", &self.name)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The operator alone: seeds and credentials.
    Secret,
    /// The operator and their group, such as that of the server.
    Config,
    /// Everybody: JWTs of operators and accounts.
    Public,
}

impl Mode {
    /// Returns the permission bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Self::Secret => 0o600,
            Self::Config => 0o640,
            Self::Public => 0o644,
        }
    }
}

/// Why nothing can be brought up.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// The random bytes make no key.
    #[error("a key cannot be made")]
    Key(#[from] NkeyError),
    /// A JWT cannot be made.
    #[error("a JWT cannot be made")]
    Claims(#[from] ClaimsError),
    /// The credentials of the system account cannot be made.
    #[error("the credentials of the system account cannot be made")]
    Issue(#[from] IssueError),
    /// Their permissions cannot be listed.
    #[error("the permissions of the system account cannot be listed")]
    Permissions(#[from] PermissionsError),
}

/// What an operator's tools need of the system account: requests to the servers, with an inbox, and their events.
fn of_system_user() -> Result<Permissions, PermissionsError> {
    Permissions::exactly(
        vec!["$SYS.REQ.>".to_owned()],
        vec!["_INBOX.>".to_owned(), "$SYS.>".to_owned()],
    )
}

/// What the tools of NATS call it.
const SYSTEM_NAME: &str = "SYS";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Jwt;
    use std::time::UNIX_EPOCH;

    fn made(signing_keys: bool) -> Bootstrap {
        let plan = Plan {
            signing_keys,
            ..Plan::default()
        };
        let random = Zeroizing::new([1, 2, 3, 4, 5, 6].map(|byte| [byte; 32]));
        Bootstrap::new(&plan, &random, UNIX_EPOCH).unwrap()
    }

    fn names(bootstrap: &Bootstrap, mode: Mode) -> Vec<String> {
        let files = bootstrap.files(&bootstrap.server_config()).unwrap();
        files
            .into_iter()
            .filter(|file| file.mode == mode && !file.name.starts_with("accounts/"))
            .map(|file| file.name)
            .collect()
    }

    #[test]
    fn only_what_is_public_may_be_read_by_others() {
        let bootstrap = made(true);
        assert_eq!(
            names(&bootstrap, Mode::Secret),
            [
                "operator.nk",
                "operator-sk.nk",
                "sys.nk",
                "account.nk",
                "account-sk.nk",
                "sys.creds"
            ]
        );
        assert_eq!(
            names(&bootstrap, Mode::Public),
            ["operator.jwt", "sys.jwt", "account.jwt"]
        );
        for file in bootstrap.files(&bootstrap.server_config()).unwrap() {
            let holds_seed = file.content.contains("\nSU") || file.name.ends_with(".nk");
            assert_eq!(file.mode == Mode::Secret, holds_seed, "{}", file.name);
        }
    }

    #[test]
    fn without_signing_keys_the_identities_sign() {
        let bootstrap = made(false);
        assert!(!names(&bootstrap, Mode::Secret).contains(&"account-sk.nk".to_owned()));
        let account = Jwt::read(&bootstrap.account_jwt).unwrap();
        assert_eq!(account.iss, bootstrap.operator.public_key());
        assert!(account.signing_keys().is_empty());
    }

    #[test]
    fn with_signing_keys_no_identity_signs_but_the_operators_own_jwt() {
        let bootstrap = made(true);
        let operator = Jwt::read(&bootstrap.operator_jwt).unwrap();
        for account in [&bootstrap.account_jwt, &bootstrap.system_jwt] {
            let account = Jwt::read(account).unwrap();
            assert_eq!(operator.signing_keys(), [account.iss]);
        }
        assert_eq!(
            operator.nats["system_account"],
            bootstrap.system.public_key()
        );
    }

    #[test]
    fn debug_does_not_show_what_stands_in_a_file() {
        let bootstrap = made(true);
        for file in bootstrap.files(&bootstrap.server_config()).unwrap() {
            let shown = format!("{file:?}");
            assert!(!shown.contains(file.content.as_str()), "{shown}");
        }
    }
}
