//! The configuration of a nats-server in operator mode, with its accounts in memory.
//!
//! Source: spec: deploy 5.5.

use crate::account::Account;
use std::net::{IpAddr, Ipv4Addr};

/// What a server is told: whom it trusts, which accounts it knows, where it listens.
///
/// It holds no secret: JWTs are public.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    operator_jwt: String,
    accounts: Vec<(String, String)>,
    address: IpAddr,
    port: Option<u16>,
    max_payload: Option<u32>,
}

impl ServerConfig {
    /// Makes the configuration that trusts one operator, knows no account, and listens on a free port of the
    /// loopback address.
    #[must_use]
    pub fn new(operator_jwt: String) -> Self {
        Self {
            operator_jwt,
            accounts: Vec::new(),
            address: Ipv4Addr::LOCALHOST.into(),
            port: None,
            max_payload: None,
        }
    }

    /// Adds `account` with the JWT that the operator signed for it.
    #[must_use]
    pub fn with_account(mut self, account: &Account, jwt: String) -> Self {
        self.accounts.push((account.public_key(), jwt));
        self
    }

    /// Listens on `address`; `None` lets the server choose a free port.
    #[must_use]
    pub fn with_address(mut self, address: IpAddr, port: Option<u16>) -> Self {
        self.address = address;
        self.port = port;
        self
    }

    /// Bounds a message to `bytes` instead of the server's 1 MiB.
    ///
    /// Services of the bus do not start below 131072 (spec: microbus-wire 1.4).
    #[must_use]
    pub fn with_max_payload(mut self, bytes: u32) -> Self {
        self.max_payload = Some(bytes);
        self
    }

    /// Returns the text of `nats-server.conf`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let address = self.address;
        let port = self
            .port
            .map_or_else(|| "-1".to_owned(), |port| port.to_string());
        let max_payload = self
            .max_payload
            .map(|bytes| format!("max_payload: {bytes}\n"));
        let max_payload = max_payload.unwrap_or_default();
        let operator = &self.operator_jwt;
        let accounts: String = self
            .accounts
            .iter()
            .map(|(account, jwt)| format!("  {account}: {jwt}\n"))
            .collect();
        format!(
            "host: \"{address}\"\nport: {port}\n{max_payload}operator: {operator}\n\
             resolver: MEMORY\nresolver_preload: {{\n{accounts}}}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nkey::{Nkey, NkeyKind};

    #[test]
    fn the_text_names_operator_accounts_and_limits() {
        let account = Account::new(
            "bus",
            Nkey::from_random(NkeyKind::Account, [2; 32]).unwrap(),
        )
        .unwrap();
        let text = ServerConfig::new("o.o.o".to_owned())
            .with_account(&account, "a.a.a".to_owned())
            .with_max_payload(131_072)
            .to_text();
        assert_eq!(
            text,
            format!(
                "host: \"127.0.0.1\"\nport: -1\nmax_payload: 131072\noperator: o.o.o\n\
                 resolver: MEMORY\nresolver_preload: {{\n  {}: a.a.a\n}}\n",
                account.public_key()
            )
        );
    }

    #[test]
    fn a_given_address_is_written_as_given() {
        let text = ServerConfig::new("o.o.o".to_owned())
            .with_address("::1".parse().unwrap(), Some(4222))
            .to_text();
        assert!(
            text.starts_with("host: \"::1\"\nport: 4222\noperator: o.o.o\n"),
            "{text}"
        );
    }
}
