//! A real nats-server for one test.

use crate::PATIENCE;
use crate::child::Child;
use crate::goldens::Subscription;
use crate::nats_binary;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use microbus_deploy::ServerConfig;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A running nats-server on a port of its own choice, killed on drop.
#[derive(Debug)]
pub struct NatsServer {
    folder: PathBuf,
    own_folder: Option<TempDir>,
    child: Child,
    address: SocketAddr,
    monitor: Option<SocketAddr>,
}

impl NatsServer {
    /// Starts a server in operator mode, as `config` says; its address and port are replaced by a free loopback port.
    pub async fn in_operator_mode(config: &ServerConfig) -> Self {
        Self::start(&config.to_text()).await
    }

    /// Starts a server that lets everybody in and allows everything.
    pub async fn open_to_all(max_payload: u32) -> Self {
        Self::start(&format!("max_payload: {max_payload}\n")).await
    }

    /// Starts a server with these lines of configuration and no other restriction.
    pub async fn configured(config: &str) -> Self {
        Self::start(config).await
    }

    /// Starts a server in `folder`, as the file `nats-server.conf` there says, but on free loopback ports.
    pub async fn in_folder(folder: &Path) -> Self {
        let (child, address, monitor) = spawn(with_monitor(folder, "-1")).await;
        Self {
            folder: folder.to_owned(),
            own_folder: None,
            child,
            address,
            monitor,
        }
    }

    /// Starts a server with a file of configuration as it is, nothing added: it must ask for a free port, and has no
    /// monitoring port unless it asks for one.
    pub async fn from_file(config: &Path) -> Self {
        let own_folder = tempfile::tempdir().expect("temporary folders can be made");
        let mut command = Command::new(nats_binary::locate());
        command.arg("-c").arg(config).current_dir(own_folder.path());
        let (child, address, monitor) = spawn(command).await;
        Self {
            folder: own_folder.path().to_owned(),
            own_folder: Some(own_folder),
            child,
            address,
            monitor,
        }
    }

    /// Starts a server like [`NatsServer::in_operator_mode`] that forms a cluster with the server `with`, and with all that
    /// this one knows.
    pub async fn in_cluster(config: &ServerConfig, with: Option<&Self>) -> Self {
        let routes = match with {
            Some(other) => format!("\"nats-route://{}\"", other.route_address().await),
            None => String::new(),
        };
        let cluster = format!(
            "cluster {{ name: test, host: \"127.0.0.1\", port: -1, routes: [{routes}] }}\n"
        );
        Self::start(&(config.to_text() + &cluster)).await
    }

    /// Waits until this server knows so many others of its cluster.
    pub async fn until_joined(&self, others: usize) {
        let end = Instant::now() + PATIENCE;
        loop {
            let report = self.monitor("/routez").await;
            let routes = report["routes"].as_array().into_iter().flatten();
            let known: BTreeSet<_> = routes.map(|route| route["remote_id"].to_string()).collect();
            if known.len() == others {
                return;
            }
            assert!(
                Instant::now() < end,
                "a cluster of {} does not form",
                others + 1
            );
        }
    }

    async fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("temporary folders can be made");
        std::fs::write(folder.path().join(CONFIG), config).expect("a file can be written");
        let mut server = Self::in_folder(folder.path()).await;
        server.own_folder = Some(folder);
        server
    }

    /// Returns the URL that clients connect to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Returns where the server answers monitors, if it does.
    #[must_use]
    pub fn monitor_address(&self) -> Option<SocketAddr> {
        self.monitor
    }

    /// Waits until the server listens for others of its cluster, and returns where.
    pub async fn route_address(&self) -> SocketAddr {
        let line = self.log().line(ROUTES, PATIENCE).await;
        let line = line.unwrap_or_else(|| panic!("no cluster:\n{}", self.log().text()));
        let address = line.split(ROUTES).nth(1).map(str::trim);
        address
            .and_then(|address| address.parse().ok())
            .expect("the server logs where it listens")
    }

    /// Returns what the server logged since it was started last.
    #[must_use]
    pub fn log(&self) -> crate::log::Log {
        self.child.log()
    }

    /// Ends the server at once, without a word to its clients.
    pub fn stop(&mut self) {
        self.child.kill();
    }

    /// Starts the server again on the same port; one that still runs is stopped first, and none is started again that
    /// was started from a file.
    pub async fn restart(&mut self) {
        self.stop();
        let port = self.address.port().to_string();
        let command = with_monitor(&self.folder, &port);
        (self.child, self.address, self.monitor) = spawn(command).await;
    }

    /// Returns the subscriptions that the server holds for the user called `name` in its JWT, over all of its
    /// connections.
    pub async fn subscriptions_of(&self, name: &str) -> Vec<Subscription> {
        let report = self.monitor("/connz?auth=true&subs=detail").await;
        let connections = report["connections"]
            .as_array()
            .expect("the server reports a list");
        connections
            .iter()
            .filter(|connection| user_name(connection).as_deref() == Some(name))
            .flat_map(|connection| connection["subscriptions_list_detail"].as_array())
            .flatten()
            .map(|detail| Subscription {
                subject: detail["subject"].as_str().unwrap_or_default().to_owned(),
                queue: detail["qgroup"].as_str().unwrap_or_default().to_owned(),
            })
            .collect()
    }

    /// Asks the server's monitoring port, which speaks HTTP; version 1.0 ends the answer with the connection.
    async fn monitor(&self, path: &str) -> Value {
        let monitor = self.monitor.expect("the configuration asks for a monitor");
        let mut stream = TcpStream::connect(monitor)
            .await
            .expect("the server listens for monitors");
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("the server reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .await
            .expect("the server answers with text");
        let (_, body) = answer
            .split_once("\r\n\r\n")
            .expect("the server answers with HTTP");
        serde_json::from_str(body).expect("the server reports JSON")
    }
}

/// Returns the name in the JWT of a reported connection; the report's own `name_tag` is the name of the account.
fn user_name(connection: &Value) -> Option<String> {
    let claims = connection["jwt"].as_str()?.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(claims["name"].as_str()?.to_owned())
}

fn with_monitor(folder: &Path, port: &str) -> Command {
    let mut command = Command::new(nats_binary::locate());
    command
        .args(["-a", "127.0.0.1", "-p", port, "-m", "-1", "-c", CONFIG])
        .current_dir(folder);
    command
}

async fn spawn(command: Command) -> (Child, SocketAddr, Option<SocketAddr>) {
    let child = Child::start("nats-server", command);
    let mut log = child.log();
    // Listening comes first, accepting later.
    if log.line("Server is ready", PATIENCE).await.is_none() {
        panic!("nats-server does not start:\n{}", log.text());
    }
    let logged_after = |part| {
        let text = log.text();
        let rest = text.split(part).nth(1)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    let address = logged_after("Listening for client connections on ");
    let address = address.expect("the server logs where it listens");
    (child, address, logged_after("Starting http monitor on "))
}

const ROUTES: &str = "Listening for route connections on ";
const CONFIG: &str = "nats-server.conf";
