//! The account: one isolated space of subjects, and the signer of the credentials of its services.

use crate::credentials::Credentials;
use crate::nkey::{Nkey, NkeyError, NkeyKind};
use crate::permissions::Permissions;
use crate::signer::{IssueError, Signer};
use std::time::SystemTime;

/// An account with its identity key and, if its users are signed by another one, its signing key.
#[derive(Debug)]
pub struct Account {
    name: String,
    identity: Nkey,
    signing_key: Option<Nkey>,
}

impl Account {
    /// Makes the account that is called `name` in its JWT; its identity signs the users.
    ///
    /// # Errors
    /// [`NkeyError::Kind`] when `identity` is not an account's.
    pub fn new(name: &str, identity: Nkey) -> Result<Self, NkeyError> {
        let identity = account_key(identity)?;
        Ok(Self {
            name: name.to_owned(),
            identity,
            signing_key: None,
        })
    }

    /// Lets `key` sign the users from now on, so that the identity can go offline.
    ///
    /// The account's JWT lists the key: sign it after this call, or the server refuses the users.
    ///
    /// # Errors
    /// [`NkeyError::Kind`] when `key` is not an account's.
    pub fn with_signing_key(self, key: Nkey) -> Result<Self, NkeyError> {
        Ok(Self {
            signing_key: Some(account_key(key)?),
            ..self
        })
    }

    /// Returns the public key that names the account.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.identity.public_key()
    }

    /// Returns credentials with which a service may do what `permissions` list.
    ///
    /// # Errors
    /// As [`Signer::issue`].
    pub fn issue(
        &self,
        name: &str,
        user: &Nkey,
        permissions: &Permissions,
        expires: Option<SystemTime>,
        now: SystemTime,
    ) -> Result<Credentials, IssueError> {
        self.signer().issue(name, user, permissions, expires, now)
    }

    /// Returns who signs the users: the signing key, or else the identity.
    #[must_use]
    pub fn signer(&self) -> Signer<'_> {
        let key = self.signing_key.as_ref().unwrap_or(&self.identity);
        Signer::new(key, self.public_key())
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn identity(&self) -> &Nkey {
        &self.identity
    }

    pub(crate) fn signing_key(&self) -> Option<&Nkey> {
        self.signing_key.as_ref()
    }

    pub(crate) fn signing_keys(&self) -> Vec<String> {
        self.signing_key.iter().map(Nkey::public_key).collect()
    }
}

fn account_key(key: Nkey) -> Result<Nkey, NkeyError> {
    match key.kind() {
        NkeyKind::Account => Ok(key),
        NkeyKind::Operator | NkeyKind::User => Err(NkeyError::Kind {
            wanted: NkeyKind::Account,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use microbus_wire::{Hostname, Plane};
    use serde_json::Value;
    use std::time::UNIX_EPOCH;

    fn key(kind: NkeyKind, byte: u8) -> Nkey {
        Nkey::from_random(kind, [byte; 32]).unwrap()
    }

    fn issued(account: &Account) -> Value {
        let host = Hostname::parse("access.token.core").unwrap();
        let permissions = Permissions::of_issuer(&Plane::default(), &host);
        let user = key(NkeyKind::User, 3);
        let credentials = account
            .issue("access.token.core", &user, &permissions, None, UNIX_EPOCH)
            .unwrap();
        let body = URL_SAFE_NO_PAD
            .decode(credentials.jwt().split('.').nth(1).unwrap())
            .unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn the_account_is_named_only_where_a_signing_key_signs() {
        let account = Account::new("bus", key(NkeyKind::Account, 1)).unwrap();
        let claims = issued(&account);
        assert_eq!(claims["iss"], account.public_key());
        assert_eq!(claims["nats"].get("issuer_account"), None);

        let signer = key(NkeyKind::Account, 2);
        let signer_name = signer.public_key();
        let account = account.with_signing_key(signer).unwrap();
        let claims = issued(&account);
        assert_eq!(claims["iss"], signer_name);
        assert_eq!(claims["nats"]["issuer_account"], account.public_key());
    }

    #[test]
    fn a_user_is_never_a_bearer_of_its_jwt() {
        let account = Account::new("bus", key(NkeyKind::Account, 1)).unwrap();
        assert_eq!(issued(&account)["nats"].get("bearer_token"), None);
    }

    #[test]
    fn an_account_seed_is_never_written_into_credentials() {
        let account = Account::new("bus", key(NkeyKind::Account, 1)).unwrap();
        let host = Hostname::parse("a.example").unwrap();
        let permissions = Permissions::of_service(&Plane::default(), &host);
        let not_a_user = key(NkeyKind::Account, 4);
        let issued = account.issue("a.example", &not_a_user, &permissions, None, UNIX_EPOCH);
        assert!(matches!(issued, Err(IssueError::NotAUser(_))));
    }
}
