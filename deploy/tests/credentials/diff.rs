//! `diff` as a gate of a review: exit codes and the three forms of its output.

use crate::tool::Desk;
use serde_json::Value;

/// Makes credentials of `login.acme` with these calls in the directory `out`.
fn login(desk: &Desk, out: &str, plane: &str, calls: &str) {
    desk.write(
        "login.yaml",
        &format!("hostname: login.acme\ncalls: [{calls}]\n"),
    );
    desk.creds(&format!("--calls login.yaml --plane {plane} --out {out}"))
        .succeeded();
}

const PAY: &str = "{host: bank.acme, method: POST, route: /pay}";
const MINT: &str = "{host: bearer.token.core, endpoint: Mint}";

#[test]
fn exit_codes_tell_sameness_difference_and_danger_apart() {
    let desk = Desk::with_accounts();
    login(&desk, "lab", "lab", "");
    login(&desk, "prod", "prod", "");
    login(&desk, "pays", "prod", PAY);
    login(&desk, "mints", "prod", MINT);
    std::fs::create_dir(desk.path("nothing")).unwrap();
    for (old, new, code) in [
        ("lab", "prod", 0),
        ("prod", "pays", 3),
        ("pays", "prod", 3),
        ("prod", "mints", 4),
        ("pays", "mints", 4),
        ("mints", "pays", 3),
        ("nothing", "prod", 3),
        ("nothing", "mints", 4),
        ("mints", "nothing", 3),
    ] {
        let difference = desk.run(&format!("diff {old} {new}"));
        assert_eq!(difference.code, code, "{old} {new}: {difference:?}");
        let name = "login.acme_nats.creds";
        if old != "nothing" && new != "nothing" {
            let by_file = desk.run(&format!("diff {old}/{name} {new}/{name}"));
            assert_eq!(by_file.stdout, difference.stdout);
        }
    }
}

#[test]
fn each_form_shows_what_changed_and_danger_first() {
    let desk = Desk::with_accounts();
    login(&desk, "old", "prod", PAY);
    login(
        &desk,
        "new",
        "lab",
        &format!("{{host: bank.acme, route: /a}}, {MINT}"),
    );
    let text = desk.run("diff old new").stdout;
    assert_eq!(
        text,
        "+ DANGER login.acme publish {{plane}}.danger.666.login_acme.bearer_token_core.*.*.mint\n\
         + login.acme publish {{plane}}.safe.443.login_acme.bank_acme.*.*.a\n\
         - login.acme publish {{plane}}.safe.443.login_acme.bank_acme.*.POST.pay\n"
    );
    let markdown = desk.run("diff old new --format md").stdout;
    let rows: Vec<_> = markdown.lines().skip(2).map(|row| &row[..12]).collect();
    assert_eq!(rows, ["| **added, d", "| added | `l", "| removed | "]);
    let json = desk.run("diff old new --format json").stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["added"][0]["danger"], true);
    assert_eq!(json["added"][0]["verb"], "publish");
    assert_eq!(json["removed"].as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_read_is_no_difference() {
    let desk = Desk::with_accounts();
    login(&desk, "old", "prod", PAY);
    desk.write("bad/login.acme_nats.creds", "x");
    desk.run("diff old bad")
        .failed(78, &["bad/login.acme_nats.creds"]);
    desk.run("diff old nowhere").failed(78, &["nowhere"]);
}
