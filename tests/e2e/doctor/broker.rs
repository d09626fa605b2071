//! Brokers that let too much through, or keep what will lock an account out.

use super::{diagnosis, set_mode};
use e2e::NatsServer;
use e2e::desk::Desk;
use microbus_deploy::{Account, Nkey, NkeyKind, Operator};
use serde_json::Value;
use std::time::{Duration, SystemTime};

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
    away.names("enforcement", "UNKNOWN", "cannot be asked");
    assert_eq!(away.code, 69);
}

/// Whoever asks for a check that needs the broker learns that there is none, by the exit code as well.
#[tokio::test]
async fn a_broker_that_is_away_is_told_whatever_was_asked_for() {
    let desk = Desk::with_init(&[]).await;
    desk.issue_plain("some.example", "service");
    let doctor = |url: &str, only: &str| {
        let asked = ["--only", only, "--nats", url, "--directory", "service"];
        diagnosis(&desk.run(&[&["doctor", "--json"], &asked[..]].concat()))
    };
    for url in ["", " , ", "http://a:1", "nats://127.0.0.1:1"] {
        let away = doctor(url, "plane,creds-accepted");
        away.names("broker-reachable", "FAIL", "");
        away.names("creds-accepted", "UNKNOWN", "cannot be asked");
        assert_eq!(away.code, 69, "{url:?}");
    }
    let files_alone = doctor("nats://127.0.0.1:1", "secrets-modes");
    assert!(files_alone.with("UNKNOWN").is_empty(), "{files_alone:#?}");
    assert_ne!(files_alone.code, 69);
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
        "--system-creds",
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

#[tokio::test]
async fn what_only_the_system_account_can_tell_is_not_passed_over() {
    let desk = Desk::open().await;
    desk.issue_plain("some.example", "service");
    let ask = |system: &str| {
        let url = desk.url();
        let what = ["doctor", "--json", "--nats", &url, "--directory", "service"];
        let who = [
            "--operator-jwt",
            "ops/operator.jwt",
            "--system-creds",
            system,
        ];
        let only = ["--only", "broker-opmode"];
        desk.run(&[&what[..], &who, &only].concat())
    };
    let told = diagnosis(&ask("ops/sys.creds"));
    assert_eq!(told.code, 0);
    let not_told = diagnosis(&ask("service/some.example_nats.creds"));
    not_told.names("broker-opmode", "UNKNOWN", "no server answers questions");
    assert_eq!(not_told.code, 5);
    // A wrong path is a mistake of whoever typed it, and nothing about the deployment.
    ask("none.creds").ended(78).complained("reading none.creds");
    desk.type_line("doctor --operator-jwt ops/operator.jwt")
        .ended(2)
        .complained("--system-creds");
}

#[tokio::test]
async fn an_account_that_will_be_dead_at_the_next_start_is_named() {
    let desk = Desk::open().await;
    desk.issue_plain("some.example", "service");
    let doctor = || {
        diagnosis(&desk.run_at_broker(&[
            "doctor",
            "--json",
            "--directory",
            "service",
            "--only",
            "broker-accounts,creds-accepted",
        ]))
    };
    doctor().names("creds-accepted", "PASS", "1 credentials");
    // Pushed by hand, as nsc would: the broker answers 200, and keeps it, and does not use it.
    let stranger = Nkey::from_random(NkeyKind::Operator, [9; 32]).unwrap();
    let stranger = Operator::new("stranger", stranger).unwrap();
    let ours = Nkey::from_seed(NkeyKind::Account, &desk.read("ops/account.nk")).unwrap();
    let ours = Account::new("bus", ours).unwrap();
    let forged = stranger.sign_account(&ours, SystemTime::now()).unwrap();
    let answer = push(&desk, forged).await;
    assert_eq!(answer["data"]["code"], 200, "{answer}");
    let diagnosis = doctor();
    diagnosis.names(
        "broker-accounts",
        "FAIL",
        "at the next start of a server the account is dead",
    );
    diagnosis.names("creds-accepted", "PASS", "1 credentials");
}

/// Sends an account JWT as the system account, and returns the answer of the server.
async fn push(desk: &Desk, jwt: String) -> Value {
    let connecting = async_nats::ConnectOptions::with_credentials(&desk.read("ops/sys.creds"));
    let client = connecting.unwrap().connect(desk.url()).await.unwrap();
    let answer = client
        .request("$SYS.REQ.CLAIMS.UPDATE", jwt.into())
        .await
        .unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

#[tokio::test]
async fn certificates_that_nobody_believes_or_that_end_soon_are_named() {
    let lasting = with_certificate(3650).await;
    let doctor = |desk: &Desk, more: &[&str]| {
        let url = desk.url();
        let arguments = [
            "doctor",
            "--json",
            "--directory",
            "service",
            "--nats",
            &url,
            "--only",
        ];
        diagnosis(&desk.run(&[&arguments[..], &["broker-reachable,broker-tls"], more].concat()))
    };
    doctor(&lasting, &["--ca", "cert.pem"]).names("broker-tls", "PASS", "its certificate lasts ");
    let disbelieved = doctor(&lasting, &[]);
    disbelieved.names("broker-tls", "FAIL", "invalid peer certificate");
    disbelieved.names("broker-reachable", "UNKNOWN", "answers, but TLS");
    assert_eq!(disbelieved.code, 1);
    let url = lasting.url();
    for only in ["broker-reachable", "creds-accepted"] {
        let asked = ["--only", only, "--nats", &url, "--directory", "service"];
        let told = diagnosis(&lasting.run(&[&["doctor", "--json"], &asked[..]].concat()));
        assert_eq!(told.code, 5);
        assert_eq!(told.with("UNKNOWN")[0]["do"], "see broker-tls");
    }
    let ending = with_certificate(5).await;
    doctor(&ending, &["--ca", "cert.pem"]).names("broker-tls", "WARN", "ends in 5 days");
}

/// Sets up a bus whose broker encrypts, with a certificate that lasts so many days.
async fn with_certificate(days: u32) -> Desk {
    let mut desk = Desk::new();
    let mut certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    // Half a day more, so that the count of whole days does not hang on the second in which it is taken.
    certificate.not_after = (SystemTime::now() + DAY * days + DAY / 2).into();
    let key = rcgen::KeyPair::generate().unwrap();
    desk.write("cert.pem", certificate.self_signed(&key).unwrap().pem());
    desk.write("key.pem", key.serialize_pem());
    desk.type_line("init ops --listen 127.0.0.1:0 --tls-cert cert.pem --tls-key key.pem")
        .succeeded();
    std::fs::create_dir(desk.path("service")).unwrap();
    let server = NatsServer::in_folder(&desk.path("ops")).await;
    desk.servers.push(server);
    desk
}

const DAY: Duration = Duration::from_secs(86_400);
