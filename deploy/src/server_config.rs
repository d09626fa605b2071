//! The configuration of a nats-server in operator mode.
//!
//! Source: spec: deploy 5.4, 5.5.

use crate::account::Account;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What a server is told: whom it trusts, which accounts it knows, where it listens, what it bounds.
///
/// It holds no secret: JWTs are public. It opens no monitoring port unless it is told to.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    operator_jwt: String,
    system_account: Option<String>,
    accounts: Vec<(String, String)>,
    resolver: Resolver,
    address: IpAddr,
    port: Option<u16>,
    monitor: Option<SocketAddr>,
    tls: Option<Tls>,
    limits: Limits,
}

/// Where a server looks an account up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resolver {
    /// In its configuration: a change needs a new file and a SIGHUP.
    #[default]
    Memory,
    /// In a directory of its own, into which JWTs are pushed over the bus; its configuration has the first ones.
    Full {
        /// The directory, which the server makes.
        directory: String,
    },
    /// At a web server: the account's key is appended to the URL. A change there is noticed only when the server is
    /// told over the bus.
    Url(String),
}

/// The server's certificate, as paths of PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate with its chain.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// Who signs the certificates that clients must then show; `None` asks clients for none.
    pub client_authority: Option<String>,
}

/// What one connection may take of the server; `None` leaves the server's own limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message. Services of the bus do not start below 131072 (spec: microbus-wire 1.4).
    pub max_payload: Option<u32>,
    /// Connections at a time.
    pub max_connections: Option<u32>,
    /// Subscriptions of one connection: each endpoint takes two, and one more for each part of the locality.
    pub max_subscriptions: Option<u32>,
    /// Bytes that wait for one client before it counts as a slow consumer and is cut; at least `max_payload`.
    pub max_pending: Option<u64>,
    /// How long one write to a client may take before it counts as a slow consumer and is cut.
    pub write_deadline: Option<Duration>,
    /// Bytes of one line of the protocol, which bounds the JWT of a user.
    pub max_control_line: Option<u32>,
}

impl Limits {
    /// Limits for a bus of some dozen services: backstops that hold whatever a credential allows.
    #[must_use]
    pub fn recommended() -> Self {
        Self {
            max_payload: Some(1_048_576),
            max_connections: Some(1000),
            max_subscriptions: Some(500),
            max_pending: Some(16 * 1_048_576),
            write_deadline: Some(Duration::from_secs(10)),
            max_control_line: Some(4096),
        }
    }

    fn text(&self) -> String {
        let counts = [
            ("max_payload", self.max_payload.map(u64::from)),
            ("max_connections", self.max_connections.map(u64::from)),
            ("max_subscriptions", self.max_subscriptions.map(u64::from)),
            ("max_pending", self.max_pending),
            ("max_control_line", self.max_control_line.map(u64::from)),
        ];
        let mut text = String::new();
        for (name, limit) in counts {
            if let Some(limit) = limit {
                line(&mut text, format_args!("{name}: {limit}"));
            }
        }
        if let Some(deadline) = self.write_deadline {
            let deadline = microbus_wire::duration::format(deadline);
            line(&mut text, format_args!("write_deadline: \"{deadline}\""));
        }
        text
    }
}

impl ServerConfig {
    /// Makes the configuration that trusts one operator, knows no account, and listens on a free port of the
    /// loopback address.
    #[must_use]
    pub fn new(operator_jwt: String) -> Self {
        Self {
            operator_jwt,
            system_account: None,
            accounts: Vec::new(),
            resolver: Resolver::default(),
            address: Ipv4Addr::LOCALHOST.into(),
            port: None,
            monitor: None,
            tls: None,
            limits: Limits::default(),
        }
    }

    /// Adds `account` with the JWT that the operator signed for it.
    #[must_use]
    pub fn with_account(mut self, account: &Account, jwt: String) -> Self {
        self.accounts.push((account.public_key(), jwt));
        self
    }

    /// Adds the account whose users may ask the server about itself, with its JWT.
    ///
    /// A server with a directory of its own does not start without one.
    #[must_use]
    pub fn with_system_account(mut self, account: &Account, jwt: String) -> Self {
        self.system_account = Some(account.public_key());
        self.with_account(account, jwt)
    }

    /// Looks accounts up with `resolver`.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Listens on `address`; `None` lets the server choose a free port.
    #[must_use]
    pub fn with_address(mut self, address: IpAddr, port: Option<u16>) -> Self {
        self.address = address;
        self.port = port;
        self
    }

    /// Opens the monitoring port, which tells everybody who reaches it who is connected and what they subscribe to.
    #[must_use]
    pub fn with_monitor(mut self, address: SocketAddr) -> Self {
        self.monitor = Some(address);
        self
    }

    /// Speaks nothing but TLS, of version 1.2 or later.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Bounds connections and messages.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Bounds a message to `bytes`; see [`Limits`].
    #[must_use]
    pub fn with_max_payload(mut self, bytes: u32) -> Self {
        self.limits.max_payload = Some(bytes);
        self
    }

    /// Returns the text of `nats-server.conf`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let port = self
            .port
            .map_or_else(|| "-1".to_owned(), |port| port.to_string());
        line(&mut text, format_args!("host: \"{}\"", self.address));
        line(&mut text, format_args!("port: {port}"));
        if let Some(monitor) = self.monitor {
            line(&mut text, format_args!("http: \"{monitor}\""));
        }
        text.push_str(&self.limits.text());
        if let Some(tls) = &self.tls {
            text.push_str(&tls.text());
        }
        line(&mut text, format_args!("operator: {}", self.operator_jwt));
        if let Some(account) = &self.system_account {
            line(&mut text, format_args!("system_account: {account}"));
        }
        self.push_resolver(&mut text);
        text
    }

    fn push_resolver(&self, text: &mut String) {
        match &self.resolver {
            Resolver::Memory => line(text, format_args!("resolver: MEMORY")),
            Resolver::Full { directory } => {
                let directory = quoted(directory);
                line(
                    text,
                    format_args!(
                        "resolver: {{ type: full, dir: {directory}, allow_delete: true, interval: \"2m\" }}"
                    ),
                );
            }
            // The server takes no accounts of the file beside those of the URL.
            Resolver::Url(url) => {
                let url = quoted(&format!("URL({url})"));
                return line(text, format_args!("resolver: {url}"));
            }
        }
        line(text, format_args!("resolver_preload: {{"));
        for (account, jwt) in &self.accounts {
            line(text, format_args!("  {account}: {jwt}"));
        }
        line(text, format_args!("}}"));
    }
}

impl Tls {
    fn text(&self) -> String {
        let mut text = String::new();
        line(&mut text, format_args!("tls {{"));
        for (name, path) in [("cert_file", &self.certificate), ("key_file", &self.key)] {
            line(&mut text, format_args!("  {name}: {}", quoted(path)));
        }
        if let Some(authority) = &self.client_authority {
            line(&mut text, format_args!("  ca_file: {}", quoted(authority)));
            line(&mut text, format_args!("  verify: true"));
        }
        line(&mut text, format_args!("  min_version: \"1.2\""));
        line(&mut text, format_args!("}}"));
        text
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ok: std::fmt::Result = text.write_fmt(content);
    text.push('\n');
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nkey::{Nkey, NkeyKind};

    fn account(byte: u8) -> Account {
        Account::new(
            "bus",
            Nkey::from_random(NkeyKind::Account, [byte; 32]).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn the_text_names_operator_accounts_and_limits() {
        let account = account(2);
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
    fn everything_that_is_asked_for_is_written() {
        let (system, account) = (account(1), account(2));
        let text = ServerConfig::new("o.o.o".to_owned())
            .with_system_account(&system, "s.s.s".to_owned())
            .with_account(&account, "a.a.a".to_owned())
            .with_address("::1".parse().unwrap(), Some(4222))
            .with_monitor("127.0.0.1:8222".parse().unwrap())
            .with_limits(Limits::recommended())
            .with_tls(Tls {
                certificate: "/etc/nats/a \"b\".pem".to_owned(),
                key: "/etc/nats/key.pem".to_owned(),
                client_authority: Some("/etc/nats/ca.pem".to_owned()),
            })
            .with_resolver(Resolver::Full {
                directory: "/var/lib/nats/jwt".to_owned(),
            })
            .to_text();
        let (system, account) = (system.public_key(), account.public_key());
        assert_eq!(
            text,
            format!(
                r#"host: "::1"
port: 4222
http: "127.0.0.1:8222"
max_payload: 1048576
max_connections: 1000
max_subscriptions: 500
max_pending: 16777216
max_control_line: 4096
write_deadline: "10s"
tls {{
  cert_file: "/etc/nats/a \"b\".pem"
  key_file: "/etc/nats/key.pem"
  ca_file: "/etc/nats/ca.pem"
  verify: true
  min_version: "1.2"
}}
operator: o.o.o
system_account: {system}
resolver: {{ type: full, dir: "/var/lib/nats/jwt", allow_delete: true, interval: "2m" }}
resolver_preload: {{
  {system}: s.s.s
  {account}: a.a.a
}}
"#
            )
        );
    }

    #[test]
    fn accounts_of_a_web_server_are_not_in_the_file() {
        let text = ServerConfig::new("o.o.o".to_owned())
            .with_account(&account(2), "a.a.a".to_owned())
            .with_resolver(Resolver::Url("https://accounts.internal/jwt/".to_owned()))
            .to_text();
        assert!(
            text.ends_with("operator: o.o.o\nresolver: \"URL(https://accounts.internal/jwt/)\"\n"),
            "{text}"
        );
    }
}
