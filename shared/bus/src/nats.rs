//! Connecting to a NATS broker as the framework does.
//!
//! Source: spec: microbus-wire 1.1, 1.2, 13.21. No client name, no headers, no inbox.

use crate::artifacts::{Artifacts, Credentials};
use crate::connection::Link;
use async_nats::{
    Auth, AuthError, ClientError, ConnectErrorKind, ConnectOptions, Event, ServerAddr, ServerError,
};
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Where the broker is and how to log in.
#[derive(Debug, Clone)]
pub struct NatsSettings {
    /// One URL or several, comma-separated.
    pub servers: String,
    /// Files to authenticate with.
    pub artifacts: Artifacts,
    /// Login by the deprecated variables; [`Artifacts::credentials`] win over it.
    pub deprecated: Option<DeprecatedLogin>,
}

/// A login that older set-ups pass in environment variables.
#[derive(Debug, Clone)]
pub enum DeprecatedLogin {
    /// `MICROBUS_NATS_USER` and `MICROBUS_NATS_PASSWORD`.
    Password {
        /// Name of the user.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// `MICROBUS_NATS_TOKEN`.
    Token(SecretString),
    /// `MICROBUS_NATS_USER_JWT` and `MICROBUS_NATS_NKEY_SEED`.
    UserJwt {
        /// The user JWT.
        jwt: String,
        /// The NKEY seed.
        seed: SecretString,
    },
}

impl DeprecatedLogin {
    /// Returns the names of the variables in use.
    #[must_use]
    pub fn variables(&self) -> &'static [&'static str] {
        match self {
            Self::Password { .. } => &["MICROBUS_NATS_USER", "MICROBUS_NATS_PASSWORD"],
            Self::Token(_) => &["MICROBUS_NATS_TOKEN"],
            Self::UserJwt { .. } => &["MICROBUS_NATS_USER_JWT", "MICROBUS_NATS_NKEY_SEED"],
        }
    }
}

/// Why the first connection failed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A URL that cannot be read; retrying is of no use.
    #[error("MICROBUS_NATS: '{url}' is not a NATS URL; write nats://host:port or tls://host:port")]
    BadUrl {
        /// The part of the list that is wrong.
        url: String,
    },
    /// The credentials were refused, or could not be read or used.
    #[error(
        "the broker at {servers} refused us ({cause}); check the credentials file, its account and its expiration"
    )]
    Refused {
        /// The broker's URLs, without user information.
        servers: String,
        /// The broker's or the file's problem.
        cause: String,
    },
    /// Nobody answers, or not as a broker.
    #[error("no broker at {servers} ({cause}); check MICROBUS_NATS and the network")]
    Unreachable {
        /// The broker's URLs, without user information.
        servers: String,
        /// The client's word for it.
        cause: String,
    },
}

pub(crate) async fn connect(
    settings: &NatsSettings,
    link: watch::Sender<Link>,
) -> Result<async_nats::Client, ConnectError> {
    let servers = parse_servers(&settings.servers)?;
    if let (None, Some(login)) = (&settings.artifacts.credentials, &settings.deprecated) {
        tracing::info!(
            env = ?login.variables(),
            "Deprecated NATS env-var auth in use; put a credentials file into the working directory instead"
        );
    }
    let client = connect_with(options(settings, link)?, &servers).await?;
    let server = client.server_info();
    tracing::info!(
        url = shown(&servers),
        server = server.server_name,
        "Connected to NATS"
    );
    Ok(client)
}

/// Connects so that the broker does not send back what is published here.
pub(crate) async fn connect_deaf(
    settings: &NatsSettings,
    link: watch::Sender<Link>,
) -> Result<async_nats::Client, ConnectError> {
    let servers = parse_servers(&settings.servers)?;
    connect_with(options(settings, link)?.no_echo(), &servers).await
}

async fn connect_with(
    options: ConnectOptions,
    servers: &[ServerAddr],
) -> Result<async_nats::Client, ConnectError> {
    let connected = options.connect(servers).await;
    connected.map_err(|error| failure(&error, shown(servers)))
}

fn parse_servers(list: &str) -> Result<Vec<ServerAddr>, ConnectError> {
    list.split(',')
        .map(str::trim)
        .filter(|url| !url.is_empty())
        .map(|url| {
            let bad = |_| ConnectError::BadUrl {
                url: without_login(url).to_owned(),
            };
            url.parse::<ServerAddr>().map_err(bad)
        })
        .collect::<Result<Vec<_>, _>>()
        .and_then(|servers| {
            if servers.is_empty() {
                return Err(ConnectError::BadUrl { url: String::new() });
            }
            Ok(servers)
        })
}

/// Returns the URLs without user information, which can hold a password.
fn shown(servers: &[ServerAddr]) -> String {
    let urls: Vec<_> = servers
        .iter()
        .map(|server| format!("{}:{}", server.host(), server.port()))
        .collect();
    urls.join(",")
}

fn without_login(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}

fn options(
    settings: &NatsSettings,
    link: watch::Sender<Link>,
) -> Result<ConnectOptions, ConnectError> {
    let mut options = with_login(settings);
    if let Some(path) = &settings.artifacts.root_ca {
        options = options.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &settings.artifacts.certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    let link = Arc::new(link);
    Ok(options
        .require_tls(settings.artifacts.require_tls())
        .connection_timeout(Duration::from_secs(2))
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| {
            // The first attempt of all counts as one and is not delayed.
            let attempts = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
            RECONNECT_STEP.saturating_mul(attempts).min(RECONNECT_MOST)
        })
        .ping_interval(PING_INTERVAL)
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .event_callback(move |event| {
            let link = Arc::clone(&link);
            async move { observe(&event, &link) }
        }))
}

/// Reads the credentials at each connection, so that a file replaced on disk is used at the next one.
fn with_login(settings: &NatsSettings) -> ConnectOptions {
    if let Some(path) = settings.artifacts.credentials.clone() {
        let path: Arc<Path> = path.into();
        return ConnectOptions::with_auth_callback(move |nonce| {
            let path = Arc::clone(&path);
            async move {
                let credentials = Credentials::read(&path).map_err(|error| {
                    tracing::error!(error = %error, "Reading NATS credentials");
                    AuthError::new(error)
                })?;
                sign_in(credentials.jwt, &credentials.seed, &nonce)
            }
        });
    }
    match settings.deprecated.clone() {
        None => ConnectOptions::new(),
        Some(login) => ConnectOptions::with_auth_callback(move |nonce| {
            let login = login.clone();
            async move { deprecated_auth(&login, &nonce) }
        }),
    }
}

fn deprecated_auth(login: &DeprecatedLogin, nonce: &[u8]) -> Result<Auth, AuthError> {
    let mut auth = Auth::new();
    match login {
        DeprecatedLogin::Password { user, password } => {
            auth.username = Some(user.clone());
            auth.password = Some(password.expose_secret().to_owned());
        }
        DeprecatedLogin::Token(token) => auth.token = Some(token.expose_secret().to_owned()),
        DeprecatedLogin::UserJwt { jwt, seed } => {
            return sign_in(jwt.clone(), seed.expose_secret(), nonce);
        }
    }
    Ok(auth)
}

fn sign_in(jwt: String, seed: &str, nonce: &[u8]) -> Result<Auth, AuthError> {
    let unusable = |error: nkeys::error::Error| {
        tracing::error!(error = %error, "The NKEY seed of the NATS credentials is of no use");
        AuthError::new(error)
    };
    let key = nkeys::KeyPair::from_seed(seed).map_err(unusable)?;
    let mut auth = Auth::new();
    auth.jwt = Some(jwt);
    auth.signature = Some(key.sign(nonce).map_err(unusable)?);
    Ok(auth)
}

fn failure(error: &async_nats::ConnectError, servers: String) -> ConnectError {
    let cause = error.to_string();
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            ConnectError::Refused { servers, cause }
        }
        ConnectErrorKind::ServerParse
        | ConnectErrorKind::Dns
        | ConnectErrorKind::TimedOut
        | ConnectErrorKind::Tls
        | ConnectErrorKind::Io
        | ConnectErrorKind::MaxReconnects => ConnectError::Unreachable { servers, cause },
    }
}

/// Keeps the [`Link`] and the log current.
fn observe(event: &Event, link: &watch::Sender<Link>) {
    match event {
        Event::Connected => {
            if link.borrow().losses > 0 {
                tracing::info!("Reconnected to NATS");
            }
            link.send_modify(|link| link.connected = true);
        }
        Event::Disconnected => {
            tracing::warn!("Disconnected from NATS");
            link.send_modify(|link| {
                link.connected = false;
                link.losses = link.losses.saturating_add(1);
            });
        }
        Event::SlowConsumer(_) => {
            tracing::error!("Dropped a message, because a subscription's buffer was full");
            link.send_modify(|link| {
                link.dropped_messages = link.dropped_messages.saturating_add(1);
            });
        }
        Event::ServerError(ServerError::Other(text)) if text.contains("Permissions Violation") => {
            tracing::error!(error = text, "The broker refused us for lack of permission");
            link.send_modify(|link| {
                link.permission_violations = link.permission_violations.saturating_add(1);
            });
        }
        Event::ServerError(error) => tracing::error!(error = %error, "Error from NATS"),
        Event::ClientError(error) => {
            tracing::error!(error = %error, "Error of the NATS client");
            // The client tells of each failed attempt to connect in this way, and of nothing else that recurs.
            if matches!(error, ClientError::Other(_)) {
                link.send_modify(|link| {
                    link.failed_connects = link.failed_connects.saturating_add(1);
                });
            }
        }
        Event::LameDuckMode => tracing::warn!("The NATS server is about to stop"),
        Event::Draining | Event::Closed => {}
    }
}

/// A message takes one slot while it waits for our own queue, which is drained before each signature.
const SUBSCRIPTION_CAPACITY: usize = 65_536;
const RECONNECT_STEP: Duration = Duration::from_millis(100);
const RECONNECT_MOST: Duration = Duration::from_secs(2);
/// A silent broker is noticed after two of these.
const PING_INTERVAL: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::{TcpListener, TcpStream};

    #[test]
    fn several_urls_are_read_and_shown_without_logins() {
        let servers = parse_servers("nats://u:planted@a:4222, tls://b:4333").unwrap();
        assert_eq!(shown(&servers), "a:4222,b:4333");
    }

    #[test]
    fn a_bad_url_is_named_without_its_login() {
        let text = parse_servers("nats://u:planted@ho st:1")
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("ho st:1") && !text.contains("planted"),
            "{text}"
        );
        assert!(parse_servers(" , ").is_err());
    }

    #[test]
    fn events_keep_the_link_current() {
        let (sender, receiver) = watch::channel(Link::default());
        for event in [
            Event::Connected,
            Event::Disconnected,
            Event::Connected,
            Event::SlowConsumer(1),
            Event::ClientError(ClientError::Other("timed out".into())),
            Event::ServerError(ServerError::Other(
                "Permissions Violation for Publish".into(),
            )),
        ] {
            observe(&event, &sender);
        }
        let expected = Link {
            connected: true,
            losses: 1,
            permission_violations: 1,
            failed_connects: 1,
            dropped_messages: 1,
        };
        assert_eq!(*receiver.borrow(), expected);
    }

    #[tokio::test]
    async fn a_lost_broker_is_looked_for_however_often_it_was_not_there() {
        let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = NatsSettings {
            servers: format!("nats://{}", broker.local_addr().unwrap()),
            artifacts: Artifacts::default(),
            deprecated: None,
        };
        let (sender, mut link) = watch::channel(Link::default());
        let (client, served) = tokio::join!(connect(&settings, sender), serve(&broker));
        let _client = client.unwrap();
        // Nobody waits for what is between two attempts.
        tokio::time::pause();
        drop(served);
        for _ in 0..100 {
            drop(broker.accept().await.unwrap());
        }
        tokio::time::resume();
        let _served = serve(&broker).await;
        let back = link.wait_for(|link| link.losses == 1 && link.connected);
        let back = tokio::time::timeout(Duration::from_secs(20), back).await;
        assert!(back.unwrap().unwrap().failed_connects > 60);
    }

    /// Takes connections as a broker would, until one goes through.
    async fn serve(broker: &TcpListener) -> BufReader<TcpStream> {
        loop {
            let mut stream = BufReader::new(broker.accept().await.unwrap().0);
            let greeting = b"INFO {\"server_name\":\"stand-in\",\"max_payload\":1048576}\r\n";
            if stream.write_all(greeting).await.is_err() {
                continue;
            }
            let mut lines = String::new();
            while !lines.ends_with("PING\r\n") {
                // A client that has given up meanwhile is gone.
                match stream.read_line(&mut lines).await {
                    Ok(read) if read > 0 => {}
                    Ok(_) | Err(_) => break,
                }
            }
            if stream.write_all(b"PONG\r\n").await.is_ok() && lines.ends_with("PING\r\n") {
                return stream;
            }
        }
    }
}
