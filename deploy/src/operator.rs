//! The operator: the root of trust that servers are configured with.

use crate::account::Account;
use crate::claims::{self, AccountClaims, ClaimsError, OperatorClaims};
use crate::nkey::{Nkey, NkeyError, NkeyKind};
use std::time::SystemTime;

/// An operator with its identity key and, if its accounts are signed by another one, its signing key.
#[derive(Debug)]
pub struct Operator {
    name: String,
    identity: Nkey,
    signing_key: Option<Nkey>,
    system_account: Option<String>,
}

impl Operator {
    /// Makes the operator that is called `name` in its JWT.
    ///
    /// # Errors
    /// [`NkeyError::Kind`] when `identity` is not an operator's.
    pub fn new(name: &str, identity: Nkey) -> Result<Self, NkeyError> {
        Ok(Self {
            name: name.to_owned(),
            identity: operator_key(identity)?,
            signing_key: None,
            system_account: None,
        })
    }

    /// Lets `key` sign the accounts from now on, so that the identity can go offline.
    ///
    /// The operator's JWT lists the key: sign it after this call, or the server refuses the accounts.
    ///
    /// # Errors
    /// [`NkeyError::Kind`] when `key` is not an operator's.
    pub fn with_signing_key(self, key: Nkey) -> Result<Self, NkeyError> {
        Ok(Self {
            signing_key: Some(operator_key(key)?),
            ..self
        })
    }

    /// Names the account whose users may ask the servers about themselves and push the JWTs of accounts.
    #[must_use]
    pub fn with_system_account(self, account: &Account) -> Self {
        Self {
            system_account: Some(account.public_key()),
            ..self
        }
    }

    /// Returns the public key that servers trust.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.identity.public_key()
    }

    /// Returns the operator's JWT, signed by itself: what a server trusts.
    ///
    /// # Errors
    /// [`ClaimsError`] when `now` lies before 1970.
    pub fn jwt(&self, now: SystemTime) -> Result<String, ClaimsError> {
        let signing_keys = self.signing_key.iter().map(Nkey::public_key).collect();
        claims::sign(
            &OperatorClaims::new(signing_keys, self.system_account.clone()),
            &self.name,
            &self.identity,
            &self.identity,
            None,
            now,
        )
    }

    /// Returns the JWT of `account`, without limits and without an end.
    ///
    /// # Errors
    /// [`ClaimsError`] when `now` lies before 1970.
    pub fn sign_account(&self, account: &Account, now: SystemTime) -> Result<String, ClaimsError> {
        let body = AccountClaims::new(account.signing_keys());
        claims::sign(
            &body,
            account.name(),
            account.identity(),
            self.signing_key.as_ref().unwrap_or(&self.identity),
            None,
            now,
        )
    }

    pub(crate) fn identity(&self) -> &Nkey {
        &self.identity
    }

    pub(crate) fn signing_key(&self) -> Option<&Nkey> {
        self.signing_key.as_ref()
    }
}

fn operator_key(key: Nkey) -> Result<Nkey, NkeyError> {
    match key.kind() {
        NkeyKind::Operator => Ok(key),
        NkeyKind::Account | NkeyKind::User => Err(NkeyError::Kind {
            wanted: NkeyKind::Operator,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Jwt;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};
    use std::time::UNIX_EPOCH;

    #[test]
    fn an_account_key_cannot_act_as_operator() {
        let key = Nkey::from_random(NkeyKind::Account, [1; 32]).unwrap();
        assert_eq!(
            Operator::new("acme", key).unwrap_err(),
            NkeyError::Kind {
                wanted: NkeyKind::Operator
            }
        );
    }

    #[test]
    fn accounts_are_signed_by_the_signing_key_that_the_operator_lists() {
        let key = |kind, byte| Nkey::from_random(kind, [byte; 32]).unwrap();
        let system = Account::new("SYS", key(NkeyKind::Account, 2)).unwrap();
        let operator = Operator::new("acme", key(NkeyKind::Operator, 1))
            .unwrap()
            .with_signing_key(key(NkeyKind::Operator, 3))
            .unwrap()
            .with_system_account(&system);
        let jwt = Jwt::read(&operator.jwt(UNIX_EPOCH).unwrap()).unwrap();
        assert_eq!(jwt.iss, operator.public_key());
        assert_eq!(jwt.nats["system_account"], system.public_key());
        let account = Jwt::read(&operator.sign_account(&system, UNIX_EPOCH).unwrap()).unwrap();
        assert_eq!(jwt.strings(&["signing_keys"]), [account.iss.as_str()]);
    }

    #[test]
    fn every_limit_of_an_account_is_written_out() {
        let operator = Operator::new(
            "acme",
            Nkey::from_random(NkeyKind::Operator, [1; 32]).unwrap(),
        )
        .unwrap();
        let account = Account::new(
            "bus",
            Nkey::from_random(NkeyKind::Account, [2; 32]).unwrap(),
        )
        .unwrap();
        let jwt = operator.sign_account(&account, UNIX_EPOCH).unwrap();
        let text = URL_SAFE_NO_PAD
            .decode(jwt.split('.').nth(1).unwrap())
            .unwrap();
        let claims: Value = serde_json::from_slice(&text).unwrap();
        let limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
            "wildcards": true, "conn": -1, "leaf": -1,
        });
        assert_eq!(
            claims["nats"],
            json!({"limits": limits, "type": "account", "version": 2})
        );
    }
}
