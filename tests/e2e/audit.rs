//! The audit trail of a live issuer.

use crate::metrics::{admin_address, metrics_until, value};
use e2e::{Bus, Product};
use microbus_audit::{Broken, Digest, verify};
use serde_json::Value;

const HOST: &str = "access.token.core";

#[tokio::test]
async fn each_decision_is_a_line_and_no_token_is_in_it() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_file(
            "config.yaml",
            "access.token.core:\n  AuditLog: ./audit.jsonl\n  AuditChain: true\n",
        );
    let mut issuer = setup.start();
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let body = r#"{"claims":{"sub":"harry","iss":"https://idp.example"}}"#;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [
        ("Microbus-Time-Budget", "20s"),
        ("Content-Type", "application/json"),
        ("Traceparent", traceparent.as_str()),
    ];
    let minted = caller
        .call("POST", HOST, 666, "/mint", &headers, body.as_bytes())
        .await;
    caller.post(HOST, 666, "/mint", "{").await;
    let first_seen = issuer.until_logged("first-seen-caller").await;
    assert!(first_seen.contains("WARN") && first_seen.contains("tester.client"));
    // The end of the process is the end of its trail.
    assert!(issuer.stop().await.success());
    let text = std::fs::read_to_string(issuer.folder().join("audit.jsonl")).unwrap();
    let (own, lines): (Vec<Value>, Vec<Value>) = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .partition(|line: &Value| line["caller"] == HOST);
    assert!(!own.is_empty(), "the first key is shown to verifiers");
    for line in &own {
        assert_eq!(line["sub"], "warm-up@access.token.core", "{line}");
    }
    let token = minted.json()["token"].as_str().unwrap().to_owned();
    let jti = e2e::normal::claim(&token, "jti");
    let expected = serde_json::json!({
        "time": lines[0]["time"], "service": HOST, "id": lines[0]["id"], "caller": "tester.client", "outcome": "minted",
        "caller_id": "id-tester0000", "jti": jti, "sub": "harry", "iss_given": "https://idp.example", "lifetime": 20,
        "kid": lines[0]["kid"], "trace": trace, "prev": lines[0]["prev"],
    });
    assert_eq!(lines[0], expected);
    assert_eq!(lines[1]["outcome"], "malformed");
    assert_eq!(lines.len(), 2);
    assert!(!text.contains(token.rsplit('.').next().unwrap()));

    assert_eq!(own[0]["prev"], "0".repeat(64));
    let all = own.len() + lines.len();
    assert_eq!(verify(text.as_bytes(), None).unwrap().lines, all);
    let second = text.split_once('\n').unwrap().1;
    let broken = verify(second.as_bytes(), Some(Digest::default()));
    assert!(matches!(broken, Err(Broken::Link { line: 1, .. })));
}

#[tokio::test]
async fn where_no_decision_may_go_unrecorded_a_full_disk_ends_minting() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::BEARER_TOKEN)
        .with_variable("MICROBUS_CONFIGURATION", "files")
        .with_variable("MICROBUS_ADMIN", "0")
        .with_file(
            "config.yaml",
            "bearer.token.core:\n  AuditLog: /dev/full\n  AuditWhenFull: refuse\n",
        );
    let issuer = setup.start();
    let admin = admin_address(&issuer).await;
    issuer.until_logged("Serving").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let host = Product::BEARER_TOKEN.host;
    caller.post(host, 666, "/mint", "{}").await;
    issuer
        .until_logged("The audit trail cannot be written")
        .await;
    metrics_until(&admin, |text| {
        value(text, "microbus_token_audit_failing", &[]) == 1.0
    })
    .await;
    let refused = caller.post(host, 666, "/mint", "{}").await;
    assert_eq!(refused.response().status(), 503);
    let text = metrics_until(&admin, |_| true).await;
    let refusals = "microbus_token_mint_refused_total";
    assert!(
        value(&text, refusals, &["reason=\"audit\""]) >= 1.0,
        "{text}"
    );
}

#[tokio::test]
async fn a_stop_at_once_waits_for_the_end_of_the_trail() {
    let bus = Bus::start().await;
    let setup = bus
        .issuer(Product::ACCESS_TOKEN)
        .with_variable("MICROBUS_DEPLOYMENT", "LAB")
        .with_variable("MICROBUS_CONFIGURATION", "files")
        // There is no room for the end, which the log then says.
        .with_file("config.yaml", "access.token.core:\n  AuditLog: /dev/full\n");
    let mut issuer = setup.start();
    issuer.until_logged("\"Serving\"").await;
    let caller = bus.caller("tester.client", "id-tester0000").await;
    let minted = caller.post(HOST, 666, "/mint", "{}").await;
    assert_eq!(minted.response().status(), 200);
    issuer.ask_to_stop();
    issuer.until_logged("No other replica: serving keys").await;
    assert_eq!(issuer.stop().await.code(), Some(0));
    let log = issuer.log().text();
    let (_, end) = log.split_once("Stopping at once").unwrap();
    assert!(
        end.contains("The end of the audit trail was not written"),
        "{log}"
    );
}
