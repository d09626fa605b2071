//! `audit` of whole deployments, by exit code, text and JSON. Each finding has a test of its own in the library.

use crate::tool::Desk;
use serde_json::Value;

const STOCK: &str = include_str!("../../samples/minters.txt");

fn stock() -> Desk {
    let desk = Desk::with_accounts();
    let services =
        "access.token.core,bearer.token.core,http.ingress.core,foreman.core,configurator.core";
    desk.creds(&format!("--service {services} --expiration 720h --out srv"))
        .succeeded();
    desk.write("minters.txt", STOCK);
    desk
}

#[test]
fn a_stock_deployment_has_no_findings_once_its_minters_are_named() {
    let desk = stock();
    let report = desk.run("audit srv");
    assert_eq!(report.code, 1);
    for line in [
        "  FINDING  MINT-ANY: microbus.danger.666.foreman_core.*.*.*.mint",
        "http.ingress.core may mint: access.token.core",
        "foreman.core may mint: access.token.core, bearer.token.core",
        "5 files, 4 findings",
    ] {
        let found = report.stdout.lines().any(|found| found == line);
        assert!(found, "{line}\n{}", report.stdout);
    }
    let named = desk.run("audit srv --allow-mint minters.txt").succeeded();
    assert!(
        named.stdout.ends_with("5 files, 0 findings\n"),
        "{}",
        named.stdout
    );
    desk.run("audit srv --allow-mint minters.txt --strict")
        .failed(1, &[]);
}

#[test]
fn what_is_wrong_is_found_in_the_directories_below() {
    let desk = stock();
    let good = desk.read("srv/configurator.core_nats.creds");
    desk.write("srv/host-2/configurator.core_nats.creds", &good);
    desk.set_mode("srv/host-2/configurator.core_nats.creds", 0o644);
    desk.write(
        "srv/host-2/cut.creds",
        good.split_once("-----BEGIN USER").unwrap().0,
    );
    desk.set_mode("srv/host-2/cut.creds", 0o600);
    let report = desk.run("audit srv --allow-mint minters.txt --json");
    assert_eq!(report.code, 1);
    let json: Value = serde_json::from_str(&report.stdout).unwrap();
    let codes: Vec<_> = json["files"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|file| file["findings"].as_array().unwrap())
        .filter(|finding| finding["expected"] == false)
        .map(|finding| finding["code"].as_str().unwrap())
        .collect();
    assert_eq!(
        codes,
        ["DUPLICATE-KEY", "MODE", "DUPLICATE-KEY", "UNREADABLE"]
    );
    assert_eq!(json["minters"]["http.ingress.core"][0], "access.token.core");
}

#[test]
fn seeds_are_not_in_a_report() {
    let desk = stock();
    let seed = desk.read("srv/foreman.core_nats.creds");
    let seed = seed.lines().find(|line| line.starts_with("SU")).unwrap();
    for arguments in ["audit srv", "audit srv --json"] {
        let report = desk.run(arguments);
        assert!(!report.stdout.contains(seed) && !report.stderr.contains(seed));
    }
}

#[test]
fn what_cannot_be_judged_is_no_clean_bill() {
    let desk = stock();
    std::fs::create_dir(desk.path("empty")).unwrap();
    desk.run("audit empty")
        .failed(78, &["empty has no .creds file"]);
    desk.run("audit nowhere").failed(78, &["nowhere"]);
    desk.write("wrong.txt", "http.ingress.core\n");
    desk.run("audit srv --allow-mint wrong.txt")
        .failed(78, &["wrong.txt", "line 1"]);
}
