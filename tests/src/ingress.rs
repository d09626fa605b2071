//! An HTTP ingress that treats bearer tokens as the Go one does (spec: microbus-wire 12.3), and the operator who warms it.

use crate::PATIENCE;
use crate::build_folder;
use crate::normal::{claim, kid};
use crate::operator::Bus;
use crate::verifier::{Reason, Verifier};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;

/// An ingress with a map of bearer keys that its own HTTP requests fill and no ping reaches; it serves until it is dropped.
pub struct Ingress {
    verifier: Arc<Verifier>,
    address: SocketAddr,
    serving: JoinHandle<()>,
    /// `microbus-deploy`.
    tool: PathBuf,
}

impl Ingress {
    /// Starts an ingress at a free port, which speaks on the bus as `host`.
    pub async fn start(bus: &Bus, host: &str) -> Self {
        // Building takes its time, and must not take it while a key waits.
        let tool = build_folder::binary("microbus-deploy", "microbus-deploy");
        let verifier = Arc::new(Verifier::that_posts(bus, host, 98).await);
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("loopback has free ports");
        let address = listener.local_addr().expect("a listener has an address");
        let router = Router::new()
            .fallback(serve)
            .with_state(Arc::clone(&verifier));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("a listener listens");
        });
        Self {
            verifier,
            address,
            serving,
            tool,
        }
    }

    /// Judges the token of an HTTP request, as for one that came in.
    ///
    /// # Errors
    /// Why the request stays anonymous.
    pub async fn judge(&self, token: &str) -> Result<(), Reason> {
        judge(&self.verifier, token).await
    }

    /// Has it fetch keys as an operator does while a new key is published and does not sign yet: with
    /// `microbus-deploy warm-ingress`, which waits until the key is published.
    pub async fn warm(&self, bus: &Bus, kid: &str) {
        let folder = tempfile::tempdir().expect("temporary folders can be made");
        let credentials = folder.path().join("operators.desk_nats.creds");
        std::fs::write(&credentials, bus.credentials("operators.desk"))
            .expect("a file can be written");
        let mut command = Command::new(&self.tool);
        command
            .arg("warm-ingress")
            .arg(format!("http://{}/", self.address))
            .args(["--kid", kid, "--wait", "20s", "--nats", &bus.server.url()])
            .arg("--creds")
            .arg(credentials)
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let ended = tokio::time::timeout(PATIENCE * 2, command.output()).await;
        let output = ended
            .expect("the tool ends in time")
            .expect("the tool is built");
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}{complained}");
    }
}

impl Drop for Ingress {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers whoever asks, and says whether that is somebody: what is no valid bearer token makes a request anonymous.
async fn serve(State(verifier): State<Arc<Verifier>>, headers: HeaderMap) -> &'static str {
    let authorization = headers.get("Authorization");
    let token = authorization
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    match token {
        Some(token) if judge(&verifier, token).await.is_ok() => "an actor\n",
        Some(_) | None => "anonymous\n",
    }
}

async fn judge(verifier: &Verifier, token: &str) -> Result<(), Reason> {
    let issuer = claim(token, "iss");
    if kid(token).is_empty() || issuer != "https://bearer.token.core" {
        return Err(Reason::Invalid);
    }
    verifier.judge(token).await
}
