//! `inspect` tells what files are, and never shows a seed.

use crate::tool::Desk;
use serde_json::Value;

#[test]
fn credentials_are_shown_with_signer_end_and_subjects() {
    let desk = Desk::with_accounts();
    desk.creds("--service http.ingress.core --plane prod --expiration 24h")
        .succeeded();
    let name = "creds/http.ingress.core_nats.creds";
    let user = desk.user(name);
    let shown = desk.run(&format!("inspect {name}")).succeeded().stdout;
    for part in [
        "http.ingress.core (user)",
        &user.sub,
        &format!("{}, a signing key of the account", user.iss),
        "valid until   20",
        "  publish       prod.danger.666.http_ingress_core.access_token_core.*.*.mint\n",
        "  subscribe     prod.safe.888.*.all.>\n",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let json = desk
        .run(&format!("inspect --json {name}"))
        .succeeded()
        .stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["file"], name);
    assert_eq!(json[0]["key"], user.sub);
    assert_eq!(json[0]["account"], user.nats["issuer_account"]);
    assert_eq!(json[0]["publish"].as_array().unwrap().len(), 4);
    assert_eq!(json[0]["expired"], false);
}

#[test]
fn every_file_that_init_makes_can_be_shown() {
    let desk = Desk::with_accounts();
    let files = desk.list("ops");
    let files = files
        .iter()
        .filter(|name| ["nk", "jwt", "creds"].contains(&name.rsplit('.').next().unwrap()));
    let (mut shown, mut seeds) = (0, 0);
    for file in files {
        for json in ["", "--json"] {
            let said = desk.run(&format!("inspect {json} ops/{file}")).succeeded();
            let content = desk.read(&format!("ops/{file}"));
            let is_seed = |line: &&str| line.len() == 58 && line.starts_with('S');
            for seed in content.lines().filter(is_seed) {
                assert!(!said.stdout.contains(seed), "{file}");
                seeds += 1;
            }
        }
        shown += 1;
    }
    assert_eq!((shown, seeds), (9, 12));
    let operator = desk.run("inspect ops/operator.jwt").succeeded().stdout;
    assert!(operator.contains("signed by     itself"), "{operator}");
    assert!(operator.contains("  system        A"), "{operator}");
}

#[test]
fn what_was_changed_or_is_something_else_is_refused() {
    let desk = Desk::with_accounts();
    let jwt = desk.read("ops/account.jwt");
    let (head, signature) = jwt.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    desk.write("bad.jwt", &format!("{head}.{flipped}{}", &signature[1..]));
    desk.run("inspect bad.jwt")
        .failed(78, &["bad.jwt", "did not sign"]);
    desk.run("inspect ops/nats-server.conf")
        .failed(78, &["not a JWT"]);
    desk.run("inspect none.jwt").failed(78, &["none.jwt"]);
    desk.run("inspect").failed(2, &["FILES"]);
}
