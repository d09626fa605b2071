//! Credentials that the broker refuses with two words: the broken link of their chain is named.

use super::{diagnosis, environment, set_mode};
use async_nats::ConnectErrorKind;
use e2e::desk::{Desk, text};
use e2e::{Caller, PATIENCE};
use microbus_deploy::{Nkey, NkeyKind};
use std::fs;

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
            "--system-creds",
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
    fs::copy(desk.path("nameless/some.example_nats.creds"), &place).unwrap();
    fs::copy(&good, desk.path("service/other.example_nats.creds")).unwrap();
    doctor().names("creds-accepted", "FAIL", "without issuer_account");
    fs::remove_file(desk.path("service/other.example_nats.creds")).unwrap();
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
    // The broker itself says when the credential has ended; in its last second it lets it in and sends it away again.
    let connect = || {
        let (plane, host) = ("microbus", "some.example");
        Caller::connect(&url, Some(&brief), plane, host, "id-tester0000")
    };
    let ended = async {
        while !matches!(
            connect().await,
            Err(ConnectErrorKind::AuthorizationViolation)
        ) {
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
        "--system-creds",
        "ops/sys.creds",
        "--operator-jwt",
        stranger.path("ops/operator.jwt").to_str().unwrap(),
        "--only",
        "broker-opmode",
    ]));
    other.names("broker-opmode", "FAIL", "not our operator");
}
