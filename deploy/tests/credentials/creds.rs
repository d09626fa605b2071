//! `creds` writes exact, signed, private credentials, or nothing.

use crate::tool::Desk;
use std::time::UNIX_EPOCH;

const ISSUERS: &str = "--service access.token.core,bearer.token.core";

#[test]
fn both_issuers_get_the_permissions_that_were_recorded() {
    let desk = Desk::with_accounts();
    desk.creds(&format!("{ISSUERS} --plane prod")).succeeded();
    assert_eq!(
        desk.list("creds"),
        [
            "access.token.core_nats.creds",
            "bearer.token.core_nats.creds"
        ]
    );
    for (host, own) in [
        ("access.token.core", "access_token_core"),
        ("bearer.token.core", "bearer_token_core"),
    ] {
        let name = format!("creds/{host}_nats.creds");
        assert_eq!(desk.mode(&name), 0o600);
        let user = desk.user(&name);
        assert_eq!(user.name, host);
        assert_eq!(user.exp, None);
        assert_eq!(
            user.strings(&["pub", "allow"]),
            [
                format!("prod.safe.888.{own}.>"),
                format!("prod.reply._.{own}.>")
            ]
        );
        assert_eq!(
            user.strings(&["sub", "allow"]),
            [
                format!("prod.safe.*.*.{own}.>"),
                format!("prod.reply._.*.{own}.*"),
                "prod.safe.888.*.all.>".to_owned(),
                format!("prod.danger.666.*.{own}.>"),
            ]
        );
    }
}

#[test]
fn a_signing_key_names_the_account_that_it_signs_for() {
    let desk = Desk::with_accounts();
    desk.creds(ISSUERS).succeeded();
    let user = desk.user("creds/access.token.core_nats.creds");
    let account = microbus_deploy::Jwt::read(&desk.read("ops/account.jwt")).unwrap();
    assert_eq!(user.iss, account.signing_keys()[0]);
    assert_eq!(user.nats["issuer_account"], account.sub);

    let by_identity = "creds --signing-key ops/account.nk --out by-identity";
    desk.run(&format!("{by_identity} {ISSUERS}")).succeeded();
    let user = desk.user("by-identity/access.token.core_nats.creds");
    assert_eq!(user.iss, account.sub);
    assert!(!user.nats.contains_key("issuer_account"));
}

#[test]
fn keys_that_would_make_useless_credentials_are_refused() {
    let desk = Desk::with_accounts();
    desk.run("init other").succeeded();
    let creds = |key: &str| desk.run(&format!("creds {ISSUERS} --signing-key {key}"));
    creds("other/account-sk.nk --account-jwt ops/account.jwt")
        .failed(78, &["neither the account", "the broker would refuse"]);
    creds("ops/operator.nk").failed(
        78,
        &["ops/operator.nk", "than an account", "begins with SA"],
    );
    creds("ops/account.jwt").failed(78, &["ops/account.jwt", "not a seed"]);
    creds("ops/none.nk").failed(78, &["ops/none.nk"]);
    creds("ops/account.nk --account AAAA").failed(2, &["--account", "56 characters"]);
    creds("ops/account.nk --out ops/account.jwt")
        .failed(78, &["ops/account.jwt", "a file is where a directory"]);
    desk.set_mode("ops/account.nk", 0o640);
    creds("ops/account.nk").failed(1, &["mode 0640"]);
    assert!(!desk.path("creds").exists());
}

#[test]
fn a_list_of_calls_is_enough() {
    let desk = Desk::with_accounts();
    desk.write(
        "login.yaml",
        "hostname: login.acme\ncalls: [{host: bearer.token.core, endpoint: Mint}]\n",
    );
    desk.creds("--calls login.yaml").succeeded();
    let user = desk.user("creds/login.acme_nats.creds");
    assert_eq!(
        user.strings(&["pub", "allow"])[2..],
        ["microbus.danger.666.login_acme.bearer_token_core.*.*.mint"]
    );
}

#[test]
fn a_bundle_is_followed_to_its_manifests_and_presets() {
    let desk = Desk::with_accounts();
    desk.write("app/go.mod", "module example.com/app\n");
    desk.write(
        "app/main/main.go",
        r#"package main
import (
    "example.com/app/billing"
    "github.com/microbus-io/fabric/coreservices/httpingress"
)
func main() { app.Add(httpingress.NewService(), billing.NewService()); app.Run() }
"#,
    );
    desk.write(
        "app/billing/manifest.yaml",
        "general: {hostname: billing.acme}\nfunctions: {Charge: {method: POST, route: ':444/charge'}}\n",
    );
    desk.creds("--bundle app/main/main.go").failed(
        1,
        &[
            "billing.acme does not declare all of its calls",
            "calls.yaml",
        ],
    );
    assert!(!desk.path("creds").exists());

    desk.write("app/billing/calls.yaml", "calls: []\n");
    desk.creds("--bundle app/main/main.go").succeeded();
    assert_eq!(
        desk.list("creds"),
        ["billing.acme_nats.creds", "http.ingress.core_nats.creds"]
    );
}

#[test]
fn an_earlier_credential_declares_the_calls_of_a_bundle() {
    let desk = Desk::with_accounts();
    desk.write(
        "bank.yaml",
        "{hostname: bank.acme, calls: [{host: shop.acme, route: /pay}]}",
    );
    desk.creds("--calls bank.yaml --out old").succeeded();
    desk.write("bank/manifest.yaml", "general: {hostname: bank.acme}");
    desk.creds("--manifests bank")
        .failed(1, &["bank.acme does not declare"]);
    desk.creds("--manifests bank --from-creds old/bank.acme_nats.creds")
        .succeeded();
    let user = desk.user("creds/bank.acme_nats.creds");
    assert_eq!(
        user.strings(&["pub", "allow"])[2..],
        ["microbus.safe.443.bank_acme.shop_acme.*.*.pay"]
    );
}

/// A grant that was taken out of the list would come back silently with the old file.
#[test]
fn a_list_of_calls_and_an_earlier_credential_of_one_service_are_refused() {
    let desk = Desk::with_accounts();
    desk.write(
        "bank.yaml",
        "{hostname: bank.acme, calls: [{host: shop.acme, route: /pay}]}",
    );
    desk.creds("--calls bank.yaml --out old").succeeded();
    desk.write("bank.yaml", "{hostname: bank.acme, calls: []}");
    desk.write("bank/manifest.yaml", "general: {hostname: bank.acme}");
    desk.write("shop/manifest.yaml", "general: {hostname: bank.acme}");
    desk.write("shop/calls.yaml", "calls: []");
    for (sources, list) in [
        ("--calls bank.yaml", "bank.yaml"),
        ("--calls bank.yaml --manifests bank", "bank.yaml"),
        ("--manifests shop", "shop/calls.yaml"),
    ] {
        desk.creds(&format!("{sources} --from-creds old"))
            .failed(78, &["bank.acme has a list of calls", list, "--from-creds"]);
    }
    assert!(!desk.path("creds").exists());
}

#[test]
fn two_manifests_of_one_service_are_refused_by_their_names() {
    let desk = Desk::with_accounts();
    for directory in ["bank", "shop"] {
        desk.write(
            &format!("{directory}/manifest.yaml"),
            "general: {hostname: bank.acme}",
        );
        desk.write(&format!("{directory}/calls.yaml"), "calls: []");
    }
    desk.creds("--manifests bank,shop").failed(
        78,
        &[
            "bank.acme has two manifests",
            "bank/manifest.yaml",
            "shop/manifest.yaml",
        ],
    );
    assert!(!desk.path("creds").exists());
    desk.creds("--manifests bank,bank").succeeded();
}

#[test]
fn the_sample_of_calls_is_one() {
    let desk = Desk::with_accounts();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/calls.yaml");
    let said = desk
        .creds(&format!("--calls {sample} --dry-run"))
        .succeeded();
    assert_eq!(said.stdout.lines().count(), 1 + 7 + 4, "{}", said.stdout);
}

#[test]
fn what_a_bundle_adds_beyond_its_module_is_named() {
    let desk = Desk::with_accounts();
    desk.write(
        "main.go",
        "import \"x.com/y/z\"\nfunc main() {\napp.Add(z.NewService(), w)\n}\n",
    );
    let arguments = format!("--bundle main.go {ISSUERS}");
    let said = desk.creds(&arguments).succeeded();
    for warning in [
        "main.go:3: x.com/y/z has no manifest",
        "main.go:3: adds something",
    ] {
        assert!(said.stderr.contains(warning), "{}", said.stderr);
    }
    desk.creds(&format!("{arguments} --out strict --strict"))
        .failed(1, &["x.com/y/z has no manifest"]);
    assert!(!desk.path("strict").exists());
}

#[test]
fn manifests_describe_one_another() {
    let desk = Desk::with_accounts();
    desk.write(
        "shop/manifest.yaml",
        "general: {hostname: shop.acme, package: acme/shop}\noutboundEvents: {OnSold: {method: POST}}\n",
    );
    desk.write(
        "shop/calls.yaml",
        "calls: [{host: bank.acme, endpoint: Pay}]\n",
    );
    desk.write(
        "bank/manifest.yaml",
        "general: {hostname: bank.acme}\nfunctions: {Pay: {method: PUT}}\n\
         inboundEvents: {OnSold: {package: acme/shop/shopapi}}\n",
    );
    desk.write("bank.yaml", "{hostname: bank.acme, calls: []}");
    desk.creds("--manifests shop,bank --calls bank.yaml")
        .succeeded();
    let shop = desk.user("creds/shop.acme_nats.creds");
    assert_eq!(
        shop.strings(&["pub", "allow"])[2..],
        [
            "microbus.safe.443.shop_acme.bank_acme.*.PUT.pay",
            "microbus.safe.417.shop_acme.shop_acme.*.POST.on-sold"
        ]
    );
    let bank = desk.user("creds/bank.acme_nats.creds");
    assert_eq!(
        bank.strings(&["sub", "allow"])[3..],
        ["microbus.safe.417.*.shop_acme.*.POST.on-sold"]
    );
}

#[test]
fn a_credential_is_signed_again_with_what_it_allows() {
    let desk = Desk::with_accounts();
    desk.creds("--service foreman.core --plane prod")
        .succeeded();
    let old = desk.user("creds/foreman.core_nats.creds");
    let from = "--from-creds creds/foreman.core_nats.creds";
    desk.creds(&format!("{from} --out same")).succeeded();
    let same = desk.user("same/foreman.core_nats.creds");
    assert_ne!(same.sub, old.sub);
    for list in ["pub", "sub"] {
        assert_eq!(
            same.strings(&[list, "allow"]),
            old.strings(&[list, "allow"])
        );
    }
    desk.creds(&format!("{from} --out moved --plane lab"))
        .succeeded();
    let moved = desk.user("moved/foreman.core_nats.creds");
    assert_eq!(
        moved.strings(&["pub", "allow"]).last().unwrap(),
        &"lab.danger.666.foreman_core.*.*.*.mint"
    );
}

#[test]
fn a_directory_of_credentials_is_signed_again_and_two_that_differ_are_not() {
    let desk = Desk::with_accounts();
    desk.creds(&format!("{ISSUERS} --plane prod")).succeeded();
    desk.creds("--from-creds creds --out again").succeeded();
    assert_eq!(desk.list("again"), desk.list("creds"));
    desk.creds("--service access.token.core --plane lab --out creds/other")
        .succeeded();
    desk.creds("--from-creds creds --out third").failed(
        78,
        &["is a second one of access.token.core", "other permissions"],
    );
    std::fs::create_dir(desk.path("empty")).unwrap();
    desk.creds("--from-creds empty")
        .failed(78, &["empty has no .creds file in it"]);
}

#[test]
fn a_key_of_which_nothing_says_what_it_is_counts_as_the_account_and_is_warned_about() {
    let desk = Desk::with_accounts();
    let warned = desk
        .run(&format!("creds {ISSUERS} --signing-key ops/account-sk.nk"))
        .succeeded();
    assert!(
        warned.stderr.contains("give --account-jwt"),
        "{}",
        warned.stderr
    );
    let account = desk.jwt("ops/account.jwt").sub;
    for known in [
        "--signing-key ops/account-sk.nk --account-jwt ops/account.jwt".to_owned(),
        format!("--signing-key ops/account.nk --account {account}"),
    ] {
        let said = desk.run(&format!("creds {ISSUERS} {known}")).succeeded();
        assert_eq!(said.stderr, "", "{known}");
    }
}

#[test]
fn what_is_wrong_with_a_list_of_calls_is_said_once() {
    let desk = Desk::with_accounts();
    desk.write("calls.yaml", "hostname: x.y\ncalls: [{hots: a.b}]\n");
    let said = desk.creds("--calls calls.yaml").failed(78, &["calls.yaml"]);
    assert_eq!(said.stderr.matches("unknown field").count(), 1, "{said:?}");
}

#[test]
fn who_may_not_mint_is_told_before_the_broker_is_asked() {
    let desk = Desk::with_accounts();
    desk.creds("--service http.ingress.core").succeeded();
    let mint = "mint --nats nats://127.0.0.1:1 --creds creds/http.ingress.core_nats.creds";
    desk.run(&format!("{mint} --issuer bearer"))
        .failed(1, &["may not call Mint of bearer.token.core", "--calls"]);
    desk.run(mint)
        .failed(69, &["no broker at 127.0.0.1:1", "--nats"]);
}

#[test]
fn credentials_end_when_they_should() {
    let desk = Desk::with_accounts();
    desk.creds(&format!("{ISSUERS} --expiration 1h30m"))
        .succeeded();
    let user = desk.user("creds/access.token.core_nats.creds");
    assert_eq!(user.exp, Some(user.iat + 5400));
    let written = desk
        .path("creds/access.token.core_nats.creds")
        .metadata()
        .unwrap();
    let written = written
        .modified()
        .unwrap()
        .duration_since(UNIX_EPOCH)
        .unwrap();
    assert!(written.as_secs().abs_diff(user.iat.unsigned_abs()) < 60);
    for wrong in ["-1h", "30", "1d"] {
        desk.creds(&format!("{ISSUERS} --expiration={wrong}"))
            .failed(2, &["duration"]);
    }
}

#[test]
fn a_user_is_bounded_as_it_is_told_and_not_at_all_otherwise() {
    let desk = Desk::with_accounts();
    let limits = |arguments: &str| {
        desk.creds(&format!("{ISSUERS} {arguments}")).succeeded();
        let user = desk.user("creds/access.token.core_nats.creds");
        ["subs", "payload", "data"].map(|member| user.nats[member].as_i64())
    };
    assert_eq!(limits(""), [Some(-1), Some(-1), Some(-1)]);
    assert_eq!(
        limits("--max-subscriptions 50 --max-payload 131072"),
        [Some(50), Some(131_072), Some(-1)]
    );
    // To a server 0 is a real zero, with which nobody can do anything.
    desk.creds(&format!("{ISSUERS} --max-payload 0"))
        .failed(2, &["--max-payload"]);
}

#[test]
fn kept_keys_stay_and_others_change() {
    let desk = Desk::with_accounts();
    let user = |arguments: &str| {
        desk.creds(&format!("{ISSUERS} {arguments}")).succeeded();
        desk.user("creds/access.token.core_nats.creds").sub
    };
    assert_ne!(user(""), user(""));
    let kept = user("--persist-user-nkeys keys");
    assert_eq!(user("--persist-user-nkeys keys"), kept);
    assert_eq!(desk.mode("keys"), 0o700);
    assert_eq!(desk.mode("keys/access.token.core_user.nk"), 0o600);
    assert!(!desk.read("keys/access.token.core_user.nk").contains('\n'));
    desk.write("keys/bearer.token.core_user.nk", "not a seed");
    desk.creds(&format!("{ISSUERS} --persist-user-nkeys keys"))
        .failed(78, &["bearer.token.core_user.nk"]);
}

#[test]
fn planes_are_letters_and_digits() {
    let desk = Desk::with_accounts();
    for plane in ["*", ">", "a.b", "a-b", "", "é", &"p".repeat(64)] {
        desk.creds(&format!("{ISSUERS} --plane={plane}"))
            .failed(2, &["--plane"]);
    }
    assert!(!desk.path("creds").exists());
}

#[test]
fn a_jwt_that_no_broker_would_take_is_not_written() {
    let desk = Desk::with_accounts();
    let calls: String = (0..30)
        .map(|n| format!("  - {{host: backend.acme, route: \":444/a-rather-long-path-of-an-endpoint/{n}\"}}\n"))
        .collect();
    desk.write("big.yaml", &format!("hostname: big.acme\ncalls:\n{calls}"));
    let arguments = format!("--calls big.yaml {ISSUERS}");
    desk.creds(&arguments).failed(
        2,
        &["big.acme", "3700", "a-rather-long-path-of-an-endpoint.10"],
    );
    assert!(!desk.path("creds").exists());
    desk.creds(&format!("{arguments} --max-control-line 8192"))
        .succeeded();
}

#[test]
fn an_existing_file_is_closed_and_a_link_is_not_followed() {
    let desk = Desk::with_accounts();
    desk.write("creds/access.token.core_nats.creds", "old");
    desk.set_mode("creds/access.token.core_nats.creds", 0o666);
    desk.creds(ISSUERS).succeeded();
    assert_eq!(desk.mode("creds/access.token.core_nats.creds"), 0o600);

    desk.write("elsewhere", "theirs");
    let link = desk.path("creds/bearer.token.core_nats.creds");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(desk.path("elsewhere"), &link).unwrap();
    desk.creds(ISSUERS).failed(1, &["no plain file"]);
    assert_eq!(desk.read("elsewhere"), "theirs");
}

#[test]
fn a_dry_run_shows_permissions_and_writes_nothing() {
    let desk = Desk::with_accounts();
    let said = desk
        .creds("--service http.ingress.core --plane prod --dry-run")
        .succeeded();
    let grant = "  publish   prod.danger.666.http_ingress_core.access_token_core.*.*.mint\n";
    assert!(said.stdout.contains(grant), "{}", said.stdout);
    assert!(!desk.path("creds").exists());
}

#[test]
fn a_run_without_a_source_or_with_an_unknown_preset_is_a_usage_error() {
    let desk = Desk::with_accounts();
    desk.creds("").failed(2, &["--service"]);
    desk.creds("--service login.acme")
        .failed(2, &["--calls", "http.ingress.core"]);
}

#[test]
fn seeds_are_never_shown() {
    let desk = Desk::with_accounts();
    let said = desk.creds(ISSUERS).succeeded();
    for text in [said.stdout, said.stderr] {
        assert!(!text.contains("SA") && !text.contains("SU"), "{text}");
    }
}
