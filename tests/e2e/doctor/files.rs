//! Mistakes in files, environment and repository.

use super::{Deployed, SERVICE, diagnosis, git, repository, set_mode};
use e2e::desk::{Desk, text};
use microbus_deploy::{Nkey, NkeyKind};
use std::fs;

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
