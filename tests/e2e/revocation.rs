//! A user that is revoked is cut off and cannot come back, while the others stay; the tool proves it, and sends nothing
//! that would lock everybody out.

use e2e::desk::{Desk, text};
use e2e::{Caller, NatsServer, PATIENCE};
use microbus_deploy::{Jwt, Nkey, NkeyKind};
use std::time::Duration;

const PLANE: &str = "microbus";
const BETWEEN_HELLOS: Duration = Duration::from_millis(200);

async fn connect(desk: &Desk, server: usize, host: &str, credentials: &str) -> Option<Caller> {
    let url = desk.servers[server].url();
    Caller::connect(&url, Some(credentials), PLANE, host, "id-tester0000")
        .await
        .ok()
}

/// Sends messages from one caller to another until one is heard: both work. One broker learns a little later than the
/// other who listens there.
async fn speaks(from: &Caller, to: &str, listener: &mut e2e::Listener) {
    let subject = from.subject(888, to, "_", "GET", "hello");
    let hello = from.next_message_id();
    let heard = async {
        loop {
            from.publish(&subject, hello.clone()).await;
            let message = listener.next(BETWEEN_HELLOS).await;
            if message.is_some_and(|message| message.payload == hello) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap();
}

#[tokio::test]
async fn a_revoked_caller_is_cut_off_on_every_broker_and_cannot_return_while_others_stay() {
    let desk = Desk::with_brokers(2, &["--resolver", "full"]).await;
    let leaked = desk.issue_plain("leaked.example", "creds");
    let other = desk.issue_plain("other.example", "creds");
    let third = desk.issue_plain("third.example", "creds");
    let thief = connect(&desk, 1, "leaked.example", &text(&leaked))
        .await
        .unwrap();
    let staying = connect(&desk, 0, "other.example", &text(&other))
        .await
        .unwrap();
    let hearing = connect(&desk, 1, "third.example", &text(&third))
        .await
        .unwrap();
    let mut listener = hearing.listen("microbus.safe.888.*.third_example.>").await;
    speaks(&staying, "third.example", &mut listener).await;

    let revoked = desk.run_at_broker(&[
        "revoke",
        "creds/leaked.example_nats.creds",
        "--operator-key",
        "ops/operator-sk.nk",
        "--probe",
        "creds/other.example_nats.creds",
    ]);
    revoked
        .succeeded()
        .said("sent: each of 2 servers answered that it took it")
        .said("proven: each of 2 servers uses what was sent")
        .said("proven: its connection was closed: ")
        .said("proven: it cannot come back: Authorization Violation")
        .said("proven: no server has a connection of it")
        .said("proven: creds/other.example_nats.creds can connect");

    thief.until_disconnected().await;
    for server in [0, 1] {
        assert!(
            connect(&desk, server, "leaked.example", &text(&leaked))
                .await
                .is_none()
        );
    }
    speaks(&staying, "third.example", &mut listener).await;

    // The same service with credentials of today works.
    let anew = desk.issue_plain("leaked.example", "anew");
    assert!(
        connect(&desk, 0, "leaked.example", &text(&anew))
            .await
            .is_some()
    );
    let kept = std::fs::read_dir(desk.path("account-jwts"))
        .unwrap()
        .count();
    assert_eq!(kept, 2, "the JWT before and the JWT after");
}

#[tokio::test]
async fn two_revocations_in_a_row_lose_neither() {
    let desk = Desk::open().await;
    let first = desk.issue_plain("first.example", "creds");
    let second = desk.issue_plain("second.example", "creds");
    for host in ["first.example", "second.example"] {
        let file = format!("creds/{host}_nats.creds");
        desk.run_at_broker(&["revoke", &file, "--operator-key", "ops/operator-sk.nk"])
            .succeeded();
    }
    for (host, file) in [("first.example", first), ("second.example", second)] {
        assert!(
            connect(&desk, 0, host, &text(&file)).await.is_none(),
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_server_of_the_list_that_is_away_is_passed_over() {
    let desk = Desk::open().await;
    let file = desk.issue_plain("some.example", "creds");
    let servers = format!("nats://127.0.0.1:1,{}", desk.url());
    let revoke = ["revoke", "creds/some.example_nats.creds", "--nats"];
    let operator = ["--operator-key", "ops/operator-sk.nk"];
    let system = ["--system-creds", "ops/sys.creds"];
    desk.run(&[&revoke[..], &[&servers], &operator, &system].concat())
        .succeeded()
        .said("proven: it cannot come back");
    assert!(
        connect(&desk, 0, "some.example", &text(&file))
            .await
            .is_none()
    );
}

#[tokio::test]
async fn an_operator_that_the_broker_does_not_trust_is_caught_before_sending() {
    let desk = Desk::open().await;
    let file = desk.issue_plain("some.example", "creds");
    let stranger = Nkey::from_random(NkeyKind::Operator, [9; 32]).unwrap();
    desk.write("stranger.nk", stranger.expose_seed().unwrap().as_bytes());
    std::fs::set_permissions(
        desk.path("stranger.nk"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    desk.run_at_broker(&[
        "revoke",
        "creds/some.example_nats.creds",
        "--operator-key",
        "stranger.nk",
    ])
    .ended(1)
    .complained("nothing was sent")
    .complained(&stranger.public_key());
    assert!(
        !desk.path("account-jwts").exists(),
        "nothing is kept of what was not sent"
    );
    let mut server = desk.servers.into_iter().next().unwrap();
    server.restart().await;
    let url = server.url();
    let again = Caller::connect(
        &url,
        Some(&text(&file)),
        PLANE,
        "some.example",
        "id-tester0000",
    )
    .await;
    assert!(again.is_ok(), "the account is alive after a restart");
}

#[tokio::test]
async fn a_time_in_the_future_and_one_before_the_credentials_are_refused() {
    let desk = Desk::open().await;
    desk.issue_plain("some.example", "creds");
    let revoke = |at: &str| {
        desk.run_at_broker(&[
            "revoke",
            "creds/some.example_nats.creds",
            "--operator-key",
            "ops/operator-sk.nk",
            "--at",
            at,
        ])
    };
    revoke("2999-01-01T00:00:00Z")
        .ended(1)
        .complained("later than now");
    revoke("2001-01-01T00:00:00Z")
        .ended(1)
        .complained("would stay valid");
    revoke("yesterday").ended(2).complained("no date");
}

/// What cannot work is known before anything is sent: nothing is kept, and the leaked credentials still connect.
#[tokio::test]
async fn nothing_is_sent_when_a_file_or_a_name_is_wrong() {
    let desk = Desk::open().await;
    let leaked = desk.issue_plain("leaked.example", "creds");
    desk.issue_plain("other.example", "creds");
    let account = Jwt::read(&desk.read("ops/account.jwt")).unwrap().sub;
    let system = Jwt::read(&desk.read("ops/sys.jwt")).unwrap().sub;
    let revoke = ["revoke", "creds/leaked.example_nats.creds"];
    let operator = ["--operator-key", "ops/operator-sk.nk"];
    let leaked_stays = ["--probe", "creds/leaked.example_nats.creds"];
    for (arguments, code, reason) in [
        (&["--probe", "none.creds"][..], 78, "reading none.creds"),
        (&["--ca", "none.pem"], 78, "reading none.pem"),
        (&["--account", "AAAA"], 2, "no public key of an account"),
        (&["--account", &system], 2, "leave it out"),
        (&["--keep", "ops/sys.creds"], 78, "a file is where"),
        (&leaked_stays, 1, "this would cut off creds/leaked"),
    ] {
        desk.run_at_broker(&[&revoke, &operator[..], arguments].concat())
            .ended(code)
            .complained(reason);
    }
    let url = desk.url();
    let at = ["--nats", &url, "--system-creds", "none.creds"];
    desk.run(&[&revoke, &operator[..], &at].concat())
        .ended(78)
        .complained("reading none.creds");
    let at = [
        "--nats",
        &url,
        "--system-creds",
        "creds/other.example_nats.creds",
    ];
    desk.run(&[&revoke, &operator[..], &at].concat())
        .ended(5)
        .complained("nothing was sent: asking the servers");
    let everybody = ["revoke", "*", "--account", &account];
    let other_stays = ["--probe", "creds/other.example_nats.creds"];
    desk.run_at_broker(&[&everybody, &operator[..], &other_stays].concat())
        .ended(1)
        .complained("this would cut off creds/other");
    assert!(!desk.path("account-jwts").exists());
    assert!(
        connect(&desk, 0, "leaked.example", &text(&leaked))
            .await
            .is_some()
    );
}

#[tokio::test]
async fn everybody_is_cut_off_with_a_star() {
    let desk = Desk::open().await;
    let file = desk.issue_plain("some.example", "creds");
    let account = Jwt::read(&desk.read("ops/account.jwt")).unwrap().sub;
    desk.run_at_broker(&[
        "revoke",
        "*",
        "--account",
        &account,
        "--operator-key",
        "ops/operator-sk.nk",
    ])
    .succeeded();
    assert!(
        connect(&desk, 0, "some.example", &text(&file))
            .await
            .is_none()
    );
}

#[tokio::test]
async fn a_broker_that_keeps_no_accounts_is_changed_until_its_next_start_and_the_rest_is_said() {
    let desk = Desk::with_init(&[]).await;
    let file = desk.issue_plain("some.example", "creds");
    desk.run_at_broker(&[
        "revoke",
        "creds/some.example_nats.creds",
        "--operator-key",
        "ops/operator-sk.nk",
    ])
    .ended(1)
    .said("revoked: ")
    .said("proven: it cannot come back")
    .said("resolver_preload")
    .said("SIGHUP");
    assert!(
        connect(&desk, 0, "some.example", &text(&file))
            .await
            .is_none()
    );
}

/// Such a broker serves accounts of connected clients, and takes no new one: until it has read the account in its file,
/// nothing is said to be made, and the same line takes the run up.
#[tokio::test]
async fn a_new_account_is_made_once_a_broker_that_keeps_none_has_read_it() {
    let mut desk = Desk::new();
    desk.type_line("init ops --listen 127.0.0.1:0").succeeded();
    desk.servers
        .push(NatsServer::in_folder(&desk.path("ops")).await);
    let before = text(&desk.issue_plain("some.example", "creds"));
    let account = Jwt::read(&desk.read("ops/account.jwt")).unwrap().sub;
    let new = |desk: &Desk| {
        let what = ["rotate-account", "new", &account, "--keys", "account2"];
        let credentials = ["--from-creds", "creds", "--out", "creds2"];
        let operator = ["--operator-key", "ops/operator-sk.nk"];
        desk.run_at_broker(&[&what[..], &credentials, &operator].concat())
    };
    let connected = connect(&desk, 0, "some.example", &before).await.unwrap();
    let refused = new(&desk).ended(1).said(
        "WRONG: 0 of 1 servers use what was sent: it is not in force; look into their logs, mend that and type the same",
    );
    for done in ["made: ", "issued: ", "next, "] {
        assert!(!refused.stdout.contains(done), "{}", refused.stdout);
    }
    assert!(!desk.path("creds2/some.example_nats.creds").exists());
    drop(connected);

    let kept = std::fs::read_dir(desk.path("account-jwts")).unwrap();
    let kept = kept.map(|entry| text(&entry.unwrap().path()));
    let mut made = kept.map(|jwt| (Jwt::read(&jwt).unwrap().sub, jwt));
    let (account2, jwt) = made.find(|(sub, _)| *sub != account).unwrap();
    let preload = "resolver_preload: {\n";
    let config = desk.read("ops/nats-server.conf");
    let more = format!("{preload}  {account2}: {jwt}\n");
    desk.write("ops/nats-server.conf", config.replace(preload, &more));
    desk.servers[0].restart().await;
    let _connected = connect(&desk, 0, "some.example", &before).await.unwrap();
    new(&desk)
        .ended(1)
        .said("proven: each of 1 servers uses what was sent")
        .said(&format!("made: {account2}"))
        .said("issued: 1 credentials in creds2")
        .said("proven: creds2/some.example_nats.creds can connect")
        .said("next, once nothing is WRONG: deploy them all at once");
    new(&desk).ended(1).complained("keys are never overwritten");
}

#[tokio::test]
async fn a_broker_that_is_away_has_an_exit_code_of_its_own() {
    let mut desk = Desk::open().await;
    desk.issue_plain("some.example", "creds");
    desk.servers[0].stop();
    desk.run_at_broker(&[
        "revoke",
        "creds/some.example_nats.creds",
        "--operator-key",
        "ops/operator-sk.nk",
    ])
    .ended(69)
    .complained("no broker at");
}

#[tokio::test]
async fn a_signing_key_is_replaced_without_cutting_off_whoever_has_new_credentials() {
    let desk = Desk::open().await;
    let before = text(&desk.issue_plain("some.example", "creds"));
    let account = Jwt::read(&desk.read("ops/account.jwt")).unwrap();
    let old_key = account.signing_keys()[0].to_owned();
    let operator = ["--operator-key", "ops/operator-sk.nk"];
    let add = [
        &[
            "rotate-signing-key",
            "add",
            &account.sub,
            "--new-key",
            "ops/new.nk",
        ][..],
        &["--account-jwt", "ops/new.jwt"],
        &operator,
    ]
    .concat();
    desk.run_at_broker(&add)
        .succeeded()
        .said("uses what was sent");
    desk.run_at_broker(&add)
        .ended(1)
        .complained("never overwritten");
    let old = connect(&desk, 0, "some.example", &before).await.unwrap();

    let again = [
        "creds",
        "--from-creds",
        "creds/some.example_nats.creds",
        "--out",
        "new",
    ];
    let signer = [
        "--signing-key",
        "ops/new.nk",
        "--account-jwt",
        "ops/new.jwt",
    ];
    desk.run(&[&again[..], &signer].concat()).succeeded();
    let after = desk.read("new/some.example_nats.creds");
    let new = connect(&desk, 0, "some.example", &after).await.unwrap();
    let mut listener = new.listen("microbus.safe.888.*.some_example.>").await;

    let remove = [
        &[
            "rotate-signing-key",
            "remove",
            &account.sub,
            "--key",
            &old_key,
        ][..],
        &["--probe", "new/some.example_nats.creds"],
        &operator,
    ]
    .concat();
    let mut dying = remove.clone();
    dying[6] = "creds/some.example_nats.creds";
    desk.run_at_broker(&dying)
        .ended(1)
        .complained("this would cut off creds/some.example_nats.creds");
    desk.run_at_broker(&remove)
        .succeeded()
        .said("proven: no server has a connection of it")
        .said("can connect");
    desk.run_at_broker(&remove)
        .ended(1)
        .complained("is not among the signing keys");
    let mut identity = remove.clone();
    identity[4] = &account.sub;
    desk.run_at_broker(&identity)
        .ended(2)
        .complained("rotate-account makes another");
    old.until_disconnected().await;
    assert!(connect(&desk, 0, "some.example", &before).await.is_none());
    speaks(&new, "some.example", &mut listener).await;
}

/// The second half of a run did not happen: it was killed, or a disk was full. The same line finishes it, with the same key.
#[tokio::test]
async fn a_new_signing_key_whose_run_was_interrupted_after_sending_is_taken_up() {
    let desk = Desk::open().await;
    desk.issue_plain("some.example", "creds");
    let account = Jwt::read(&desk.read("ops/account.jwt")).unwrap().sub;
    let add = |jwt: &str| {
        let key = ["rotate-signing-key", "add", &account, "--new-key", "new.nk"];
        let rest = ["--operator-key", "ops/operator-sk.nk", "--account-jwt", jwt];
        desk.run_at_broker(&[&key[..], &rest].concat())
    };
    // The report says what was done before it failed.
    add("no-such-directory/new.jwt")
        .ended(78)
        .said("proven: each of 1 servers uses what was sent")
        .complained("no-such-directory/new.jwt");
    assert!(!desk.path("new.nk").exists());
    let key = |file: &str| {
        let shown = desk.type_line(&format!("inspect {file}")).succeeded();
        shown.stdout.lines().nth(1).map(str::to_owned)
    };
    let made = key("new.pending.nk");
    add("new.jwt").succeeded().said("added: ");
    assert_eq!(key("new.nk"), made, "the same key");
    let listed = Jwt::read(&desk.read("new.jwt")).unwrap();
    assert_eq!(listed.signing_keys().len(), 2, "one was there, one is new");
    assert!(!desk.path("new.pending.nk").exists());
    let signer = "--signing-key new.nk --account-jwt new.jwt";
    desk.type_line(&format!("creds --from-creds creds --out new {signer}"))
        .succeeded();
    let new = desk.read("new/some.example_nats.creds");
    assert!(connect(&desk, 0, "some.example", &new).await.is_some());
}

#[tokio::test]
async fn a_new_account_whose_run_was_interrupted_is_taken_up_with_the_same_keys() {
    let desk = Desk::open().await;
    desk.issue_plain("some.example", "creds");
    desk.issue(&[
        "--from-creds",
        "creds",
        "--out",
        "creds/old",
        "--expiration",
        "1ns",
    ]);
    std::fs::rename(
        desk.path("creds/old/some.example_nats.creds"),
        desk.path("creds/gone.example_nats.creds"),
    )
    .unwrap();
    let account = Jwt::read(&desk.read("ops/account.jwt")).unwrap().sub;
    let new = |out: &str| {
        let what = ["rotate-account", "new", &account, "--keys", "account2"];
        let from = ["--from-creds", "creds", "--out", out];
        let operator = ["--operator-key", "ops/operator-sk.nk"];
        desk.run_at_broker(&[&what[..], &from, &operator].concat())
    };
    new("creds").ended(2).complained("name another directory");
    assert!(!desk.path("account2").exists());
    // A directory stands where a file of credentials has to go.
    std::fs::create_dir_all(desk.path("creds2/some.example_nats.creds")).unwrap();
    new("creds2")
        .ended(1)
        .said("proven: each of 1 servers uses what was sent")
        .complained("is no plain file");
    let made = desk.type_line("inspect account2/account.nk").succeeded();
    assert!(!desk.path("account2/account.jwt").exists());
    std::fs::remove_dir(desk.path("creds2/some.example_nats.creds")).unwrap();
    new("creds2")
        .succeeded()
        .said("left out: creds/gone.example_nats.creds, which expired at")
        .said("issued: 1 credentials in creds2")
        .said("can connect");
    let account2 = Jwt::read(&desk.read("account2/account.jwt")).unwrap().sub;
    assert!(made.stdout.contains(&account2), "the same account");
    new("creds3")
        .ended(1)
        .complained("keys are never overwritten");
}

#[tokio::test]
async fn an_account_is_replaced_and_the_old_one_is_dead_after_a_restart_too() {
    let mut desk = Desk::open().await;
    let before = text(&desk.issue_plain("some.example", "creds"));
    desk.issue_plain("other.example", "creds");
    let account = Jwt::read(&desk.read("ops/account.jwt")).unwrap().sub;
    let old = connect(&desk, 0, "some.example", &before).await.unwrap();
    let operator = ["--operator-key", "ops/operator-sk.nk"];
    let new = [
        &["rotate-account", "new", &account, "--keys", "account2"][..],
        &["--from-creds", "creds", "--out", "creds2"],
        &operator,
    ]
    .concat();
    desk.run_at_broker(&new)
        .succeeded()
        .said("issued: 2 credentials in creds2")
        .said("can connect");
    desk.run_at_broker(&new)
        .ended(1)
        .complained("keys are never overwritten");

    let retire = [
        &["rotate-account", "retire", &account][..],
        &["--probe", "creds2/some.example_nats.creds"],
        &operator,
    ]
    .concat();
    desk.run_at_broker(&retire)
        .succeeded()
        .said("deleted: ")
        .said("proven: no server has a connection of it")
        .said("proven: creds2/some.example_nats.creds can connect");
    old.until_disconnected().await;
    // What the leaked key signs afterwards is refused as well, and so it stays.
    let late = text(&desk.issue_plain("late.example", "late"));
    assert!(connect(&desk, 0, "late.example", &late).await.is_none());
    desk.servers[0].restart().await;
    let after = desk.read("creds2/some.example_nats.creds");
    assert!(connect(&desk, 0, "some.example", &after).await.is_some());
    let says =
        |text: &str| Jwt::read(microbus_deploy::Credentials::parse(text).unwrap().jwt()).unwrap();
    for verb in ["pub", "sub"] {
        let path = [verb, "allow"];
        assert_eq!(says(&after).strings(&path), says(&before).strings(&path));
    }
}
