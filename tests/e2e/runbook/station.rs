//! Where an operator works: the directory that the pages speak of, the tool in `PATH`, and a bus with both issuers.

use super::page::{Page, Step};
use e2e::child::Child;
use e2e::{NatsServer, PATIENCE, Product, build_folder};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The plane of the pages.
const PLANE: &str = "prod";
/// Stands in for openssl, which a machine with Rust and a C compiler need not have: a key in the other form that is read.
/// The feature `openssl-tests` leaves it out.
const OPENSSL: &str = r#"#!/bin/sh
[ "$1 $2 $3 $4" = "genpkey -algorithm ed25519 -out" ] || exit 64
{ printf '0.\002\001\0000\005\006\003+ep\004"\004 '; head -c 32 /dev/urandom; } | base64 -w 0 > "$5"
"#;

/// A directory with `ops`, `creds`, `calls` and `keys`, a broker that trusts `ops`, issuers that hold what was rolled out, and
/// something that answers like an ingress.
pub(super) struct Station {
    folder: TempDir,
    server: NatsServer,
    edge: Option<NatsServer>,
    ingress: String,
    issuers: Vec<Child>,
}

/// How commands ended.
pub(super) struct Ended {
    /// Their exit code.
    pub(super) status: i32,
    /// What they wrote.
    pub(super) said: String,
}

impl Station {
    /// Sets everything up as the first page says.
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        if !cfg!(feature = "openssl-tests") {
            let stand_in = folder.path().join("bin/openssl");
            fs::create_dir(folder.path().join("bin")).unwrap();
            fs::write(&stand_in, OPENSSL).unwrap();
            fs::set_permissions(stand_in, fs::Permissions::from_mode(0o700)).unwrap();
        }
        for step in Page::read("README.md").steps {
            let Step::Run { script, .. } = step else {
                panic!("a station is made with plain commands");
            };
            let made = run_in(folder.path(), &[], &script);
            assert_eq!(made.status, 0, "{}", made.said);
        }
        let server = NatsServer::in_folder(&folder.path().join("ops")).await;
        let mut station = Self {
            folder,
            server,
            edge: None,
            ingress: ingress().await,
            issuers: Vec::new(),
        };
        station.roll_out().await;
        station
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Runs commands as an operator types them.
    pub(super) async fn run(&self, script: &str) -> Ended {
        let (folder, script) = (self.folder.path().to_owned(), script.to_owned());
        let variables = [
            ("MICROBUS_NATS", self.server.url()),
            ("MICROBUS_INGRESS", self.ingress.clone()),
            (
                "MICROBUS_EDGE_NATS",
                self.edge.as_ref().map(NatsServer::url).unwrap_or_default(),
            ),
        ];
        let ended = tokio::task::spawn_blocking(move || run_in(&folder, &variables, &script));
        ended.await.unwrap()
    }

    /// Starts the broker with the configuration in `ops`, and tells nobody.
    pub(super) async fn restart_broker(&mut self) {
        self.server.stop();
        self.server = NatsServer::in_folder(&self.path("ops")).await;
    }

    /// Starts a second broker with the configuration in `ops.edge`.
    pub(super) async fn start_edge_broker(&mut self) {
        self.edge = Some(NatsServer::in_folder(&self.path("ops.edge")).await);
    }

    /// Brings credentials and keys to the issuers, starts them again, and waits until both serve.
    pub(super) async fn roll_out(&mut self) {
        self.issuers.clear();
        for product in [Product::ACCESS_TOKEN, Product::BEARER_TOKEN] {
            let own = self.path(&format!("machines/{}", product.binary));
            fs::create_dir_all(&own).unwrap();
            let mut files = vec![format!("creds/{}_nats.creds", product.host)];
            if product == Product::BEARER_TOKEN {
                files.extend(["PrivateKey", "AltPrivateKey"].map(|key| format!("keys/{key}")));
            }
            for file in files {
                let target = own.join(Path::new(&file).file_name().unwrap());
                let content = fs::read(self.path(&file)).unwrap();
                drop(fs::remove_file(&target));
                fs::write(&target, content).unwrap();
                fs::set_permissions(target, fs::Permissions::from_mode(0o400)).unwrap();
            }
            let mut command = Command::new(build_folder::binary(product.package, product.binary));
            command
                .env_clear()
                .current_dir(&own)
                .env("CREDENTIALS_DIRECTORY", &own)
                .env("MICROBUS_NATS", self.server.url())
                .env("MICROBUS_DEPLOYMENT", "PROD")
                .env("MICROBUS_PLANE", PLANE)
                .env("MICROBUS_CONFIGURATION", "files");
            self.issuers.push(Child::start(product.binary, command));
        }
        for issuer in &self.issuers {
            let mut log = issuer.log();
            assert!(
                log.line("Serving", PATIENCE).await.is_some(),
                "{}",
                log.text()
            );
        }
    }
}

/// Starts something that answers each request as an ingress does one of an anonymous caller, and returns its URL.
async fn ingress() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(async || axum::http::StatusCode::UNAUTHORIZED);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Runs `script` in `folder` with the tool in `PATH`, and stops at the first command that fails.
fn run_in(folder: &Path, variables: &[(&str, String)], script: &str) -> Ended {
    let tool = build_folder::binary("microbus-deploy", "microbus-deploy");
    let path = format!(
        "{}:{}:/usr/local/bin:/usr/bin:/bin",
        folder.join("bin").display(),
        tool.parent().unwrap().display()
    );
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .env("MICROBUS_PLANE", PLANE)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    Ended {
        status: output.status.code().unwrap(),
        said: String::from_utf8_lossy(&said).into_owned(),
    }
}
