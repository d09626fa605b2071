//! Whoever signs the users of an account: its identity, or one of its signing keys.

use crate::claims::{self, ClaimsError, UserClaims};
use crate::credentials::Credentials;
use crate::jwt::Jwt;
use crate::nkey::{Nkey, NkeyError, NkeyKind};
use crate::permissions::Permissions;
use std::fmt;
use std::num::NonZeroU32;
use std::time::SystemTime;
use thiserror::Error;

/// A key with the account that it signs users for.
#[derive(Debug)]
pub struct Signer<'a> {
    key: &'a Nkey,
    account: String,
    max_jwt: usize,
    max_subscriptions: Option<NonZeroU32>,
    max_payload: Option<NonZeroU32>,
}

impl<'a> Signer<'a> {
    pub(crate) fn new(key: &'a Nkey, account: String) -> Self {
        Self {
            key,
            account,
            max_jwt: MAX_JWT,
            max_subscriptions: None,
            max_payload: None,
        }
    }

    /// Takes `key` for the identity of its account.
    ///
    /// # Errors
    /// [`SignerError::Key`] when the key is not an account's.
    ///
    /// # Security
    /// Users that a mere signing key signs this way are refused by the server: say the account where it is known.
    pub fn identity(key: &'a Nkey) -> Result<Self, SignerError> {
        Ok(Self::new(account_key(key)?, key.public_key()))
    }

    /// Takes `key` for the identity or a signing key of `account`, a public key.
    ///
    /// # Errors
    /// [`SignerError::Key`] when the key is not an account's, [`SignerError::Account`] when `account` is no account.
    pub fn of_account(key: &'a Nkey, account: &str) -> Result<Self, SignerError> {
        let account = account.trim();
        if NkeyKind::of_public_key(account) != Some(NkeyKind::Account) {
            return Err(SignerError::Account);
        }
        Ok(Self::new(account_key(key)?, account.to_owned()))
    }

    /// Takes `key` for what the account's JWT says that it is.
    ///
    /// # Errors
    /// As [`Signer::of_account`]; [`SignerError::NotListed`] when the JWT does not name the key.
    pub fn listed_in(key: &'a Nkey, account: &Jwt) -> Result<Self, SignerError> {
        let signer = Self::of_account(key, &account.sub)?;
        let name = key.public_key();
        // Those that are bound to a role are objects, and their users carry no permissions of their own.
        let listed = account.strings(&["signing_keys"]);
        if name != account.sub && !listed.contains(&name.as_str()) {
            return Err(SignerError::NotListed {
                key: name,
                account: account.sub.clone(),
            });
        }
        Ok(signer)
    }

    /// Signs for servers that read `bytes` of a control line instead of 4096.
    #[must_use]
    pub fn with_max_control_line(self, bytes: usize) -> Self {
        Self {
            max_jwt: bytes.saturating_sub(REST_OF_CONNECT),
            ..self
        }
    }

    /// Bounds what one connection of a user may hold: its subscriptions, and the bytes of each message that it publishes.
    ///
    /// The server's own bounds hold beside these; `None` is no other.
    #[must_use]
    pub fn with_user_limits(
        self,
        max_subscriptions: Option<NonZeroU32>,
        max_payload: Option<NonZeroU32>,
    ) -> Self {
        Self {
            max_subscriptions,
            max_payload,
            ..self
        }
    }

    /// Returns the public key of the account.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Returns credentials with which a service may do what `permissions` list.
    ///
    /// `name` is shown in server logs. `expires` is cut to whole seconds; at that time the server closes the
    /// connection. `None` means that only a revocation ends them.
    ///
    /// # Errors
    /// [`IssueError::NotAUser`] when `user` is not a user's key; [`IssueError::TooLong`] when the JWT would not fit
    /// into the first line that a client sends; [`IssueError::Claims`] when a time lies before 1970.
    pub fn issue(
        &self,
        name: &str,
        user: &Nkey,
        permissions: &Permissions,
        expires: Option<SystemTime>,
        now: SystemTime,
    ) -> Result<Credentials, IssueError> {
        if user.kind() != NkeyKind::User {
            return Err(IssueError::NotAUser(NkeyError::Kind {
                wanted: NkeyKind::User,
            }));
        }
        // Without the account a user that a signing key signed is refused by the server.
        let signed_by_another = self.key.public_key() != self.account;
        let body = UserClaims::new(
            permissions.publish().to_vec(),
            permissions.subscribe().to_vec(),
            signed_by_another.then(|| self.account.clone()),
        )
        .with_limits(self.max_subscriptions, self.max_payload);
        let jwt = claims::sign(&body, name, user, self.key, expires, now)?;
        if jwt.len() > self.max_jwt {
            return Err(IssueError::TooLong(TooLong {
                name: name.to_owned(),
                bytes: jwt.len(),
                max: self.max_jwt,
                longest: longest(permissions),
            }));
        }
        let seed = user.expose_seed().map_err(IssueError::NotAUser)?;
        Ok(Credentials::new(jwt, seed))
    }
}

/// Why a key does not sign users of an account.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SignerError {
    /// An operator's or a user's key.
    #[error("users are signed by the key of an account, whose seed begins with SA")]
    Key(#[source] NkeyError),
    /// Not the public key of an account.
    #[error("the account is no public key of an account; those have 56 characters, the first is A")]
    Account,
    /// The account's JWT does not name the key.
    #[error(
        "{key} is neither the account {account} nor one of its signing keys without a role; the broker would refuse its users"
    )]
    NotListed {
        /// The public key.
        key: String,
        /// The account.
        account: String,
    },
}

/// Why credentials cannot be issued.
#[derive(Debug, Error)]
pub enum IssueError {
    /// The key is an operator's or an account's.
    #[error("credentials need a key of their own")]
    NotAUser(#[source] NkeyError),
    /// A client with this JWT could not connect.
    #[error(transparent)]
    TooLong(TooLong),
    /// The JWT cannot be made.
    #[error("the JWT cannot be made")]
    Claims(#[from] ClaimsError),
}

/// A JWT that would not fit into CONNECT, and what makes it long.
#[derive(Debug, Error)]
pub struct TooLong {
    name: String,
    bytes: usize,
    max: usize,
    longest: Vec<String>,
}

impl fmt::Display for TooLong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            bytes,
            max,
            longest,
        } = self;
        write!(
            formatter,
            "the JWT of {name} has {bytes} bytes and the broker takes {max}; list fewer calls, split the service, or \
             raise the broker's max_control_line; the longest patterns are {}",
            longest.join(", ")
        )
    }
}

fn longest(permissions: &Permissions) -> Vec<String> {
    let mut patterns: Vec<_> = permissions
        .publish()
        .iter()
        .chain(permissions.subscribe())
        .collect();
    patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
    patterns.into_iter().take(3).cloned().collect()
}

fn account_key(key: &Nkey) -> Result<&Nkey, SignerError> {
    match key.kind() {
        NkeyKind::Account => Ok(key),
        NkeyKind::Operator | NkeyKind::User => Err(SignerError::Key(NkeyError::Kind {
            wanted: NkeyKind::Account,
        })),
    }
}

/// The largest JWT of a user that fits into the 4096 bytes that a server reads when it is not told otherwise.
pub const MAX_JWT: usize = 4096 - REST_OF_CONNECT;

/// What a client's other fields take of it, with a margin: measured, 3828 bytes of JWT pass and 3838 do not.
/// spec: deploy 2.5
const REST_OF_CONNECT: usize = 396;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Account, Operator};
    use std::time::UNIX_EPOCH;

    fn key(kind: NkeyKind, byte: u8) -> Nkey {
        Nkey::from_random(kind, [byte; 32]).unwrap()
    }

    fn one_line(pattern: String) -> Permissions {
        Permissions::exactly(vec![pattern], vec!["s".to_owned()]).unwrap()
    }

    #[test]
    fn a_jwt_that_does_not_fit_into_connect_is_refused_with_what_makes_it_long() {
        let account = key(NkeyKind::Account, 1);
        let signer = Signer::identity(&account).unwrap();
        let user = key(NkeyKind::User, 3);
        let issue = |signer: &Signer<'_>, patterns: &[usize]| {
            let publish = patterns.iter().map(|length| "x".repeat(*length)).collect();
            let permissions = Permissions::exactly(publish, vec!["y".to_owned()]).unwrap();
            signer.issue("big.example", &user, &permissions, None, UNIX_EPOCH)
        };
        let error = issue(&signer, &[10, 1500, 20, 1400, 30]).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("big.example"), "{said}");
        assert!(said.contains("takes 3700"), "{said}");
        let expected = [1500, 1400, 30].map(|length| "x".repeat(length)).join(", ");
        assert!(said.ends_with(&expected), "{said}");

        let wider = signer.with_max_control_line(8192);
        assert!(issue(&wider, &[10, 1500, 20, 1400, 30]).is_ok());
    }

    #[test]
    fn the_limit_is_exact() {
        let account = key(NkeyKind::Account, 1);
        let signer = Signer::identity(&account).unwrap();
        let user = key(NkeyKind::User, 3);
        let issue =
            |length| signer.issue("a", &user, &one_line("x".repeat(length)), None, UNIX_EPOCH);
        let base = issue(1000).unwrap().jwt().len();
        // Three bytes of a pattern are four characters of base64.
        let fits = 1000 + (3700 - base) * 3 / 4;
        let longest = issue(fits).unwrap().jwt().len();
        assert!((3697..=3700).contains(&longest), "{longest}");
        assert!(matches!(issue(fits + 3), Err(IssueError::TooLong(_))));
    }

    #[test]
    fn a_signing_key_signs_only_for_the_account_that_lists_it() {
        let operator = Operator::new("acme", key(NkeyKind::Operator, 1)).unwrap();
        let account = Account::new("bus", key(NkeyKind::Account, 2))
            .unwrap()
            .with_signing_key(key(NkeyKind::Account, 3))
            .unwrap();
        let jwt = Jwt::read(&operator.sign_account(&account, UNIX_EPOCH).unwrap()).unwrap();
        for listed in [2, 3] {
            let key = key(NkeyKind::Account, listed);
            let signer = Signer::listed_in(&key, &jwt).unwrap();
            assert_eq!(signer.account(), account.public_key());
        }
        let stranger = key(NkeyKind::Account, 4);
        assert!(matches!(
            Signer::listed_in(&stranger, &jwt),
            Err(SignerError::NotListed { .. })
        ));
    }

    #[test]
    fn other_kinds_of_keys_sign_no_users() {
        for kind in [NkeyKind::Operator, NkeyKind::User] {
            let key = key(kind, 1);
            assert!(matches!(Signer::identity(&key), Err(SignerError::Key(_))));
        }
        let account = key(NkeyKind::Account, 1);
        for not_an_account in [
            key(NkeyKind::User, 2).public_key(),
            "AB".to_owned(),
            String::new(),
        ] {
            assert_eq!(
                Signer::of_account(&account, &not_an_account).unwrap_err(),
                SignerError::Account
            );
        }
    }
}
