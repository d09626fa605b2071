//! The operator: the root of trust that servers are configured with.

use crate::account::Account;
use crate::claims::{self, AccountClaims, ClaimsError, OperatorClaims};
use crate::nkey::{Nkey, NkeyError, NkeyKind};
use std::time::SystemTime;

/// An operator with its identity key.
#[derive(Debug)]
pub struct Operator {
    name: String,
    identity: Nkey,
}

impl Operator {
    /// Makes the operator that is called `name` in its JWT.
    ///
    /// # Errors
    /// [`NkeyError::Kind`] when `identity` is not an operator's.
    pub fn new(name: &str, identity: Nkey) -> Result<Self, NkeyError> {
        match identity.kind() {
            NkeyKind::Operator => Ok(Self {
                name: name.to_owned(),
                identity,
            }),
            NkeyKind::Account | NkeyKind::User => Err(NkeyError::Kind {
                wanted: NkeyKind::Operator,
            }),
        }
    }

    /// Returns the operator's JWT, signed by itself: what a server trusts.
    ///
    /// # Errors
    /// [`ClaimsError`] when `now` lies before 1970.
    pub fn jwt(&self, now: SystemTime) -> Result<String, ClaimsError> {
        claims::sign(
            &OperatorClaims::new(),
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
            &self.identity,
            None,
            now,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
