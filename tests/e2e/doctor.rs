//! The doctor finds nothing wrong with a good deployment, and names each mistake of the operator's guide with what to do.

use e2e::desk::{Desk, Ran, text};
use e2e::{Caller, Issuer, IssuerSetup, NatsServer, PATIENCE, Product};
use microbus_deploy::{Nkey, NkeyKind, bearer_key};
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
        let mut arguments = vec!["--system-credentials", "ops/sys.creds"];
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

#[tokio::test]
async fn mistakes_in_files_and_environment_are_named() {
    let deployed = Deployed::good().await;
    let (desk, service) = (&deployed.desk, &deployed.service);
    let env = service.join("env.yaml");
    let good = text(&env);
    let creds = service.join(format!("{SERVICE}_nats.creds"));
    let with_environment = |from: &str, to: &str, more: &[&str]| {
        fs::write(&env, good.replace(from, to)).unwrap();
        let diagnosis = deployed.doctor(more);
        fs::write(&env, &good).unwrap();
        diagnosis
    };

    // The plane: credentials for one, process on another.
    let diagnosis = with_environment("MICROBUS_PLANE: microbus", "MICROBUS_PLANE: prod", &[]);
    diagnosis.names(
        "plane",
        "FAIL",
        "is for the plane microbus, the process will use prod",
    );
    assert_eq!(diagnosis.code, 1);
    with_environment(
        "MICROBUS_PLANE: microbus",
        "MICROBUS_PLANE: 'a.b'",
        &["--only", "plane"],
    )
    .names("plane", "FAIL", "does not start");
    deployed
        .doctor(&["--only", "plane", "--plane", "prod"])
        .names("plane", "FAIL", "the process will use microbus, not prod");

    // The deployment.
    let only = ["--only", "deployment,nats-url"];
    with_environment("PROD", "TESTING", &only).names(
        "deployment",
        "FAIL",
        "accepts unsigned tokens",
    );
    with_environment("PROD", "LOCAL", &only).names("deployment", "FAIL", "opens every port");
    with_environment("PROD", "PRODUCTION", &only).names("deployment", "FAIL", "must be PROD");
    with_environment("MICROBUS_NATS", "OTHER", &only).names("nats-url", "FAIL", "runs alone");
    with_environment(
        "MICROBUS_CONFIGURATION: files",
        "MICROBUS_NATS_TOKEN: planted",
        &only,
    )
    .names("nats-url", "WARN", "MICROBUS_NATS_TOKEN");

    // Credentials that are missing, shared, of somebody else, cut, open to others.
    let only = [
        "--only",
        "creds-present,secrets-modes,issuers-isolated,expiry",
    ];
    let held = text(&creds);
    fs::remove_file(&creds).unwrap();
    deployed
        .doctor(&only)
        .names("creds-present", "FAIL", "holds no credentials");
    fs::write(service.join("nats.creds"), &held).unwrap();
    let diagnosis = deployed.doctor(&only);
    diagnosis.names("creds-present", "WARN", "shared by every service");
    diagnosis.names(
        "secrets-modes",
        "FAIL",
        "everybody on this machine reads it",
    );
    fs::remove_file(service.join("nats.creds")).unwrap();
    fs::write(service.join("other.example_nats.creds"), &held).unwrap();
    deployed
        .doctor(&only)
        .names("creds-present", "FAIL", "is that of login.example");
    fs::remove_file(service.join("other.example_nats.creds")).unwrap();
    fs::write(&creds, held.split("-----BEGIN USER").next().unwrap()).unwrap();
    deployed
        .doctor(&only)
        .names("creds-present", "FAIL", "no seed");
    fs::write(&creds, &held).unwrap();
    set_mode(&creds, 0o640);
    deployed
        .doctor(&only)
        .names("secrets-modes", "WARN", "its group reads it");
    set_mode(&creds, 0o600);
    set_mode(service, 0o777);
    deployed
        .doctor(&only)
        .names("secrets-modes", "FAIL", "replace credentials");
    set_mode(service, 0o700);
    deployed
        .doctor(&["--only", "creds-present", "--service", "shell.core"])
        .names("creds-present", "FAIL", "shell.core_nats.creds");

    // An issuer that is not alone.
    let beside = service.join("access.token.core_nats.creds");
    fs::write(&beside, desk.read("creds/access.token.core_nats.creds")).unwrap();
    deployed.doctor(&only).names(
        "issuers-isolated",
        "FAIL",
        "shares its directory with 1 other",
    );
    fs::remove_file(&beside).unwrap();

    // Credentials that end soon.
    desk.issue(&[
        "--calls",
        "login.yaml",
        "--out",
        "brief",
        "--expiration",
        "2h",
    ]);
    fs::copy(desk.path(&format!("brief/{SERVICE}_nats.creds")), &creds).unwrap();
    deployed
        .doctor(&only)
        .names("expiry", "WARN", "expires in ");
}

#[tokio::test]
async fn secrets_that_lie_about_and_papers_that_are_missing_are_named() {
    let desk = Desk::with_init(&[]).await;
    desk.issue_plain("some.example", "service");
    set_mode(&desk.path("service"), 0o700);
    let repository = repository(&desk);
    let doctor = |more: &[&str]| {
        let only = "account-key,operator-key,gitignore,runbook,alerts";
        let arguments = ["doctor", "--json", "--directory", "service", "--only", only];
        diagnosis(&desk.run(&[&arguments, more].concat()))
    };
    let in_repository = || doctor(&["--repository", "repository"]);
    assert_eq!(in_repository().code, 0);

    let seed = |kind| {
        Nkey::from_random(kind, [5; 32])
            .unwrap()
            .expose_seed()
            .unwrap()
    };
    fs::write(
        repository.join("ci.log"),
        format!("+ SEED={}\n", *seed(NkeyKind::Account)),
    )
    .unwrap();
    let ran = desk.run(&[
        "doctor",
        "--only",
        "account-key",
        "--repository",
        "repository",
    ]);
    assert!(ran.stdout.contains("ci.log"), "{}", ran.stdout);
    assert!(
        !ran.stdout.contains(seed(NkeyKind::Account).as_str()),
        "the seed is not shown"
    );
    fs::remove_file(repository.join("ci.log")).unwrap();
    desk.write("service/notes.txt", seed(NkeyKind::Operator).as_bytes());
    in_repository().names("operator-key", "FAIL", "notes.txt");
    fs::remove_file(desk.path("service/notes.txt")).unwrap();
    let variables = [("OPERATOR_SEED", seed(NkeyKind::Operator))];
    let variables = variables
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let ran = desk.run_with(
        &variables,
        &[
            "doctor",
            "--json",
            "--directory",
            "service",
            "--only",
            "operator-key",
        ],
    );
    diagnosis(&ran).names("operator-key", "FAIL", "the variable OPERATOR_SEED");

    fs::write(repository.join(".gitignore"), "*.nk\n").unwrap();
    in_repository().names(
        "gitignore",
        "FAIL",
        "not ignored: doctor.example_nats.creds",
    );
    fs::write(repository.join("leaked_nats.creds"), "x").unwrap();
    git(&repository, &["add", "leaked_nats.creds"]);
    in_repository().names(
        "gitignore",
        "FAIL",
        "leaked_nats.creds is about to be committed",
    );
    git(&repository, &["commit", "--quiet", "-m", "oops"]);
    git(&repository, &["rm", "--quiet", "leaked_nats.creds"]);
    git(&repository, &["commit", "--quiet", "-m", "gone?"]);
    in_repository().names("gitignore", "FAIL", "leaked_nats.creds was committed in ");
    doctor(&["--repository", "service"]).names("gitignore", "UNKNOWN", "no git repository");

    doctor(&["--runbook", "runbook.md"]).names("runbook", "FAIL", "runbook.md");
    desk.write("runbook.md", "call somebody");
    doctor(&["--runbook", "runbook.md"]).names("runbook", "WARN", "revoke or rotate");
    doctor(&["--alerts", "alerts.yaml"]).names("alerts", "WARN", "alerts.yaml");
    desk.write("alerts.yaml", "groups: []");
    doctor(&["--alerts", "alerts.yaml"]).names("alerts", "WARN", "holds no alarm");
}

#[tokio::test]
async fn what_is_wrong_with_issuers_and_tokens_is_named() {
    let mut deployed = Deployed::good().await;
    let only = ["--only", "issuers-up,first-verification,plane-running"];

    // Tokens: signed by nobody we believe, and by a key that is not published.
    let token = deployed
        .desk
        .run(&[
            "mint",
            "--credentials",
            &format!("{SERVICE}/{SERVICE}_nats.creds"),
            "--nats",
            &deployed.desk.url(),
        ])
        .succeeded();
    let token = token.stdout.trim().to_owned();
    deployed.desk.write("token", &token);
    let with_token = |deployed: &Deployed, file: &str| {
        let directory = deployed.service.display().to_string();
        deployed.run(&[
            "--directory",
            &directory,
            "--only",
            "issuers-up,first-verification",
            "--token",
            file,
        ])
    };
    with_token(&deployed, "token").names("first-verification", "PASS", "access.token.core");
    deployed.desk.write("foreign", foreign(&token));
    with_token(&deployed, "foreign").names("first-verification", "FAIL", "");

    // A running process that was started before the plane was changed.
    let env = deployed.service.join("env.yaml");
    let good = text(&env);
    let running = deployed.caller().await;
    // The broker has taken its subscriptions when this one is taken.
    let served = running.listen("microbus.safe.443.*.login_example.>").await;
    fs::write(
        &env,
        good.replace("MICROBUS_PLANE: microbus", "MICROBUS_PLANE: prod"),
    )
    .unwrap();
    deployed.doctor(&only).names(
        "plane-running",
        "FAIL",
        "login.example runs on the plane microbus",
    );
    fs::write(&env, &good).unwrap();
    deployed
        .doctor(&only)
        .names("plane-running", "PASS", "on the plane of their directory");
    drop((served, running));

    // The access issuer is started again: its old keys are gone.
    drop(deployed.issuers.remove(0));
    let down = with_token(&deployed, "token");
    down.names("issuers-up", "FAIL", "access.token.core: ");
    down.names(
        "first-verification",
        "UNKNOWN",
        "access.token.core publishes nothing",
    );
    assert_eq!(down.code, 1);
    deployed.start(Product::ACCESS_TOKEN).await;
    with_token(&deployed, "token").names("first-verification", "FAIL", "does not publish the key");
}

/// Returns a token of an issuer that nobody believes.
fn foreign(token: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let parts: Vec<_> = token.split('.').collect();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let claims = claims.replace("access.token.core", "login.okta.example");
    [parts[0], &URL_SAFE_NO_PAD.encode(claims), parts[2]].join(".")
}

#[tokio::test]
async fn a_bearer_issuer_without_a_key_is_named() {
    let mut deployed = Deployed::good().await;
    let mut bearer = deployed.issuers.remove(1);
    bearer.write_file("env.yaml", environment(&deployed.desk.url()));
    bearer.restart();
    bearer.until_ready(&deployed.caller().await).await;
    deployed.issuers.push(bearer);
    deployed.doctor(&["--only", "issuers-up"]).names(
        "issuers-up",
        "FAIL",
        "bearer.token.core answers without a key",
    );
}

#[tokio::test]
async fn why_the_broker_refuses_a_credential_is_named() {
    let desk = Desk::open().await;
    let stranger = Desk::with_init(&[]).await;
    fs::create_dir(desk.path("service")).unwrap();
    desk.write("service/env.yaml", environment(&desk.url()));
    let doctor = || {
        diagnosis(&desk.run(&[
            "doctor",
            "--json",
            "--directory",
            "service",
            "--system-credentials",
            "ops/sys.creds",
            "--operator-jwt",
            "ops/operator.jwt",
            "--only",
            "creds-accepted,broker-accounts,broker-opmode",
        ]))
    };
    let place = desk.path("service/some.example_nats.creds");

    fs::copy(stranger.issue_plain("some.example", "creds"), &place).unwrap();
    doctor().names("creds-accepted", "FAIL", "which the servers do not know");

    let signing = [
        "creds",
        "--calls",
        "creds-some.example.yaml",
        "--signing-key",
    ];
    let good = desk.issue_plain("some.example", "creds");
    // A signing key that is taken for an identity, as the Go generator takes it.
    desk.run(&[&signing, &["ops/account-sk.nk", "--out", "nameless"][..]].concat());
    if desk.path("nameless/some.example_nats.creds").exists() {
        fs::copy(desk.path("nameless/some.example_nats.creds"), &place).unwrap();
        fs::copy(&good, desk.path("service/other.example_nats.creds")).unwrap();
        doctor().names("creds-accepted", "FAIL", "without issuer_account");
        fs::remove_file(desk.path("service/other.example_nats.creds")).unwrap();
    }
    // A key that is no key of the account.
    let unlisted = Nkey::from_random(NkeyKind::Account, [6; 32]).unwrap();
    desk.write("unlisted.nk", unlisted.expose_seed().unwrap().as_bytes());
    set_mode(&desk.path("unlisted.nk"), 0o600);
    let account = microbus_deploy::Jwt::read(&desk.read("ops/account.jwt"))
        .unwrap()
        .sub;
    desk.run(
        &[
            &signing,
            &["unlisted.nk", "--account", &account, "--out", "unlisted"][..],
        ]
        .concat(),
    )
    .succeeded();
    fs::copy(desk.path("unlisted/some.example_nats.creds"), &place).unwrap();
    doctor().names("creds-accepted", "FAIL", "which is no key of A");

    desk.run(
        &[
            &signing,
            &[
                "ops/account-sk.nk",
                "--account-jwt",
                "ops/account.jwt",
                "--expiration",
                "1s",
                "--out",
                "brief",
            ][..],
        ]
        .concat(),
    )
    .succeeded();
    fs::copy(desk.path("brief/some.example_nats.creds"), &place).unwrap();
    let url = desk.url();
    let brief = text(&place);
    // The broker itself says when the credential has ended.
    let ended = async {
        while Caller::connect(
            &url,
            Some(&brief),
            "microbus",
            "some.example",
            "id-tester0000",
        )
        .await
        .is_ok()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    doctor().names("creds-accepted", "FAIL", "expired at");

    fs::copy(&good, &place).unwrap();
    let fine = doctor();
    assert_eq!(fine.code, 0, "{fine:#?}");
    desk.run_at_broker(&[
        "revoke",
        "service/some.example_nats.creds",
        "--operator-key",
        "ops/operator-sk.nk",
    ])
    .succeeded();
    doctor().names("creds-accepted", "FAIL", "revoked: issued before");

    // Another operator than ours.
    let other = diagnosis(&desk.run(&[
        "doctor",
        "--json",
        "--directory",
        "service",
        "--system-credentials",
        "ops/sys.creds",
        "--operator-jwt",
        stranger.path("ops/operator.jwt").to_str().unwrap(),
        "--only",
        "broker-opmode",
    ]));
    other.names("broker-opmode", "FAIL", "not our operator");
}

#[tokio::test]
async fn a_broker_that_enforces_nothing_or_too_little_is_named() {
    let desk = Desk::with_init(&[]).await;
    desk.issue_plain("some.example", "service");
    set_mode(&desk.path("service"), 0o700);
    let only = "broker-reachable,broker-opmode,broker-limits,enforcement,broker-external";
    let doctor = |url: &str, more: &[&str]| {
        let arguments = [
            "doctor",
            "--json",
            "--directory",
            "service",
            "--only",
            only,
            "--nats",
            url,
        ];
        diagnosis(&desk.run(&[&arguments, more].concat()))
    };
    let open = NatsServer::open_to_all(65_536).await;
    let diagnosis = doctor(
        &open.url(),
        &["--outside", open.url().trim_start_matches("nats://")],
    );
    diagnosis.names(
        "broker-opmode",
        "FAIL",
        "lets clients in without credentials",
    );
    diagnosis.names("broker-limits", "FAIL", "services do not start below");
    diagnosis.names(
        "enforcement",
        "FAIL",
        "NOT ENFORCED: calling port 666 of an issuer",
    );
    diagnosis.names(
        "enforcement",
        "FAIL",
        "NOT ENFORCED: a login without the seed",
    );
    diagnosis.names("broker-external", "FAIL", "is open from here");
    let passwords = NatsServer::configured("authorization { user: u, password: p }\n").await;
    doctor(&passwords.url(), &[]).names("broker-opmode", "FAIL", "not in operator mode");

    let away = doctor("nats://127.0.0.1:1", &[]);
    away.names(
        "broker-reachable",
        "FAIL",
        "127.0.0.1:1: nobody listens there",
    );
    away.names("enforcement", "UNKNOWN", "does not answer");
    assert_eq!(away.code, 69);
}

#[tokio::test]
async fn what_a_server_says_about_itself_is_judged() {
    let desk = Desk::with_init(&["--resolver", "full"]).await;
    let config = desk.read("ops/nats-server.conf");
    let lax: String = config
        .lines()
        .filter(|line| !line.starts_with("max_subscriptions"))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut lax = lax.replace("/ops/jwt", "/ops/jwt-lax");
    lax.push_str("http: \"0.0.0.0:-1\"\n");
    let server = NatsServer::configured(&lax).await;
    desk.issue_plain("some.example", "service");
    let diagnosis = diagnosis(&desk.run(&[
        "doctor",
        "--json",
        "--directory",
        "service",
        "--nats",
        &server.url(),
        "--system-credentials",
        "ops/sys.creds",
        "--only",
        "broker-monitor,broker-limits",
    ]));
    diagnosis.names("broker-monitor", "FAIL", "0.0.0.0");
    diagnosis.names(
        "broker-limits",
        "WARN",
        "bounds no connection's subscriptions",
    );
}
