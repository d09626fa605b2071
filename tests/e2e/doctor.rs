//! The doctor finds nothing wrong with a good deployment, and names each mistake of the operator's guide with what to do.

mod broker;
mod credentials;
mod files;
mod ingress;
mod issuers;

use e2e::desk::{Desk, Ran, text};
use e2e::{Caller, Issuer, IssuerSetup, Product};
use microbus_deploy::bearer_key;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A deployment: a broker, both issuers, and a service that may mint.
struct Deployed {
    desk: Desk,
    issuers: Vec<Issuer>,
    service: PathBuf,
}

/// What the doctor said.
#[derive(Debug)]
struct Diagnosis {
    code: i32,
    findings: Vec<Value>,
}

const SERVICE: &str = "login.example";

impl Deployed {
    async fn good() -> Self {
        Self::with_init(&["--resolver", "full"]).await
    }

    async fn with_init(arguments: &[&str]) -> Self {
        let desk = Desk::with_init(arguments).await;
        desk.issue(&["--service", "access.token.core,bearer.token.core"]);
        desk.write(
            "login.yaml",
            format!("hostname: {SERVICE}\ncalls: [{{host: access.token.core, endpoint: Mint}}]\n"),
        );
        desk.issue(&["--calls", "login.yaml", "--out", "creds"]);
        let service = desk.path(SERVICE);
        fs::create_dir(&service).unwrap();
        fs::copy(
            desk.path(&format!("creds/{SERVICE}_nats.creds")),
            service.join(format!("{SERVICE}_nats.creds")),
        )
        .unwrap();
        fs::write(service.join("env.yaml"), environment(&desk.url())).unwrap();
        let mut deployed = Self {
            desk,
            issuers: Vec::new(),
            service,
        };
        for product in [Product::ACCESS_TOKEN, Product::BEARER_TOKEN] {
            deployed.start(product).await;
        }
        deployed
    }

    async fn start(&mut self, product: Product) {
        let mut environment = environment(&self.desk.url());
        let credentials = format!("{}_nats.creds", product.host);
        let mut setup = IssuerSetup::new(product).with_file(
            &credentials,
            self.desk.read(&format!("creds/{credentials}")),
        );
        if product == Product::BEARER_TOKEN {
            environment.push_str("MICROBUS_PRIVATE_KEY_FILE: ./key.pem\n");
            let key = bearer_key::pem(&[7; 32].into());
            setup = setup.with_file("key.pem", key.as_bytes());
        }
        let issuer = setup.with_file("env.yaml", environment).start();
        issuer.until_ready(&self.caller().await).await;
        self.issuers.push(issuer);
    }

    /// Connects as the service that may mint.
    async fn caller(&self) -> Caller {
        let credentials = text(&self.service.join(format!("{SERVICE}_nats.creds")));
        let url = self.desk.url();
        let connected = Caller::connect(
            &url,
            Some(&credentials),
            "microbus",
            SERVICE,
            "id-tester0000",
        );
        connected.await.unwrap()
    }

    fn directory(&self, issuer: usize) -> String {
        self.issuers[issuer].folder().display().to_string()
    }

    /// Runs the doctor as an operator would who has everything at hand.
    fn doctor(&self, more: &[&str]) -> Diagnosis {
        let directories = [
            self.directory(0),
            self.directory(1),
            self.service.display().to_string(),
        ];
        let minter = format!("{SERVICE}/{SERVICE}_nats.creds");
        let mut arguments = vec!["--system-creds", "ops/sys.creds"];
        arguments.extend(["--operator-jwt", "ops/operator.jwt", "--mint-as", &minter]);
        for directory in &directories {
            arguments.extend(["--directory", directory]);
        }
        arguments.extend(more);
        self.run(&arguments)
    }

    fn run(&self, arguments: &[&str]) -> Diagnosis {
        diagnosis(&self.desk.run(&[&["doctor", "--json"], arguments].concat()))
    }
}

fn diagnosis(ran: &Ran) -> Diagnosis {
    let report: Result<Value, _> = serde_json::from_str(&ran.stdout);
    assert!(report.is_ok(), "{}\n{}", ran.stdout, ran.stderr);
    Diagnosis {
        code: ran.code,
        findings: report.unwrap()["findings"].as_array().unwrap().clone(),
    }
}

fn environment(url: &str) -> String {
    format!(
        "MICROBUS_NATS: {url}\nMICROBUS_DEPLOYMENT: PROD\nMICROBUS_PLANE: microbus\nMICROBUS_CONFIGURATION: files\n"
    )
}

impl Diagnosis {
    /// Checks that a check gave this verdict with `part` in what it found, and says what to do where something is wrong.
    #[track_caller]
    fn names(&self, check: &str, verdict: &str, part: &str) {
        let named = self.findings.iter().find(|finding| {
            finding["id"] == check
                && finding["verdict"] == verdict
                && finding["found"].as_str().unwrap().contains(part)
        });
        assert!(
            named.is_some(),
            "{check} {verdict} {part:?} is not in {self:#?}"
        );
        let named = named.unwrap();
        assert!(!named["expected"].as_str().unwrap().is_empty());
        if ["WARN", "FAIL"].contains(&verdict) {
            assert!(!named["do"].as_str().unwrap().is_empty(), "{named}");
        }
    }

    fn with(&self, verdict: &str) -> Vec<&Value> {
        let of = |finding: &&Value| finding["verdict"] == verdict;
        self.findings.iter().filter(of).collect()
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn git(folder: &Path, arguments: &[&str]) {
    let ran = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=t", "-c", "user.email=t@example"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

/// Makes a repository that ignores what it should.
fn repository(desk: &Desk) -> PathBuf {
    let folder = desk.path("repository");
    fs::create_dir(&folder).unwrap();
    git(&folder, &["init", "--quiet"]);
    fs::write(folder.join(".gitignore"), "*.creds\n*.nk\n*.local.yaml\n").unwrap();
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "--quiet", "-m", "begin"]);
    folder
}

#[tokio::test]
async fn nothing_is_wrong_with_a_good_deployment() {
    let deployed = Deployed::good().await;
    repository(&deployed.desk);
    deployed.desk.write("runbook.md", "To revoke … To rotate …");
    deployed.desk.write(
        "alerts.yaml",
        include_str!("../../deploy/observability/alerts.yaml"),
    );
    let diagnosis = deployed.doctor(&[
        "--repository",
        "repository",
        "--runbook",
        "runbook.md",
        "--alerts",
        "alerts.yaml",
        "--plane",
        "microbus",
        "--service",
        "access.token.core,bearer.token.core",
        "--outside",
        "127.0.0.1:1",
        "--strict",
    ]);
    for verdict in ["WARN", "FAIL", "UNKNOWN"] {
        assert!(diagnosis.with(verdict).is_empty(), "{diagnosis:#?}");
    }
    let skipped = diagnosis.with("SKIP");
    let skipped: Vec<_> = skipped
        .iter()
        .map(|finding| finding["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        skipped,
        ["ingress-tls", "ingress-ports"],
        "nobody asked for an ingress"
    );
    assert_eq!(diagnosis.code, 0);
    diagnosis.names("issuers-up", "PASS", "bearer.token.core: 1 keys in ");
    diagnosis.names("issuers-up", "PASS", "1 replicas");
    diagnosis.names("first-verification", "PASS", "access.token.core");
    diagnosis.names("enforcement", "PASS", "refused");
}
