//! `init` writes secrets for their owner only, shows none of them, and overwrites nothing.

use crate::tool::Desk;
use microbus_deploy::Jwt;

#[test]
fn secrets_are_closed_and_the_rest_is_readable() {
    let desk = Desk::with_accounts();
    assert_eq!(desk.mode("ops"), 0o700);
    for name in desk.list("ops") {
        let expected = match name.rsplit('.').next().unwrap() {
            "nk" | "creds" => 0o600,
            "jwt" => 0o644,
            "conf" => 0o640,
            "accounts" => 0o700,
            other => panic!("what is {other}?"),
        };
        assert_eq!(desk.mode(&format!("ops/{name}")), expected, "{name}");
    }
}

#[test]
fn no_seed_is_shown_and_none_is_in_a_public_file() {
    let desk = Desk::new();
    let said = desk.run("init ops").succeeded();
    let seeds: Vec<_> = desk
        .list("ops")
        .iter()
        .filter(|name| name.ends_with(".nk"))
        .map(|name| desk.read(&format!("ops/{name}")))
        .collect();
    assert_eq!(seeds.len(), 5);
    let config = desk.read("ops/nats-server.conf");
    for seed in seeds {
        for text in [&said.stdout, &said.stderr, &config] {
            assert!(!text.contains(&seed));
        }
    }
}

#[test]
fn a_directory_with_anything_in_it_is_left_alone() {
    let desk = Desk::with_accounts();
    let before = desk.read("ops/operator.nk");
    desk.run("init ops")
        .failed(1, &["ops is not empty", "new directory"]);
    assert_eq!(desk.read("ops/operator.nk"), before);
    desk.write("mine/notes.txt", "x");
    desk.run("init mine").failed(1, &["mine is not empty"]);
    assert_eq!(desk.list("mine"), ["notes.txt"]);
}

#[test]
fn identities_sign_nothing_that_is_done_again() {
    let desk = Desk::with_accounts();
    let read = |name: &str| Jwt::read(&desk.read(name)).unwrap();
    let (operator, account) = (read("ops/operator.jwt"), read("ops/account.jwt"));
    assert_eq!(operator.signing_keys(), [account.iss.as_str()]);
    assert_eq!(account.signing_keys().len(), 1);

    desk.run("init plain --no-signing-keys").succeeded();
    assert!(!desk.list("plain").contains(&"account-sk.nk".to_owned()));
    assert!(read("plain/account.jwt").signing_keys().is_empty());
}

#[test]
fn the_configuration_says_what_was_asked_for() {
    let desk = Desk::new();
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        desk.write(name, "");
    }
    desk.run(
        "init ops --listen 10.0.0.5:4333 --resolver full --resolver-dir /var/lib/nats/jwt \
         --tls-cert cert.pem --tls-key key.pem --tls-client-ca ca.pem --max-payload 262144 \
         --max-subscriptions 64 --max-pending 1048576 --write-deadline 5s --monitor 127.0.0.1:8222",
    )
    .succeeded();
    let config = desk.read("ops/nats-server.conf");
    let certificate = desk.path("cert.pem");
    for line in [
        "host: \"10.0.0.5\"",
        "port: 4333",
        "http: \"127.0.0.1:8222\"",
        "max_payload: 262144",
        "max_subscriptions: 64",
        "max_pending: 1048576",
        "write_deadline: \"5s\"",
        &format!("  cert_file: \"{}\"", certificate.display()),
        "  verify: true",
        "resolver: { type: full, dir: \"/var/lib/nats/jwt\", allow_delete: true, interval: \"2m\" }",
    ] {
        assert!(
            config.lines().any(|found| found == line),
            "{line}\n{config}"
        );
    }
}

#[test]
fn nothing_is_made_where_the_broker_would_not_start() {
    let desk = Desk::new();
    for (arguments, code, part) in [
        ("--tls-cert a.pem --tls-key b.pem", 78, "a.pem is not there"),
        ("--max-pending 1000", 2, "--max-payload"),
        ("--max-payload 1000", 2, "131072"),
        ("--resolver url", 2, "--resolver-url"),
        ("--resolver url --resolver-url https://a.b/jwt", 2, "slash"),
        ("--resolver-url https://a.b/jwt/", 2, "--resolver url"),
        ("--write-deadline 5", 2, "unit"),
    ] {
        desk.run(&format!("init ops {arguments}"))
            .failed(code, &[part]);
        assert!(!desk.path("ops").exists(), "{arguments}");
    }
}

#[test]
fn a_broker_in_the_clear_beyond_this_machine_is_pointed_out() {
    let desk = Desk::new();
    let said = desk.run("init open --listen 0.0.0.0:4222").succeeded();
    assert!(said.stdout.contains("Beware"), "{}", said.stdout);
    let said = desk.run("init here").succeeded();
    assert!(!said.stdout.contains("Beware"), "{}", said.stdout);
}
